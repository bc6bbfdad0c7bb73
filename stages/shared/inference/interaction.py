"""Does one choice change what another buys? The difference of two differences, paired by seed and by image."""

from collections.abc import Mapping

from numpy.typing import ArrayLike

from stages.shared.inference.comparison import Comparison, compare, paired

Arms = tuple[Mapping[int, ArrayLike], Mapping[int, ArrayLike]]


def interaction(
    pair: Arms, reference_pair: Arms, *, confidence: float, smallest_effect: float, alpha: float
) -> Comparison:
    """Compare the gap within one pair of arms with the gap within another: (a − b) − (c − d).

    pair: (a, b), say CNN and MLP on original pixels; reference_pair: (c, d), the two on permuted pixels. Each arm is
    seed → correctness of the images, in the same order in all four: image i must be the same test image in both layouts.
    In the Comparison, `mean` is the first gap, `reference_mean` the second, `difference` the interaction (between −2 and 2).
    Testing it directly is needed: one gap that differs from zero and one that does not may still not differ from each other.
    Raises ValueError as compare does.
    """
    gaps = [paired(*arms) for arms in (pair, reference_pair)]
    return compare(gaps[0], gaps[1], confidence=confidence, smallest_effect=smallest_effect, alpha=alpha)

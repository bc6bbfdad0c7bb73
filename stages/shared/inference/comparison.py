"""Arms compared on the same seeds and test images: every number of one row of the results."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.shared.inference import sign_flip
from stages.shared.inference.crossed import (
    expected_mean_squares,
    guarded,
    seed_errors,
    seed_interval,
    total_errors,
    total_interval,
    variance_components,
)
from stages.shared.inference.equivalence import two_one_sided_tests
from stages.shared.inference.intervals import Arm, difference_of_pairs, on_shared_seeds
from stages.shared.inference.power import smallest_detectable_effect


@dataclass(frozen=True)
class Comparison:
    """Fractions throughout, as the correctness is. What one seed or one image cannot tell is NaN. SDs: over seeds."""

    n_seeds: int
    n_images: int
    mean: float
    sd: float
    reference_mean: float
    reference_sd: float
    difference: float  # paired by seed and image: variant − reference
    difference_sd: float
    low: float  # t interval over seeds, for this test set
    high: float
    total_low: float  # for new seeds and new images; where there is one number a seed, for new seeds
    total_high: float
    p: float  # two-sided, of the sign-flip test over seeds; not adjusted
    improved: float  # fraction of the seeds with a difference above zero
    equivalence_p: float  # of the two one-sided tests with the total standard error
    equivalence_low: float  # their (1 − 2·alpha) interval
    equivalence_high: float
    not_above_p: float  # of the one that the effect is at least + the smallest effect
    not_below_p: float  # of the one that it is at most − the smallest effect


def compare(arms: Sequence[Arm], *, confidence: float, smallest_effect: float, alpha: float) -> Comparison:
    """Compare (variant, reference), or the gap within one pair with the gap within others: (a − b) − ((c − d) − …).

    arms: pairs, such as CNN and MLP on original pixels, then CNN and MLP on permuted pixels. Each is seed →
    correctness of each test image, (images,), in the same order in all; or any other number for each image. They are
    paired on the seeds that all have. Arms of one number a seed have no images that could be new: their total interval
    is the one over seeds. Of several pairs, `mean` is the first gap and `reference_mean` what it is compared with. An
    interaction is tested directly: one gap that differs from zero and one that does not may still not differ from each
    other.
    Raises ValueError if no seed is shared, or if the arms have not the same number of images.
    """
    values, reference = _variant_and_reference(arms)
    differences = values - reference
    one_number = differences.shape[1] == 1
    interval, errors = (seed_interval, seed_errors) if one_number else (total_interval, total_errors)
    variant, other = seed_interval(values, confidence), seed_interval(reference, confidence)
    over_seeds, total = seed_interval(differences, confidence), interval(differences, confidence)
    equivalence = two_one_sided_tests(total.mean, errors(guarded(differences)), smallest_effect, alpha)
    by_seed = differences.mean(axis=1)
    return Comparison(
        n_seeds=over_seeds.n,
        n_images=differences.shape[1],
        mean=variant.mean,
        sd=variant.sd,
        reference_mean=other.mean,
        reference_sd=other.sd,
        difference=over_seeds.mean,
        difference_sd=over_seeds.sd,
        low=over_seeds.low,
        high=over_seeds.high,
        total_low=total.low,
        total_high=total.high,
        p=sign_flip.p_value(by_seed),
        improved=float(np.mean(by_seed > 0)),
        equivalence_p=equivalence.p,
        equivalence_low=equivalence.low,
        equivalence_high=equivalence.high,
        not_above_p=equivalence.p_below_upper,
        not_below_p=equivalence.p_above_lower,
    )


def detectable_effect(arms: Sequence[Arm], alpha: float, power: float) -> float:
    """The smallest effect that a comparison of these arms detects with probability `power`; NaN of one seed.

    By the t interval that the verdict needs, with the variances that these arms have.
    """
    values, reference = _variant_and_reference(arms)
    n_seeds, n_images = values.shape
    if n_seeds < 2:
        return float("nan")
    squares = guarded(values - reference)
    if n_images == 1:
        errors = seed_errors(squares)
    else:
        errors = total_errors(expected_mean_squares(variance_components(squares), n_seeds, n_images))
    return smallest_detectable_effect(errors, alpha, power)


def _variant_and_reference(arms: Sequence[Arm]) -> tuple[np.ndarray, np.ndarray]:
    """(seeds, images) of what is compared and of what it is compared with; of several pairs both are gaps."""
    tables = on_shared_seeds(*arms)
    if len(tables) == 2:
        return tables[0], tables[1]
    return tables[0] - tables[1], difference_of_pairs(tables[2:])

"""Two variants on the same seeds and test images: every number of one row of the results."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from stages.shared.inference import sign_flip
from stages.shared.inference.crossed import mean_squares, seed_errors, seed_interval, total_errors, total_interval
from stages.shared.inference.equivalence import two_one_sided_tests


@dataclass(frozen=True)
class Comparison:
    """Fractions throughout, as the correctness is; what one seed or one image cannot tell is NaN. SDs are over seeds."""

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


def compare(
    correct: Mapping[int, ArrayLike],
    reference: Mapping[int, ArrayLike],
    *,
    confidence: float,
    smallest_effect: float,
    alpha: float,
) -> Comparison:
    """Compare a variant with its reference.

    correct, reference: seed → correctness of each test image, (images,), in the same order of images; or any other
    number per image. Arrays of one number have no images that could be new: their total interval is the one over seeds.
    Raises ValueError if the arms do not have the same seeds, or not the same number of images.
    """
    differences = _table(paired(correct, reference))
    arm, other = seed_interval(_table(correct), confidence), seed_interval(_table(reference), confidence)
    interval, errors = (seed_interval, seed_errors) if differences.shape[1] == 1 else (total_interval, total_errors)
    over_seeds, total = seed_interval(differences, confidence), interval(differences, confidence)
    equivalence = two_one_sided_tests(total.mean, errors(mean_squares(differences)), smallest_effect, alpha)
    by_seed = differences.mean(axis=1)
    return Comparison(
        n_seeds=over_seeds.n,
        n_images=differences.shape[1],
        mean=arm.mean,
        sd=arm.sd,
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
    )


def paired(correct: Mapping[int, ArrayLike], reference: Mapping[int, ArrayLike]) -> dict[int, np.ndarray]:
    """Seed → the variant minus the reference of the same seed for each image, in ascending order of the seeds.

    Raises ValueError, naming the seeds that only one arm has, or the numbers of images that differ.
    """
    if correct.keys() != reference.keys():
        raise ValueError(
            f"arms are paired by seed, but only one of the two has seeds {sorted(correct.keys() ^ reference.keys())}"
        )
    sizes = {np.size(images) for arm in (correct, reference) for images in arm.values()}
    if len(sizes) > 1:
        raise ValueError(f"arms are paired by image, but their seeds have {sorted(sizes)} images")
    return {
        seed: np.asarray(correct[seed], dtype=float) - np.asarray(reference[seed], dtype=float)
        for seed in sorted(correct)
    }


def _table(arm: Mapping[int, ArrayLike]) -> np.ndarray:
    """(seeds, images)."""
    return np.array([np.asarray(images, dtype=float) for images in arm.values()])

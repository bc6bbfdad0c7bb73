"""Does a published number hold? A verdict on it as a claim, from our seeds and images and from its own uncertainty.

The published number p is taken as the mean of n_p runs like ours, so that its variance comes from our own variances:

    V_p = s²_seed/n_p                                on the same test images
    V_p = σ²_a/n_p + σ²_b/N_p + σ²_c/(n_p·N_p)        on N_p others, with the components of crossed.py

On the same test images both numbers share what these images favour, so that the images' share counts once, in ours.
Where n_p is unknown, p is taken as exact. Our mean d then differs from p with the variance V + V_p, V being our total
variance (crossed.py).

    verdict      shown, each at alpha
    opposite     d lies on the other side of zero than p: the total interval of d leaves zero out
    reproduced   |d − p| < margin, by two one-sided tests with V + V_p
    smaller      d is nearer to zero than p, or on zero's other side, by a one-sided test with V + V_p
    larger       d is further from zero than p, on the same side, by the same test
    undecided    none of these

The first that holds counts: a reversed sign matters even within the margin. A published zero has no other side.
Source (a replication is predicted with both variances): Patil, Peng & Leek, Perspectives on Psychological Science 11,
2016.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from stages.shared.inference.crossed import (
    MeanSquares,
    guarded,
    seed_errors,
    total_errors,
    variance_components,
)
from stages.shared.inference.equivalence import two_one_sided_tests
from stages.shared.inference.standard_error import StandardError, reach, tail

OPPOSITE, REPRODUCED, SMALLER, LARGER = "opposite", "reproduced", "smaller", "larger"
UNDECIDED, NOT_STATED = "undecided", "not stated"


@dataclass(frozen=True)
class PublishedNumber:
    """value, margin: fractions. seeds: whose mean it is, None where unknown. other_images: None for our test images."""

    value: float
    margin: float
    seeds: int | None
    other_images: int | None


@dataclass(frozen=True)
class Replication:
    """mean: ours, with its total interval low to high. deviation_low, deviation_high: the interval of mean − published.

    p: of the two one-sided tests. agreeing_seeds: fraction of our seeds each of which alone has the published sign.
    """

    verdict: str
    n_seeds: int
    mean: float
    low: float
    high: float
    deviation_low: float
    deviation_high: float
    p: float
    agreeing_seeds: float


def replicate(
    values: ArrayLike, published: PublishedNumber, *, confidence: float, alpha: float, min_seeds: int
) -> Replication:
    """Judge a published number by ours.

    values: (seeds, images), a difference in correctness or one arm's correctness; or (seeds, 1) where there is one
    number a seed. Fewer than min_seeds seeds have no verdict.
    """
    table = np.asarray(values, dtype=float)
    by_seed, squares = table.mean(axis=1), guarded(table)
    mean = float(by_seed.mean())
    ours = seed_errors(squares) if table.shape[1] == 1 else total_errors(squares)
    both = with_published(ours, squares, published)
    half, deviation, half_deviation = reach(ours, confidence), mean - published.value, reach(both, confidence)
    p = two_one_sided_tests(deviation, both, published.margin, alpha).p
    sign = math.copysign(1, published.value or mean)
    return Replication(
        verdict=_verdict(sign * mean, half, sign * published.value, p, both, alpha)
        if len(table) >= min_seeds
        else NOT_STATED,
        n_seeds=len(table),
        mean=mean,
        low=mean - half,
        high=mean + half,
        deviation_low=deviation - half_deviation,
        deviation_high=deviation + half_deviation,
        p=p,
        agreeing_seeds=float(np.mean(sign * by_seed > 0)),
    )


def with_published(
    ours: Sequence[StandardError], squares: MeanSquares, published: PublishedNumber
) -> Sequence[StandardError]:
    """Of our mean minus the published number. ours: of our mean. Degrees of freedom are Satterthwaite's."""
    if published.seeds is None:
        return ours
    added = squares.seed / squares.n_images / published.seeds
    if published.other_images is not None and squares.n_images > 1:
        parts, n_images = variance_components(squares), published.other_images
        added = (parts.seed + parts.interaction / n_images) / published.seeds + parts.image / n_images
    return [_widened(error, added, squares.n_seeds - 1) for error in ours]


def _widened(error: StandardError, variance: float, dof: float) -> StandardError:
    own, total = error.value**2, error.value**2 + variance
    if error.dof == dof or not total > 0:  # both come from the spread over the same seeds
        return StandardError(math.sqrt(total), error.dof)
    return StandardError(math.sqrt(total), total**2 / (own**2 / error.dof + variance**2 / dof))


def _verdict(
    mean: float, half: float, published: float, p: float, errors: Sequence[StandardError], alpha: float
) -> str:
    """mean, published: turned so that the published number is not below zero. half: of the mean's total interval."""
    if published > 0 and mean + half < 0:
        return OPPOSITE
    if p <= alpha:
        return REPRODUCED
    if tail(published - mean, errors) <= alpha:
        return SMALLER
    return LARGER if tail(mean - published, errors) <= alpha else UNDECIDED

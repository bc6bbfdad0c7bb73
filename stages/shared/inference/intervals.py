"""Mean, spread and t interval over seeds, differences paired by seed, and what may be said of them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

Arm = Mapping[int, ArrayLike]  # seed → one number for each test image, or one number

ABOVE, BELOW, ALIKE, NOT_STATED = "above", "below", "not distinguishable from", "not stated"


@dataclass(frozen=True)
class Estimate:
    """A mean over n seeds with its t interval. sd, low and high are NaN where n is 1; the mean too where n is 0."""

    n: int
    mean: float
    sd: float
    low: float
    high: float

    def within(self, lowest: float, highest: float) -> "Estimate":
        """The same with an interval that ends where the values can: an accuracy lies in [0, 1]."""
        ends = (min(max(end, lowest), highest) if not math.isnan(end) else end for end in (self.low, self.high))
        return Estimate(self.n, self.mean, self.sd, *ends)


def estimate(values: Iterable[float], confidence: float, n_images: int | None = None) -> Estimate:
    """Mean, SD (n − 1 in the denominator) and two-sided Student interval of independent values.

    n_images: where each value is a mean over so many images, equal values still leave the mean uncertain by
    `least_error`; without it, they have an interval of zero width. A NaN among the values makes every number NaN.
    """
    array = np.asarray(list(values), dtype=float)
    n = array.size
    if n < 2:
        return Estimate(n, float(array[0]) if n else math.nan, math.nan, math.nan, math.nan)
    mean, sd = float(array.mean()), float(array.std(ddof=1))
    if np.ptp(array) == 0:  # exactly, where a sum would leave a rounding error
        mean, sd = float(array[0]), 0.0
    error = np.maximum(sd / math.sqrt(n), 0 if n_images is None else least_error(n, n_images))  # NaN stays NaN
    reach = float(stdtrit(n - 1, (1 + confidence) / 2) * error)
    return Estimate(n, mean, sd, mean - reach, mean + reach)


def least_error(n_seeds: int, n_images: int) -> float:
    """The least standard error of a mean over seeds of means over images: that of two of all n·N answers.

    Where no answer differs from seed to seed, one that does may still have a probability of up to about 3/(nN), which
    is as much as the interval of ten seeds then allows for: t · √2/(nN) = 3.2/(nN).
    Source: Hanley & Lippman-Hand, JAMA 249 (1983), the rule of three; the two answers are those of Bonett & Price.
    """
    return math.sqrt(2) / (n_seeds * n_images)


def on_shared_seeds(*arms: Arm) -> list[np.ndarray]:
    """Each arm as a table (seeds, images), of the seeds that all arms have, in ascending order: rows are paired.

    No rows where no seed is shared. Raises ValueError if the arms have not the same number of images.
    """
    seeds = sorted(set.intersection(*(set(arm) for arm in arms)))
    tables = [np.array([np.ravel(arm[seed]) for seed in seeds], dtype=float) for arm in arms]
    sizes = {table.shape[-1] for table in tables}
    if len(sizes) > 1:
        raise ValueError(f"arms are paired by image, but they have {sorted(sizes)} images")
    return [table.reshape(len(seeds), -1) if seeds else np.zeros((0, 1)) for table in tables]


def difference_of_pairs(tables: Sequence[np.ndarray]) -> np.ndarray:
    """(a − b) − ((c − d) − ((e − f) − …)), of tables a, b, c, d, … that are paired: what a contrast compares.

    tables: (seeds, images) each, in the order of `Contrast.variants`. Raises ValueError for an odd number of them.
    """
    gaps = [variant - reference for variant, reference in zip(tables[::2], tables[1::2], strict=True)]
    difference = np.zeros_like(gaps[0])
    for gap in reversed(gaps):
        difference = gap - difference
    return difference


def paired_difference(variant: Arm, reference: Arm, confidence: float, n_images: int | None = None) -> Estimate:
    """The variant's mean minus the reference's, over the seeds that both have, with the t interval over seeds.

    n_images: over which each seed's number is a mean, where the arms have one number a seed.
    """
    table, reference_table = on_shared_seeds(variant, reference)
    return estimate((table - reference_table).mean(axis=1), confidence, n_images)


def direction(low: float, high: float, n: int, min_seeds: int) -> str:
    """On which side of zero the interval of a difference lies, if on one, and if n seeds allow a statement."""
    if n < min_seeds or math.isnan(low) or math.isnan(high):
        return NOT_STATED
    if low > 0:
        return ABOVE
    return BELOW if high < 0 else ALIKE

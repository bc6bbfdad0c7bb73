"""Mean, spread and t interval over seeds, differences paired by seed, and what may be said of them."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

ABOVE, BELOW, ALIKE, NOT_STATED = "above", "below", "not distinguishable from", "not stated"


@dataclass(frozen=True)
class Estimate:
    """A mean over n seeds with its t interval; sd, low and high are NaN where n is 1, and so is the mean where n is 0."""

    n: int
    mean: float
    sd: float
    low: float
    high: float


def estimate(values: Iterable[float], confidence: float) -> Estimate:
    """Mean, SD (n − 1 in the denominator) and two-sided Student interval of independent values.

    Equal values have an interval of zero width. A NaN among the values makes every number NaN.
    """
    array = np.asarray(list(values), dtype=float)
    n = array.size
    if n < 2:
        return Estimate(n, float(array[0]) if n else math.nan, math.nan, math.nan, math.nan)
    if np.ptp(array) == 0:  # exactly, where a sum would leave a rounding error
        return Estimate(n, float(array[0]), 0.0, float(array[0]), float(array[0]))
    mean, sd = float(array.mean()), float(array.std(ddof=1))
    reach = float(stdtrit(n - 1, (1 + confidence) / 2)) * sd / math.sqrt(n)
    return Estimate(n, mean, sd, mean - reach, mean + reach)


def paired_differences(values: Mapping[int, float], reference: Mapping[int, float]) -> dict[int, float]:
    """Seed → value minus the reference's value of the same seed, in ascending order of the seeds.

    Raises ValueError, naming the seeds that only one arm has.
    """
    if values.keys() != reference.keys():
        alone = sorted(values.keys() ^ reference.keys())
        raise ValueError(f"arms are paired by seed, but only one of the two has seeds {alone}")
    return {seed: values[seed] - reference[seed] for seed in sorted(values)}


def direction(low: float, high: float, n: int, min_seeds: int) -> str:
    """What the interval of a difference supports: on which side of zero it lies, if on one, and if n allows a statement."""
    if n < min_seeds or math.isnan(low) or math.isnan(high):
        return NOT_STATED
    if low > 0:
        return ABOVE
    return BELOW if high < 0 else ALIKE

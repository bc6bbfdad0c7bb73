"""How much of a measure's variance the class explains."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

ROUNDING = 1e-9  # of a measure's size: what varies by less is constant


@dataclass(frozen=True)
class Explained:
    """share: η², between 0 and 1; by_chance: its mean if the classes did not differ; p: of the F test. NaN where nothing varies."""

    share: float
    by_chance: float
    p: float


def eta_squared(values: np.ndarray, labels: np.ndarray) -> Explained:
    """One-way analysis of variance: sum of squares between the classes over that of all. NaN values are left out.

    values, labels: (N,). Source: Fisher 1925; by chance (K − 1)/(N − 1).
    """
    known = ~np.isnan(values)
    values, labels = values[known], np.unique(labels[known], return_inverse=True)[1]
    n, k = len(values), len(np.unique(labels))
    if k < 2 or n <= k or np.ptp(values) <= ROUNDING * max(1.0, np.abs(values).max()):
        return Explained(np.nan, np.nan, np.nan)
    sizes = np.bincount(labels)
    means = np.bincount(labels, values) / sizes
    between = float(np.sum(sizes * (means - values.mean()) ** 2))
    within = float(np.sum((values - means[labels]) ** 2))
    f = np.inf if within == 0 else (between / (k - 1)) / (within / (n - k))
    return Explained(between / (between + within), (k - 1) / (n - 1), float(stats.f.sf(f, k - 1, n - k)))

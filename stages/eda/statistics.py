"""Statistics that several topics use: how much of a measure the class explains, and the words for a difference."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

ABOVE, BELOW, ALIKE, UNKNOWN = "above", "below", "not distinguishable from", "unknown"
BLOCK_VALUES = 1 << 24  # pixel values computed with at once, of 8 bytes each and a few copies
ROUNDING = 1e-9  # relative to the size of the values: what varies by less is constant


def white(images: np.ndarray) -> int:
    """The value of a white pixel: 255 for uint8, 65535 for uint16."""
    return int(np.iinfo(images.dtype).max)


def blocks(images: np.ndarray, values: int) -> Iterator[np.ndarray]:
    """The images in blocks of about so many values, so that a statistic holds no copy of all of them."""
    step = max(1, values // math.prod(images.shape[1:]))
    for start in range(0, len(images), step):
        yield images[start : start + step]


@dataclass(frozen=True)
class Explained:
    """How much of a measure's variance the class explains.

    share: η², in [0, 1]. by_chance: the mean of η² if the classes did not differ. p: of the F test.
    All are NaN where nothing varies.
    """

    share: float
    by_chance: float
    p: float


def eta_squared(values: np.ndarray, labels: np.ndarray) -> Explained:
    """One-way analysis of variance: the sum of squares between the classes over the whole sum of squares.

    values, labels: (N,); NaN values are left out. Source: Fisher 1925; by chance (K − 1) / (N − 1).
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

"""How many dimensions the images fill: principal components, and the intrinsic dimension."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigvalsh


@dataclass(frozen=True)
class TwoNN:
    """dimension: the slope of `heights` on `logs` through the origin. logs: log(r₂/r₁), ascending; heights: −log(1 − F). NaN with too few images."""

    dimension: float
    images: int
    logs: np.ndarray
    heights: np.ndarray


def explained_variance(images: np.ndarray) -> np.ndarray:
    """Share of the variance of all pixels that each principal component holds, descending; empty if all images are equal.

    The eigenvalues of pixels × pixels or images × images, whichever is smaller: the same but for zeros.
    """
    flat = images.reshape(len(images), -1)
    centred = flat - flat.mean(axis=0, dtype=np.float64)
    gram = centred.T @ centred if flat.shape[1] <= len(flat) else centred @ centred.T
    values = np.maximum(eigvalsh(gram, overwrite_a=True, check_finite=False)[::-1], 0)
    return values / values.sum() if values.sum() > 0 else np.array([])


def components_for(shares: np.ndarray, share: float) -> int:
    """The fewest first components that hold at least `share` of the variance, to rounding; 0 if there is no variance."""
    return int(np.searchsorted(np.cumsum(shares), share - 1e-12) + 1) if len(shares) else 0


def two_nn(first: np.ndarray, second: np.ndarray, discard: float) -> TwoNN:
    """Intrinsic dimension from the ratio of each image's distances to its nearest and its second neighbour.

    discard: share of the largest ratios that the fit leaves out. Exact duplicates, at distance zero, count for nothing.
    Source: Facco et al. 2017, doi:10.1038/s41598-017-11873-y: 1 − F(μ) = μ^−d, fitted through the origin.
    """
    known = (first > 0) & np.isfinite(second)
    logs = np.sort(np.log(second[known] / first[known]))
    n = len(logs)
    kept = n - max(1, int(np.ceil(discard * n)))  # the last has F = 1 and no logarithm
    if kept < 1 or logs[kept - 1] == 0:
        return TwoNN(np.nan, n, np.array([]), np.array([]))
    logs, heights = logs[:kept], -np.log1p(-np.arange(1, kept + 1) / n)
    return TwoNN(float(logs @ heights / (logs @ logs)), n, logs, heights)

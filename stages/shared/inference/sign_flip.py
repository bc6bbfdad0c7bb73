"""Exact paired sign-flip test of per-seed differences, and what so few seeds can show at all.

If two arms do not differ, each seed's difference is as likely with the other sign. The p-value is the share of all
2^n sign patterns, the observed one among them, whose mean lies at least as far from zero: no distribution is assumed,
and with n seeds no p lies below 2/2^n (.0625 at five, .002 at ten). It speaks of new seeds on the same test images.
Source: Fisher, The Design of Experiments, 1935, §21.
"""

import numpy as np
from numpy.typing import ArrayLike

MAX_SEEDS = 40  # 2^20 sums for each half of the seeds; more would be no longer a matter of a second
ROUNDING = 1e-12  # of Σ|d|: sums closer than this are the same sum in another order


def p_value(differences: ArrayLike) -> float:
    """Two-sided p of per-seed differences, (seeds,); NaN if one is NaN, 1 if all are zero.

    The patterns are counted without listing them: each sum of one half of the seeds needs a large enough sum of the
    other half.
    Raises ValueError without a seed and above MAX_SEEDS.
    """
    values = np.asarray(differences, dtype=float)
    n = values.size
    if values.ndim != 1 or not 1 <= n <= MAX_SEEDS:
        raise ValueError(f"differences have shape {values.shape}; one value each for 1 to {MAX_SEEDS} seeds is needed")
    if np.isnan(values).any():
        return float("nan")
    needed = abs(values.sum()) - ROUNDING * np.abs(values).sum()
    if needed <= 0:
        return 1.0
    sums, others = _signed_sums(values[: n // 2]), np.sort(_signed_sums(values[n // 2 :]))
    above = int((others.size - np.searchsorted(others, np.sort(needed - sums))).sum())
    return 2 * above / 2**n  # the patterns are symmetric: as many lie as far below zero


def smallest_p(n_seeds: int) -> float:
    """The p of seeds whose differences all have one sign: none is smaller."""
    return 2 / 2**n_seeds


def _signed_sums(values: np.ndarray) -> np.ndarray:
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums - value, sums + value])
    return sums

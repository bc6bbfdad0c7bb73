"""p-values of several comparisons, adjusted: Holm within a declared family, Benjamini–Hochberg for exploration."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


def holm(p_values: ArrayLike) -> np.ndarray:
    """Adjusted p-values, in the same order. Rejecting those ≤ alpha errs somewhere with probability ≤ alpha.

    p_values: (tests,), those of the whole family, however dependent. Raises ValueError if one is not in [0, 1].
    Source: Holm, Scandinavian Journal of Statistics 6 (1979).
    """
    # Own code: statsmodels collects Python's garbage in every call, a thousand times the work of these lines.
    values = _valid(p_values)
    order = np.argsort(values)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    return adjusted


def benjamini_hochberg(p_values: ArrayLike) -> np.ndarray:
    """Adjusted p-values, in the same order. Of those ≤ q, an expected share of at most q is false.

    Holds for independent or positively dependent tests. Raises ValueError if one is not in [0, 1].
    Source: Benjamini & Hochberg, Journal of the Royal Statistical Society B 57 (1995).
    """
    values = _valid(p_values)
    return np.asarray(stats.false_discovery_control(values, method="bh")) if values.size else values


def _valid(p_values: ArrayLike) -> np.ndarray:
    values = np.asarray(p_values, dtype=float)
    valid = (values >= 0) & (values <= 1)
    if not valid.all():
        raise ValueError(f"p-values must lie in [0, 1], and these do not: {values[~valid].tolist()}")
    return values

"""p-values of several comparisons, adjusted: Holm within a declared family, Benjamini–Hochberg for exploration."""

import numpy as np
from numpy.typing import ArrayLike
from statsmodels.stats.multitest import multipletests


def holm(p_values: ArrayLike) -> np.ndarray:
    """Adjusted p-values, in the same order. Rejecting those ≤ alpha errs somewhere with probability ≤ alpha.

    p_values: (tests,), those of the whole family, however dependent. Raises ValueError if one is not in [0, 1].
    Source: Holm, Scandinavian Journal of Statistics 6 (1979).
    """
    return _adjusted(p_values, "holm")


def benjamini_hochberg(p_values: ArrayLike) -> np.ndarray:
    """Adjusted p-values, in the same order. Of those ≤ q, an expected share of at most q is false.

    Holds for independent or positively dependent tests. Raises ValueError if one is not in [0, 1].
    Source: Benjamini & Hochberg, Journal of the Royal Statistical Society B 57 (1995).
    """
    return _adjusted(p_values, "fdr_bh")


def _adjusted(p_values: ArrayLike, method: str) -> np.ndarray:
    values = np.asarray(p_values, dtype=float)
    if values.size == 0:
        return values
    valid = (values >= 0) & (values <= 1)
    if not valid.all():
        raise ValueError(f"p-values must lie in [0, 1], and these do not: {values[~valid].tolist()}")
    return np.asarray(multipletests(values, method=method)[1])

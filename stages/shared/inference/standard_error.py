"""How far a mean may be off: a standard error with its degrees of freedom, and the most cautious answer of several."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit


@dataclass(frozen=True)
class StandardError:
    """value: in the mean's unit. dof: Student degrees of freedom, not always whole. Both NaN where unknown."""

    value: float
    dof: float


def reach(errors: Sequence[StandardError], confidence: float) -> float:
    """Half the width of the two-sided Student interval; of several standard errors, the widest interval counts."""
    return _largest([float(stdtrit(error.dof, (1 + confidence) / 2)) * error.value for error in errors])


def tail(distance: float, errors: Sequence[StandardError]) -> float:
    """One-sided p of a mean that lies `distance` above what the null hypothesis allows; of several, the largest.

    Where the standard error is zero, p is 0 above and 1 at or below.
    """
    return _largest([_tail(distance, error) for error in errors])


def _tail(distance: float, error: StandardError) -> float:
    if error.value == 0:
        return 0.0 if distance > 0 else 1.0
    return float(stdtr(error.dof, -distance / error.value))


def _largest(values: list[float]) -> float:
    return float(np.max(values))  # NaN if one is, unlike max()

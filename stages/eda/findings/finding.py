"""What one part of the EDA found: ready-made strings for the report, and the bare numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stages.eda.explained import Explained
from stages.shared.drawing import numbers


@dataclass(frozen=True)
class Finding:
    """facts: name → markdown; every name exists whatever the data. Those that end in _sentence are whole sentences. values: bare numbers."""

    facts: dict[str, str]
    values: dict[str, Any]


def decimal(value: float, digits: int = 2) -> str:
    """With a true minus sign, and none before zero; a dash if unknown."""
    if np.isnan(value):
        return numbers.DASH
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", numbers.MINUS)


def interval(low: float, high: float, digits: int = 2) -> str:
    return f"[{decimal(low, digits)}, {decimal(high, digits)}]"


def joined(parts: Sequence[str]) -> str:
    """As in a sentence: a; a and b; a, b and c."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def share(fraction: float, digits: int = 1) -> str:
    """In percent; a dash if unknown."""
    return numbers.DASH if np.isnan(fraction) else numbers.percent_sign(fraction, digits)


def by_chance(explained: Explained) -> str:
    return f"where {share(explained.by_chance, 2)} would be expected by chance"

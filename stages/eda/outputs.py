"""What the notebook writes: figures, tables, facts for the report's sentences, and bare numbers."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import SVG, Markdown
from matplotlib.figure import Figure

from stages.shared import paths
from stages.shared.drawing import numbers, style
from stages.shared.drawing.tables import csv, pipe_tables

DIGITS = 9  # of a bare number: what lies beyond is rounding, and may differ between machines
# Statistic, the fact that is its value, and the question on which it bears.
SUMMARY = (
    ("Always the largest class, test", "chance_accuracy", "what accuracy means"),
    ("Neighbours' correlation, across", "correlation_across", "locality"),
    ("… once permuted", "correlation_across_permuted", "locality"),
    ("Neighbours' correlation, down", "correlation_down", "locality"),
    ("… once permuted", "correlation_down_permuted", "locality"),
    ("Exponent of the power spectrum", "spectrum_slope", "locality"),
    ("… once permuted", "spectrum_slope_permuted", "locality"),
    ("Variance at half the resolution", "coarse_share", "downsampling"),
    ("Centroid across, explained by class", "eta2_centroid_x", "translation"),
    ("Centroid down, explained by class", "eta2_centroid_y", "translation"),
    ("Object touches the border", "border_share", "translation"),
    ("Intrinsic dimension", "intrinsic_dimension", "sample size"),
    ("1-NN, last doubling of the images", "nearest_neighbour_doubling", "sample size"),
    ("1-NN, test accuracy", "nearest_neighbour_accuracy", "nets against no net"),
    ("Test images also, or nearly, in train", "duplicates_test_share", "what accuracy means"),
)


@dataclass(frozen=True)
class Finding:
    """facts: name → markdown, the same names for all data; a name that ends in _sentence has whole sentences.

    values: numbers, in Python's or numpy's types.
    """

    facts: dict[str, str]
    values: dict[str, Any]


@dataclass(frozen=True)
class Table:
    """shown: strings, of which the first column names the row. full: every row, with all digits."""

    shown: pd.DataFrame
    caption: str
    full: pd.DataFrame


class Outputs:
    """Writes into `folder`: figures/ and tables/ at once, facts.yml and numbers.json at the end.

    Each method returns what the notebook shows.
    """

    def __init__(self, folder: Path) -> None:
        self._facts: dict[str, str] = {}
        self._numbers: dict[str, Any] = {}
        self._folder = folder
        for name in ("figures", "tables"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def figure(self, name: str, figure: Figure) -> SVG:
        file = self._folder / "figures" / f"{name}.svg"
        style.save(figure, file)
        return SVG(filename=str(file))

    def table(self, name: str, table: Table | None) -> Markdown:
        """table: None where there is nothing to list; the report then includes an empty file."""
        stem = self._folder / "tables" / name
        if table is None:
            stem.with_suffix(".md").write_text("", encoding="utf-8")
            return Markdown("")
        text = pipe_tables(table.shown, f"tbl-eda-{name}", table.caption)
        stem.with_suffix(".md").write_text(text, encoding="utf-8")
        stem.with_suffix(".csv").write_text(csv(table.full), encoding="utf-8")
        return Markdown(table.shown.to_markdown(index=False, disable_numparse=True))

    def finding(self, name: str, finding: Finding) -> Markdown:
        """Keep the facts, and the numbers under `name`. Raises ValueError if another finding has such a fact."""
        twice = sorted(self._facts.keys() & finding.facts.keys())
        if twice:
            raise ValueError(f"two findings have a fact named {', '.join(twice)}; give each fact another name")
        self._facts |= finding.facts
        self._numbers[name] = _without_numpy(finding.values)
        return Markdown("\n\n".join(text for key, text in finding.facts.items() if key.endswith("_sentence")))

    def summary(self) -> Markdown:
        """The table of the most important facts. Call it after all findings."""
        rows = [(statistic, self._facts[name], bears_on) for statistic, name, bears_on in SUMMARY]
        shown = pd.DataFrame(rows, columns=["Statistic", "Value", "Bears on"])
        full = shown.assign(Fact=[name for _, name, _ in SUMMARY])
        caption = "What the images say before any net is trained, and the question on which it bears."
        return self.table("summary", Table(shown, caption, full))

    def close(self) -> None:
        """Write facts.yml, in the format of the report's other facts, and numbers.json."""
        lines = (f"  {name}: {json.dumps(text, ensure_ascii=False)}\n" for name, text in sorted(self._facts.items()))
        (self._folder / "facts.yml").write_text("eda:\n" + "".join(lines), encoding="utf-8")
        paths.write_json(self._folder / "numbers.json", self._numbers)


def decimal(value: float, digits: int = 2) -> str:
    """The number with a true minus sign, and no sign before zero; a dash if it is unknown."""
    if np.isnan(value):
        return numbers.DASH
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", numbers.MINUS)


def interval(low: float, high: float, digits: int = 2) -> str:
    """[low, high] as `decimal` writes numbers."""
    return f"[{decimal(low, digits)}, {decimal(high, digits)}]"


def joined(parts: Sequence[str]) -> str:
    """The parts as in a sentence: a; a and b; a, b and c."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def share(fraction: float, digits: int = 1) -> str:
    """The fraction in percent; a dash if it is unknown."""
    return numbers.DASH if np.isnan(fraction) else numbers.percent_sign(fraction, digits)


def _without_numpy(value: Any) -> Any:
    """The value in Python's own types, rounded; None for an unknown number."""
    if isinstance(value, dict):
        return {key: _without_numpy(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_numpy(inner) for inner in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value

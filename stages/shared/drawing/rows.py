"""A row for each thing that is compared: its seeds as dots, their mean, and the interval."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.shared.drawing import marks, style
from stages.shared.inference.intervals import Estimate

ROW = 0.205  # inches a row takes, where the page has room
LABEL = 44  # characters of a row's label
BAND_COLOUR = "#E9E9E9"


@dataclass(frozen=True)
class Row:
    """One row, all numbers in the unit of the axis.

    values: one for each seed. low, high: the ends of the interval of the mean; NaN without one. text: at the right of
    the row. outer: a second, wider interval, drawn thin. band: the ends of a light band, inside which a
    value is too small to matter; an infinite end is the edge of the axis. numbers: what a reader is told who points at
    the row; empty for a row that does not answer.
    """

    label: str
    values: Sequence[float]
    mean: float
    low: float
    high: float
    colour: str
    text: str = ""
    outer: tuple[float, float] = (math.nan, math.nan)
    band: tuple[float, float] | None = None
    numbers: str = ""


def row_of(
    label: str,
    values: Iterable[float],
    estimate: Estimate,
    colour: str,
    unit: float = 100,
    text: str = "",
    numbers: str = "",
) -> Row:
    """A row of one value a seed and their estimate, both multiplied by the unit: 100 makes fractions percent."""
    mean, low, high = unit * estimate.mean, unit * estimate.low, unit * estimate.high
    return Row(label, [unit * value for value in values], mean, low, high, colour, text, numbers=numbers)


def height(n_rows: int, rest: float = 0.62) -> float:
    """Inches of a figure with so many rows, at most a page. rest: inches that the axis and the margins take."""
    return min(rest + ROW * max(n_rows, 1), style.TALLEST)


def draw(axes: Axes, rows: Sequence[Row], rest: float, labelled: bool = True) -> None:
    """Draw the rows, the first on top. rest: the same as for the figure's `height`. labelled: names at the left."""
    size = min(style.FONT, 0.72 * 72 * (height(len(rows), rest) - rest) / len(rows))
    for place, row in enumerate(rows):
        spread = np.linspace(-0.24, 0.24, len(row.values)) if len(row.values) > 1 else np.zeros(len(row.values))
        axes.scatter(row.values, place + spread, s=7, color=row.colour, alpha=0.45, linewidths=0, zorder=2)
        if row.band:
            axes.update_datalim([(end, place) for end in row.band if math.isfinite(end)])
        if not math.isnan(row.outer[0]):
            axes.plot(row.outer, [place, place], color=row.colour, linewidth=0.8, solid_capstyle="butt", zorder=3)
        if not math.isnan(row.low):
            ends = [[row.mean - row.low], [row.high - row.mean]]
            look: dict[str, Any] = {"color": row.colour, "elinewidth": 1.4, "capsize": 2.4, "capthick": 1.1}
            axes.errorbar(row.mean, place, xerr=ends, zorder=3, **look)
        axes.scatter([row.mean], [place], s=22, color=row.colour, edgecolors="white", linewidths=0.5, zorder=4)
        if row.numbers:
            marks.row(axes, place, row.label, row.numbers)
        if row.text:
            axes.text(1.02, place, row.text, transform=axes.get_yaxis_transform(), va="center", fontsize=size)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    labels = style.shortened([row.label for row in rows], LABEL) if labelled else [""] * len(rows)
    axes.set_yticks(range(len(rows)), labels, fontsize=size)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.margins(x=0.04)


def draw_bands(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw each row's light band. An infinite end reaches the edge of the axis, whose ends must therefore be final."""
    edges = axes.get_xlim()
    for place, row in enumerate(rows):
        if row.band:
            left, right = max(row.band[0], edges[0]), min(row.band[1], edges[1])
            axes.barh(place, right - left, left=left, height=0.84, color=BAND_COLOUR, linewidth=0, zorder=0)
    axes.set_xlim(edges)


def figure(n_rows: int, columns: int = 1, rest: float = 0.62) -> tuple[Figure, list[Axes]]:
    """A figure as high as its rows need, with so many panels beside each other."""
    size = style.WIDTH, height(n_rows, rest)
    new_figure, panels = style.plt.subplots(1, columns, figsize=size, squeeze=False)
    return new_figure, list(panels[0])

"""A row for each thing that is compared: its seeds as dots, their mean, and the interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.shared.drawing import style

ROW = 0.205  # inches a row takes, where the page has room
LABEL = 44  # characters of a row's label


@dataclass(frozen=True)
class Row:
    """values: one for each seed, in the unit of the axis. low and high are NaN where there is no interval.

    text: what stands at the right of the row. outer: a second, wider interval, drawn thin. band: the half width of a
    light band around zero, inside which a value is too small to matter.
    """

    label: str
    values: Sequence[float]
    mean: float
    low: float
    high: float
    colour: str
    text: str = ""
    outer: tuple[float, float] = (math.nan, math.nan)
    band: float = 0.0


def height(n_rows: int, rest: float = 0.62) -> float:
    """Inches of a figure with so many rows, at most a page. rest: inches that the axis and the margins take."""
    return min(rest + ROW * max(n_rows, 1), style.TALLEST)


def draw(axes: Axes, rows: Sequence[Row], rest: float, labelled: bool = True) -> None:
    """The first row stands on top. rest: as the `height` of the figure was asked for."""
    size = min(style.FONT, 0.72 * 72 * (height(len(rows), rest) - rest) / len(rows))
    for place, row in enumerate(rows):
        spread = np.linspace(-0.24, 0.24, len(row.values)) if len(row.values) > 1 else np.zeros(len(row.values))
        axes.scatter(row.values, place + spread, s=7, color=row.colour, alpha=0.45, linewidths=0, zorder=2)
        if row.band:
            axes.barh(place, 2 * row.band, left=-row.band, height=0.84, color="#EFEFEF", linewidth=0, zorder=0)
        if not math.isnan(row.outer[0]):
            axes.plot(row.outer, [place, place], color=row.colour, linewidth=0.8, solid_capstyle="butt", zorder=3)
        if not math.isnan(row.low):
            axes.errorbar(
                row.mean, place, xerr=[[row.mean - row.low], [row.high - row.mean]],
                color=row.colour, elinewidth=1.4, capsize=2.4, capthick=1.1, zorder=3,
            )  # fmt: skip
        axes.scatter([row.mean], [place], s=22, color=row.colour, edgecolors="white", linewidths=0.5, zorder=4)
        if row.text:
            axes.text(1.02, place, row.text, transform=axes.get_yaxis_transform(), va="center", fontsize=size)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(
        range(len(rows)),
        [style.plain(row.label, LABEL) for row in rows] if labelled else [""] * len(rows),
        fontsize=size,
    )
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.margins(x=0.04)


def figure(n_rows: int, columns: int = 1, rest: float = 0.62) -> tuple[Figure, list[Axes]]:
    """A figure as high as its rows need, with `columns` axes that share them."""
    made, axes = style.plt.subplots(1, columns, figsize=(style.WIDTH, height(n_rows, rest)), squeeze=False)
    return made, list(axes[0])

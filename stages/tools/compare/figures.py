"""The differences with their seeds, and the learning curves of all revisions over each other."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from stages.shared.drawing import axis, numbers, rows, style
from stages.shared.inference import verdict as verdicts
from stages.shared.inference.intervals import estimate
from stages.tools.compare.side_by_side import Pair, Row, SideBySide
from stages.tools.compare.wording import changed_variants, heading

ROWS = 30  # at most, in a figure of differences
COLUMNS, PANELS = 4, 16  # at most, in a figure of curves
METRICS = {"val_accuracy": "validation accuracy, %", "train_loss": "train loss"}
COLOURS = (style.INK, style.VERMILION, style.BLUE, style.GREEN, style.PURPLE, style.ORANGE)
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
VERDICTS = {verdicts.BETTER: style.GREEN, verdicts.WORSE: style.VERMILION, verdicts.EQUIVALENT: style.BLUE}
AXIS_INCHES = 1.0  # of a figure of differences: its axis and margins


def differences(pair: Pair, sides: SideBySide) -> list[Figure]:
    """A row for each variant that was paired, the largest difference on top."""
    paired = [(row.comparison.difference, row) for row in pair.accuracy if row.comparison]
    ordered = [row for _, row in sorted(paired, key=lambda item: -item[0])]
    return [_difference_figure(part, pair, sides) for part in _parts(ordered, ROWS)]


def curves(sides: SideBySide) -> list[tuple[str, Figure]]:
    """(title, figure): a panel for each variant of which some revisions have other runs."""
    return [
        (title, _curve_figure(part, metric, title, sides))
        for part in _parts(changed_variants(sides), PANELS)
        for metric, title in METRICS.items()
    ]


def _difference_figure(paired: Sequence[Row], pair: Pair, sides: SideBySide) -> Figure:
    figure, (axes,) = rows.figure(len(paired), rest=AXIS_INCHES)
    drawn = [_drawn_row(row, sides.inference.smallest_effect) for row in paired]
    rows.draw(axes, drawn, AXIS_INCHES)
    axes.axvline(0, color=style.INK, linewidth=0.9, zorder=1)
    arrows = f"\n{axis.ARROW.lstrip('; ')}" if axis.cut(axes, drawn) else ""
    rows.draw_bands(axes, drawn)
    level = f"{100 * sides.inference.confidence:g} %"
    names = f"{heading(pair.other)} minus {heading(pair.first)}"
    title = style.plain(f"{names}, percentage points of test accuracy", 90)
    marks = f"dots: seeds; bars: {level} interval, thin: for new images; band: too small to matter"
    axes.set_xlabel(f"{title}\n{marks}{arrows}")
    return figure


def _drawn_row(row: Row, smallest_effect: float) -> rows.Row:
    """In percentage points."""
    comparison = row.comparison
    assert comparison is not None
    return rows.Row(
        label=row.variant,
        values=[100 * value for value in row.differences],
        mean=100 * comparison.difference,
        low=100 * comparison.low,
        high=100 * comparison.high,
        colour=VERDICTS.get(row.verdict.name, style.GREY),
        text=f"{numbers.points(comparison.difference)}  {row.verdict.name}",
        outer=(100 * comparison.total_low, 100 * comparison.total_high),
        band=(-100 * smallest_effect, 100 * smallest_effect),
    )


def _curve_figure(variants: Sequence[str], metric: str, title: str, sides: SideBySide) -> Figure:
    columns = min(COLUMNS, len(variants))
    n_rows = -(-len(variants) // columns)
    size = (style.WIDTH, 0.7 + 1.55 * n_rows)
    figure, grid = style.plt.subplots(n_rows, columns, figsize=size, squeeze=False, sharex=True)
    for axes, variant in zip(grid.flat, variants, strict=False):
        for number, result in enumerate(sides.results):
            if variant in result.variants:
                _draw_curve(axes, result.variants[variant].curves, metric, number, sides.inference.confidence)
        axes.set_title(style.plain(variant, min(40, 76 // columns)), fontsize=7.5)
        axes.grid()
        axes.set_axisbelow(True)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=1))
        axes.tick_params(labelsize=6.5)
        low, high = axes.get_ylim()  # an interval may reach beyond what can be
        axes.set_ylim(max(low, 0), min(high, 100) if metric == "val_accuracy" else high)
    for axes in grid.flat[len(variants) :]:
        axes.set_axis_off()
    figure.supxlabel("epoch", fontsize=7.5)
    figure.supylabel(title, fontsize=7.5)
    lines = [Line2D([], [], **_line_style(number)) for number in range(len(sides.results))]
    names = [style.plain(heading(result), 40) for result in sides.results]
    figure.legend(lines, names, loc="outside upper left", ncols=3, fontsize=7.5)
    return figure


def _draw_curve(axes: Axes, table: pd.DataFrame, metric: str, number: int, confidence: float) -> None:
    """The mean over seeds with its interval as a band. number: of the revision."""
    unit, highest = (100, 100) if metric == "val_accuracy" else (1, math.inf)
    estimates = {
        epoch: estimate(unit * values, confidence).within(0, highest)
        for epoch, values in table.groupby("epoch")[metric]
    }
    line = _line_style(number)
    if len(estimates) == 1:
        line |= {"marker": "o", "markersize": 3}
    epochs = list(estimates)
    axes.plot(epochs, [one.mean for one in estimates.values()], linewidth=1.2, **line)
    lows, highs = ([getattr(one, end) for one in estimates.values()] for end in ("low", "high"))
    axes.fill_between(epochs, lows, highs, color=line["color"], alpha=0.16, linewidth=0)


def _line_style(number: int) -> dict[str, Any]:
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": DASHES[number % len(DASHES)]}


def _parts(items: Sequence[Any], longest: int) -> list[list[Any]]:
    """The items in parts of about the same length, none longer than `longest`."""
    if not items:
        return []
    n_parts = -(-len(items) // longest)
    return [[items[place] for place in part] for part in np.array_split(np.arange(len(items)), n_parts)]

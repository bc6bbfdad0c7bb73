"""The differences with their seeds, and the learning curves of all revisions over each other."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stages.shared.drawing import axis, numbers, rows, style
from stages.shared.inference import verdict as verdicts
from stages.shared.inference.intervals import estimate
from stages.tools.compare.side_by_side import Pair, Row, SideBySide
from stages.tools.compare.tables import name

ROWS = 30  # of a figure of differences
COLUMNS, PANELS = 4, 16  # of a figure of curves
MEASURES = {"val_accuracy": "validation accuracy, %", "train_loss": "train loss"}
COLOURS = (style.INK, style.VERMILION, style.BLUE, style.GREEN, style.PURPLE, style.ORANGE)
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
VERDICTS = {verdicts.BETTER: style.GREEN, verdicts.WORSE: style.VERMILION, verdicts.EQUIVALENT: style.BLUE}


def differences(pair: Pair, made: SideBySide) -> list[Figure]:
    """A row for each variant that was paired, the largest difference on top."""
    paired = sorted(
        (row for row in pair.changed if row.comparison),
        key=lambda row: -row.comparison.difference if row.comparison else 0.0,
    )
    return [_differences(some, pair, made) for some in _chunks(paired, ROWS)]


def curves(made: SideBySide) -> list[tuple[str, Figure]]:
    """What is shown, and a figure of it: a panel for each variant of which some revisions have other runs."""
    changed = list(dict.fromkeys(row.variant for pair in made.pairs for row in pair.changed))
    return [
        (title, _curves(some, measure, title, made))
        for some in _chunks(changed, PANELS)
        for measure, title in MEASURES.items()
    ]


def _differences(paired: Sequence[Row], pair: Pair, made: SideBySide) -> Figure:
    rest = 1.0
    figure, (axes,) = rows.figure(len(paired), rest=rest)
    drawn = [_drawn(row, made.inference.smallest_effect) for row in paired]
    rows.draw(axes, drawn, rest)
    axes.axvline(0, color=style.INK, linewidth=0.9, zorder=1)
    arrows = f"\n{axis.ARROW.lstrip('; ')}" if axis.cut(axes, drawn) else ""
    level = f"{100 * made.inference.confidence:g} %"
    title = style.plain(f"{name(pair.other)} minus {name(pair.first)}, percentage points of test accuracy", 90)
    axes.set_xlabel(
        f"{title}\ndots: seeds; bars: {level} interval, thin: for new images; band: too small to matter{arrows}"
    )
    return figure


def _drawn(row: Row, smallest_effect: float) -> rows.Row:
    made = row.comparison
    assert made is not None
    mean, low, high, *outer = (
        100 * value for value in (made.difference, made.low, made.high, made.total_low, made.total_high)
    )
    colour = VERDICTS.get(row.verdict.name, style.GREY)
    text = f"{numbers.points(made.difference)}  {row.verdict.name}"
    return rows.Row(
        row.variant,
        [100 * value for value in row.differences],
        mean,
        low,
        high,
        colour,
        text,
        (outer[0], outer[1]),
        100 * smallest_effect,
    )


def _curves(variants: Sequence[str], measure: str, title: str, made: SideBySide) -> Figure:
    columns = min(COLUMNS, len(variants))
    bands = -(-len(variants) // columns)
    figure, grid = style.plt.subplots(
        bands, columns, figsize=(style.WIDTH, 0.7 + 1.55 * bands), squeeze=False, sharex=True
    )
    for place, variant in enumerate(variants):
        axes = grid[place // columns][place % columns]
        for number, result in enumerate(made.results):
            if variant in result.runs:
                _line(axes, result.runs[variant].curves, measure, number, made.inference.confidence)
        axes.set_title(style.plain(variant, min(40, 76 // columns)), fontsize=7.5)
        axes.grid()
        axes.set_axisbelow(True)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=1))
        axes.tick_params(labelsize=6.5)
        low, high = axes.get_ylim()
        axes.set_ylim(
            max(low, 0), min(high, 100) if measure == "val_accuracy" else high
        )  # an interval may reach beyond what can be
    for axes in grid.flat[len(variants) :]:
        axes.set_axis_off()
    figure.supxlabel("epoch", fontsize=7.5)
    figure.supylabel(title, fontsize=7.5)
    marks = [
        style.plt.Line2D([], [], color=_colour(number), linestyle=_dash(number)) for number in range(len(made.results))
    ]
    figure.legend(
        marks,
        [style.plain(name(result), 40) for result in made.results],
        loc="outside upper left",
        ncols=3,
        fontsize=7.5,
    )
    return figure


def _line(axes: Axes, curves: pd.DataFrame, measure: str, number: int, confidence: float) -> None:
    """The mean over seeds with its interval as a band."""
    unit = 100 if measure == "val_accuracy" else 1
    by_epoch = [(epoch, estimate(unit * own[measure], confidence)) for epoch, own in curves.groupby("epoch")]
    epochs = [epoch for epoch, _ in by_epoch]
    options: dict[str, Any] = {
        "color": _colour(number),
        "linestyle": _dash(number),
        "marker": "o" if len(epochs) == 1 else None,
        "markersize": 3,
    }
    axes.plot(epochs, [one.mean for _, one in by_epoch], linewidth=1.2, **options)
    axes.fill_between(
        epochs,
        [one.low for _, one in by_epoch],
        [one.high for _, one in by_epoch],
        color=_colour(number),
        alpha=0.16,
        linewidth=0,
    )


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _dash(number: int) -> Any:
    return DASHES[number % len(DASHES)]


def _chunks(items: Sequence, most: int) -> list:  # type: ignore[type-arg]
    """In parts of about the same length, none longer than `most`."""
    parts = -(-len(items) // most)
    bounds = [round(part * len(items) / parts) for part in range(parts + 1)] if parts else []
    return [items[start:end] for start, end in pairwise(bounds)]

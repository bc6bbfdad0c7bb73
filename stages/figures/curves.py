"""How fast and how far each variant learns: one pair of panels a family."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stages.drawing import style
from stages.figures.results import Results
from stages.inference import intervals

COLUMNS = 4
LINES = 9  # in a panel, which has room to name so many
PANELS = {"val_accuracy": "val accuracy, %", "train_loss": "train loss"}
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))


def learning_curves(results: Results) -> Figure:
    """Mean over seeds with its interval as a band; the families share the axes of each measure."""
    groups = _groups(results)
    columns = min(COLUMNS, len(groups))
    bands = -(-len(groups) // columns)
    figure = style.plt.figure(figsize=(style.WIDTH, min(0.25 + 2.75 * bands, style.TALLEST)))
    grid = figure.subplots(2 * bands, columns, squeeze=False, sharex=True, sharey=False)
    summary = _summary(results)
    for index, (title, lines) in enumerate(groups.items()):
        band, column = divmod(index, columns)
        for row, measure in enumerate(PANELS):
            axes = grid[2 * band + row][column]
            _draw(axes, results, summary[summary["measure"] == measure], lines)
            axes.set_title(style.plain(textwrap.fill(title, 80 // columns)) if row == 0 else "", fontsize=8)
            _frame(axes, measure, column == 0, row == 1)
        _legend(grid[2 * band + 1][column], len(lines))
    for index in range(len(groups), bands * columns):
        for row in range(2):
            grid[2 * (index // columns) + row][index % columns].set_axis_off()
    _share_limits(grid, max(map(len, groups.values())))
    return figure


def _groups(results: Results) -> dict[str, dict[str, str]]:
    """Title of a panel → variant → its name there. A variant without a family stands in the last panel; a long family has several.

    Of families that are arms of one question the first alone; none that varies the recipe of one net, and no random labels.
    """
    recipes = {key: variant.run.recipe.model_copy(update={"lr": results.settings.recipe.lr}) for key, variant in results.settings.active_variants.items()}
    grid = {key for group in results.alike_but("recipe.lr") for key in group} - set(results.nets)
    samples = {key: variant.run.sample for key, variant in results.settings.active_variants.items()}
    groups = {}
    for key in results.families:
        levels = {variant: level for variant, level in results.names.levels(key).items() if samples[variant].labels == "published"}
        if results.names.group(key) == key and not grid & set(levels) and {recipes[variant] for variant in levels} == {recipes[results.settings.baseline]}:
            groups[results.settings.families[key].title] = levels
    others = {key: results.names.short(key) for key in results.variants.index if not results.settings.variants[key].families or not groups}
    groups |= {"Others" if groups else "All variants": others} if others else {}
    panels = {}
    for title, lines in groups.items():
        for start in range(0, len(lines), LINES):
            number = f" ({1 + start // LINES})" if len(lines) > LINES else ""
            panels[title + number] = dict(list(lines.items())[start : start + LINES])
    return panels


def _summary(results: Results) -> pd.DataFrame:
    """variant, epoch, measure, mean, low, high."""
    long = results.curves.melt(["variant", "epoch"], list(PANELS), "measure")
    rows = []
    for (variant, epoch, measure), values in long.groupby(["variant", "epoch", "measure"], sort=False)["value"]:
        made = intervals.estimate(values, results.settings.inference.confidence)
        rows.append((variant, epoch, measure, made.mean, made.low, made.high))
    return pd.DataFrame(rows, columns=["variant", "epoch", "measure", "mean", "low", "high"])


def _draw(axes: Axes, results: Results, table: pd.DataFrame, lines: dict[str, str]) -> None:
    others = 0
    for key, label in lines.items():
        own = table[table["variant"] == key].sort_values("epoch")
        unit = 100 if own["measure"].iloc[0] == "val_accuracy" else 1
        base = key == results.settings.baseline
        dash = "-" if base else DASHES[others % len(DASHES)]
        others += not base
        colour = results.names.colour(key)
        marker = "o" if len(own) == 1 else None
        axes.plot(
            own["epoch"],
            unit * own["mean"],
            color=colour,
            linestyle=dash,
            linewidth=1.5 if base else 1.2,
            marker=marker,
            markersize=3,
            label=style.plain(label, 22),
        )
        axes.fill_between(own["epoch"], unit * own["low"], unit * own["high"], color=colour, alpha=0.18, linewidth=0)


def _frame(axes: Axes, measure: str, first: bool, last: bool) -> None:
    axes.grid()
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=1))
    axes.tick_params(labelsize=6.5, labelleft=first, labelbottom=last)
    if first:
        axes.set_ylabel(PANELS[measure], fontsize=7.5)
    if last:
        axes.set_xlabel("epoch", fontsize=7.5)


def _legend(axes: Axes, lines: int) -> None:
    """In the upper right of the loss, which falls away from there."""
    options = {"handlelength": 1.7, "labelspacing": 0.15, "borderaxespad": 0.1, "handletextpad": 0.5}
    axes.legend(loc="upper right", fontsize=6 if lines <= 5 else 5, **options)


def _share_limits(grid: np.ndarray, lines: int) -> None:
    """One scale for each measure, so that the panels can be compared; the loss leaves room for its legend."""
    for row, room in ((0, 0.0), (1, 0.25 if lines <= 5 else 0.6)):
        shown = [axes for line in grid[row::2] for axes in line if axes.has_data()]
        low, high = min(axes.get_ylim()[0] for axes in shown), max(axes.get_ylim()[1] for axes in shown)
        for axes in shown:
            axes.set_ylim(low, high + room * (high - low))

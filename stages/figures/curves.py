"""How fast and how far each variant learns: one pair of panels a family."""

import math
import textwrap

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stages.figures.results import Results
from stages.shared.drawing import style
from stages.shared.inference import intervals

COLUMNS = 4
LINES = 9  # in a panel, which has room to name so many
PANELS = {"val_accuracy": "val accuracy, %", "train_loss": "train loss"}
NAME, LINE = 6, 0.1  # points of a name below the panels, and the inches that it takes
# An axis ends if some lines reach FAR times as far from the best one as MOST of them do, and a MARK further.
MOST, MARK, FAR = 0.7, 1.3, 1.5
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))


def learning_curves(results: Results) -> Figure:
    """Mean over seeds with its interval as a band, and below the names; the families share the axes of each measure."""
    groups = _groups(results)
    columns = min(COLUMNS, len(groups))
    most = [max(map(len, list(groups.values())[start : start + columns])) for start in range(0, len(groups), columns)]
    heights = [inches for lines in most for inches in (1.1, 1.1, LINE * (lines + 0.5))]
    figure = style.plt.figure(figsize=(style.WIDTH, min(0.25 + 0.4 * len(most) + sum(heights), style.TALLEST)))
    grid = figure.subplots(len(heights), columns, squeeze=False, sharex=True, sharey=False, height_ratios=heights)
    summary = _summary(results)
    shown = {key for lines in groups.values() for key in lines}
    limits = {
        measure: _limits(summary[(summary["measure"] == measure) & summary["variant"].isin(shown)], measure)
        for measure in PANELS
    }
    for axes in grid.flat[:]:
        axes.set_axis_off()
    for index, (title, lines) in enumerate(groups.items()):
        band, column = divmod(index, columns)
        for row, measure in enumerate(PANELS):
            axes = grid[3 * band + row][column]
            _draw(axes, results, summary[summary["measure"] == measure], lines, limits[measure])
            axes.set_title(style.plain(textwrap.fill(title, 80 // columns)) if row == 0 else "", fontsize=8)
            _frame(axes, measure, column == 0, row == 1)
        names = axes.get_legend_handles_labels()
        grid[3 * band + 2][column].legend(
            *names,
            loc="upper left",
            fontsize=NAME,
            handlelength=2.2,
            labelspacing=0.15,
            borderaxespad=0,
            handletextpad=0.5,
        )
    return figure


def _groups(results: Results) -> dict[str, dict[str, str]]:
    """Title of a panel → variant → its name there. A variant without a family stands in the last panel; a long family has several.

    Of families that are arms of one question the first alone; none that varies the recipe of one net, and no random labels.
    """
    recipes = {
        key: variant.run.recipe.model_copy(update={"lr": results.settings.recipe.lr})
        for key, variant in results.settings.active_variants.items()
    }
    grid = {key for group in results.alike_but("recipe.lr") for key in group} - set(results.nets)
    samples = {key: variant.run.sample for key, variant in results.settings.active_variants.items()}
    groups = {}
    for key in results.families:
        levels = {
            variant: level
            for variant, level in results.names.levels(key).items()
            if samples[variant].labels == "published"
        }
        if (
            results.names.group(key) == key
            and not grid & set(levels)
            and {recipes[variant] for variant in levels} == {recipes[results.settings.baseline]}
        ):
            groups[results.settings.families[key].title] = levels
    others = {
        key: results.names.short(key)
        for key in results.variants.index
        if not results.settings.variants[key].families or not groups
    }
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


def _limits(table: pd.DataFrame, measure: str) -> tuple[float, float]:
    """Of the axis of a measure in its unit: one slow net does not flatten the lines of all others."""
    unit, sign = (
        (100, -1) if measure == "val_accuracy" else (1, 1)
    )  # the worse a net, the lower its accuracy and the higher its loss
    best = min(sign * unit * table["mean"])
    reach = sorted((sign * unit * table["mean"]).groupby(table["variant"]).max() - best)
    worst = MARK * reach[math.ceil(MOST * len(reach)) - 1]
    worst = worst if reach[-1] > FAR * worst > 0 else 1.06 * reach[-1] or 1.0
    low, high = sorted((sign * (best - 0.06 * worst), sign * (best + worst)))
    return low, high


def _draw(
    axes: Axes, results: Results, table: pd.DataFrame, lines: dict[str, str], limits: tuple[float, float]
) -> None:
    """The mark at the edge of the axis: all of that line lies beyond."""
    axes.set_axis_on()
    axes.set_ylim(*limits)
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
        edges = (
            ((unit * own["mean"]).max() < limits[0], limits[0], "v"),
            ((unit * own["mean"]).min() > limits[1], limits[1], "^"),
        )
        for edge, mark in [(edge, mark) for beyond, edge, mark in edges if beyond]:
            axes.plot(own["epoch"].iloc[-1:], [edge], marker=mark, color=colour, markersize=4, clip_on=False, zorder=5)


def _frame(axes: Axes, measure: str, first: bool, last: bool) -> None:
    axes.grid()
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=1))
    axes.tick_params(labelsize=6.5, labelleft=first, labelbottom=last)
    if first:
        axes.set_ylabel(PANELS[measure], fontsize=7.5)
    if last:
        axes.set_xlabel("epoch", fontsize=7.5)

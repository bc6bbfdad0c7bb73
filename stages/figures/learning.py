"""How fast and how far each variant learns."""

import itertools
import math
import textwrap
from collections.abc import Iterator
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stages.figures import wording
from stages.figures.results import Results
from stages.shared.drawing import style

MEASURES = {"val_accuracy": ("val accuracy, %", 100), "train_loss": ("train loss", 1)}  # label of its axis, unit
COLUMNS = 4  # panels beside each other
MOST_PANELS = 12  # pairs of panels that a page holds
LINES = 9  # lines in a panel: as many as there is room to name
NAME, NAME_HEIGHT = 6, 0.1  # points of a name below the panels, and the inches that it takes
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
# An axis ends early if some lines reach FAR times as far from the best as MOST of them do; it then ends at ROOM times
# the distance of those.
MOST, ROOM, FAR = 0.7, 1.3, 1.5


def figures(results: Results) -> Iterator[tuple[str, Figure | str]]:
    yield "learning-curves", learning_curves(results)


def facts(results: Results) -> dict[str, str]:
    left_out = list(_panels(results))[MOST_PANELS:]
    if not left_out:
        return {"curves_shown": "It has every family whose nets have one recipe."}
    return {"curves_shown": f"It has no room for the panels of {wording.joined(left_out)}."}


def learning_curves(results: Results) -> Figure:
    """For each family two panels, the mean over seeds with its interval as a band, and below them the lines' names."""
    panels = dict(itertools.islice(_panels(results).items(), MOST_PANELS))
    columns = min(COLUMNS, len(panels))
    lengths = list(map(len, panels.values()))
    bands = [max(lengths[first : first + columns]) for first in range(0, len(panels), columns)]
    heights = [height for lines in bands for height in (1.1, 1.1, NAME_HEIGHT * (lines + 0.5))]
    whole = min(0.25 + 0.4 * len(bands) + sum(heights), style.TALLEST)
    figure = style.plt.figure(figsize=(style.WIDTH, whole))
    grid = figure.subplots(len(heights), columns, squeeze=False, sharex=True, sharey=False, height_ratios=heights)
    curves = _mean_curves(results)
    drawn = curves[curves["variant"].isin([variant for lines in panels.values() for variant in lines])]
    limits = {measure: axis_limits(drawn.loc[measure], measure) for measure in MEASURES}
    for axes in grid.flat:
        axes.set_axis_off()
    for index, (title, lines) in enumerate(panels.items()):
        band, column = divmod(index, columns)
        accuracy, loss, names = grid[3 * band : 3 * band + 3, column]
        for axes, (measure, (label, unit)) in zip((accuracy, loss), MEASURES.items(), strict=True):
            _draw(axes, results, curves.loc[measure], unit, lines, limits[measure])
            axes.tick_params(labelsize=6.5, labelleft=column == 0, labelbottom=axes is loss)
            if column == 0:
                axes.set_ylabel(label, fontsize=7.5)
        accuracy.set_title(style.plain(textwrap.fill(title, 80 // columns)), fontsize=8)
        loss.set_xlabel("epoch", fontsize=7.5)
        spaces: dict[str, Any] = {"handlelength": 2.2, "labelspacing": 0.15, "borderaxespad": 0, "handletextpad": 0.5}
        names.legend(*loss.get_legend_handles_labels(), loc="upper left", fontsize=NAME, **spaces)
    return figure


def axis_limits(curves: pd.DataFrame, measure: str) -> tuple[float, float]:
    """Ends of a measure's axis in its unit, such that one slow net does not flatten the lines of all others.

    curves: has the columns variant and mean.
    """
    unit = MEASURES[measure][1]
    sign = -1 if measure == "val_accuracy" else 1  # the worse a net, the lower its accuracy and the higher its loss
    badness = sign * unit * curves["mean"]
    best = badness.min()
    distances = sorted((badness.groupby(curves["variant"]).max() - best).tolist())
    reach = ROOM * distances[math.ceil(MOST * len(distances)) - 1]
    if not distances[-1] > FAR * reach > 0:
        reach = 1.06 * distances[-1] or 1.0
    low, high = sorted((sign * (best - 0.06 * reach), sign * (best + reach)))
    return low, high


def _panels(results: Results) -> dict[str, dict[str, str]]:
    """Title of a panel → variant → its name there. A family with many levels has several panels.

    Left out are families that extend another one, families that vary the recipe, and variants with random labels.
    Variants without a family stand in a last panel.
    """
    runs = {variant: settings.run for variant, settings in results.settings.active_variants.items()}
    one_rate = {"lr": results.settings.recipe.lr}
    recipes = {variant: run.recipe.model_copy(update=one_rate) for variant, run in runs.items()}
    at_other_rates = {variant for group in results.alike_except("recipe.lr") for variant in group} - set(results.nets)
    families = {}
    for family in results.families:
        levels = results.names.levels(family)
        levels = {key: level for key, level in levels.items() if runs[key].sample.labels == "published"}
        has_one_recipe = all(recipes[variant] == recipes[results.baseline] for variant in levels)
        if levels and results.names.group(family) == family and has_one_recipe and not at_other_rates & set(levels):
            families[results.settings.families[family].title] = levels
    settings = results.settings.variants
    others = [variant for variant in results.variants.index if not families or not settings[variant].families]
    if others:
        families["Others" if families else "All variants"] = {key: results.names.short(key) for key in others}
    panels = {}
    for title, levels in families.items():
        lines = list(levels.items())
        for first in range(0, len(lines), LINES):
            number = f" ({1 + first // LINES})" if len(lines) > LINES else ""
            panels[title + number] = dict(lines[first : first + LINES])
    return panels


def _mean_curves(results: Results) -> pd.DataFrame:
    """variant, epoch, mean, low, high; indexed by measure."""
    long = results.curves.melt(["variant", "epoch"], list(MEASURES), "measure")
    rows = []
    for key, values in long.groupby(["measure", "variant", "epoch"], sort=False)["value"]:
        estimate = results.estimate(values)
        if key[0] == "val_accuracy":
            estimate = estimate.within(0, 1)
        rows.append((*key, estimate.mean, estimate.low, estimate.high))
    return pd.DataFrame(rows, columns=["measure", "variant", "epoch", "mean", "low", "high"]).set_index("measure")


def _draw(
    axes: Axes, results: Results, curves: pd.DataFrame, unit: float, lines: dict[str, str], limits: tuple[float, float]
) -> None:
    """Draw the lines of one panel; a mark at the edge stands for a line that lies beyond the axis as a whole."""
    axes.set_axis_on()
    axes.set_ylim(*limits)
    dashes = itertools.cycle(DASHES)
    for variant, label in lines.items():
        curve = curves[curves["variant"] == variant].sort_values("epoch")
        epochs, mean, colour = curve["epoch"], unit * curve["mean"], results.names.colour(variant)
        dash, width = ("-", 1.5) if variant == results.baseline else (next(dashes), 1.2)
        look: dict[str, Any] = {"color": colour, "linestyle": dash, "linewidth": width, "markersize": 3}
        axes.plot(epochs, mean, marker="o" if len(curve) == 1 else None, label=style.plain(label, 22), **look)
        axes.fill_between(epochs, unit * curve["low"], unit * curve["high"], color=colour, alpha=0.18, linewidth=0)
        mark: dict[str, Any] = {"color": colour, "markersize": 4, "clip_on": False, "zorder": 5}
        if mean.max() < limits[0]:
            axes.plot(epochs.iloc[-1:], [limits[0]], marker="v", **mark)
        if mean.min() > limits[1]:
            axes.plot(epochs.iloc[-1:], [limits[1]], marker="^", **mark)
    axes.grid()
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=1))

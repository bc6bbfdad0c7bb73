"""Costs: accuracy against parameters and multiply-accumulates, and which costs a family holds equal."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from stages.figures import changed_settings, training_data, wording
from stages.figures.results import Results
from stages.shared.drawing import marks, numbers, placing, style
from stages.shared.drawing.tables import escape

FIELD = ("receptive_field_height", "receptive_field_width")
INTEGERS = ("parameters", "macs", *FIELD)  # columns of variants.csv
EXPLANATION = "MACs are multiply-accumulates for one image, the field is the receptive field in pixels."
NOUNS = {"parameters": "parameters", "macs": "multiply-accumulates", "receptive_field": "receptive fields"}
PANELS = {"parameters": "parameters", "macs": "multiply-accumulates for one image"}
FRONT_COLOUR = "#B5B5B5"


def figures(results: Results) -> Iterator[tuple[str, Figure | str]]:
    yield "cost", accuracy_against_cost(results)


def accuracy_against_cost(results: Results) -> Figure:
    """A panel for parameters and one for multiply-accumulates: every net with its interval, and the Pareto front.

    Labels name the variants that ran under every seed and those on the front. A label for which there is no free place
    is left out.
    """
    figure, panels = style.plt.subplots(2, 1, figsize=(style.WIDTH, 6.2), sharey=True)
    for axes, (column, title) in zip(panels, PANELS.items(), strict=True):
        _draw_points(axes, points(results, column))
        _mark_points(axes, results, column)
        axes.set_xlabel(f"{title} (logarithmic)")
        axes.set_ylabel("test accuracy, %")
    _draw_legend(figure, results)
    figure.canvas.draw()
    figure.set_layout_engine("none")
    for axes, column in zip(panels, PANELS, strict=True):
        placed = points(results, column)
        placing.place_labels(figure, axes, placed, _front_corners(placed))
    return figure


def points(results: Results, column: str) -> list[placing.Point]:
    """A point for each net: its cost and its accuracy in percent."""
    table = results.variants.loc[results.nets]
    front = pareto_front(table[column].to_numpy(dtype=float), table["accuracy_mean"].to_numpy())
    labelled = set(results.with_all_seeds) | {results.nets[index] for index in front}
    drawn = []
    for variant in results.nets:
        mean, low, high = (100 * table.loc[variant, f"accuracy_{part}"] for part in ("mean", "low", "high"))
        label = results.names.short(variant) if variant in labelled else ""
        drawn.append(placing.Point(table.loc[variant, column], mean, low, high, label, results.names.colour(variant)))
    return drawn


def pareto_front(costs: np.ndarray, accuracies: np.ndarray) -> np.ndarray:
    """Indices, by rising cost, of those that are more accurate than everything that costs no more."""
    best, front = -np.inf, []
    for index in sorted(range(len(costs)), key=lambda index: (costs[index], -accuracies[index])):
        if accuracies[index] > best:
            best = accuracies[index]
            front.append(index)
    return np.array(front, dtype=int)


def columns(results: Results, variants: list[str]) -> dict[str, list[str]]:
    """Columns of a table: shift consistency where it was probed, and what each variant costs."""
    table = results.variants.loc[variants]
    shift = {}
    if results.shifts_were_probed:
        shift = {"Consistency, %": [numbers.percent(value) for value in table["shift_consistency_mean"]]}
    return shift | {
        "Parameters": [numbers.count(value) for value in table["parameters"]],
        "MACs": [numbers.short_count(value) for value in table["macs"]],
        "Field": [numbers.size(*size) for size in table[list(FIELD)].astype(float).itertuples(index=False)],
    }


def columns_title(results: Results) -> str:
    return "Shift consistency and cost" if results.shifts_were_probed else "Cost"


def what_else_differs(results: Results, family: str) -> str:
    """A paragraph: which matches fail, how well the others agree, and what moves with the levels of a family."""
    parts = [*_failed_matches(results, family), *_held_matches(results, family), _moving_costs(results, family)]
    parts += changed_settings.sentences(results, family)
    return f"**What else differs.** {' '.join(parts)}"


def deviations(results: Results, family: str) -> dict[tuple[str, str], float]:
    """(variant, quantity) → relative distance from the variant that it should match; of two axes, the larger one."""
    furthest = {}
    for variant in results.names.levels(family):
        for quantity, other in results.settings.variants[variant].matched.items():
            if other in results.variants.index:
                names = list(FIELD) if quantity == "receptive_field" else [quantity]
                reached, wanted = (results.variants.loc[key, names].astype(float) for key in (variant, other))
                furthest[variant, str(quantity)] = max(reached / wanted - 1, key=abs)
    return furthest


def _failed_matches(results: Results, family: str) -> list[str]:
    """A sentence for each match that misses by more than the tolerance on these images."""
    sentences = []
    for (variant, quantity), deviation in deviations(results, family).items():
        if abs(deviation) > results.settings.inference.match_tolerance:
            other = results.settings.variants[variant].matched[quantity]  # type: ignore[index]
            more = f"{_one_decimal(deviation)} {'more' if deviation > 0 else 'less'}"
            names = [wording.italic_label(results, name) for name in (variant, other)]
            sentences.append(f"{names[0]} misses its match: {NOUNS[quantity]} {more} than {names[1]}.")
    return sentences


def _held_matches(results: Results, family: str) -> list[str]:
    """A sentence for each quantity: the largest deviation of the matches that hold."""
    sentences = []
    for quantity, noun in NOUNS.items():
        sizes = [abs(value) for (_, matched), value in deviations(results, family).items() if matched == quantity]
        held = [size for size in sizes if size <= results.settings.inference.match_tolerance]
        if held:
            how = "exactly" if max(held) == 0 else f"to within {_one_decimal(max(held))}"
            sentences.append(f"Levels that should have the same {noun} agree {how}.")
    return sentences


def _moving_costs(results: Results, family: str) -> str:
    """A sentence: costs and amounts of training that differ between the levels by more than the tolerance.

    A learning rate or a number of images that the family itself varies is its choice.
    """
    variants = list(results.names.levels(family))
    table = results.variants.loc[variants].astype(dict.fromkeys(INTEGERS, float))
    last_epoch = results.curves.groupby("variant")["epoch"].max()
    values = {
        NOUNS["parameters"]: table["parameters"],
        NOUNS["macs"]: table["macs"],
        "receptive field (pixels along the longer side)": table[list(FIELD)].max(axis=1, skipna=False),
        "train images": [float(training_data.n_images(results, variant)) for variant in variants],
        "learning rate": [results.settings.variants[variant].run.recipe.lr for variant in variants],
        "epochs": last_epoch[variants].astype(float),
    }
    for noun, name in (("train images", "train_size"), ("learning rate", "lr")):
        if changed_settings.is_varied_alone(results.settings, family, name):
            del values[noun]
    moving = []
    for noun, of_levels in values.items():
        known = [value for value in of_levels if not math.isnan(value)]
        if known and max(known) > (1 + results.settings.inference.match_tolerance) * min(known):
            moving.append(f"{noun} from {numbers.short_count(min(known))} to {numbers.short_count(max(known))}")
    if not moving:
        return "Neither cost nor the amount of training differs between the levels."
    return f"Besides the choice itself, the levels differ in {escape(wording.joined(moving))}."


def _one_decimal(share: float) -> str:
    return f"{abs(share):.1%}".replace("%", f"{numbers.NBSP}%")


def _draw_points(axes: Axes, points: list[placing.Point]) -> None:
    costs = [point.x for point in points]
    axes.set_xscale("log")
    axes.set_xlim(min(costs) / 1.6, max(costs) * 1.6)  # first: one net alone gives the axis no extent
    axes.plot(*_front_corners(points).T, color=FRONT_COLOUR, linewidth=1.0, linestyle=(0, (4, 2)), zorder=1)
    for point in points:
        if np.isfinite(point.low):
            axes.vlines(point.x, point.low, point.high, color=point.colour, linewidth=1.2, zorder=3)
        size = 24 if point.label else 10
        axes.scatter([point.x], [point.y], s=size, color=point.colour, edgecolors="white", linewidths=0.5, zorder=4)
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.08 * (high - low), high + 0.08 * (high - low))
    axes.grid()
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.short_count(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _mark_points(axes: Axes, results: Results, column: str) -> None:
    """Let each net answer to the pointer, in the order of the cost, with the cells of its rows in the tables."""
    table = results.variants.loc[results.nets].sort_values(column, kind="stable")
    for variant in map(str, table.index):
        mean = results.mean(variant)
        parts = [f"accuracy {numbers.mean_sd(mean.mean, mean.sd)} % (n = {mean.n})"]
        parts += [f"{name}: {cells[0]}" for name, cells in columns(results, [variant]).items()]
        x, y = float(table.loc[variant, column]), 100 * float(table.loc[variant, "accuracy_mean"])
        marks.point(axes, x, y, results.names.label(variant), "; ".join(parts))


def _front_corners(points: list[placing.Point]) -> np.ndarray:
    """(n, 2) corners of the Pareto front: along the cost to the next point, then up to it."""
    indices = pareto_front(np.array([point.x for point in points]), np.array([point.y for point in points]))
    front = [points[index] for index in indices]
    corners = [(front[0].x, front[0].y)]
    for before, after in pairwise(front):
        corners += [(after.x, before.y), (after.x, after.y)]
    return np.array(corners, dtype=float)


def _draw_legend(figure: Figure, results: Results) -> None:
    """The colours of the groups of families; labels tell the variants of one group apart."""
    families = [results.names.first_family(variant) for variant in results.nets if variant != results.baseline]
    drawn = {results.names.group(family) for family in families if family is not None}
    dot: dict[str, Any] = {"marker": "o", "linestyle": "", "markersize": 5}
    handles = [Line2D([], [], color=style.INK, label="baseline", **dot)]
    for group in results.names.groups():
        if group in drawn:
            title = style.plain(results.settings.families[group].title, 20)
            handles.append(Line2D([], [], color=results.names.group_colour(group), label=title, **dot))
    handles.append(Line2D([], [], color=FRONT_COLOUR, linestyle=(0, (4, 2)), label="Pareto front"))
    spaces = {"handletextpad": 0.4, "columnspacing": 1.4}
    figure.legend(handles=handles, loc="outside upper center", ncols=5, fontsize=7, **spaces)

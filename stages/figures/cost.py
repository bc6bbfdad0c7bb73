"""Accuracy against what it costs: parameters and multiply-accumulates."""

from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from stages.figures.results import Results
from stages.shared.drawing import numbers, placing, style

COSTS = {"parameters": "parameters", "macs": "multiply-accumulates for one image"}


def cost(results: Results) -> Figure:
    """Every net with its interval; the line joins those that no cheaper variant reaches (the Pareto front).

    Named are the variants that ran under every seed and those on the line; a label that no free place is left for is
    missing here, and the table has them all.
    """
    figure, panels = style.plt.subplots(2, 1, figsize=(style.WIDTH, 6.2), sharey=True)
    for axes, (column, title) in zip(panels, COSTS.items(), strict=True):
        _draw(axes, results, column)
        axes.set_xlabel(f"{title} (logarithmic)")
        axes.set_ylabel("test accuracy, %")
    _legend(figure, results)
    figure.canvas.draw()
    figure.set_layout_engine("none")
    for axes, column in zip(panels, COSTS, strict=True):
        shown = points(results, column)
        placing.place_labels(figure, axes, shown, _stairs(shown))
    return figure


def points(results: Results, column: str) -> list[placing.Point]:
    made = []
    means = results.variants.loc[results.nets]
    front = pareto_front(means[column].to_numpy(dtype=float), means["accuracy_mean"].to_numpy())
    named = set(results.primary) | {results.nets[index] for index in front}
    for name in results.nets:
        row = results.variants.loc[name]
        low, high = 100 * row["accuracy_low"], 100 * row["accuracy_high"]
        label = results.names.short(name) if name in named else ""
        made.append(
            placing.Point(row[column], 100 * row["accuracy_mean"], low, high, label, results.names.colour(name))
        )
    return made


def pareto_front(costs: np.ndarray, accuracies: np.ndarray) -> np.ndarray:
    """Indices, by rising cost, of those that are more accurate than everything that costs no more."""
    order = sorted(range(len(costs)), key=lambda index: (costs[index], -accuracies[index]))
    best, front = -np.inf, []
    for index in order:
        if accuracies[index] > best:
            best = accuracies[index]
            front.append(index)
    return np.array(front, dtype=int)


def _draw(axes: Axes, results: Results, column: str) -> None:
    shown = points(results, column)
    x = np.array([point.x for point in shown], dtype=float)
    axes.set_xscale("log")
    axes.plot(*_stairs(shown).T, color="#B5B5B5", linewidth=1.0, linestyle=(0, (4, 2)), zorder=1)
    for point in shown:
        if np.isfinite(point.low):
            axes.vlines(point.x, point.low, point.high, color=point.colour, linewidth=1.2, zorder=3)
        axes.scatter(
            [point.x],
            [point.y],
            s=24 if point.label else 10,
            color=point.colour,
            edgecolors="white",
            linewidths=0.5,
            zorder=4,
        )
    axes.set_xlim(x.min() / 1.6, x.max() * 1.6)
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.08 * (high - low), high + 0.08 * (high - low))
    axes.grid()
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: numbers.short_count(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _stairs(shown: list[placing.Point]) -> np.ndarray:
    """(n, 2) corners of the Pareto front: along each cost to the next, then up."""
    front = [
        shown[index]
        for index in pareto_front(np.array([point.x for point in shown]), np.array([point.y for point in shown]))
    ]
    corners = [(front[0].x, front[0].y)]
    for before, after in pairwise(front):
        corners += [(after.x, before.y), (after.x, after.y)]
    return np.array(corners, dtype=float)


def _legend(figure: Figure, results: Results) -> None:
    """The families' colours; a variant's tone within its family is told by its label."""
    homes = {results.names.home(key) for key in results.nets if key != results.settings.baseline}
    shown = [
        group for group in results.names.groups() if group in {results.names.group(home) for home in homes if home}
    ]
    handles = [Line2D([], [], color=style.INK, marker="o", linestyle="", markersize=5, label="baseline")]
    for family in shown:
        title = style.plain(results.settings.families[family].title, 20)
        handles.append(
            Line2D(
                [], [], color=results.names.family_colour(family), marker="o", linestyle="", markersize=5, label=title
            )
        )
    handles.append(Line2D([], [], color="#B5B5B5", linestyle=(0, (4, 2)), label="Pareto front"))
    figure.legend(
        handles=handles, loc="outside upper center", ncols=5, fontsize=7, handletextpad=0.4, columnspacing=1.4
    )

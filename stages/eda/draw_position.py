"""The figure of where the objects are."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from stages.eda import draw_images, position
from stages.eda.axes import grid
from stages.eda.explained import Explained
from stages.shared.drawing import placing, style


def centroids(
    measures: pd.DataFrame, labels: np.ndarray, explained: dict[str, Explained], classes: Sequence[str]
) -> Figure:
    """Above, the mean centroid of each class with ± 1 SD over its images; below, how much of each measure's variance the class explains."""
    figure, (upper, lower) = style.plt.subplots(2, 1, figsize=(style.WIDTH, 5.2), height_ratios=[3.2, 2])
    points = _centroids(upper, measures, labels, classes)
    _explained(lower, explained)
    figure.canvas.draw()
    figure.set_layout_engine("none")
    if len(points) <= draw_images.CLASSES:
        for label in filter(None, placing.place_labels(figure, upper, points)):
            label.set_path_effects([withStroke(linewidth=1.8, foreground="white")])  # it may stand on a bar
    return figure


def _centroids(axes: Axes, measures: pd.DataFrame, labels: np.ndarray, classes: Sequence[str]) -> list[placing.Point]:
    """Draw them, and return what is to be labelled."""
    columns = ["centroid_x", "centroid_y"]
    groups = measures[columns].groupby(labels)
    means, sds = groups.mean().dropna(), groups.std(ddof=0)
    points = []
    for number, label in enumerate(means.index):
        colour = style.PALETTE[number % len(style.PALETTE)]
        x, y = (float(means.loc[label, column]) for column in columns)
        sd_x, sd_y = (float(sds.loc[label, column]) for column in columns)
        axes.errorbar(x, y, xerr=sd_x, yerr=sd_y, fmt="none", elinewidth=0.6, ecolor=(colour, 0.35), zorder=2)
        axes.scatter([x], [y], s=20, color=colour, edgecolors="white", linewidths=0.5, zorder=4)
        points.append(placing.Point(x, y, np.nan, np.nan, classes[label], colour))
    axes.axhline(0, color=style.GREY, linewidth=0.6, zorder=1)
    axes.axvline(0, color=style.GREY, linewidth=0.6, zorder=1)
    axes.invert_yaxis()
    axes.set_xlabel("centroid across, pixels from the image's centre")
    axes.set_ylabel("centroid down, pixels")
    grid(axes, both=True)
    return points


def _explained(axes: Axes, explained: dict[str, Explained]) -> None:
    names = list(explained)
    shares, chance = (
        [100 * value for value in values]
        for values in zip(*((e.share, e.by_chance) for e in explained.values()), strict=True)
    )
    axes.barh(range(len(names)), np.nan_to_num(shares), color=style.BLUE, height=0.6)
    axes.scatter(
        chance,
        range(len(names)),
        marker="|",
        s=70,
        color=style.VERMILION,
        linewidths=1.4,
        zorder=3,
        label="expected by chance",
    )
    for place, share in enumerate(shares):
        end = np.nan_to_num(max(share, chance[place])) + 1.2
        axes.text(end, place, "nothing to explain" if np.isnan(share) else f"{share:.1f}", va="center", fontsize=7)
    axes.set_yticks(range(len(names)), [position.MEASURES[name] for name in names], fontsize=7)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 108)
    axes.set_xlabel("% of the variance that the class explains")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0, fontsize=7)

"""Figures of curves and counts, each from what one module measured."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from stages.eda import draw_images
from stages.eda.axes import grid, name_classes, plain_numbers, say
from stages.eda.dataset import Dataset
from stages.eda.dimension import TwoNN
from stages.eda.duplicates import Duplicates
from stages.eda.locality import DIRECTIONS, Locality
from stages.eda.neighbours import Nearest
from stages.eda.one_nn import OneNN
from stages.shared.drawing import style

DOTS = 200  # images that stand for all in a plot of one dot an image
SPLIT_COLOURS = {"train": style.BLUE, "val": style.ORANGE, "test": style.GREEN}
LAYOUTS = {"original": (style.BLUE, "o", "-"), "permuted": (style.VERMILION, "s", (0, (4, 2)))}


def class_balance(counts: pd.DataFrame, classes: Sequence[str]) -> Figure:
    """Share of each class in each split; the line is an equal share."""
    figure, axes = style.plt.subplots(figsize=(style.WIDTH, 2.5))
    for place, (split, colour) in enumerate(SPLIT_COLOURS.items()):
        shift = 0.18 * (place - 1)
        shares = 100 * counts[split] / counts[split].sum()
        axes.scatter(np.arange(len(classes)) + shift, shares, s=14, color=colour, label=split, linewidths=0, zorder=3)
    axes.axhline(
        100 / len(classes), color=style.GREY, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1, label="equal share"
    )
    name_classes(axes, classes)
    axes.set_ylim(bottom=0, top=1.25 * axes.get_ylim()[1])
    axes.set_ylabel("% of the split's images")
    axes.legend(ncols=4, loc="upper right", fontsize=7)
    grid(axes)
    return figure


def brightness(histogram: np.ndarray, statistics: pd.DataFrame, classes: Sequence[str]) -> Figure:
    """Left, how often each pixel value occurs; right, the mean brightness of the images of each class, ± 1 SD over images."""
    figure, (left, right) = style.plt.subplots(1, 2, figsize=(style.WIDTH, 2.6), width_ratios=[1, 1.5])
    left.fill_between(np.arange(len(histogram)), 0, 100 * histogram, step="mid", color=style.BLUE, linewidth=0)
    left.set_yscale("log")
    left.set_ylim(bottom=100 * histogram[histogram > 0].min() / 2)
    left.set_xlim(-4, len(histogram) + 3)
    left.set_xlabel("pixel value")
    left.set_ylabel("% of pixels (logarithmic)")
    plain_numbers(left.yaxis)
    right.errorbar(
        np.arange(len(classes)), statistics["brightness_mean"], yerr=statistics["brightness_sd"],
        fmt="o", markersize=4, color=style.BLUE, elinewidth=1, capsize=2,
    )  # fmt: skip
    name_classes(right, classes)
    right.set_ylim(0, 1.08 * max(right.get_ylim()[1], 0.01))
    right.set_ylabel("brightness of an image (0 to 1)")
    for axes in (left, right):
        grid(axes)
    return figure


def correlation(found: Locality) -> Figure:
    """Correlation of two pixels against their distance, across and down, for both layouts."""
    figure, panels = style.plt.subplots(1, 2, figsize=(style.WIDTH, 2.5), sharey=True)
    for axes, direction in zip(panels, DIRECTIONS, strict=True):
        curves = {layout: found.curve(layout, direction).dropna() for layout in LAYOUTS}
        axes.set_title(direction, fontweight="normal")
        axes.set_xlabel("distance, pixels")
        if all(curve.empty for curve in curves.values()):
            say(axes, "no two pixels that vary lie in this direction")
            continue
        for layout, (colour, marker, dash) in LAYOUTS.items():
            axes.plot(
                curves[layout].index,
                curves[layout],
                color=colour,
                marker=marker,
                markersize=3,
                linestyle=dash,
                label=layout,
            )
        axes.axhline(0, color=style.INK, linewidth=0.6, zorder=1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
        grid(axes)
    panels[0].set_ylabel("correlation")
    return figure


def spectrum(original: pd.DataFrame, permuted: pd.DataFrame) -> Figure:
    """Radial power of both layouts, each over its sum, so that the two can be compared."""
    figure, axes = style.plt.subplots(figsize=(style.WIDTH, 2.6))
    drawn = False
    for (layout, (colour, marker, dash)), table in zip(LAYOUTS.items(), (original, permuted), strict=True):
        kept = table[table["power"] > 0]
        drawn |= not kept.empty
        axes.plot(
            kept["frequency"],
            kept["power"] / kept["power"].sum(),
            color=colour,
            marker=marker,
            markersize=3,
            linestyle=dash,
            label=layout,
        )
    if not drawn:
        say(axes, "no image varies within itself: there is no spectrum")
        return figure
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        plain_numbers(axis)
    axes.set_xlabel("frequency, cycles per pixel (logarithmic)")
    axes.set_ylabel("share of power (logarithmic)")
    axes.legend()
    grid(axes, both=True)
    return figure


def dimension(shares: np.ndarray, needed: dict[float, int], found: TwoNN) -> Figure:
    """Left, the variance that the first components hold; right, TwoNN's straight line, whose slope is the dimension."""
    figure, (left, right) = style.plt.subplots(1, 2, figsize=(style.WIDTH, 2.7))
    if len(shares):
        left.plot(
            np.arange(1, len(shares) + 1),
            100 * np.cumsum(shares),
            color=style.BLUE,
            marker="o" if len(shares) == 1 else None,
        )
        for number, (share, components) in enumerate(needed.items()):
            colour = (style.VERMILION, style.GREEN, style.PURPLE)[number % 3]
            left.plot(
                [components, components, 1],
                [0, 100 * share, 100 * share],
                color=colour,
                linewidth=0.8,
                linestyle=(0, (4, 2)),
            )
            left.plot(
                [components], [100 * share], "o", color=colour, markersize=4, label=f"{components}: {100 * share:g} %"
            )
        left.set_xscale("log")
        plain_numbers(left.xaxis, (1.0,))
        left.set_ylim(0, 102)
        left.legend(loc="lower right", frameon=True, facecolor="white", edgecolor="none", framealpha=1)
    else:
        say(left, "all images are equal")
    left.set_xlabel("principal components (logarithmic)")
    left.set_ylabel("% of the variance")
    if len(found.logs):
        shown = np.unique(np.linspace(0, len(found.logs) - 1, DOTS).astype(int))
        right.plot(found.logs[shown], found.heights[shown], ".", color=style.BLUE, markersize=3, label="images")
        reach = found.logs[-1]
        right.plot(
            [0, reach], [0, found.dimension * reach], color=style.VERMILION, label=f"slope {found.dimension:.1f}"
        )
        right.legend(loc="lower right")
    else:
        say(right, "too few different images")
    right.set_xlabel("log of second over first neighbour's distance")
    right.set_ylabel("−log(1 − F)")
    for axes in (left, right):
        grid(axes, both=True)
    return figure


def nearest_neighbour(found: OneNN, confidence: float) -> Figure:
    """Accuracy of the nearest neighbour on the test images against the number of train images."""
    figure, axes = style.plt.subplots(figsize=(style.WIDTH, 2.5))
    table = found.table
    bars = [100 * (table["accuracy"] - table["low"]), 100 * (table["high"] - table["accuracy"])]
    axes.errorbar(
        table["train_images"], 100 * table["accuracy"], yerr=bars, fmt="o-", markersize=4, color=style.BLUE, elinewidth=1, capsize=2,
        label=f"nearest neighbour, {100 * confidence:g} % interval",
    )  # fmt: skip
    axes.axhline(
        100 * found.chance, color=style.GREY, linestyle=(0, (4, 3)), linewidth=0.9, label="always the largest class"
    )
    axes.set_xscale("log", base=2)
    step = -(-len(table) // 9)
    ticks = table["train_images"].to_numpy()[::-1][::step]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(0, 102)
    axes.set_xlabel("train images (logarithmic)")
    axes.set_ylabel("test accuracy, %")
    axes.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=7
    )  # above the axes: the accuracy may be anywhere
    grid(axes)
    return figure


def distances(nearest: Nearest, test: OneNN, found: Duplicates, data: Dataset) -> Figure:
    """Above, distances to the nearest train image; below, the test images that are closest to one, over the one that they are closest to."""
    order = np.argsort(test.distance, kind="stable")[: draw_images.COLUMNS]
    tall = draw_images.pair_height(data.train.shape)
    figure = style.plt.figure(figsize=(style.WIDTH, 2.3 + tall))
    upper, lower = figure.subfigures(2, 1, height_ratios=[2.3, tall], squeeze=False)[:, 0]
    axes = upper.subplots()
    unit = found.median or 1.0
    within, across = nearest.distance / unit, test.distance / unit
    bins = np.linspace(0, max(within.max(), across.max(), 1.0), 61)
    for values, colour, name in (
        (within, style.BLUE, "train image to another"),
        (across, style.ORANGE, "test image to a train image"),
    ):
        axes.hist(
            values,
            bins,
            weights=np.full(len(values), 100 / len(values)),
            histtype="step",
            linewidth=1.2,
            color=colour,
            label=name,
        )
    axes.axvline(
        found.limit / unit, color=style.VERMILION, linestyle=(0, (4, 2)), linewidth=1, label="near-duplicate up to here"
    )
    axes.set_xlim(left=0)
    axes.set_xlabel(
        "distance to the nearest, in medians of the train images" if found.median else "distance to the nearest"
    )
    axes.set_ylabel("% of images")
    axes.legend(fontsize=7)
    grid(axes)
    titles = [
        f"test over train\n{across[row]:.2f}" if place == 0 else f"\n{across[row]:.2f}"
        for place, row in enumerate(order)
    ]
    draw_images.pairs(lower, data.test[order], data.train[test.index[order]], titles)
    return figure

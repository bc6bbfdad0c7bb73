"""Where the object of an image is and how large, and how much of that the class explains."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from stages.eda.drawing import MOST_CLASSES_DRAWN, grid
from stages.eda.outputs import Finding, Table, decimal, joined, share
from stages.eda.statistics import BLOCK_VALUES, Explained, blocks, eta_squared, white
from stages.shared.drawing import numbers, placing, style

MEASURES = {
    "centroid_x": "centroid, across",
    "centroid_y": "centroid, down",
    "box_x": "bounding box's centre, across",
    "box_y": "bounding box's centre, down",
    "box_width": "bounding box's width",
    "box_height": "bounding box's height",
    "touches_border": "touches the border",
}
DIRECTIONS = {"x": "across", "y": "down"}
SIZES = {"box_width": "width", "box_height": "height"}


def background(images: np.ndarray) -> np.ndarray:
    """Median of the pixels on the border of all images, for each channel (C,). images: (N, C, H, W)."""
    return np.median(images[:, :, border(*images.shape[2:])], axis=(0, 2))


def contrast(images: np.ndarray, background: np.ndarray) -> np.ndarray:
    """How far each pixel is from the background, mean over the channels, in [0, 1]; (N, C, H, W) → (N, H, W)."""
    return np.abs(images - background[:, None, None]).mean(axis=1) / white(images)


def border(height: int, width: int) -> np.ndarray:
    """Boolean (H, W): the first and last row and column.

    Along an axis of one pixel there is no border, unless the image has one pixel.
    """
    on_border = np.zeros((height, width), dtype=bool)
    if height > 1 or width == 1:
        on_border[[0, -1]] = True
    if width > 1:
        on_border[:, [0, -1]] = True
    return on_border


def measure_all(images: np.ndarray, background: np.ndarray, threshold: float) -> pd.DataFrame:
    """`measure` of the images' contrast with the background, in blocks."""
    tables = [measure(contrast(block, background), threshold) for block in blocks(images, BLOCK_VALUES)]
    return pd.concat(tables, ignore_index=True)


def measure(contrast: np.ndarray, threshold: float) -> pd.DataFrame:
    """One row for each image, a column for each of MEASURES. contrast: (N, H, W).

    Places are pixels from the image's centre, to the right and down; sizes are pixels. The centroid weighs every pixel
    by its contrast; box and border take the pixels whose contrast exceeds `threshold`.
    NaN for an image without contrast, or without such a pixel.
    """
    _, height, width = contrast.shape
    x, y = np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2
    total = contrast.sum(axis=(1, 2))
    total = np.where(total == 0, np.nan, total)
    inside: np.ndarray = np.asarray(contrast > threshold)
    has_object = inside.any(axis=(1, 2))
    left, right = _ends(np.any(inside, axis=1), has_object)
    top, bottom = _ends(np.any(inside, axis=2), has_object)
    return pd.DataFrame(
        {
            "centroid_x": contrast.sum(axis=1) @ x / total,
            "centroid_y": contrast.sum(axis=2) @ y / total,
            "box_x": (left + right) / 2 - (width - 1) / 2,
            "box_y": (top + bottom) / 2 - (height - 1) / 2,
            "box_width": right - left + 1,
            "box_height": bottom - top + 1,
            "touches_border": np.where(has_object, inside[:, border(height, width)].any(axis=1), np.nan),
        }
    )


def explained_by_class(measures: pd.DataFrame, labels: np.ndarray) -> dict[str, Explained]:
    """How much of each measure's variance the class explains."""
    return {name: eta_squared(measures[name].to_numpy(dtype=float), labels) for name in MEASURES}


def figure(
    measures: pd.DataFrame, labels: np.ndarray, explained: dict[str, Explained], classes: Sequence[str]
) -> Figure:
    """Above, each class's mean centroid ± 1 SD over its images; below, the variance that the class explains."""
    figure, (upper, lower) = style.plt.subplots(2, 1, figsize=(style.WIDTH, 5.2), height_ratios=[3.2, 2])
    points = _draw_centroids(upper, measures, labels, classes)
    _draw_explained(lower, explained)
    figure.canvas.draw()
    figure.set_layout_engine("none")
    if len(points) <= MOST_CLASSES_DRAWN:
        for label in filter(None, placing.place_labels(figure, upper, points)):
            label.set_path_effects([withStroke(linewidth=1.8, foreground="white")])  # it may stand on a bar
    return figure


def table(measures: pd.DataFrame, explained: dict[str, Explained]) -> Table:
    """Mean and SD of each measure, and how much of its variance the class explains."""
    rows = [
        (name, measures[name].mean(), measures[name].std(ddof=0), explained[name].share, explained[name].by_chance)
        for name in MEASURES
    ]
    full = pd.DataFrame(rows, columns=["measure", "mean", "sd", "eta_squared", "by_chance"])
    strings = {"Measure": [text[0].upper() + text[1:] for text in MEASURES.values()]}
    strings |= {"Mean": full["mean"].map(decimal), "SD": full["sd"].map(decimal)}
    for title, column in (("Explained, %", "eta_squared"), ("By chance, %", "by_chance")):
        strings[title] = [numbers.percent(value, 1) for value in full[column]]
    caption = (
        "Where the object is, in pixels from the image's centre to the right and down, its size, "
        "and how much of the variance the class explains (η²)."
    )
    return Table(pd.DataFrame(strings), caption, full)


def finding(
    measures: pd.DataFrame,
    explained: dict[str, Explained],
    background: np.ndarray,
    threshold: float,
    size: tuple[int, int],
    confidence: float,
    white: int,
) -> Finding:
    """Whether position is itself a cue to the class, and how much the object moves.

    Bears on translation equivariance: a net that averages over positions gives that cue up. size: height and width.
    white: the value of a white pixel.
    """
    border_share = float(measures["touches_border"].mean())
    sds = {axis: float(measures[f"centroid_{axis}"].std(ddof=0)) for axis in DIRECTIONS}
    empty = int(measures["box_x"].isna().sum())
    facts = {f"eta2_{name}": share(explained[name].share) for name in MEASURES}
    facts |= {f"centroid_sd_{axis}": decimal(sds[axis]) for axis in DIRECTIONS}
    facts |= {
        "border_share": share(border_share),
        "object_sentence": _object_sentence(background, threshold, empty, len(measures), white),
        "border_sentence": _border_sentence(border_share),
        "position_sentence": _position_sentence(explained, confidence),
        "size_sentence": _size_sentence(explained),
        "movement_sentence": _movement_sentence(sds, size),
    }
    values = {
        "explained": {name: asdict(of_measure) for name, of_measure in explained.items()},
        "mean": {name: float(measures[name].mean()) for name in MEASURES},
        "sd": {name: float(measures[name].std(ddof=0)) for name in MEASURES},
        "border_share": border_share,
        "background": background.tolist(),
        "images_without_object": empty,
    }
    return Finding(facts, values)


def _object_sentence(background: np.ndarray, threshold: float, empty: int, n: int, white: int) -> str:
    value = joined([f"{value:g}" for value in background])
    none = f" {numbers.plural(empty, 'image')} of {n:,} {'has' if empty == 1 else 'have'} none." if empty else ""
    return (
        f"The background is the median of the border's pixels ({value} of {white}), and the object all pixels that "
        f"differ from it by more than {100 * threshold:g}{numbers.NBSP}% of the full scale.{none}"
    )


def _border_sentence(border_share: float) -> str:
    if np.isnan(border_share):
        return "No image has an object, so that none touches the border."
    if border_share == 0:
        return "In no image does the object touch the border, so that a shift within the background crops nothing."
    where = "every image" if border_share == 1 else f"{share(border_share)} of the images"
    return f"In {where} the object touches the border: without a margin, a shift would crop it."


def _position_sentence(explained: dict[str, Explained], confidence: float) -> str:
    centroids = {direction: explained[f"centroid_{axis}"] for axis, direction in DIRECTIONS.items()}
    known = {direction: of_measure for direction, of_measure in centroids.items() if not np.isnan(of_measure.p)}
    if not known:
        return (
            "The centroid does not vary, or there are too few images or classes to compare: "
            "position is not shown to be a cue to the class."
        )
    shares = [
        f"{share(of_measure.share)} of how the centroid varies {direction}" for direction, of_measure in known.items()
    ]
    by_chance = next(iter(known.values())).by_chance
    lead = f"The class explains {joined(shares)}, where {share(by_chance, 2)} would be expected by chance"
    if min(of_measure.p for of_measure in known.values()) < (1 - confidence) / len(known):  # Bonferroni
        return (
            f"{lead}. Position is itself a cue to the class, which a net with a weight for every position can use "
            "and one that averages over them gives up."
        )
    return (
        f"{lead}. Position is not shown to be a cue to the class, "
        "and a net that averages over positions is not shown to give anything up."
    )


def _size_sentence(explained: dict[str, Explained]) -> str:
    known = {word: explained[name] for name, word in SIZES.items() if not np.isnan(explained[name].share)}
    if not known:
        return (
            "The bounding box does not vary in size, or there are too few images or classes to compare: "
            "size is not shown to be a cue to the class."
        )
    shares = joined([f"{share(of_measure.share)} of how its {word} varies" for word, of_measure in known.items()])
    return (
        f"Of the bounding box, the class explains {shares}; "
        "size is no matter of translation, and a pooled net can still see it."
    )


def _movement_sentence(sds: dict[str, float], size: tuple[int, int]) -> str:
    if all(np.isnan(sd) for sd in sds.values()):
        return "No image has a centroid, so that no movement can be measured."
    lengths = {"x": size[1], "y": size[0]}
    parts = [
        f"{decimal(sds[axis])} pixels {direction} ({share(sds[axis] / lengths[axis])} of the image)"
        for axis, direction in DIRECTIONS.items()
    ]
    return (
        f"From image to image the centroid moves with an SD of {joined(parts)}: "
        "the data themselves hold about this much translation."
    )


def _draw_centroids(
    axes: Axes, measures: pd.DataFrame, labels: np.ndarray, classes: Sequence[str]
) -> list[placing.Point]:
    """Draw the mean centroids; returns the points that need a label."""
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


def _draw_explained(axes: Axes, explained: dict[str, Explained]) -> None:
    """A bar for each measure, and a mark where it would end by chance."""
    rows = range(len(explained))
    percents = [100 * of_measure.share for of_measure in explained.values()]
    by_chance = [100 * of_measure.by_chance for of_measure in explained.values()]
    axes.barh(rows, np.nan_to_num(percents), color=style.BLUE, height=0.6)
    axes.scatter(
        by_chance, rows, label="expected by chance", marker="|", s=70, color=style.VERMILION, linewidths=1.4, zorder=3
    )
    for row, percent, chance in zip(rows, percents, by_chance, strict=True):
        end = np.nan_to_num(max(percent, chance)) + 1.2
        axes.text(end, row, "nothing to explain" if np.isnan(percent) else f"{percent:.1f}", va="center", fontsize=7)
    axes.set_yticks(rows, [MEASURES[name] for name in explained], fontsize=7)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 108)
    axes.set_xlabel("% of the variance that the class explains")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0, fontsize=7)


def _ends(occupied: Any, has_object: Any) -> tuple[np.ndarray, np.ndarray]:
    """First and last occupied place of each row of a boolean (N, L); NaN for an image without object."""
    first, last = occupied.argmax(axis=1), occupied.shape[1] - 1 - occupied[:, ::-1].argmax(axis=1)
    return np.where(has_object, first, np.nan), np.where(has_object, last, np.nan)

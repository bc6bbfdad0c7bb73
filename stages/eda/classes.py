"""How large the classes are, what their images look like on average, and how bright they are."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stages.eda.dataset import Dataset
from stages.eda.drawing import (
    IMAGE_COLUMNS,
    MOST_CLASSES_DRAWN,
    draw_strip,
    grid,
    image_height,
    image_panels,
    image_title,
    name_classes,
    plain_numbers,
)
from stages.eda.outputs import Finding, Table, decimal, joined, share
from stages.eda.statistics import BLOCK_VALUES, Explained, blocks, white
from stages.shared.drawing import numbers, style
from stages.shared.drawing.tables import cell, escape
from stages.shared.lettering.class_names import shown

BINS = 256  # of pixel values in the histogram
STRIP_COLUMNS = 2
SPLIT_COLOURS = {"train": style.BLUE, "val": style.ORANGE, "test": style.GREEN}


def counts(split_labels: dict[str, np.ndarray], n_classes: int) -> pd.DataFrame:
    """Images of each class (row) in each split (column)."""
    return pd.DataFrame({split: np.bincount(labels, minlength=n_classes) for split, labels in split_labels.items()})


def sample_rows(labels: np.ndarray, n_classes: int, per_class: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Rows of `per_class` random images of each class; all rows of a class that has fewer."""
    return [rng.permutation(np.flatnonzero(labels == label))[:per_class] for label in range(n_classes)]


def mean_images(images: np.ndarray, labels: np.ndarray, n_classes: int) -> list[np.ndarray | None]:
    """Mean image (C, H, W) of each class, in [0, 1]; None for a class without image."""
    groups = (images[labels == label] for label in range(n_classes))
    return [group.mean(axis=0, dtype=np.float64) / white(images) if len(group) else None for group in groups]


def brightness(images: np.ndarray) -> np.ndarray:
    """Mean pixel of each image, in [0, 1]; (N, C, H, W) → (N,)."""
    return images.mean(axis=(1, 2, 3), dtype=np.float64) / white(images)


def pixel_statistics(images: np.ndarray, labels: np.ndarray, n_classes: int) -> pd.DataFrame:
    """Mean and SD of all pixels of each class, and mean and SD of its images' brightness, in [0, 1].

    NaN for a class without image.
    """
    bright = brightness(images)
    table = pd.DataFrame(np.nan, range(n_classes), ["mean", "sd", "brightness_mean", "brightness_sd"])
    for label in np.unique(labels):
        of_class = labels == label
        table.loc[label] = *mean_and_sd(images[of_class]), bright[of_class].mean(), bright[of_class].std()
    return table


def mean_and_sd(images: np.ndarray) -> tuple[float, float]:
    """Mean and SD of all pixels, in [0, 1], from exact counts of their values."""
    counts = _counts_of_values(images)
    values = np.arange(len(counts))
    n, total, squares = (sum(map(int, counts * values**power)) for power in (0, 1, 2))
    return total / (n * white(images)), (n * squares - total**2) ** 0.5 / (n * white(images))


def histogram(images: np.ndarray) -> np.ndarray:
    """Share of the pixels in each of 256 steps from black to white; (256,)."""
    return _counts_of_values(images).reshape(BINS, -1).sum(axis=1) / images.size


def _counts_of_values(images: np.ndarray) -> np.ndarray:
    """How many pixels have each value that their type can hold."""
    n_values = white(images) + 1
    return np.sum([np.bincount(block.ravel(), minlength=n_values) for block in blocks(images, BLOCK_VALUES)], axis=0)


def balance_figure(counts: pd.DataFrame, classes: Sequence[str]) -> Figure:
    """Share of each class in each split; the line is an equal share."""
    figure, axes = style.plt.subplots(figsize=(style.WIDTH, 2.5))
    for number, split in enumerate(counts):
        colour = SPLIT_COLOURS[str(split)]
        x = np.arange(len(classes)) + 0.18 * (number - 1)
        percents = 100 * counts[split] / counts[split].sum()
        axes.scatter(x, percents, s=14, color=colour, label=str(split), linewidths=0, zorder=3)
    look: dict[str, Any] = {"color": style.GREY, "linewidth": 0.7, "linestyle": style.DASHED, "zorder": 1}
    axes.axhline(100 / len(classes), label="equal share", **look)
    name_classes(axes, classes)
    axes.set_ylim(bottom=0, top=1.25 * axes.get_ylim()[1])
    axes.set_ylabel("% of the split's images")
    axes.legend(ncols=4, loc="upper right", fontsize=7)
    grid(axes)
    return figure


def samples_figure(images: np.ndarray, rows: Sequence[np.ndarray], classes: Sequence[str]) -> Figure:
    """A strip of images for each of the first classes. images: (N, C, H, W). rows: those of each class."""
    drawn = classes[:MOST_CLASSES_DRAWN]
    per_class = max(1, max(len(rows_of_class) for rows_of_class in rows))
    columns = min(STRIP_COLUMNS, len(drawn))
    height = image_height(images.shape, (style.WIDTH / columns - 0.15) / per_class)
    figure, panels = image_panels(len(drawn), columns, height)
    for axes, name, rows_of_class in zip(panels, drawn, rows, strict=False):
        image_title(axes, name, fontsize=7.5)
        draw_strip(axes, images[rows_of_class] / white(images), per_class)
    return figure


def mean_images_figure(means: Sequence[np.ndarray | None], classes: Sequence[str]) -> Figure:
    """The mean image of each of the first classes, (C, H, W) in [0, 1]; blank for a class without image."""
    drawn = min(len(classes), MOST_CLASSES_DRAWN)
    columns = min(drawn, IMAGE_COLUMNS if drawn % 5 or drawn > 10 else 5)  # ten classes fill two rows of five
    first = next(mean for mean in means if mean is not None)
    height = image_height((1, *first.shape), min(1.15, style.WIDTH / columns - 0.12))
    figure, panels = image_panels(drawn, columns, height)
    for axes, name, mean in zip(panels, shown(classes, longest=17), means, strict=False):
        image_title(axes, name, fontsize=7.5, loc="center")
        if mean is not None:
            draw_strip(axes, mean[None], 1)
    return figure


def brightness_figure(histogram: np.ndarray, statistics: pd.DataFrame, classes: Sequence[str]) -> Figure:
    """Left, how often each pixel value occurs; right, each class's mean brightness ± 1 SD over its images."""
    figure, (left, right) = style.plt.subplots(1, 2, figsize=(style.WIDTH, 2.6), width_ratios=[1, 1.5])
    left.fill_between(np.arange(len(histogram)), 0, 100 * histogram, step="mid", color=style.BLUE, linewidth=0)
    left.set_yscale("log")
    left.set_ylim(bottom=100 * histogram[histogram > 0].min() / 2)
    left.set_xlim(-4, len(histogram) + 3)
    left.set_xlabel("pixel value")
    left.set_ylabel("% of pixels (logarithmic)")
    plain_numbers(left.yaxis)
    x, means, sds = np.arange(len(classes)), statistics["brightness_mean"], statistics["brightness_sd"]
    right.errorbar(x, means, yerr=sds, fmt="o", markersize=4, color=style.BLUE, elinewidth=1, capsize=2)
    name_classes(right, classes)
    right.set_ylim(0, 1.08 * max(right.get_ylim()[1], 0.01))
    right.set_ylabel("brightness of an image (0 to 1)")
    for axes in (left, right):
        grid(axes)
    return figure


def table(counts: pd.DataFrame, statistics: pd.DataFrame, classes: Sequence[str]) -> Table:
    """Size and pixels of each class."""
    full = pd.concat([pd.Series(classes, name="class"), counts, statistics], axis=1)
    first = full.head(MOST_CLASSES_DRAWN)
    strings = {"Class": first["class"].map(cell)}
    strings |= {split.capitalize(): first[split].map(numbers.count) for split in counts}
    strings |= {title: [decimal(value, 3) for value in first[title.lower()]] for title in ("Mean", "SD")}
    note = "" if len(first) == len(full) else f" The first {len(first)} classes; the CSV has all {len(full)}."
    caption = "Images of each class in each split, and the mean and SD of its pixels (0 to 1) in the sample."
    return Table(pd.DataFrame(strings), caption + note, full)


def balance_finding(counts: pd.DataFrame, data: Dataset) -> Finding:
    """How large the classes are. Bears on how every accuracy is to be read."""
    chance = float(np.mean(data.test_labels == int(counts["train"].to_numpy().argmax())))
    sizes = {str(split): (int(counts[split].min()), int(counts[split].max())) for split in counts}
    always = (
        f"always naming the train split's largest class is right on {numbers.percent_sign(chance)} of the test images, "
        "and every accuracy stands against that"
    )
    if all(high - low <= 1 for low, high in sizes.values()):
        sentence = f"Within each split the classes are equally large, to one image at most; {always}."
    else:
        ranges = [
            f"from {low:,} to {high:,} in {split}" if low < high else f"{low:,} in {split}"
            for split, (low, high) in sizes.items()
        ]
        sentence = f"The classes differ in size: the images of a class number {joined(ranges)}; {always}."
    facts = {"chance_accuracy": numbers.percent_sign(chance), "balance_sentence": sentence}
    values = {"chance_accuracy": chance, "class_sizes": {split: list(ends) for split, ends in sizes.items()}}
    return Finding(facts, values)


def brightness_finding(data: Dataset, statistics: pd.DataFrame, explained: Explained, confidence: float) -> Finding:
    """Whether brightness tells the class. Bears on what any net can read, whatever it assumes of images."""
    mean, sd = mean_and_sd(data.train)
    means = statistics["brightness_mean"].dropna()
    brightest, darkest = int(means.to_numpy().argmax()), int(means.to_numpy().argmin())
    names = [escape(data.classes[int(means.index[place])]) for place in (brightest, darkest)]
    extremes = (
        f"The images of *{names[0]}* are the brightest on average ({decimal(means.iloc[brightest], 3)}), "
        f"those of *{names[1]}* the darkest ({decimal(means.iloc[darkest], 3)})"
    )
    facts = {
        "pixel_mean": decimal(mean, 3),
        "pixel_sd": decimal(sd, 3),
        "eta2_brightness": share(explained.share),
        "pixels_sentence": "On a scale from 0, black, to 1, "
        f"pixels have mean {decimal(mean, 3)} and SD {decimal(sd, 3)}.",
        "brightness_sentence": f"{extremes}; {_brightness_clause(explained, confidence)}.",
    }
    return Finding(facts, {"pixel_mean": mean, "pixel_sd": sd, "brightness_explained": asdict(explained)})


def _brightness_clause(explained: Explained, confidence: float) -> str:
    if np.isnan(explained.p):
        alike = "these are too few images or classes, or too much alike"
        return f"{alike}, to say whether brightness tells anything of the class"
    tells = "is not shown to tell anything of the class"
    if explained.p < 1 - confidence:
        tells = "tells something of the class, to every net alike"
    return (
        f"the class explains {share(explained.share)} of the variance of brightness, "
        f"where {share(explained.by_chance, 2)} would be expected by chance, so that brightness alone {tells}"
    )

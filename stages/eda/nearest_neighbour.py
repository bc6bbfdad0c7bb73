"""The nearest neighbour as a classifier without training: its accuracy as the train images become more."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from scipy import stats

from stages.eda import distances
from stages.eda.dataset import Dataset
from stages.eda.drawing import grid
from stages.eda.outputs import Finding, Table
from stages.eda.statistics import ABOVE, ALIKE, BELOW, UNKNOWN
from stages.shared.drawing import numbers, style

MOST_TICKS = 9


@dataclass(frozen=True)
class NearestNeighbour:
    """table: train_images, accuracy, low, high (Wilson's interval), a row for each size, ascending.

    chance: accuracy of always naming the train images' largest class. doubling: accuracy with all train images minus
    accuracy with half of them (NaN if there is no half), and `verdict` on that difference.
    distance, index: of the nearest of all train images, for each test image.
    """

    table: pd.DataFrame
    test_images: int
    chance: float
    doubling: float
    verdict: str
    distance: np.ndarray
    index: np.ndarray


def measure(data: Dataset, confidence: float) -> NearestNeighbour:
    """Give each test image the label of the nearest train image, of all of them, a half, a quarter, … one a class.

    The train images' order is such that the first m are stratified, for every m.
    """
    sizes = halvings(len(data.train), len(data.classes))
    nearest = distances.to_first(data.test, data.train, sizes)
    correct = [data.train_labels[index] == data.test_labels for _, index in nearest]
    rows = [(hits.mean(), *wilson(int(hits.sum()), len(hits), confidence)) for hits in correct]
    table = pd.DataFrame(rows, columns=["accuracy", "low", "high"])
    table.insert(0, "train_images", sizes)
    chance = float(np.mean(data.test_labels == np.bincount(data.train_labels).argmax()))
    doubling, verdict = np.nan, UNKNOWN
    if len(sizes) > 1:
        doubling = float(correct[-1].mean() - correct[-2].mean())
        verdict = paired_verdict(correct[-1], correct[-2], confidence)
    return NearestNeighbour(table, len(data.test), chance, doubling, verdict, *nearest[-1])


def halvings(n: int, least: int) -> list[int]:
    """n, n/2, n/4, … rounded down, while they are at least `least`; ascending, and never empty."""
    sizes = [n]
    while sizes[-1] // 2 >= max(least, 1):
        sizes.append(sizes[-1] // 2)
    return sizes[::-1]


def wilson(successes: int, n: int, confidence: float) -> tuple[float, float]:
    """Interval of a proportion. Source: Wilson 1927."""
    interval = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def paired_verdict(one: np.ndarray, other: np.ndarray, confidence: float) -> str:
    """Whether one is right on more images than the other, by the exact McNemar test. one, other: boolean (N,)."""
    gained, lost = int(np.sum(one & ~other)), int(np.sum(other & ~one))
    if gained == lost or stats.binomtest(gained, gained + lost).pvalue >= 1 - confidence:
        return ALIKE
    return ABOVE if gained > lost else BELOW


def figure(result: NearestNeighbour, confidence: float) -> Figure:
    """Accuracy on the test images against the number of train images."""
    figure, axes = style.plt.subplots(figsize=(style.WIDTH, 2.5))
    table = result.table
    n, accuracy = table["train_images"], table["accuracy"]
    bars = [100 * (accuracy - table["low"]), 100 * (table["high"] - accuracy)]
    label = f"nearest neighbour, {100 * confidence:g} % interval"
    look: dict[str, Any] = {"fmt": "o-", "markersize": 4, "color": style.BLUE, "elinewidth": 1, "capsize": 2}
    axes.errorbar(n, 100 * accuracy, yerr=bars, label=label, **look)
    look = {"color": style.GREY, "linestyle": style.DASHED, "linewidth": 0.9}
    axes.axhline(100 * result.chance, label="always the largest class", **look)
    axes.set_xscale("log", base=2)
    step = -(-len(table) // MOST_TICKS)
    ticks = n.to_numpy()[::-1][::step]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(0, 102)
    axes.set_xlabel("train images (logarithmic)")
    axes.set_ylabel("test accuracy, %")
    # Above the axes: the accuracy may be anywhere.
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=7)
    grid(axes)
    return figure


def table(result: NearestNeighbour, confidence: float) -> Table:
    """Accuracy with its interval for each number of train images."""
    full = result.table
    intervals = zip(full["low"], full["high"], strict=True)
    shown = pd.DataFrame(
        {
            "Train images": [f"{n:,}" for n in full["train_images"]],
            "Test accuracy, %": [numbers.percent(value) for value in full["accuracy"]],
            f"{100 * confidence:g} % interval": [numbers.interval(low, high) for low, high in intervals],
        }
    )
    return Table(shown, "The nearest neighbour by Euclidean distance of the pixels, and Wilson's interval.", full)


def finding(result: NearestNeighbour) -> Finding:
    """The accuracy, and whether more images raise it.

    Bears on sample size, and is the floor for what any net must add.
    """
    last = result.table.iloc[-1]
    n, accuracy = int(last["train_images"]), float(last["accuracy"])
    with_interval = f"{numbers.percent_sign(accuracy)} {numbers.interval(last['low'], last['high'])}"
    sentence = (
        f"The nearest of {numbers.plural(n, 'train image')} has the right label for {with_interval} "
        f"of {numbers.plural(result.test_images, 'test image')}; "
        f"always naming the largest class is right on {numbers.percent_sign(result.chance)}. "
        "It compares pixel by pixel, so that the permutation changes nothing. "
        "A net that is not more accurate than this is not worth its training."
    )
    facts = {
        "nearest_neighbour_accuracy": with_interval,
        "nearest_neighbour_doubling": f"{numbers.points(result.doubling)}{numbers.NBSP}points",
        "nearest_neighbour_sentence": sentence,
        "sample_size_sentence": _doubling_sentence(result, n),
    }
    values = last.to_dict() | {"train_images": n, "doubling": result.doubling, "chance_accuracy": result.chance}
    return Finding(facts, values)


def _doubling_sentence(result: NearestNeighbour, n: int) -> str:
    if result.verdict == UNKNOWN:
        return "There are too few train images to halve their number."
    half = int(result.table.iloc[-2]["train_images"])
    difference = f"{numbers.points(result.doubling)}{numbers.NBSP}points"
    conclusion = {
        ABOVE: "more images still help it",
        BELOW: "more images harm it",
        ALIKE: "more images are not shown to help it",
    }[result.verdict]
    return (
        f"With {numbers.plural(n, 'train image')} the nearest neighbour's accuracy is {result.verdict} "
        f"that with {half:,} ({difference}): {conclusion}."
    )

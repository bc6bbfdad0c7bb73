"""Images that are there twice, or nearly: within train, and from train to test."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.eda.dataset import Dataset
from stages.eda.distances import Nearest, pairs_between, pairs_within
from stages.eda.drawing import IMAGE_COLUMNS, draw_pairs, grid, pairs_height
from stages.eda.outputs import Finding, Table
from stages.shared.drawing import numbers, style

COUNTS = {
    "exact": "Pairs of equal images",
    "near": "Pairs of near-duplicates",
    "other_label": "Pairs with two labels",
    "images": "Images in a pair",
    "of": "Of images",
}


@dataclass(frozen=True)
class Pairs:
    """Numbers of pairs and images.

    near: pairs that are close but not equal. other_label: pairs, exact or near, of two classes. images: images that
    are in any pair (from train to test: test images), `of` so many.
    """

    exact: int
    near: int
    other_label: int
    images: int
    of: int


@dataclass(frozen=True)
class Duplicates:
    """limit: the distance up to which a pair is near. median: of the distances to the nearest one within train."""

    limit: float
    median: float
    within_train: Pairs
    train_to_test: Pairs


def measure(data: Dataset, nearest: Nearest, test_distance: np.ndarray, near: float) -> Duplicates:
    """Count the pairs. A pair is near if its distance is at most `near` times the median distance within train.

    nearest: of each train image within train; the median is over those distances. test_distance: of each test image
    to its nearest train image.
    """
    median = float(np.median(nearest.distance))
    limit = near * median
    labels, test_labels = data.train_labels, data.test_labels
    first, second, distance = pairs_within(data.train, nearest.distance, limit)
    in_train = _count(distance, labels[first] != labels[second], np.union1d(first, second), len(data.train))
    image, reference, distance = pairs_between(data.test, data.train, test_distance, limit)
    to_test = _count(distance, test_labels[image] != labels[reference], np.unique(image), len(data.test))
    return Duplicates(limit, median, in_train, to_test)


def figure(
    duplicates: Duplicates, data: Dataset, nearest: Nearest, test_distance: np.ndarray, test_index: np.ndarray
) -> Figure:
    """Above, distances to the nearest train image; below, the test images that are closest to one, over that one."""
    closest = np.argsort(test_distance, kind="stable")[:IMAGE_COLUMNS]
    lower_height = pairs_height(data.train.shape)
    figure = style.plt.figure(figsize=(style.WIDTH, 2.3 + lower_height))
    upper, lower = figure.subfigures(2, 1, height_ratios=[2.3, lower_height], squeeze=False)[:, 0]
    unit = duplicates.median or 1.0
    _draw_distances(upper.subplots(), duplicates, nearest.distance / unit, test_distance / unit)
    titles = [f"\n{test_distance[row] / unit:.2f}" for row in closest]
    titles[0] = f"test over train{titles[0]}"
    draw_pairs(lower, data.test[closest], data.train[test_index[closest]], titles)
    return figure


def table(duplicates: Duplicates) -> Table:
    """The numbers of pairs and images."""
    pairs_of = {"Within train": duplicates.within_train, "Train to test": duplicates.train_to_test}
    columns = {title: [getattr(pairs, name) for name in COUNTS] for title, pairs in pairs_of.items()}
    full = pd.DataFrame({"count": list(COUNTS), **columns})
    texts = {title: [f"{n:,}" for n in column] for title, column in columns.items()}
    shown = pd.DataFrame({"Count": list(COUNTS.values()), **texts})
    caption = (
        "Images that are there twice or nearly; from train to test, the images in a pair are those of the test set."
    )
    return Table(shown, caption, full)


def finding(duplicates: Duplicates, near: float, train_images: int) -> Finding:
    """How many duplicates there are.

    Bears on what test accuracy means: a net that has seen a test image may remember instead of generalising.
    """
    in_train, to_test = duplicates.within_train, duplicates.train_to_test
    facts = {
        f"duplicates_{where}_{kind}": f"{getattr(pairs, kind):,}"
        for where, pairs in (("train", in_train), ("test", to_test))
        for kind in ("exact", "near")
    }
    facts |= {
        "duplicates_test_share": numbers.percent_sign(to_test.images / to_test.of),
        "near_sentence": f"Two images are near-duplicates if they are not equal but at most {near:g} times as far "
        "apart as the median train image is from its nearest neighbour.",
        "duplicates_sentence": f"Within {numbers.plural(train_images, 'train image')}, "
        f"{_pairs_phrase(in_train)} were found.",
        "leak_sentence": _leak_sentence(to_test, train_images),
    }
    values = asdict(duplicates)
    values["median_distance"] = values.pop("median")
    return Finding(facts, values)


def _pairs_phrase(pairs: Pairs) -> str:
    equal, near = numbers.plural(pairs.exact, "pair"), numbers.plural(pairs.near, "pair")
    labels = f" ({pairs.other_label:,} with two labels)" if pairs.exact + pairs.near else ""
    return f"{equal} of equal images and {near} of near-duplicates{labels}"


def _leak_sentence(pairs: Pairs, train_images: int) -> str:
    test_images, among = numbers.plural(pairs.of, "test image"), f"among {numbers.plural(train_images, 'train image')}"
    if pairs.images == 0:
        return f"None of {test_images} has an equal image or a near-duplicate {among}."
    have = "has" if pairs.images == 1 else "have"
    return (
        f"Of {test_images}, {pairs.images:,} ({numbers.percent_sign(pairs.images / pairs.of)}) {have} an equal image "
        f"or a near-duplicate {among}, in {_pairs_phrase(pairs)}; that many could be right from memory alone."
    )


def _count(distance: np.ndarray, labels_differ: np.ndarray, images: np.ndarray, of: int) -> Pairs:
    exact, near = int(np.sum(distance == 0)), int(np.sum(distance > 0))
    return Pairs(exact, near, int(np.sum(labels_differ)), len(images), of)


def _draw_distances(axes: Axes, duplicates: Duplicates, within_train: np.ndarray, to_test: np.ndarray) -> None:
    """Histograms of distances that are divided by the median within train."""
    bins = np.linspace(0, max(within_train.max(), to_test.max(), 1.0), 61).tolist()
    for values, colour, name in (
        (within_train, style.BLUE, "train image to another"),
        (to_test, style.ORANGE, "test image to a train image"),
    ):
        percents = np.full(len(values), 100 / len(values))
        axes.hist(values, bins, weights=percents, histtype="step", linewidth=1.2, color=colour, label=name)
    look: dict[str, Any] = {"color": style.VERMILION, "linestyle": (0, (4, 2)), "linewidth": 1}
    axes.axvline(duplicates.limit / (duplicates.median or 1.0), label="near-duplicate up to here", **look)
    axes.set_xlim(left=0)
    unit = ", in medians of the train images" if duplicates.median else ""
    axes.set_xlabel(f"distance to the nearest{unit}")
    axes.set_ylabel("% of images")
    axes.legend(fontsize=7)
    grid(axes)

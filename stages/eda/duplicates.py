"""Images that are there twice, or nearly: within train, and from train to test."""

from dataclasses import dataclass

import numpy as np

from stages.eda import neighbours
from stages.eda.neighbours import Nearest


@dataclass(frozen=True)
class Pairs:
    """Counts. near: pairs that are close but not equal. images: how many images, in test where there are two splits, are in any pair."""

    exact: int
    near: int
    other_label: int  # pairs, exact or near, of two classes
    images: int
    of: int  # images that could have been


@dataclass(frozen=True)
class Duplicates:
    """limit: the distance up to which a pair is near; median: of the distances to the nearest neighbour within train."""

    limit: float
    median: float
    within_train: Pairs
    train_to_test: Pairs


def duplicates(
    train: np.ndarray,
    labels: np.ndarray,
    nearest: Nearest,
    test: np.ndarray,
    test_labels: np.ndarray,
    test_distance: np.ndarray,
    near: float,
) -> Duplicates:
    """A pair is near if it is at most `near` times as far apart as the median train image is from its nearest neighbour.

    nearest: of each train image within train. test_distance: of each test image to its nearest train image.
    """
    median = float(np.median(nearest.distance))
    limit = near * median
    one, two, distance = neighbours.pairs_within(train, nearest.distance, limit)
    inside = _pairs(distance, labels[one] != labels[two], np.union1d(one, two), len(train))
    image, reference, distance = neighbours.pairs_between(test, train, test_distance, limit)
    across = _pairs(distance, test_labels[image] != labels[reference], np.unique(image), len(test))
    return Duplicates(limit, median, inside, across)


def _pairs(distance: np.ndarray, differ: np.ndarray, images: np.ndarray, of: int) -> Pairs:
    return Pairs(int(np.sum(distance == 0)), int(np.sum(distance > 0)), int(np.sum(differ)), len(images), of)

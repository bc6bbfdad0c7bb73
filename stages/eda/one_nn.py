"""Accuracy of the nearest neighbour, a classifier without training, as the train images become more."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from stages.eda import neighbours
from stages.eda.verdict import ABOVE, ALIKE, BELOW, UNKNOWN


@dataclass(frozen=True)
class OneNN:
    """table: train_images, accuracy, low, high (Wilson), a row for each size, ascending. distance, index: of the nearest of all train images."""

    table: pd.DataFrame
    test_images: int
    chance: float  # accuracy of always naming the train images' largest class
    doubling: float  # accuracy with all train images minus that with half of them; NaN if there is no half
    verdict: str  # where all stands against half
    distance: np.ndarray
    index: np.ndarray


def one_nn(
    test: np.ndarray, test_labels: np.ndarray, train: np.ndarray, labels: np.ndarray, n_classes: int, confidence: float
) -> OneNN:
    """Each test image has the label of the nearest train image, of all of them, a half, a quarter, … down to one a class.

    The train images' order is such that every beginning is stratified. test, train: uint8 (N, C, H, W).
    """
    sizes = neighbours.halvings(len(train), n_classes)
    found = neighbours.of_beginnings(test, train, sizes)
    right = [labels[index] == test_labels for _, index in found]
    rows = [
        (size, hits.mean(), *wilson(int(hits.sum()), len(hits), confidence))
        for size, hits in zip(sizes, right, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["train_images", "accuracy", "low", "high"])
    chance = float(np.mean(test_labels == np.bincount(labels).argmax()))
    doubling = float(right[-1].mean() - right[-2].mean()) if len(sizes) > 1 else np.nan
    verdict = paired_verdict(right[-1], right[-2], confidence) if len(sizes) > 1 else UNKNOWN
    return OneNN(table, len(test), chance, doubling, verdict, *found[-1])


def wilson(successes: int, n: int, confidence: float) -> tuple[float, float]:
    """Interval of a proportion. Source: Wilson 1927."""
    interval = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def paired_verdict(one: np.ndarray, other: np.ndarray, confidence: float) -> str:
    """Whether one is right on more images than the other, by the exact McNemar test on those where they differ."""
    gained, lost = int(np.sum(one & ~other)), int(np.sum(other & ~one))
    if gained == lost or stats.binomtest(gained, gained + lost).pvalue >= 1 - confidence:
        return ALIKE
    return ABOVE if gained > lost else BELOW

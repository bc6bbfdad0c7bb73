"""Correlation of two pixels against their distance: what locality means, and what a permutation takes away."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from stages.eda.verdict import ABOVE, ALIKE, BELOW, UNKNOWN

DIRECTIONS = {"across": 3, "down": 2}  # axis of (N, C, H, W)


@dataclass(frozen=True)
class Locality:
    """table: layout, direction, distance, correlation. neighbours: original minus permuted at distance 1, with its interval."""

    table: pd.DataFrame
    neighbours: tuple[float, float, float]
    verdict: str  # where the original's neighbours stand against the permuted ones'

    def at(self, layout: str, direction: str, distance: int) -> float:
        """NaN where there are no such pixels."""
        return float(self.curve(layout, direction).get(distance, np.nan))

    def curve(self, layout: str, direction: str) -> pd.Series:
        """Correlation by distance."""
        own = self.table[(self.table["layout"] == layout) & (self.table["direction"] == direction)]
        return own.set_index("distance")["correlation"]

    def falls_below_half(self, direction: str) -> int | None:
        """The first distance at which the original's correlation is below one half; None if there is none."""
        curve = self.curve("original", direction)
        return next((int(distance) for distance, value in curve.items() if value < 0.5), None)  # type: ignore[call-overload]


def locality(original: np.ndarray, permuted: np.ndarray, max_distance: int, confidence: float) -> Locality:
    """Both layouts, across and down, up to `max_distance` or the image's size. original, permuted: uint8 (N, C, H, W)."""
    rows, neighbours = [], []
    for layout, images in (("original", original), ("permuted", permuted)):
        standard = standardised(images)
        at_one = []
        for direction, axis in DIRECTIONS.items():
            for distance in range(1, min(max_distance, original.shape[axis] - 1) + 1):
                shares = contributions(standard, axis, distance)
                rows.append((layout, direction, distance, shares.mean()))
                if distance == 1:
                    at_one.append(shares)
        neighbours.append(np.mean(at_one, axis=0) if at_one else np.full(len(images), np.nan))
    mean, low, high = _interval(neighbours[0] - neighbours[1], confidence)
    return Locality(
        pd.DataFrame(rows, columns=["layout", "direction", "distance", "correlation"]),
        (mean, low, high),
        _verdict(low, high),
    )


def standardised(images: np.ndarray) -> np.ndarray:
    """Each pixel minus its mean over the images, divided by its SD; NaN where a pixel is the same in all. (N, C, H, W)."""
    constant = (images == images[0]).all(axis=0)
    centred = images - images.mean(axis=0, dtype=np.float64)
    return centred / np.where(constant, np.nan, np.sqrt(np.mean(centred**2, axis=0)))


def contributions(standard: np.ndarray, axis: int, distance: int) -> np.ndarray:
    """What each image adds to the correlation of pixels so far apart: their mean over the images is the mean, over all pairs

    of pixels within a channel that both vary, of the pair's correlation over the images. (N,), NaN if no pair varies.
    """
    length = standard.shape[axis]
    products = standard.take(range(length - distance), axis) * standard.take(range(distance, length), axis)
    pairs = products.reshape(len(products), -1)
    varying = ~np.isnan(pairs[0])
    return pairs[:, varying].mean(axis=1) if varying.any() else np.full(len(pairs), np.nan)


def _interval(differences: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Mean over the images and its t interval; two images, standardised by their own mean, always add the same and say nothing."""
    if np.isnan(differences).any() or len(differences) < 3:
        return np.nan, np.nan, np.nan
    mean, error = float(differences.mean()), float(differences.std(ddof=1)) / len(differences) ** 0.5
    reach = float(stats.t.ppf((1 + confidence) / 2, len(differences) - 1)) * error
    return mean, mean - reach, mean + reach


def _verdict(low: float, high: float) -> str:
    if np.isnan(low):
        return UNKNOWN
    return ABOVE if low > 0 else BELOW if high < 0 else ALIKE

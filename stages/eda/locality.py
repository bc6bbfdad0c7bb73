"""Correlation of two pixels against their distance: what locality means, and what a permutation takes away."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy import stats

from stages.eda.drawing import LAYOUT_LOOKS, grid, nothing_to_draw
from stages.eda.outputs import Finding, Table, decimal, interval, joined
from stages.eda.statistics import ABOVE, ALIKE, BELOW, BLOCK_VALUES, UNKNOWN, blocks
from stages.shared.drawing import numbers, style

DIRECTIONS = {"across": 3, "down": 2}  # axis of (N, C, H, W)
FACT_ENDINGS = {"original": "", "permuted": "_permuted"}


@dataclass(frozen=True)
class Locality:
    """table: layout, direction, distance, correlation.

    difference, low, high: original minus permuted at distance 1, mean over both directions, with its t interval.
    verdict: whether the original's neighbours are more alike than the permuted ones.
    """

    table: pd.DataFrame
    difference: float
    low: float
    high: float
    verdict: str

    def at(self, layout: str, direction: str, distance: int) -> float:
        """The correlation; NaN where there are no such pixels."""
        return float(self.curve(layout, direction).get(distance, np.nan))

    def curve(self, layout: str, direction: str) -> pd.Series:
        """Correlation by distance."""
        rows = self.table[(self.table["layout"] == layout) & (self.table["direction"] == direction)]
        return rows.set_index("distance")["correlation"]

    def falls_below_half(self, direction: str) -> int | None:
        """The first distance at which the original's correlation is below one half; None if there is none."""
        below = self.curve("original", direction) < 0.5
        return int(below.idxmax()) if below.any() else None


def measure(original: np.ndarray, permuted: np.ndarray, max_distance: int, confidence: float) -> Locality:
    """Correlations of both layouts, across and down, up to `max_distance` or the image's size.

    original, permuted: (N, C, H, W).
    """
    rows, at_distance_one = [], []
    for layout, images in (("original", original), ("permuted", permuted)):
        contributions = _contributions_of_all(images, max_distance)
        by_direction = []
        for direction, axis in DIRECTIONS.items():
            for distance in range(1, min(max_distance, original.shape[axis] - 1) + 1):
                by_image = contributions[axis, distance]
                rows.append((layout, direction, distance, by_image.mean()))
                if distance == 1:
                    by_direction.append(by_image)
        at_distance_one.append(np.mean(by_direction, axis=0) if by_direction else np.full(len(images), np.nan))
    mean, low, high = _t_interval(at_distance_one[0] - at_distance_one[1], confidence)
    table = pd.DataFrame(rows, columns=["layout", "direction", "distance", "correlation"])
    return Locality(table, mean, low, high, _verdict(low, high))


def figure(locality: Locality) -> Figure:
    """Correlation of two pixels against their distance, across and down, for both layouts."""
    figure, panels = style.plt.subplots(1, 2, figsize=(style.WIDTH, 2.5), sharey=True)
    for axes, direction in zip(panels, DIRECTIONS, strict=True):
        curves = {layout: locality.curve(layout, direction).dropna() for layout in LAYOUT_LOOKS}
        axes.set_title(direction, fontweight="normal")
        axes.set_xlabel("distance, pixels")
        if all(curve.empty for curve in curves.values()):
            nothing_to_draw(axes, "no two pixels that vary lie in this direction")
            continue
        for layout, curve in curves.items():
            axes.plot(curve.index, curve, label=layout, markersize=3, **LAYOUT_LOOKS[layout])
        axes.axhline(0, color=style.INK, linewidth=0.6, zorder=1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
        grid(axes)
    panels[0].set_ylabel("correlation")
    return figure


def table(locality: Locality) -> Table:
    """Correlation at each distance, a column for each layout and direction."""
    columns = [(layout, direction) for layout in FACT_ENDINGS for direction in DIRECTIONS]
    wide = locality.table.pivot(index="distance", columns=["layout", "direction"], values="correlation")
    wide = wide.reindex(columns=pd.MultiIndex.from_tuples(columns))
    shown = {"Distance": [str(distance) for distance in wide.index]}
    for layout, direction in columns:
        title = direction.capitalize() + (", permuted" if layout == "permuted" else "")
        shown[title] = [decimal(value) for value in wide[layout, direction]]
    names = [f"{layout}_{direction}" for layout, direction in columns]
    full = wide.set_axis(names, axis=1).rename_axis("distance").reset_index()
    caption = "Correlation of two pixels against their distance in pixels, mean over all pairs that vary."
    return Table(pd.DataFrame(shown), caption, full)


def finding(locality: Locality, max_distance: int, confidence: float) -> Finding:
    """Whether neighbours are alike, and whether the permutation takes that away.

    Bears on locality, and on the size of the kernel.
    """
    at_one = {
        f"correlation_{direction}{ending}": locality.at(layout, direction, 1)
        for direction in DIRECTIONS
        for layout, ending in FACT_ENDINGS.items()
    }
    measured = [direction for direction in DIRECTIONS if not np.isnan(at_one[f"correlation_{direction}"])]
    difference = f"{decimal(locality.difference, 3)} {interval(locality.low, locality.high, 3)}"
    below_half = {direction: locality.falls_below_half(direction) for direction in measured}
    facts = {name: decimal(value) for name, value in at_one.items()} | {
        "locality_difference": difference,
        "locality_sentence": _sentence(locality.verdict, at_one, measured, difference),
        "reach_sentence": _reach_sentence(locality, below_half),
    }
    values = at_one | {f"below_half_{direction}": below_half.get(direction) for direction in DIRECTIONS}
    interval_values = {"difference": locality.difference, "low": locality.low, "high": locality.high}
    return Finding(facts, values | interval_values | {"max_distance": max_distance, "confidence": confidence})


def _sentence(verdict: str, at_one: dict[str, float], measured: Sequence[str], difference: str) -> str:
    if not measured:
        return "There are no neighbouring pixels that vary, so that locality cannot be measured."
    original, permuted = (
        joined([f"{decimal(at_one[f'correlation_{direction}{ending}'])} {direction}" for direction in measured])
        for ending in FACT_ENDINGS.values()
    )
    lead = f"Neighbouring pixels correlate by {original}, and by {permuted} once permuted"
    if len(measured) < len(DIRECTIONS):
        lead += " (there is no other direction)"
    return (
        lead
        + {
            UNKNOWN: "; the two cannot be compared.",
            ABOVE: f". The original is above the permuted, by {difference}: "
            "a small filter has local structure to use, and the permutation takes it away.",
            BELOW: f". The original is below the permuted, by {difference}: neighbours are less alike "
            "than pixels at random, which is local structure too, and the permutation takes it away.",
            ALIKE: f". The original is not distinguishable from the permuted, with a difference of {difference}: "
            "no local structure is shown that a small filter could use, or the permutation take away.",
        }[verdict]
    )


def _reach_sentence(locality: Locality, below_half: dict[str, int | None]) -> str:
    if not below_half:
        return "There is no distance over which a correlation could fall."
    longest = {direction: len(locality.curve("original", direction)) for direction in below_half}
    if not any(below_half.values()):
        places = [f"{numbers.plural(pixels, 'pixel')} {direction}" for direction, pixels in longest.items()]
        return (
            f"The correlation of the original's pixels does not fall below one half within {joined(places)}: "
            "the scale on which a kernel's size can matter is larger."
        )
    places = [
        f"at a distance of {numbers.plural(distance, 'pixel')} {direction}"
        if distance
        else f"nowhere within {numbers.plural(longest[direction], 'pixel')} {direction}"
        for direction, distance in below_half.items()
    ]
    return (
        f"The correlation of the original's pixels falls below one half {joined(places)}: "
        "the scale on which a kernel's size can matter."
    )


def _contributions_of_all(images: np.ndarray, max_distance: int) -> dict[tuple[int, int], np.ndarray]:
    """(axis, distance) → `_contributions` of each image, (N,). The images are standardised in blocks."""
    constant = np.all([(block == images[0]).all(axis=0) for block in blocks(images, BLOCK_VALUES)], axis=0)
    mean = images.mean(axis=0, dtype=np.float64)
    squares = sum(np.sum((block - mean) ** 2, axis=0) for block in blocks(images, BLOCK_VALUES))
    deviation = np.where(constant, np.nan, np.sqrt(squares / len(images)))
    parts: dict[tuple[int, int], list[np.ndarray]] = {}
    for block in blocks(images, BLOCK_VALUES):
        standard = (block - mean) / deviation
        for axis in DIRECTIONS.values():
            for distance in range(1, min(max_distance, images.shape[axis] - 1) + 1):
                parts.setdefault((axis, distance), []).append(_contributions(standard, axis, distance))
    return {key: np.concatenate(by_block) for key, by_block in parts.items()}


def _contributions(standard: np.ndarray, axis: int, distance: int) -> np.ndarray:
    """What each image contributes to the correlation of pixels at this distance, (N,); NaN if no pair of pixels varies.

    The mean over the images is the mean correlation over all pairs of pixels of one channel that both vary.
    """
    moved = np.moveaxis(standard, axis, 0)  # a view
    products = np.moveaxis(moved[:-distance] * moved[distance:], 0, axis)
    pairs = products.reshape(len(products), -1)
    varying = ~np.isnan(pairs[0])
    if varying.all():
        return pairs.mean(axis=1)
    return pairs[:, varying].mean(axis=1) if varying.any() else np.full(len(pairs), np.nan)


def _t_interval(differences: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Mean over the images, and the ends of its t interval.

    NaN for fewer than three: two images, standardised by their own mean, always contribute the same.
    """
    if np.isnan(differences).any() or len(differences) < 3:
        return np.nan, np.nan, np.nan
    mean, error = float(differences.mean()), float(differences.std(ddof=1)) / len(differences) ** 0.5
    half_width = float(stats.t.ppf((1 + confidence) / 2, len(differences) - 1)) * error
    return mean, mean - half_width, mean + half_width


def _verdict(low: float, high: float) -> str:
    if np.isnan(low):
        return UNKNOWN
    if low > 0:
        return ABOVE
    return BELOW if high < 0 else ALIKE

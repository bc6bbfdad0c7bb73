"""How many dimensions the images fill: principal components, and the intrinsic dimension."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.linalg import eigvalsh

from stages.eda.drawing import grid, nothing_to_draw, plain_numbers
from stages.eda.outputs import Finding, Table, decimal, joined
from stages.eda.statistics import BLOCK_VALUES, blocks
from stages.shared.drawing import numbers, style

MOST_DOTS = 200  # images that stand for all in a plot with a dot for each image


@dataclass(frozen=True)
class TwoNN:
    """The fit of TwoNN; NaN and empty with too few images.

    dimension: slope of `heights` on `log_ratios` through the origin. images: without those that have a duplicate.
    log_ratios: log(r₂ / r₁) of each image, ascending. heights: −log(1 − F), with their empirical distribution F.
    """

    dimension: float
    images: int
    log_ratios: np.ndarray
    heights: np.ndarray


def explained_variance(images: np.ndarray) -> np.ndarray:
    """Share of the variance of all pixels that each principal component holds, descending.

    It is empty if all images are equal. Computed from the eigenvalues of pixels × pixels or images × images, whichever
    is smaller: their nonzero eigenvalues agree.
    """
    flat = images.reshape(len(images), -1)
    mean = flat.mean(axis=0, dtype=np.float64)
    gram = np.zeros((min(flat.shape),) * 2)
    if flat.shape[1] <= len(flat):
        for block in blocks(flat, BLOCK_VALUES):
            centred = block - mean
            gram += centred.T @ centred
    else:
        step = max(1, BLOCK_VALUES // len(flat))
        for start in range(0, flat.shape[1], step):
            centred = flat[:, start : start + step] - mean[start : start + step]
            gram += centred @ centred.T
    values = np.maximum(eigvalsh(gram, overwrite_a=True, check_finite=False)[::-1], 0)
    return values / values.sum() if values.sum() > 0 else np.array([])


def components_for(shares: np.ndarray, share: float) -> int:
    """Number of first components that hold at least `share` of the variance, to rounding; 0 if there is no variance."""
    return int(np.searchsorted(np.cumsum(shares), share - 1e-12) + 1) if len(shares) else 0


def two_nn(first: np.ndarray, second: np.ndarray, discard: float) -> TwoNN:
    """Intrinsic dimension from the ratio of each image's distances to its nearest and its second neighbour.

    discard: share of the largest ratios that the fit leaves out. Images with a duplicate, at distance zero, are left
    out too.
    Source: Facco et al. 2017, doi:10.1038/s41598-017-11873-y: 1 − F(μ) = μ^−d, fitted through the origin.
    """
    usable = (first > 0) & np.isfinite(second)
    log_ratios = np.sort(np.log(second[usable] / first[usable]))
    n = len(log_ratios)
    fitted = n - max(1, int(np.ceil(discard * n)))  # the last ratio has F = 1, and 1 − F no logarithm
    if fitted < 1 or log_ratios[fitted - 1] == 0:
        return TwoNN(np.nan, n, np.array([]), np.array([]))
    log_ratios, heights = log_ratios[:fitted], -np.log1p(-np.arange(1, fitted + 1) / n)
    return TwoNN(float(log_ratios @ heights / (log_ratios @ log_ratios)), n, log_ratios, heights)


def figure(shares: np.ndarray, components: dict[float, int], fit: TwoNN) -> Figure:
    """Left, the variance that the first components hold; right, TwoNN's line, whose slope is the dimension.

    components: share of the variance → number of components that hold it.
    """
    figure, (left, right) = style.plt.subplots(1, 2, figsize=(style.WIDTH, 2.7))
    _draw_variance(left, shares, components)
    if len(fit.log_ratios):
        drawn = np.unique(np.linspace(0, len(fit.log_ratios) - 1, MOST_DOTS).astype(int))
        right.plot(fit.log_ratios[drawn], fit.heights[drawn], ".", color=style.BLUE, markersize=3, label="images")
        end = fit.log_ratios[-1]
        slope = f"slope {fit.dimension:.1f}"
        right.plot([0, end], [0, fit.dimension * end], color=style.VERMILION, label=slope)
        right.legend(loc="lower right")
    else:
        nothing_to_draw(right, "too few different images")
    right.set_xlabel("log of second over first neighbour's distance")
    right.set_ylabel("−log(1 − F)")
    for axes in (left, right):
        grid(axes, both=True)
    return figure


def table(shares: np.ndarray, components: dict[float, int]) -> Table:
    """How many components hold which share of the variance."""
    shown = pd.DataFrame(
        {
            "Share of the variance, %": [f"{100 * share:g}" for share in components],
            "Components": [f"{count:,}" for count in components.values()],
        }
    )
    full = pd.DataFrame({"component": np.arange(1, len(shares) + 1), "share_of_variance": shares})
    caption = (
        "The first principal components that hold a share of the variance of the pixels; "
        "the CSV has the share of each component."
    )
    return Table(shown, caption, full)


def finding(pixel_values: int, components: dict[float, int], fit: TwoNN) -> Finding:
    """How many dimensions there are. Bears on sample size, for every net alike, since no order of pixels matters."""
    estimate = f"TwoNN puts the intrinsic dimension at {decimal(fit.dimension, 1)}"
    if np.isnan(fit.dimension):
        estimate = "there are too few different images for an intrinsic dimension"
    components_clause = _components_clause(components)
    facts = {
        "pixel_values": f"{pixel_values:,}",
        "pca_components": components_clause,
        "intrinsic_dimension": decimal(fit.dimension, 1),
        "dimension_sentence": f"Of the {numbers.plural(pixel_values, 'value')} of an image, {components_clause}; "
        f"{estimate}. The permutation changes none of this: "
        "it says how much room there is for images to fill, to every net alike.",
    }
    values = {
        "components": {f"{part:g}": count for part, count in components.items()},
        "intrinsic_dimension": fit.dimension,
        "images_for_dimension": fit.images,
        "pixel_values": pixel_values,
    }
    return Finding(facts, values)


def _components_clause(components: dict[float, int]) -> str:
    """Which number of components holds which share; the noun and "of the variance" stand once."""
    if not all(components.values()):
        return "no principal component holds any variance, since all images are equal"
    parts: list[str] = []
    for share, count in components.items():
        holds = f"{'holds' if count == 1 else 'hold'} {100 * share:g}{numbers.NBSP}%"
        if parts:
            parts.append(f"{count:,} {holds}")
        else:
            parts.append(f"{numbers.plural(count, 'principal component')} {holds} of the variance")
    return joined(parts)


def _draw_variance(axes: Axes, shares: np.ndarray, components: dict[float, int]) -> None:
    axes.set_xlabel("principal components (logarithmic)")
    axes.set_ylabel("% of the variance")
    if not len(shares):
        nothing_to_draw(axes, "all images are equal")
        return
    marker = "o" if len(shares) == 1 else None
    axes.plot(np.arange(1, len(shares) + 1), 100 * np.cumsum(shares), color=style.BLUE, marker=marker)
    for number, (share, count) in enumerate(components.items()):
        colour = (style.VERMILION, style.GREEN, style.PURPLE)[number % 3]
        percent = 100 * share
        axes.plot([count, count, 1], [0, percent, percent], color=colour, linewidth=0.8, linestyle=(0, (4, 2)))
        axes.plot([count], [percent], "o", color=colour, markersize=4, label=f"{count}: {percent:g} %")
    axes.set_xscale("log")
    plain_numbers(axes.xaxis, (1.0,))
    axes.set_ylim(0, 102)
    axes.legend(loc="lower right", frameon=True, facecolor="white", edgecolor="none", framealpha=1)

"""First-layer filters: of the baseline, of the variants with another kernel, and of the other kinds of net."""

import numpy as np
from matplotlib.figure import Figure

from stages.figures import probed
from stages.figures.results import Results
from stages.shared.architectures import geometry
from stages.shared.drawing import style

SHOWN = 16  # filters of a variant
ROWS = 8  # convolutional variants
TILE = 105  # pixels of a filter's longer side: enough that no viewer blurs it


def filters(results: Results) -> Figure | None:
    """One strip a variant, first seed; each strip has its own scale, symmetric around zero. None where no variant has filters."""
    weights = shown(results)
    if not weights:
        return None
    strips = [_strip(own) for own in weights.values()]
    inch = (style.WIDTH - 1.5) / max(strip.shape[1] for strip in strips)
    heights = [strip.shape[0] * inch for strip in strips]
    figure, panels = style.plt.subplots(
        len(strips),
        1,
        figsize=(style.WIDTH, sum(heights) + 0.14 * len(strips) + 0.3),
        squeeze=False,
        height_ratios=heights,
    )
    for axes, label, strip in zip(panels[:, 0], weights, strips, strict=True):
        axes.imshow(strip, interpolation="none", aspect="equal", extent=(0, strip.shape[1], strip.shape[0], 0))
        axes.set_xlim(0, max(strip.shape[1] for strip in strips))
        axes.set_yticks([strip.shape[0] / 2], [label])
        axes.set_xticks([])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    panels[-1, 0].set_xlabel(_scale(next(iter(weights.values()))), loc="left", color=style.GREY, fontsize=7)
    return figure


def shown(results: Results) -> dict[str, np.ndarray]:
    """Label → (filters, channels, height, width); of a locally connected layer, one filter at several positions."""
    found = {key: drawn["filters"] for key, drawn in results.pictures.items() if np.isfinite(drawn["filters"]).all()}
    convolutional = [key for key in _kernels(results) if key in found]
    others = [key for key in probed.kinds(results) if key in found and key not in convolutional]
    called, labels = probed.called(results), {}
    for key in [*convolutional, *others]:
        weights, label = found[key], style.plain(called[key], 30)
        if weights.ndim == 6:
            weights, label = (
                weights[:, :, 0].reshape(-1, *weights.shape[3:]),
                f"{label}:\none filter, {weights.shape[0] * weights.shape[1]} positions",
            )
        labels[label] = weights
    return labels


def _kernels(results: Results) -> list[str]:
    """The baseline, if it is convolutional, and every net with another kernel: the first of each."""
    base = results.settings.baseline
    first: dict[tuple[tuple[int, int], tuple[int, int]], str] = {}
    for key in dict.fromkeys((base, *results.nets)):
        architecture = results.settings.variants[key].run.architecture
        if architecture.connectivity == "conv":
            first.setdefault((geometry.pair(architecture.kernel), geometry.pair(architecture.dilation)), key)
    return list(first.values())[:ROWS]


def _strip(weights: np.ndarray) -> np.ndarray:
    """(out, in, kh, kw) → RGB image of the first filters side by side, white between them."""
    weights = weights[:SHOWN]
    scale = float(np.abs(weights).max()) or 1.0
    factor = max(1, TILE // max(weights.shape[2:]))
    gap = TILE // 8
    tall = max(factor, gap) if weights.shape[2] == 1 else factor  # that of a whole signal would be a hair
    tiles = []
    for kernel in weights:
        if kernel.shape[0] == 3:
            tile = 0.5 + 0.5 * np.moveaxis(kernel, 0, 2) / scale
        else:
            tile = style.plt.get_cmap("RdBu_r")(0.5 + 0.5 * kernel.mean(axis=0) / scale)[..., :3]
        tile = np.repeat(np.repeat(tile, tall, axis=0), factor, axis=1)
        framed = np.ones((tile.shape[0] + 2, tile.shape[1] + 2, 3)) * 0.75
        framed[1:-1, 1:-1] = tile
        tiles += [framed, np.ones((framed.shape[0], gap, 3))]
    return np.concatenate(tiles[:-1], axis=1)


def _scale(weights: np.ndarray) -> str:
    if weights.shape[1] == 3:
        return "the three colours are the weights on red, green and blue; mid grey is zero"
    mean = "" if weights.shape[1] == 1 else ", mean over the input channels"
    return f"red: positive weight, blue: negative, white: zero{mean}"

"""First-layer filters of the baseline and of the variants with another kernel."""

import numpy as np
from matplotlib.figure import Figure

from stages import params
from stages.drawing import style
from stages.figures.results import Results

SHOWN = 16  # filters of a variant
TILE = 105  # pixels of a filter's longer side: enough that no viewer blurs it


def filters(results: Results) -> Figure:
    """One strip a variant, first seed; each strip has its own scale, symmetric around zero."""
    keys = _shown(results)
    strips = [_strip(results.filters[key]) for key in keys]
    inch = (style.WIDTH - 1.5) / max(strip.shape[1] for strip in strips)
    heights = [strip.shape[0] * inch for strip in strips]
    figure, panels = style.plt.subplots(len(keys), 1, figsize=(style.WIDTH, sum(heights) + 0.14 * len(keys) + 0.3), squeeze=False, height_ratios=heights)
    for axes, key, strip in zip(panels[:, 0], keys, strips, strict=True):
        axes.imshow(strip, interpolation="none", aspect="equal", extent=(0, strip.shape[1], strip.shape[0], 0))
        axes.set_xlim(0, max(strip.shape[1] for strip in strips))
        axes.set_xticks([])
        axes.set_yticks([strip.shape[0] / 2], [style.plain(results.names.label(key), 30)])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    panels[-1, 0].set_xlabel(_scale(results.filters[keys[0]]), loc="left", color=style.GREY, fontsize=7)
    return figure


def _shown(results: Results) -> list[str]:
    """The baseline and every variant whose kernel differs from its; the first few, if the baseline has no filters."""
    kernels = {key: params.pair(results.settings.variants[key].run.architecture.kernel) for key in (results.settings.baseline, *results.filters)}
    differ = [key for key in results.filters if kernels[key] != kernels[results.settings.baseline]]
    first = [key for key in results.filters if key == results.settings.baseline]
    return (first + [key for key in differ if key not in first])[:8] or list(results.filters)[:4]


def _strip(weights: np.ndarray) -> np.ndarray:
    """(out, in, kh, kw) → RGB image of the first filters side by side, white between them."""
    weights = weights[:SHOWN]
    scale = float(np.abs(weights).max()) or 1.0
    factor = max(1, TILE // max(weights.shape[2:]))
    gap = TILE // 8
    tiles = []
    for kernel in weights:
        if kernel.shape[0] == 3:
            tile = 0.5 + 0.5 * np.moveaxis(kernel, 0, 2) / scale
        else:
            tile = style.plt.get_cmap("RdBu_r")(0.5 + 0.5 * kernel.mean(axis=0) / scale)[..., :3]
        tile = np.repeat(np.repeat(tile, factor, axis=0), factor, axis=1)
        framed = np.ones((tile.shape[0] + 2, tile.shape[1] + 2, 3)) * 0.75
        framed[1:-1, 1:-1] = tile
        tiles += [framed, np.ones((framed.shape[0], gap, 3))]
    return np.concatenate(tiles[:-1], axis=1)


def _scale(weights: np.ndarray) -> str:
    if weights.shape[1] == 3:
        return "the three colours are the weights on red, green and blue; mid grey is zero"
    mean = "" if weights.shape[1] == 1 else ", mean over the input channels"
    return f"red: positive weight, blue: negative, white: zero{mean}"

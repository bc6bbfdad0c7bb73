"""What each layer of the baseline makes of a few images."""

import re

import numpy as np
from matplotlib.figure import Figure

from stages.figures import pictures
from stages.figures.results import Results
from stages.shared.drawing import style

COLUMNS = 4  # channels beside each other
LAYERS = 6  # that fit beside each other
BRIGHT = 0.995  # share of a layer's values below its brightest colour
SIGNAL = 0.8  # inches of a row of signals


def feature_maps(results: Results) -> Figure | None:
    """A row for each drawn image; after it, layer by layer, the first channels in one scale a layer. None where there is no map."""
    drawn = results.pictures.get(results.settings.baseline, {})
    layers = shown(drawn)
    if not layers:
        return None
    images, labels = drawn["drawn_images"], drawn["drawn_labels"]
    signal = pictures.is_signal(images.shape[2:])
    channels = next(iter(layers.values())).shape[1]
    lines = -(-channels // COLUMNS)
    wide = 1.0 if signal else min(COLUMNS, channels) / lines * images.shape[3] / images.shape[2]
    ratios = [images.shape[3] / images.shape[2] if not signal else 1.0, *[wide] * len(layers)]
    tall = SIGNAL if signal else min(1.1, (style.WIDTH - 0.5) / sum(ratios))
    figure, grid = style.plt.subplots(
        len(images), len(ratios), figsize=(style.WIDTH, len(images) * tall + 0.45), width_ratios=ratios, squeeze=False,
    )  # fmt: skip
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        pictures.show_image(grid[row, 0], image)
        grid[row, 0].set_ylabel(style.plain(results.constants["classes"][int(label)], 14), fontsize=7)
        for axes, maps in zip(grid[row, 1:], layers.values(), strict=True):
            gap = max(1, maps.shape[3] // 12)
            low, high = min(0.0, float(maps.min())), float(np.quantile(maps, BRIGHT)) or 1.0
            whole = pictures.crisp(pictures.mosaic(maps[row], COLUMNS, gap))
            axes.imshow(
                whole, cmap="magma", vmin=low, vmax=high, interpolation="none", aspect="auto" if signal else "equal"
            )
            pictures.bare(axes)
    for axes, title in zip(grid[0], ("image", *map(_title, layers.items())), strict=True):
        axes.set_title(title, fontsize=7, fontweight="normal", loc="center", pad=3)
    return figure


def shown(drawn: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Layer → its maps (images, channels, h, w), in the order of the net; of a deep one, the layers without the poolings, the first so many."""
    found = {
        name.removeprefix("map_"): maps
        for name, maps in drawn.items()
        if name.startswith("map_") and maps.ndim == 4 and np.isfinite(maps).all()
    }
    order = sorted(found, key=lambda name: (int(re.sub(r"\D", "", name)), name))  # layer_1, pool_1, layer_2, …
    if len(order) > LAYERS:
        order = [name for name in order if name.startswith("layer")][:LAYERS]
    return {name: found[name] for name in order}


def _title(layer: tuple[str, np.ndarray]) -> str:
    name, maps = layer
    kind, number = name.split("_")
    return f"{'pooling' if kind == 'pool' else kind} {number}\n{maps.shape[2]}×{maps.shape[3]}"

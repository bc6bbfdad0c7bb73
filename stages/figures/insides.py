"""What the layers have learnt: the filters of the first, and the feature maps of all."""

import math
import re
from collections.abc import Iterator
from typing import Literal

import numpy as np
from matplotlib.figure import Figure

from stages.figures import selection, wording
from stages.figures.results import Results
from stages.shared.architectures.layer_settings import layers_of
from stages.shared.drawing import pictures, style
from stages.shared.lettering import class_names

FILTERS = 16  # of a variant
STRIPS = 8  # of convolutional variants
FILTER_LABELS, STRIP_GAP, SCALE_HEIGHT = 1.45, 0.1, 0.25  # inches: names at the left, between strips, at the foot
FILTER_PIXELS = 105  # along a filter's longer side: enough that no viewer blurs it
CHANNELS_BESIDE = 4  # feature maps of a layer beside each other
LAYERS = 6  # that fit beside each other
BRIGHT = 0.995  # share of a layer's values below its brightest colour
SIGNAL_HEIGHT = 0.8  # inches of a row of signals


def figures(results: Results) -> Iterator[tuple[str, Figure | str]]:
    yield "filters", filters(results)
    yield "feature-maps", feature_maps(results)


def facts(results: Results) -> dict[str, str]:
    filters_sentence = "No variant's filters were probed."
    if first_layer_filters(results):
        filters_sentence = "The first-layer filters are those of the first seed."
    maps_sentence = "The baseline has no feature map to draw."
    if layers_to_draw(results.pictures[results.baseline]):
        maps_sentence = f"The maps are those of {wording.label(results, results.baseline)} under its first seed."
    return {"filters": filters_sentence, "maps_sentence": maps_sentence}


def filters(results: Results) -> Figure | str:
    """A strip of filters for each variant, first seed; each strip has its own scale, symmetric around zero."""
    by_label = first_layer_filters(results)
    if not by_label:
        return "No variant's filters were probed."
    strips = {label: _strip(weights) for label, weights in by_label.items()}
    longest = max(strip.shape[1] for strip in strips.values())
    inches_per_pixel = (style.WIDTH - FILTER_LABELS) / longest
    heights = [strip.shape[0] * inches_per_pixel for strip in strips.values()]
    whole = sum(heights) + STRIP_GAP * len(strips) + SCALE_HEIGHT
    figure = style.plt.figure(figsize=(style.WIDTH, whole), layout="none")
    bottom = whole
    for (label, strip), strip_height in zip(strips.items(), heights, strict=True):
        height, width, _ = strip.shape
        bottom -= strip_height + STRIP_GAP
        sides = (
            FILTER_LABELS / style.WIDTH,
            bottom / whole,
            width * inches_per_pixel / style.WIDTH,
            strip_height / whole,
        )
        axes = figure.add_axes(sides)
        axes.imshow(strip, interpolation="none", aspect="auto", extent=(0, width, height, 0))
        axes.set_yticks([height / 2], [label])
        axes.set_xticks([])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    n_channels = next(iter(by_label.values())).shape[1]
    scale = f"red: positive weight, blue: negative, white: zero{', mean over the input channels' * (n_channels > 1)}"
    if n_channels == 3:
        scale = "the three colours are the weights on red, green and blue; mid grey is zero"
    figure.text(FILTER_LABELS / style.WIDTH, 0.06 / whole, scale, color=style.GREY, fontsize=7)
    return figure


def first_layer_filters(results: Results) -> dict[str, np.ndarray]:
    """Label → (filters, channels, height, width); of a locally connected layer, one filter at several positions."""
    probed = [key for key, arrays in results.pictures.items() if np.isfinite(arrays["filters"]).all()]
    kernels = [variant for variant in _one_of_each_kernel(results) if variant in probed]
    kinds = [variant for variant in selection.one_of_each_kind(results) if variant in probed]
    names, by_label = selection.names_for_small_panels(results), {}
    for variant in dict.fromkeys([*kernels, *kinds]):
        weights, label = results.pictures[variant]["filters"], style.plain(names[variant], 30)
        if weights.ndim == 6:  # (rows, columns, filters, channels, height, width)
            label = f"{label}:\none filter, {weights.shape[0] * weights.shape[1]} positions"
            weights = weights[:, :, 0].reshape(-1, *weights.shape[3:])
        by_label[label] = weights
    return by_label


def feature_maps(results: Results) -> Figure | str:
    """A row for each drawn image: the image, then layer by layer the first channels; a layer has one scale."""
    arrays = results.pictures[results.baseline]
    layers = layers_to_draw(arrays)
    if not layers:
        return "The baseline has no feature map."
    images = pictures.in_bytes(arrays["drawn_images"], results.constants["pixel_range"])
    labels = arrays["drawn_labels"]
    classes = class_names.shown(results.constants["classes"], longest=14)
    is_signal = pictures.is_signal(images.shape[2:])
    aspect: Literal["auto", "equal"] = "auto" if is_signal else "equal"
    n_channels = next(iter(layers.values())).shape[1]
    image_ratio = maps_ratio = 1.0
    if not is_signal:
        image_ratio = images.shape[3] / images.shape[2]
        maps_ratio = min(CHANNELS_BESIDE, n_channels) / math.ceil(n_channels / CHANNELS_BESIDE) * image_ratio
    ratios = [image_ratio] + [maps_ratio] * len(layers)
    row_height = SIGNAL_HEIGHT if is_signal else min(1.1, (style.WIDTH - 0.5) / sum(ratios))
    size = style.WIDTH, len(images) * row_height + 0.45
    figure, grid = style.plt.subplots(len(images), len(ratios), figsize=size, width_ratios=ratios, squeeze=False)
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        pictures.show_image(grid[row, 0], image)
        grid[row, 0].set_ylabel(style.plain(classes[int(label)]), fontsize=7)
        for axes, maps in zip(grid[row, 1:], layers.values(), strict=True):
            low, high = min(0.0, float(maps.min())), float(np.quantile(maps, BRIGHT)) or 1.0
            mosaic = pictures.mosaic(maps[row], CHANNELS_BESIDE, gap=max(1, maps.shape[3] // 12))
            axes.imshow(pictures.enlarged(mosaic), "magma", vmin=low, vmax=high, interpolation="none", aspect=aspect)
            pictures.hide_frame(axes)
    words = {name: name.replace("pool_", "pooling ").replace("_", " ") for name in layers}
    titles = ["image"] + [f"{words[name]}\n{maps.shape[2]}×{maps.shape[3]}" for name, maps in layers.items()]
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=7, fontweight="normal", loc="center", pad=3)
    return figure


def layers_to_draw(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Layer → its maps (images, channels, h, w), in the net's order. Of a deep net, the first layers only."""
    maps = {
        name.removeprefix("map_"): array
        for name, array in arrays.items()
        if name.startswith("map_") and array.ndim == 4 and np.isfinite(array).all()
    }
    order = sorted(maps, key=lambda name: (int(re.sub(r"\D", "", name)), name))  # layer_1, pool_1, layer_2, …
    if len(order) > LAYERS:
        order = [name for name in order if name.startswith("layer")][:LAYERS]
    return {name: maps[name] for name in order}


def _one_of_each_kernel(results: Results) -> list[str]:
    """The baseline, if it is convolutional, and the first net of each other kernel size and dilation."""
    first: dict[tuple[tuple[int, int], tuple[int, int]], str] = {}
    for variant in [results.baseline, *results.nets]:
        architecture = results.settings.variants[variant].run.architecture
        if architecture.connectivity == "conv":
            layer = layers_of(architecture)[0]
            first.setdefault((layer.kernel, layer.dilation), variant)
    return list(first.values())[:STRIPS]


def _strip(weights: np.ndarray) -> np.ndarray:
    """(filters, channels, height, width) → RGB image of the first filters side by side, white between them."""
    weights = weights[:FILTERS]
    scale = float(np.abs(weights).max()) or 1.0
    wide = max(1, FILTER_PIXELS // max(weights.shape[2:]))
    gap = FILTER_PIXELS // 8
    tall = max(wide, gap) if weights.shape[2] == 1 else wide  # the filter of a signal would be as thin as a hair
    tiles = []
    for kernel in weights:
        if kernel.shape[0] == 3:
            tile = 0.5 + 0.5 * np.moveaxis(kernel, 0, 2) / scale
        else:
            tile = style.plt.get_cmap("RdBu_r")(0.5 + 0.5 * kernel.mean(axis=0) / scale)[..., :3]
        tile = np.repeat(np.repeat(tile, tall, axis=0), wide, axis=1)
        framed = np.full((tile.shape[0] + 2, tile.shape[1] + 2, 3), 0.75)
        framed[1:-1, 1:-1] = tile
        tiles += [framed, np.ones((framed.shape[0], gap, 3))]
    return np.concatenate(tiles[:-1], axis=1)

"""Figures made of the images themselves: samples, the mean of each class, and the closest pairs."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.shared.drawing import style

CLASSES = 12  # of more, the first so many are shown
BLOCKS = 2  # columns of strips
COLUMNS = 6  # mean images, or pairs, beside each other
CRISP = 1000, 400  # pixels along a strip, and along one image: enough that no viewer blurs an edge
TITLE = 0.26  # inches of height
SIGNAL = 0.55  # inches of height where images of one row are drawn as lines


def samples(images: np.ndarray, rows: Sequence[np.ndarray], classes: Sequence[str]) -> Figure:
    """A strip of images for each of the first classes. images: uint8 (N, C, H, W). rows: those of each class."""
    shown = classes[:CLASSES]
    per_class = max(1, max(len(own) for own in rows))
    lines = -(-len(shown) // BLOCKS)
    columns = min(BLOCKS, len(shown))
    high = min(_height(images.shape, (style.WIDTH / columns - 0.15) / per_class), style.TALLEST / lines - TITLE)
    figure, grid = style.plt.subplots(lines, columns, figsize=(style.WIDTH, lines * (high + TITLE)), squeeze=False)
    for place, axes in enumerate(grid.ravel()):
        axes.set_axis_off()
        if place < len(shown):
            axes.set_title(style.plain(_short(shown[place], 40)), fontsize=7.5, fontweight="normal", pad=2)
            _show_strip(axes, images[rows[place]] / 255, per_class)
    return figure


def mean_images(means: Sequence[np.ndarray | None], classes: Sequence[str]) -> Figure:
    """The mean image of each of the first classes, (C, H, W) in [0, 1]; blank for a class without image."""
    shown = min(len(classes), CLASSES)
    columns = min(shown, COLUMNS if shown % 5 or shown > 10 else 5)  # ten classes fill two rows of five
    lines = -(-shown // columns)
    known = next(mean for mean in means if mean is not None)
    high = _height((1, *known.shape), min(1.15, style.WIDTH / columns - 0.12))
    figure, grid = style.plt.subplots(lines, columns, figsize=(style.WIDTH, lines * (high + TITLE)), squeeze=False)
    for place, axes in enumerate(grid.ravel()):
        axes.set_axis_off()
        if place < shown:
            axes.set_title(
                style.plain(_short(classes[place], 17)), fontsize=7.5, fontweight="normal", loc="center", pad=2
            )
            if (mean := means[place]) is not None:
                _show_strip(axes, mean[None], 1)
    return figure


def pairs(figure: Figure, images: np.ndarray, others: np.ndarray, titles: Sequence[str]) -> None:
    """Pairs side by side on an empty figure, the first above the second. images, others: uint8 (n, C, H, W), as many as titles."""
    grid = figure.subplots(2, COLUMNS, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for place, title in enumerate(titles[:COLUMNS]):
        grid[0, place].set_title(style.plain(title), fontsize=7, fontweight="normal", loc="center", pad=2)
        for axes, image in zip(grid[:, place], (images[place], others[place]), strict=True):
            _show_strip(axes, image[None] / 255, 1)


def pair_height(shape: tuple[int, ...]) -> float:
    """Inches that `pairs` needs for images of this (N, C, H, W)."""
    return 2 * _height(shape, style.WIDTH / COLUMNS - 0.12) + 0.35


def _show_strip(axes: Axes, images: np.ndarray, places: int) -> None:
    """Images (n, C, H, W) in [0, 1] beside each other, room for `places`; those of one row or column as lines."""
    if _is_signal(images.shape):
        for image in images:
            axes.plot(image.mean(axis=0).ravel(), linewidth=0.7, alpha=0.8)
        axes.set_ylim(-0.05, 1.05)
        return
    n, _, height, width = images.shape
    gap = max(1, round(width / 14)) if places > 1 else 0
    strip = np.ones((height, places * (width + gap) - gap, 3))
    for place in range(n):
        start = place * (width + gap)
        strip[:, start : start + width] = _coloured(images[place])
    factor = max(1, CRISP[places == 1] // max(strip.shape))
    crisp = strip.repeat(factor, axis=0).repeat(factor, axis=1)
    axes.imshow(crisp, interpolation="none", aspect="equal", vmin=0, vmax=1)
    axes.set_anchor("W" if places > 1 else "C")


def _coloured(image: np.ndarray) -> np.ndarray:
    """(C, H, W) → (H, W, 3): three channels are red, green and blue; any other number is shown by its mean."""
    picture = image if len(image) == 3 else np.repeat(image.mean(axis=0)[None], 3, axis=0)
    return picture.transpose(1, 2, 0)


def _height(shape: tuple[int, ...], width: float) -> float:
    """Inches of height of an image (N, C, H, W) drawn `width` inches wide, within reason."""
    return SIGNAL if _is_signal(shape) else float(np.clip(width * shape[-2] / shape[-1], 0.15, 2.0))


def _is_signal(shape: tuple[int, ...]) -> bool:
    """Whether images (N, C, H, W) have more than one pixel, but along one axis only."""
    return min(shape[-2:]) == 1 < max(shape[-2:])


def _short(name: str, length: int) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"

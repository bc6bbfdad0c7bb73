"""Images, signals and feature maps inside a figure."""

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes

from stages.shared.drawing import style

PIXELS = 420  # along the longer side of a picture: enough that no viewer blurs an edge


def show_image(axes: Axes, image: np.ndarray) -> None:
    """Draw an image (C, H, W) of 0 to 255, or a signal as a line, without ticks and frame."""
    hide_frame(axes)
    if is_signal(image.shape[1:]):
        axes.plot(image.mean(axis=0).ravel() / 255, color=style.INK, linewidth=0.8)
        axes.set_ylim(-0.05, 1.05)
    else:
        axes.imshow(enlarged(to_rgb(image)), interpolation="none", aspect="equal")


def in_bytes(images: np.ndarray, pixel_range: Sequence[float]) -> np.ndarray:
    """Images on the scale from 0 to 255. pixel_range: their values that are drawn black and white."""
    low, high = pixel_range
    if (low, high) == (0, 255):
        return images
    return np.clip((images - np.float64(low)) * (255 / ((high - low) or 1)), 0, 255)


def to_rgb(image: np.ndarray) -> np.ndarray:
    """(C, H, W) of 0 to 255 → (H, W, 3) in [0, 1]. Three channels are red, green and blue; else their mean is grey."""
    scaled = image / 255
    if len(scaled) != 3:
        scaled = np.repeat(scaled.mean(axis=0)[None], 3, axis=0)
    return np.moveaxis(scaled, 0, 2)


def hide_frame(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def is_signal(size: Iterable[int]) -> bool:
    """Whether a thing of this height and width has more than one pixel, but along one axis only."""
    height, width = size
    return min(height, width) == 1 < max(height, width)


def enlarged(picture: np.ndarray, pixels: int = PIXELS) -> np.ndarray:
    """Repeat every pixel of (H, W, …) until the longer side has about so many, so that no viewer blurs the picture."""
    factor = max(1, pixels // max(picture.shape[:2]))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def mosaic(maps: np.ndarray, columns: int, gap: int) -> np.ndarray:
    """Maps (n, h, w) beside and below each other in one array, with NaN between them. Each signal becomes one row."""
    n, height, width = maps.shape
    if min(height, width) == 1:
        return maps.reshape(n, height * width)
    lines = -(-n // columns)
    whole = np.full((lines * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for place, one_map in enumerate(maps):
        line, column = divmod(place, columns)
        top, left = line * (height + gap), column * (width + gap)
        whole[top : top + height, left : left + width] = one_map
    return whole

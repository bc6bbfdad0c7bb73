"""What the probes left to be drawn, the hardest test images, and how pictures are laid beside each other."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from safetensors import safe_open
from safetensors.numpy import load_file

from stages.shared.drawing import style

CRISP = 420  # pixels along a picture: enough that no viewer blurs an edge


def load(probes: Path, variants: Iterable[str]) -> dict[str, dict[str, np.ndarray]]:
    """Variant → the arrays that the probe of its first seed left, of those that were probed."""
    return {key: load_file(path) for key in variants if (path := probes / key / "pictures.safetensors").exists()}


def hard_pixels(test: Path, hard: pd.DataFrame, margin: list[int]) -> np.ndarray:
    """The images named by hard_images.csv without their margin, uint8 (n, C, H, W). The others stay on the disk."""
    with safe_open(test, framework="numpy") as file:
        images = file.get_slice("images")
        _, _, height, width = images.get_shape()
        inside = slice(margin[0], height - margin[0]), slice(margin[1], width - margin[1])
        return np.stack([images[int(row) : int(row) + 1][0][:, *inside] for row in hard["image"]])


def coloured(image: np.ndarray) -> np.ndarray:
    """(C, H, W) of 0 to 255 → (H, W, 3) in [0, 1]: three channels are red, green and blue; any other number is shown by its mean."""
    whole = image / 255
    return np.moveaxis(whole if len(whole) == 3 else np.repeat(whole.mean(axis=0)[None], 3, axis=0), 0, 2)


def show_image(axes: Axes, image: np.ndarray) -> None:
    """An image (C, H, W), or the line of a signal, without axes."""
    bare(axes)
    if is_signal(image.shape[1:]):
        axes.plot(image.mean(axis=0).ravel() / 255, color=style.INK, linewidth=0.8)
        axes.set_ylim(-0.05, 1.05)
    else:
        axes.imshow(crisp(coloured(image)), interpolation="none", aspect="equal")


def bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def is_signal(size: Iterable[int]) -> bool:
    """Whether something of this height and width has more than one pixel, but along one axis only."""
    height, width = size
    return min(height, width) == 1 < max(height, width)


def crisp(picture: np.ndarray) -> np.ndarray:
    """The picture (H, W, …) with every pixel repeated, so that no viewer blurs it."""
    factor = max(1, CRISP // max(picture.shape[:2]))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def mosaic(maps: np.ndarray, columns: int, gap: int) -> np.ndarray:
    """Pictures (n, h, w) beside and below each other, NaN between them. Those of a signal stand below each other, each a row."""
    n, height, width = maps.shape
    if min(height, width) == 1:
        return maps.reshape(n, height * width)
    lines = -(-n // columns)
    whole = np.full((lines * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for place, one in enumerate(maps):
        row, column = divmod(place, columns)
        whole[row * (height + gap) :, column * (width + gap) :][:height, :width] = one
    return whole

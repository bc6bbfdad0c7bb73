"""Where the object of an image is and how large: its centroid, its bounding box, and whether it touches the border."""

from typing import Any

import numpy as np
import pandas as pd

from stages.eda.explained import Explained, eta_squared

WHITE = 255
MEASURES = {
    "centroid_x": "centroid, across",
    "centroid_y": "centroid, down",
    "box_x": "bounding box's centre, across",
    "box_y": "bounding box's centre, down",
    "box_width": "bounding box's width",
    "box_height": "bounding box's height",
    "touches_border": "touches the border",
}


def background(images: np.ndarray) -> np.ndarray:
    """Median of the pixels on the border of all images, for each channel (C,); uint8 (N, C, H, W)."""
    on_border = border(*images.shape[2:])
    return np.median(images[:, :, on_border], axis=(0, 2))


def ink(images: np.ndarray, paper: np.ndarray) -> np.ndarray:
    """How far each pixel is from the background, mean over the channels, in [0, 1]; (N, C, H, W) → (N, H, W)."""
    return np.abs(images - paper[:, None, None]).mean(axis=1) / WHITE


def border(height: int, width: int) -> np.ndarray:
    """Boolean (H, W): first and last row and column; along an axis of one pixel there is none, unless both have one."""
    made = np.zeros((height, width), dtype=bool)
    if height > 1 or width == 1:
        made[[0, -1]] = True
    if width > 1:
        made[:, [0, -1]] = True
    return made


def measure(ink: np.ndarray, threshold: float) -> pd.DataFrame:
    """One row an image, a column for each of MEASURES. Places are pixels from the image's centre, right and down; sizes are pixels.

    ink: (N, H, W). The centroid weighs every pixel by its ink; box and border take the pixels with more than `threshold`.
    NaN for an image without ink, or without such a pixel.
    """
    _, height, width = ink.shape
    x, y = np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2
    mass = _nan_if_zero(ink.sum(axis=(1, 2)))
    inside: np.ndarray = np.asarray(ink > threshold)
    found = inside.any(axis=(1, 2))
    left, right = _ends(np.any(inside, axis=1), found)
    top, bottom = _ends(np.any(inside, axis=2), found)
    return pd.DataFrame(
        {
            "centroid_x": ink.sum(axis=1) @ x / mass,
            "centroid_y": ink.sum(axis=2) @ y / mass,
            "box_x": (left + right) / 2 - (width - 1) / 2,
            "box_y": (top + bottom) / 2 - (height - 1) / 2,
            "box_width": right - left + 1,
            "box_height": bottom - top + 1,
            "touches_border": np.where(found, inside[:, border(height, width)].any(axis=1), np.nan),
        }
    )


def explained(measures: pd.DataFrame, labels: np.ndarray) -> dict[str, Explained]:
    """How much of each measure's variance the class explains."""
    return {name: eta_squared(measures[name].to_numpy(dtype=float), labels) for name in MEASURES}


def _ends(occupied: Any, found: Any) -> tuple[np.ndarray, np.ndarray]:
    """First and last occupied place of each row of a boolean (N, L); NaN where there is none."""
    first, last = occupied.argmax(axis=1), occupied.shape[1] - 1 - occupied[:, ::-1].argmax(axis=1)
    return np.where(found, first, np.nan), np.where(found, last, np.nan)


def _nan_if_zero(values: np.ndarray) -> np.ndarray:
    return np.where(values == 0, np.nan, values)

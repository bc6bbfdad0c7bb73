"""The margin around each image."""

import numpy as np

from stages.shared.architectures import geometry


def on_canvas(images: np.ndarray, margin: int) -> np.ndarray:
    """Images uint8 (N, H, W, C) as (N, C, H', W') with `margin` zero pixels on each side; none along an axis of one pixel."""
    n, height, width, channels = images.shape
    canvas_height, canvas_width = geometry.canvas(height, width, margin)
    top, left = (canvas_height - height) // 2, (canvas_width - width) // 2
    canvas = np.zeros((n, channels, canvas_height, canvas_width), dtype=np.uint8)
    canvas[:, :, top : top + height, left : left + width] = images.transpose(0, 3, 1, 2)
    return canvas

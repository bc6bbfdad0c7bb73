"""The order of the pixels: as they are, or with patches of them, down to single pixels, shuffled alike in every image."""

import numpy as np
import numpy.typing as npt

from stages.shared.architectures.geometry import patch_side
from stages.shared.random_streams import stream


def permutation(layout: str, height: int, width: int, margin: tuple[int, int], seed: int) -> npt.NDArray[np.int64]:
    """(H·W,): pixel i of a canvas, in the order of rows, is pixel permutation[i] of the original.

    height, width: of the image, around which the canvas has `margin` (rows above and below, columns beside), which
    stays where it is. The patches of one layout are moved as wholes, so that what lies within one keeps its neighbours.
    """
    rows, columns = height + 2 * margin[0], width + 2 * margin[1]
    canvas = np.arange(rows * columns).reshape(rows, columns)
    side = patch_side(layout)
    if side is not None:
        inner = canvas[margin[0] : margin[0] + height, margin[1] : margin[1] + width]
        tall, wide = min(side, height), min(side, width)
        patches = inner.reshape(height // tall, tall, width // wide, wide).swapaxes(1, 2).reshape(-1, tall, wide)
        shuffled = patches[stream(layout, seed).permutation(len(patches))]
        inner[:] = shuffled.reshape(height // tall, width // wide, tall, wide).swapaxes(1, 2).reshape(height, width)
    return canvas.ravel()


def rearranged(images: npt.NDArray[np.uint8], order: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """(N, C, H, W) with the pixels of every channel in the given order of positions, (H·W,)."""
    return np.take(images.reshape(*images.shape[:2], -1), order, axis=2).reshape(images.shape)

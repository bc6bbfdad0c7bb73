"""The order of the pixels in an image: the original one, or with patches shuffled alike in every image."""

from typing import Any

import numpy as np
import numpy.typing as npt

from stages.shared.architectures.geometry import patch_side
from stages.shared.random_streams import stream


def permutation(layout: str, height: int, width: int, margin: tuple[int, int], seed: int) -> npt.NDArray[np.int64]:
    """The order of a canvas's pixels in this layout, (H·W,): pixel i is taken from position permutation[i].

    Pixels are counted row by row. height, width: of the image without its margin. margin: rows above and below,
    columns left and right; the margin stays in place. A patch moves as a whole: the order inside it does not change.
    """
    rows, columns = height + 2 * margin[0], width + 2 * margin[1]
    canvas = np.arange(rows * columns).reshape(rows, columns)
    side = patch_side(layout)
    if side is not None:
        image = canvas[margin[0] : margin[0] + height, margin[1] : margin[1] + width]
        patch_height, patch_width = min(side, height), min(side, width)
        grid = (height // patch_height, width // patch_width)
        by_patch = image.reshape(grid[0], patch_height, grid[1], patch_width).swapaxes(1, 2)
        patches = by_patch.reshape(-1, patch_height, patch_width)
        shuffled = patches[stream(layout, seed).permutation(len(patches))]
        image[:] = shuffled.reshape(*grid, patch_height, patch_width).swapaxes(1, 2).reshape(height, width)
    return canvas.ravel()


def rearranged(images: npt.NDArray[Any], order: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Images (N, C, H, W) with the pixels of every channel in `order`, (H·W,), as `permutation` returns it."""
    return np.take(images.reshape(*images.shape[:2], -1), order, axis=2).reshape(images.shape)

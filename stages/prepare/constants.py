"""Mean and standard deviation of each channel of the train images."""

import numpy as np

from stages.shared.stage_command import StageError

WHITE = 255
BLOCK = 4096  # images counted at once


def mean_and_std(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Of pixels / 255, over all images and positions. images: uint8 (N, C, H, W).

    Computed from exact counts of each value, so that it does not depend on the order of summation.
    Raises StageError for a channel in which all pixels are equal: it cannot be normalised.
    """
    means, stds = [], []
    for channel in range(images.shape[1]):
        counts = sum(
            np.bincount(images[i : i + BLOCK, channel].ravel(), minlength=WHITE + 1)
            for i in range(0, len(images), BLOCK)
        )
        n, total, squares = (int(np.sum(counts * np.arange(WHITE + 1) ** power)) for power in (0, 1, 2))
        if n * squares == total**2:
            which = f"channel {channel + 1} of {images.shape[1]}"
            raise StageError(
                f"{which} has the same value in every pixel of the train images, so it cannot be normalised; leave it out"
            )
        means.append(total / (n * WHITE))
        stds.append((n * squares - total**2) ** 0.5 / (n * WHITE))
    return means, stds

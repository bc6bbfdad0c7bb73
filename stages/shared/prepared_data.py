"""The constants of the prepared data, and what follows from them for the sample that a run is given."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.shared import paths
from stages.shared.architectures.geometry import patch_side, scatter_reach
from stages.shared.params import Sample
from stages.shared.pixel_order import permutation
from stages.shared.random_streams import stream


def load_constants(prepared: Path) -> dict[str, Any]:
    """The constants that prepare wrote.

    They are class_counts (of train, test and, where the dataset has such a set, val), shape (C, H, W), margin,
    pixel_range (the values of black and white), layout_seed, classes and title.
    """
    constants: dict[str, Any] = paths.read_json(prepared / "constants.json")
    return constants


def shape_of(sample: Sample, constants: dict[str, Any]) -> tuple[int, int, int]:
    """(channels, height, width) of an image as the sample's nets see it."""
    channels, height, width = constants["shape"]
    down, right = _reach(sample, constants)
    return channels, height + 2 * down, width + 2 * right


def scattered(
    images: npt.NDArray[Any], rows: npt.NDArray[np.int64], split: str, sample: Sample, constants: dict[str, Any]
) -> npt.NDArray[Any]:
    """Images (N, C, H, W), each at a random place of the larger canvas; as they are, where the layout moves none.

    rows: of the images in the prepared file of `split` (train, val or test), by which their places are drawn: an image
    has the same one in every run. The canvas continues the margin, which is 0.
    """
    down, right = _reach(sample, constants)
    if not down and not right:
        return images
    n, channels, height, width = images.shape
    canvas = np.zeros((n, channels, height + 2 * down, width + 2 * right), dtype=images.dtype)
    in_file = sum(constants["class_counts"][split])
    rng = stream(f"scatter {split}", constants["layout_seed"])
    places = rng.integers(0, (2 * down + 1, 2 * right + 1), (in_file, 2))[rows]  # of the upper left corner
    for image, (top, left), canvas_image in zip(images, places, canvas, strict=True):
        canvas_image[:, top : top + height, left : left + width] = image
    return canvas


def _reach(sample: Sample, constants: dict[str, Any]) -> tuple[int, int]:
    """How many pixels down and right the sample scatters its images; an axis of one pixel (a signal) stays."""
    reach = scatter_reach(sample.layout)
    _, height, width = constants["shape"]
    return (reach if height > 1 else 0), (reach if width > 1 else 0)


def permutation_of(sample: Sample, constants: dict[str, Any]) -> npt.NDArray[np.int64] | None:
    """The order of the canvas's pixels in the sample's layout, (H·W,); None where they keep their order."""
    if patch_side(sample.layout) is None:
        return None
    _, rows, columns = constants["shape"]
    vertical, horizontal = constants["margin"]
    height, width = rows - 2 * vertical, columns - 2 * horizontal
    return permutation(sample.layout, height, width, (vertical, horizontal), constants["layout_seed"])

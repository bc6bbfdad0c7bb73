"""The constants of the prepared data, and what follows from them for the sample that a run is given."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.shared import paths
from stages.shared.params import Sample
from stages.shared.pixel_order import permutation


def load_constants(prepared: Path) -> dict[str, Any]:
    """The constants that prepare wrote.

    They are mean, std, class_counts, shape (C, H, W), margin, layout_seed, classes and title.
    """
    constants: dict[str, Any] = paths.read_json(prepared / "constants.json")
    return constants


def scale_of(sample: Sample, constants: dict[str, Any]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, in units of pixels / 255, by which the net standardises its input.

    They are 0 and 1 where the sample keeps its pixels in [0, 1].
    """
    if sample.pixels == "standardised":
        return constants["mean"], constants["std"]
    channels = constants["shape"][0]
    return [0.0] * channels, [1.0] * channels


def permutation_of(sample: Sample, constants: dict[str, Any]) -> npt.NDArray[np.int64] | None:
    """The order of the canvas's pixels in the sample's layout, (H·W,); None for the original layout."""
    if sample.layout == "original":
        return None
    _, rows, columns = constants["shape"]
    vertical, horizontal = constants["margin"]
    height, width = rows - 2 * vertical, columns - 2 * horizontal
    return permutation(sample.layout, height, width, (vertical, horizontal), constants["layout_seed"])


def train_size(sample: Sample, constants: dict[str, Any]) -> int:
    """Number of train images that the sample uses. It is not checked here whether there are so many."""
    return sum(constants["class_counts"]["train"]) if sample.train_size == "protocol" else sample.train_size

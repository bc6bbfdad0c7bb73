"""data/prepared/ as the stages that read it need it: its constants, and what a sample makes of them."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.shared import paths
from stages.shared.params import Sample
from stages.shared.pixel_order import permutation


def load_constants(prepared: Path) -> dict[str, Any]:
    """mean, std, class_counts, shape (C, H, W), margin, layout_seed and classes, as prepare wrote them."""
    constants: dict[str, Any] = paths.read_json(prepared / "constants.json")
    return constants


def scale_of(sample: Sample, constants: dict[str, Any]) -> tuple[list[float], list[float]]:
    """mean and std that the net takes from each channel of pixels / 255; (0, 1) where the pixels stay in [0, 1]."""
    channels = constants["shape"][0]
    return (
        (constants["mean"], constants["std"])
        if sample.pixels == "standardised"
        else ([0.0] * channels, [1.0] * channels)
    )


def permutation_of(sample: Sample, constants: dict[str, Any]) -> npt.NDArray[np.int64] | None:
    """(H·W,): the order of the canvas's pixels in the sample's layout; None where they stay where they are."""
    if sample.layout == "original":
        return None
    _, rows, columns = constants["shape"]
    above, beside = constants["margin"]
    return permutation(sample.layout, rows - 2 * above, columns - 2 * beside, (above, beside), constants["layout_seed"])


def train_size(sample: Sample, constants: dict[str, Any]) -> int:
    """How many of the prepared train images the sample asks for; more than there are is for the reader to refuse."""
    return sum(constants["class_counts"]["train"]) if sample.train_size == "protocol" else sample.train_size

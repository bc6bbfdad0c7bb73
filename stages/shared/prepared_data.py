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

    They are class_counts (of train and test), shape (C, H, W), margin, layout_seed, classes and title.
    """
    constants: dict[str, Any] = paths.read_json(prepared / "constants.json")
    return constants


def permutation_of(sample: Sample, constants: dict[str, Any]) -> npt.NDArray[np.int64] | None:
    """The order of the canvas's pixels in the sample's layout, (H·W,); None for the original layout."""
    if sample.layout == "original":
        return None
    _, rows, columns = constants["shape"]
    vertical, horizontal = constants["margin"]
    height, width = rows - 2 * vertical, columns - 2 * horizontal
    return permutation(sample.layout, height, width, (vertical, horizontal), constants["layout_seed"])

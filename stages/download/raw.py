"""What every dataset becomes, and the folder it is written as."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from stages.shared import paths

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Raw:
    """A dataset as its publisher split it.

    arrays: train_images uint8 (N, H, W, C) and train_labels int64 (N,); where there is a test set, test_images, test_labels.
    sha256: digest of each file that it was read from, as unpacked, so that it does not depend on the source.
    """

    title: str
    classes: list[str]
    arrays: Arrays
    sha256: dict[str, str]


def write_raw(folder: Path, name: str, raw: Raw) -> None:
    """Write images.safetensors and dataset.json. name: the dataset's key in params.yaml."""
    save_file({key: np.ascontiguousarray(array) for key, array in raw.arrays.items()}, folder / "images.safetensors")
    _, height, width, channels = raw.arrays["train_images"].shape
    description = {
        "name": name,
        "title": raw.title,
        "classes": raw.classes,
        "height": height,
        "width": width,
        "channels": channels,
        "sha256": raw.sha256,
    }
    paths.write_json(folder / "dataset.json", description)

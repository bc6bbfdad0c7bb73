"""The form that every dataset is brought into, and the folder data/raw/ that it is written to."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from stages.shared import paths

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class RawDataset:
    """A dataset with its publisher's split into train and test.

    arrays: train_images uint8 (N, H, W, C), train_labels int64 (N,); with a test set, test_images and test_labels too.
    sha256: the digest of each source file, unpacked, so that the digests do not depend on the source.
    """

    title: str
    classes: list[str]
    arrays: Arrays
    sha256: dict[str, str]


def write_raw(folder: Path, name: str, dataset: RawDataset) -> None:
    """Write images.safetensors and dataset.json. name: the dataset's key in params.yaml."""
    arrays = {key: np.ascontiguousarray(array) for key, array in dataset.arrays.items()}
    save_file(arrays, folder / "images.safetensors")
    _, height, width, channels = dataset.arrays["train_images"].shape
    description = {
        "name": name,
        "title": dataset.title,
        "classes": dataset.classes,
        "height": height,
        "width": width,
        "channels": channels,
        "sha256": dataset.sha256,
    }
    paths.write_json(folder / "dataset.json", description)

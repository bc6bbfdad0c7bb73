"""The form that every dataset is brought into, and the folder data/raw/ that it is written to."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from stages.shared import paths

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class RawDataset:
    """A dataset with its publisher's split into train, val and test, as far as it has one.

    arrays: train_images uint8 or float32 (N, H, W, C), train_labels int64 (N,); with a test set, test_images and
    test_labels too, and with a val set, val_images and val_labels.
    sha256: the digest of each source file, unpacked, so that the digests do not depend on the source.
    pixel_range: the values that are drawn black and white.
    """

    title: str
    classes: list[str]
    arrays: Arrays
    sha256: dict[str, str]
    pixel_range: tuple[float, float] = (0, 255)


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
        "pixel_range": list(dataset.pixel_range),
        "sha256": dataset.sha256,
    }
    paths.write_json(folder / "dataset.json", description)

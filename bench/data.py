"""Fashion-MNIST as each contestant's user has it: arrays, or the files that torchvision reads."""

import struct
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from stages.shared import paths
from stages.shared.stage_command import StageError, need

TRAIN = 50_000  # images that the lab trains on; the rest of the published train images are its validation images
BATCH, LR = 128, 1e-3  # of Adam: the lab's
OUT = paths.DATA / "bench"
IDX_TYPE = 8  # uint8, in the idx format
IDX_NAMES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}


def arrays() -> dict[str, np.ndarray]:
    """train_images and test_images, uint8 (N, 28, 28), train_labels and test_labels, int64 (N,).

    Raises StageError if data/raw holds another dataset.
    """
    need(paths.RAW / "dataset.json", "download")
    name = paths.read_json(paths.RAW / "dataset.json")["name"]
    if name != "fashion_mnist":
        raise StageError(
            f"data/raw holds {name!r}; the bench trains on fashion_mnist: set data.dataset in params.yaml, "
            "and `dvc repro download`"
        )
    return {
        key: array[..., 0] if array.ndim == 4 else array
        for key, array in load_file(paths.RAW / "images.safetensors").items()
    }


def torchvision_root() -> Path:
    """The folder to give torchvision.datasets.FashionMNIST; its files are written when they are not there."""
    folder = OUT / "FashionMNIST" / "raw"
    if not all((folder / name).exists() for name in IDX_NAMES.values()):
        folder.mkdir(parents=True, exist_ok=True)
        for key, array in arrays().items():
            with paths.whole_file(folder / IDX_NAMES[key]) as partial:
                partial.write_bytes(
                    struct.pack(f">HBB{array.ndim}I", 0, IDX_TYPE, array.ndim, *array.shape)
                    + array.astype(np.uint8).tobytes()
                )
    return OUT

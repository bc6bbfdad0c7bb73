"""The IDX format of the MNIST family. Source: http://yann.lecun.com/exdb/mnist/."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from stages.download.raw import Arrays
from stages.download.verify import open_plain
from stages.shared import stage_command

UBYTE = 8  # the format's code for unsigned bytes
FILES = {
    "train_images": ("train-images-idx3-ubyte.gz", 3),
    "train_labels": ("train-labels-idx1-ubyte.gz", 1),
    "test_images": ("t10k-images-idx3-ubyte.gz", 3),
    "test_labels": ("t10k-labels-idx1-ubyte.gz", 1),
}


def reader(classes: list[str]) -> Callable[[Mapping[str, Path]], tuple[Arrays, list[str]]]:
    """A function from {published name: file} to the four arrays and the names of the classes."""

    def read(files: Mapping[str, Path]) -> tuple[Arrays, list[str]]:
        arrays = {key: read_idx(files[name], dimensions) for key, (name, dimensions) in FILES.items()}
        for key, array in arrays.items():
            arrays[key] = array[..., np.newaxis] if key.endswith("images") else array.astype(np.int64)
        return arrays, classes

    return read


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The unsigned bytes of an IDX file, packed by gzip or not, shaped as its header says.

    Raises StageError if the magic number, the number of dimensions or the length is not what it should be.
    """
    with open_plain(path) as stream:
        content = stream.read()
    expected = bytes([0, 0, UBYTE, dimensions])
    if content[:4] != expected:
        raise stage_command.StageError(
            f"{path.name} is no IDX file of {dimensions} dimensions: it starts with {content[:4].hex()}, not {expected.hex()}"
        )
    body = 4 + 4 * dimensions
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, body, 4))
    size = int(np.prod(shape, dtype=object))
    found = len(content) - body
    if found != size:
        raise stage_command.StageError(
            f"{path.name} should have {size} bytes after its header, for shape {shape}; it has {found}"
        )
    return np.frombuffer(content, np.uint8, offset=body).reshape(shape)

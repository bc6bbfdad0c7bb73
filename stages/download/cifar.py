"""The binary version of CIFAR: records of label bytes and 3 × 32 × 32 pixels. Source: https://www.cs.toronto.edu/~kriz/cifar.html."""

import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.download.raw import Arrays
from stages.shared import stage_command

SHAPE = (3, 32, 32)


@dataclass(frozen=True)
class Layout:
    """Where things are in the archive. label_bytes: of each record; the last of them is the class."""

    archive: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    names: str
    label_bytes: int


CIFAR10 = Layout(
    archive="cifar-10-binary.tar.gz",
    train=tuple(f"cifar-10-batches-bin/data_batch_{number}.bin" for number in range(1, 6)),
    test=("cifar-10-batches-bin/test_batch.bin",),
    names="cifar-10-batches-bin/batches.meta.txt",
    label_bytes=1,
)
CIFAR100 = Layout(
    archive="cifar-100-binary.tar.gz",
    train=("cifar-100-binary/train.bin",),
    test=("cifar-100-binary/test.bin",),
    names="cifar-100-binary/fine_label_names.txt",
    label_bytes=2,
)


def reader(layout: Layout) -> Callable[[Mapping[str, Path]], tuple[Arrays, list[str]]]:
    """A function from {published name: file} to the four arrays and the names of the classes."""

    def read(files: Mapping[str, Path]) -> tuple[Arrays, list[str]]:
        arrays: Arrays = {}
        # Members are read by name and never unpacked to disk, so no path in the archive is followed.
        with tarfile.open(files[layout.archive]) as archive:
            for split, members in (("train", layout.train), ("test", layout.test)):
                parts = [records(_content(archive, member), layout.label_bytes) for member in members]
                arrays[f"{split}_images"] = np.concatenate([images for images, _ in parts])
                arrays[f"{split}_labels"] = np.concatenate([labels for _, labels in parts])
            classes = _content(archive, layout.names).decode().split()
        return arrays, classes

    return read


def records(content: bytes, label_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, 32, 32, 3) and labels int64 (N,). Raises StageError if a record is incomplete."""
    size = label_bytes + int(np.prod(SHAPE))
    if not content or len(content) % size:
        raise stage_command.StageError(
            f"{len(content)} bytes of a CIFAR archive are no whole number of records of {size} bytes"
        )
    rows = np.frombuffer(content, np.uint8).reshape(-1, size)
    images = rows[:, label_bytes:].reshape(-1, *SHAPE).transpose(0, 2, 3, 1)
    return images, rows[:, label_bytes - 1].astype(np.int64)


def _content(archive: tarfile.TarFile, member: str) -> bytes:
    try:
        stream = archive.extractfile(member)
    except KeyError:
        stream = None
    if stream is None:
        raise stage_command.StageError(f"{member} is not in the CIFAR archive")
    with stream:
        return stream.read()

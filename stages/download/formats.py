"""Readers of the formats of published datasets: IDX (the MNIST family), the binary version of CIFAR, SVHN's .mat.

torchvision's readers do not serve: they read CIFAR from pickles, which can run code, and the others only in a folder
tree of their own, without a message that names a damaged file.
"""

import gzip
import string
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.download.published import open_unpacked
from stages.download.raw import Arrays
from stages.shared.stage_command import StageError

IDX_UNSIGNED_BYTE = 8  # the format's code for this type of value
IDX_FILES = {
    "train_images": ("train-images-idx3-ubyte.gz", 3),
    "train_labels": ("train-labels-idx1-ubyte.gz", 1),
    "test_images": ("t10k-images-idx3-ubyte.gz", 3),
    "test_labels": ("t10k-labels-idx1-ubyte.gz", 1),
}
CIFAR_SHAPE = (3, 32, 32)
EMNIST = "gzip.zip"
EMNIST_LETTERS = "gzip/emnist-letters-{split}-{kind}.gz"
SVHN_FILES = {"train": "train_32x32.mat", "test": "test_32x32.mat"}
SVHN_ZERO = 10  # its label of the digit 0


def read_idx_files(files: Mapping[str, Path], classes: list[str]) -> tuple[Arrays, list[str]]:
    """The four arrays of a dataset of the MNIST family. files: {published name: path}."""
    arrays = {key: read_idx(files[name], dimensions) for key, (name, dimensions) in IDX_FILES.items()}
    for key, array in arrays.items():
        arrays[key] = array[..., np.newaxis] if key.endswith("images") else array.astype(np.int64)
    return arrays, classes


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The unsigned bytes of an IDX file, packed by gzip or not, in the shape that its header gives.

    Raises StageError if the type, the number of dimensions or the length is wrong.
    Source: http://yann.lecun.com/exdb/mnist/.
    """
    with open_unpacked(path) as stream:
        return parse_idx(stream.read(), path.name, dimensions)


def parse_idx(content: bytes, name: str, dimensions: int) -> np.ndarray:
    """The same for the content of a file. name: for the messages."""
    expected = bytes([0, 0, IDX_UNSIGNED_BYTE, dimensions])
    if content[:4] != expected:
        raise StageError(
            f"{name} is no IDX file of {dimensions} dimensions: "
            f"it starts with {content[:4].hex()}, not {expected.hex()}"
        )
    header_bytes = 4 + 4 * dimensions
    shape = tuple(int.from_bytes(content[start : start + 4], "big") for start in range(4, header_bytes, 4))
    expected_bytes = int(np.prod(shape, dtype=object))
    body_bytes = len(content) - header_bytes
    if body_bytes != expected_bytes:
        raise StageError(
            f"{name} should have {expected_bytes} bytes after its header, for shape {shape}; it has {body_bytes}"
        )
    return np.frombuffer(content, np.uint8, offset=header_bytes).reshape(shape)


def read_emnist_letters(files: Mapping[str, Path]) -> tuple[Arrays, list[str]]:
    """The four arrays of EMNIST's letters, upper and lower case alike, and the 26 classes.

    The files hold each image with rows and columns exchanged, and count the classes from 1.
    Source: Cohen et al. 2017, arXiv:1702.05373.
    """
    arrays: Arrays = {}
    try:
        with zipfile.ZipFile(files[EMNIST]) as archive:
            for split in ("train", "test"):
                images, labels = (
                    _idx_member(archive, EMNIST_LETTERS.format(split=split, kind=kind), dimensions)
                    for kind, dimensions in (("images-idx3-ubyte", 3), ("labels-idx1-ubyte", 1))
                )
                arrays[f"{split}_images"] = images.transpose(0, 2, 1)[..., np.newaxis]
                arrays[f"{split}_labels"] = labels.astype(np.int64) - 1
    except (KeyError, zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise StageError(f"{EMNIST} is not EMNIST's archive: {error}") from None
    return arrays, list(string.ascii_lowercase)


def _idx_member(archive: zipfile.ZipFile, member: str, dimensions: int) -> np.ndarray:
    return parse_idx(gzip.decompress(archive.read(member)), member, dimensions)


def read_svhn(files: Mapping[str, Path]) -> tuple[Arrays, list[str]]:
    """The four arrays of SVHN's cropped digits, and the 10 classes.

    Source: Netzer et al. 2011, http://ufldl.stanford.edu/housenumbers/.
    """
    from scipy.io import loadmat  # half a second to import, which the other datasets need not wait for

    arrays: Arrays = {}
    for split, name in SVHN_FILES.items():
        try:
            content = loadmat(files[name], variable_names=("X", "y"))
            images, labels = content["X"], content["y"].ravel().astype(np.int64)
        except (KeyError, ValueError, TypeError, NotImplementedError, EOFError, zlib.error) as error:
            raise StageError(f"{name} is not SVHN's file: {error}") from None
        if images.dtype != np.uint8 or images.shape != (32, 32, 3, len(labels)):
            raise StageError(f"{name} should hold X, uint8 of shape (32, 32, 3, {len(labels)}); it is {images.shape}")
        arrays[f"{split}_images"] = images.transpose(3, 0, 1, 2)
        arrays[f"{split}_labels"] = np.where(labels == SVHN_ZERO, 0, labels)
    return arrays, list(string.digits)


@dataclass(frozen=True)
class CifarArchive:
    """Where things are in an archive. label_bytes: of each record; the last of them is the class."""

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    class_names: str
    label_bytes: int


CIFAR10 = CifarArchive(
    name="cifar-10-binary.tar.gz",
    train=tuple(f"cifar-10-batches-bin/data_batch_{number}.bin" for number in range(1, 6)),
    test=("cifar-10-batches-bin/test_batch.bin",),
    class_names="cifar-10-batches-bin/batches.meta.txt",
    label_bytes=1,
)
CIFAR100 = CifarArchive(
    name="cifar-100-binary.tar.gz",
    train=("cifar-100-binary/train.bin",),
    test=("cifar-100-binary/test.bin",),
    class_names="cifar-100-binary/fine_label_names.txt",
    label_bytes=2,
)


def read_cifar(files: Mapping[str, Path], archive: CifarArchive) -> tuple[Arrays, list[str]]:
    """The four arrays, and the names of the classes. files: {published name: path}.

    Source: https://www.cs.toronto.edu/~kriz/cifar.html.
    """
    arrays: Arrays = {}
    # Members are read by name and never unpacked to disk, so that no path in the archive is followed.
    with tarfile.open(files[archive.name]) as tar:
        for split, members in (("train", archive.train), ("test", archive.test)):
            parts = [cifar_records(_read_member(tar, member), archive.label_bytes) for member in members]
            arrays[f"{split}_images"] = np.concatenate([images for images, _ in parts])
            arrays[f"{split}_labels"] = np.concatenate([labels for _, labels in parts])
        classes = _read_member(tar, archive.class_names).decode().split()
    return arrays, classes


def cifar_records(content: bytes, label_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, 32, 32, 3) and labels int64 (N,). Raises StageError if a record is incomplete."""
    record_bytes = label_bytes + int(np.prod(CIFAR_SHAPE))
    if not content or len(content) % record_bytes:
        raise StageError(
            f"{len(content)} bytes of a CIFAR archive are no whole number of records of {record_bytes} bytes"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, record_bytes)
    images = records[:, label_bytes:].reshape(-1, *CIFAR_SHAPE).transpose(0, 2, 3, 1)
    return images, records[:, label_bytes - 1].astype(np.int64)


def _read_member(tar: tarfile.TarFile, member: str) -> bytes:
    try:
        stream = tar.extractfile(member)
    except KeyError:
        stream = None
    if stream is None:
        raise StageError(f"{member} is not in the CIFAR archive")
    with stream:
        return stream.read()

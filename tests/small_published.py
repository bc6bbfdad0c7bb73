"""A published dataset, and archives, that are small enough for tests of the download."""

import gzip
import hashlib
import io
import tarfile
from functools import partial

import numpy as np

from stages.download.formats import read_idx_files
from stages.download.published import PublishedDataset, PublishedFile

TRAIN_IMAGES = np.random.default_rng(0).integers(0, 256, (40, 20, 30), dtype=np.uint8)
TRAIN_LABELS = np.arange(40, dtype=np.uint8) % 4


def as_idx(array):
    """The bytes of an IDX file."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


CONTENT = {
    "train-images-idx3-ubyte": as_idx(TRAIN_IMAGES),
    "train-labels-idx1-ubyte": as_idx(TRAIN_LABELS),
    "t10k-images-idx3-ubyte": as_idx(TRAIN_IMAGES[:8]),
    "t10k-labels-idx1-ubyte": as_idx(TRAIN_LABELS[:8]),
}
PACKED = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in CONTENT.items()}
FILES = tuple(
    PublishedFile(f"{name}.gz", "sha256", hashlib.sha256(content).hexdigest(), "content")
    for name, content in CONTENT.items()
)
IMAGES = FILES[0]
DATASET = PublishedDataset(
    "Small", "FashionMNIST", "dataset-small", FILES, partial(read_idx_files, classes=["a", "b", "c", "d"])
)


def names_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def put(folder, files):
    """Write {name: bytes} into the folder, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def tar(members, mode="w:xz"):
    """The bytes of a tar archive. members: {name: bytes of a file, or the target of a symbolic link}."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()

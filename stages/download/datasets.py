"""Every dataset under its key in params.yaml: how it is loaded, and for the published ones their files and digests."""

import hashlib
import importlib.metadata
from functools import partial
from importlib import resources
from typing import Literal

import numpy as np

from stages.download import npz
from stages.download.formats import (
    CIFAR10,
    CIFAR100,
    EMNIST,
    SVHN_FILES,
    read_cifar,
    read_emnist_letters,
    read_idx_files,
    read_svhn,
)
from stages.download.published import PublishedDataset, PublishedFile, digest
from stages.download.raw import RawDataset
from stages.download.sources import obtain, sources
from stages.shared import paths
from stages.shared.params import Data
from stages.shared.stage_command import StageError

DIGITS_WHITE = 16  # scikit-learn's pixels go from 0 to this
FASHION_CLASSES = [
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"
]  # fmt: skip
IDX_NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def load(data: Data) -> tuple[RawDataset, str]:
    """The dataset, and the name of its source. Raises StageError that says what the user can do."""
    if data.dataset == "digits":
        return load_digits()
    if data.dataset == "npz":
        return npz.load(paths.USER / str(data.file), data.scale)
    if data.dataset == "folder":
        from stages.download import folder  # Pillow takes a tenth of a second to import

        return folder.load(paths.USER / str(data.folder), data)
    return _load_published(data.dataset)


def load_digits() -> tuple[RawDataset, str]:
    """scikit-learn's 1,797 digits of 8 × 8 pixels, scaled from 0…16 to 0…255, and the name of their source.

    There is no test set.
    """
    from sklearn import datasets  # a second to import, which the other datasets need not wait for

    digits = datasets.load_digits()
    images = np.rint(digits.images * (255 / DIGITS_WHITE)).astype(np.uint8)[..., np.newaxis]
    packed = resources.files("sklearn.datasets.data").joinpath("digits.csv.gz").read_bytes()
    arrays = {"train_images": images, "train_labels": digits.target.astype(np.int64)}
    sha256 = {"digits.csv.gz": hashlib.sha256(packed).hexdigest()}
    source = f"scikit-learn {importlib.metadata.version('scikit-learn')}"
    return RawDataset("Digits", list("0123456789"), arrays, sha256), source


def _load_published(key: str) -> tuple[RawDataset, str]:
    dataset = PUBLISHED[key]
    try:
        files, source = obtain(dataset.title, dataset.files, paths.DOWNLOADS / key, sources(dataset))
    except OSError as error:
        raise StageError(f"download: {error.filename or paths.DOWNLOADS}: {error.strerror or error}") from None
    print(f"download: reading {dataset.title}", flush=True)
    arrays, classes = dataset.read(files)
    # Of the unpacked content: sources pack the same content differently.
    sha256 = {name.removesuffix(".gz"): digest(path, "sha256", unpack=True) for name, path in files.items()}
    return RawDataset(dataset.title, classes, arrays, sha256), source


def _idx_files(
    digests: tuple[str, ...], algorithm: Literal["sha256", "md5"], digest_of: Literal["packed", "content"]
) -> tuple[PublishedFile, ...]:
    return tuple(
        PublishedFile(f"{name}.gz", algorithm, digest, digest_of)
        for name, digest in zip(IDX_NAMES, digests, strict=True)
    )


PUBLISHED = {
    "fashion_mnist": PublishedDataset(
        title="Fashion-MNIST",
        torchvision="FashionMNIST",
        debian="dataset-fashion-mnist",
        files=_idx_files(
            (
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
            "sha256",
            "content",
        ),
        read=partial(read_idx_files, classes=FASHION_CLASSES),
    ),
    "mnist": PublishedDataset(
        title="MNIST",
        torchvision="MNIST",
        debian=None,
        files=_idx_files(
            (
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "d53e105ee54ea40749a09fcbcd1e9432",
                "9fb629c4189551a2d022fa330f9573f3",
                "ec29112dd5afa0611ce80d1b7f02629c",
            ),
            "md5",
            "packed",
        ),
        read=partial(read_idx_files, classes=list("0123456789")),
    ),
    "kmnist": PublishedDataset(
        title="KMNIST",
        torchvision="KMNIST",
        debian=None,
        files=_idx_files(
            (
                "bdb82020997e1d708af4cf47b453dcf7",
                "e144d726b3acfaa3e44228e80efcd344",
                "5c965bf0a639b31b8f53240b1b52f4d7",
                "7320c461ea6c1c855c0b718fb2a4b134",
            ),
            "md5",
            "packed",
        ),
        read=partial(read_idx_files, classes=["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]),
    ),
    "emnist_letters": PublishedDataset(
        title="EMNIST letters",
        torchvision="EMNIST",
        debian=None,
        files=(PublishedFile(EMNIST, "md5", "58c8d27c78d21e728a6bc7b3cc06412e", "packed"),),
        read=read_emnist_letters,
    ),
    "svhn": PublishedDataset(
        title="SVHN",
        torchvision="SVHN",
        debian=None,
        files=(
            PublishedFile(SVHN_FILES["train"], "md5", "e26dedcc434d2e4c54c9b2d4a06d8373", "packed"),
            PublishedFile(SVHN_FILES["test"], "md5", "eb5a983be6a315427106f1b164d9cef3", "packed"),
        ),
        read=read_svhn,
    ),
    # The binary archives: those that torchvision loads hold pickles, which can run code when they are read.
    "cifar10": PublishedDataset(
        title="CIFAR-10",
        torchvision="CIFAR10",
        debian=None,
        files=(PublishedFile(CIFAR10.name, "md5", "c32a1d4ab5d03f1284b67883e8d87530", "packed"),),
        read=partial(read_cifar, archive=CIFAR10),
    ),
    "cifar100": PublishedDataset(
        title="CIFAR-100",
        torchvision="CIFAR100",
        debian=None,
        files=(PublishedFile(CIFAR100.name, "md5", "03b5dce01913d631647c71ecec9e9cb8", "packed"),),
        read=partial(read_cifar, archive=CIFAR100),
    ),
}

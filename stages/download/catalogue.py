"""The published datasets: their files with digests, their classes, and who has them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stages.download import cifar, idx
from stages.download.raw import Arrays
from stages.download.verify import PublishedFile

Files = tuple[PublishedFile, ...]


@dataclass(frozen=True)
class Dataset:
    """torchvision: the name of its class there, which lists the mirrors. debian: the package that has it, if any."""

    title: str
    torchvision: str
    debian: str | None
    files: Files
    read: Callable[[Mapping[str, Path]], tuple[Arrays, list[str]]]


def _idx_files(digests: dict[str, str], algorithm: Literal["sha256", "md5"], of: Literal["packed", "content"]) -> Files:
    return tuple(PublishedFile(f"{name}.gz", algorithm, digest, of) for name, digest in digests.items())


CATALOGUE = {
    "fashion_mnist": Dataset(
        title="Fashion-MNIST",
        torchvision="FashionMNIST",
        debian="dataset-fashion-mnist",
        files=_idx_files(
            {
                "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            },
            "sha256",
            "content",
        ),
        read=idx.reader(
            ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
        ),
    ),
    "mnist": Dataset(
        title="MNIST",
        torchvision="MNIST",
        debian=None,
        files=_idx_files(
            {
                "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
                "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
                "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
            },
            "md5",
            "packed",
        ),
        read=idx.reader(list("0123456789")),
    ),
    "kmnist": Dataset(
        title="KMNIST",
        torchvision="KMNIST",
        debian=None,
        files=_idx_files(
            {
                "train-images-idx3-ubyte": "bdb82020997e1d708af4cf47b453dcf7",
                "train-labels-idx1-ubyte": "e144d726b3acfaa3e44228e80efcd344",
                "t10k-images-idx3-ubyte": "5c965bf0a639b31b8f53240b1b52f4d7",
                "t10k-labels-idx1-ubyte": "7320c461ea6c1c855c0b718fb2a4b134",
            },
            "md5",
            "packed",
        ),
        read=idx.reader(["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]),
    ),
    # The binary archives: the ones that torchvision loads hold pickles, which can run code when they are read.
    "cifar10": Dataset(
        title="CIFAR-10",
        torchvision="CIFAR10",
        debian=None,
        files=(PublishedFile("cifar-10-binary.tar.gz", "md5", "c32a1d4ab5d03f1284b67883e8d87530", "packed"),),
        read=cifar.reader(cifar.CIFAR10),
    ),
    "cifar100": Dataset(
        title="CIFAR-100",
        torchvision="CIFAR100",
        debian=None,
        files=(PublishedFile("cifar-100-binary.tar.gz", "md5", "03b5dce01913d631647c71ecec9e9cb8", "packed"),),
        read=cifar.reader(cifar.CIFAR100),
    ),
}

"""The images that the statistics are computed on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open

from stages.shared import paths
from stages.shared.pixel_order import permutation, rearranged

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Dataset:
    """Pixels are uint8 (N, C, H, W), without the margin."""

    title: str
    classes: list[str]
    margin: tuple[int, int]  # pixels above and below, left and right
    split_labels: dict[str, np.ndarray]
    train: np.ndarray
    labels: np.ndarray
    permuted: np.ndarray  # the same images as `train`
    test: np.ndarray
    test_labels: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.train.shape[2], self.train.shape[3]


def load(prepared: Path, images: int) -> Dataset:
    """The first `images` train images (a stratified part), or all if there are fewer, and the whole test set."""
    constants = paths.read_json(prepared / "constants.json")
    margin = tuple(constants["margin"])
    train = _read(prepared / "train.safetensors", images)
    test = _read(prepared / "test.safetensors")
    height, width = (size - 2 * edge for size, edge in zip(constants["shape"][1:], margin, strict=True))
    order = permutation("permuted", height, width, margin, constants["layout_seed"])
    return Dataset(
        title=constants["title"],
        classes=constants["classes"],
        margin=margin,
        split_labels={split: _labels(prepared / f"{split}.safetensors") for split in SPLITS},
        train=without_margin(train["images"], margin),
        labels=train["labels"],
        permuted=without_margin(rearranged(train["images"], order), margin),
        test=without_margin(test["images"], margin),
        test_labels=test["labels"],
    )


def without_margin(images: np.ndarray, margin: tuple[int, int]) -> np.ndarray:
    """(N, C, H + 2·margin[0], W + 2·margin[1]) → (N, C, H, W)."""
    top, left = margin
    height, width = images.shape[2:]
    return np.ascontiguousarray(images[:, :, top : height - top, left : width - left])


def _labels(file: Path) -> np.ndarray:
    with safe_open(file, "numpy") as opened:
        return opened.get_tensor("labels")


def _read(file: Path, first: int | None = None) -> dict[str, np.ndarray]:
    with safe_open(file, "numpy") as opened:
        slices = {name: opened.get_slice(name) for name in ("images", "labels")}
        n = slices["labels"].get_shape()[0]
        return {name: tensor[: min(n, first or n)] for name, tensor in slices.items()}

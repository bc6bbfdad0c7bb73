"""The images that the statistics are computed on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open

from stages.eda.drawing import MOST_CLASSES_DRAWN
from stages.eda.outputs import Finding
from stages.shared import paths
from stages.shared.drawing import numbers
from stages.shared.drawing.tables import escape
from stages.shared.pixel_order import permutation, rearranged

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Dataset:
    """Images are uint8 (N, C, H, W), without the margin. permuted: the images of `train` with their pixels permuted.

    margin: pixels above and below, and pixels left and right.
    """

    title: str
    classes: list[str]
    margin: tuple[int, int]
    split_labels: dict[str, np.ndarray]
    train: np.ndarray
    train_labels: np.ndarray
    permuted: np.ndarray
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
        split_labels={split: _read_labels(prepared / f"{split}.safetensors") for split in SPLITS},
        train=_without_margin(train["images"], margin),
        train_labels=train["labels"],
        permuted=_without_margin(rearranged(train["images"], order), margin),
        test=_without_margin(test["images"], margin),
        test_labels=test["labels"],
    )


def finding(data: Dataset) -> Finding:
    """Which images the statistics are of, and which classes are shown."""
    n, total, margin = len(data.train), len(data.split_labels["train"]), max(data.margin)
    which = f"all {n:,}" if n == total else f"{n:,} of the {total:,}"
    around = f"without the margin of {numbers.plural(margin, 'pixel')}" if margin else "which have no margin"
    facts = {
        "images": f"{n:,}",
        "test_images": f"{len(data.test):,}",
        "images_sentence": f"The statistics are of {which} train images of {escape(data.title)} "
        f"in the original layout, {around} around them.",
        "classes_shown_sentence": _classes_shown(len(data.classes)),
    }
    return Finding(facts, {"train_images": n, "test_images": len(data.test), "margin": list(data.margin)})


def _classes_shown(classes: int) -> str:
    if classes > MOST_CLASSES_DRAWN:
        return f"The first {MOST_CLASSES_DRAWN} of {classes} classes are shown."
    return f"All {classes} classes are shown." if classes > 1 else "The only class is shown."


def _without_margin(images: np.ndarray, margin: tuple[int, int]) -> np.ndarray:
    """(N, C, H + 2·margin[0], W + 2·margin[1]) → (N, C, H, W)."""
    top, left = margin
    height, width = images.shape[2:]
    return np.ascontiguousarray(images[:, :, top : height - top, left : width - left])


def _read_labels(file: Path) -> np.ndarray:
    with safe_open(file, "numpy") as opened:
        return opened.get_tensor("labels")


def _read(file: Path, first: int | None = None) -> dict[str, np.ndarray]:
    """Images and labels; only the first so many, if a number is given."""
    with safe_open(file, "numpy") as opened:
        slices = {name: opened.get_slice(name) for name in ("images", "labels")}
        n = slices["labels"].get_shape()[0]
        return {name: tensor[: min(n, first or n)] for name, tensor in slices.items()}

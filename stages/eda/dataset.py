"""The images that the statistics are computed on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import safe_open

from stages.eda.drawing import MOST_CLASSES_DRAWN
from stages.eda.outputs import Finding, Table
from stages.shared import paths
from stages.shared.drawing import numbers
from stages.shared.drawing.tables import cell, escape
from stages.shared.lettering import class_names
from stages.shared.pixel_order import permutation, rearranged

SPLITS = ("train", "val", "test")
MOST_BYTES = 800_000_000  # of the images of one split, of which the statistics hold some three times as much at once
SIXTEEN_BITS = 65535
MOST_NAMES = 300  # of classes, in a table


@dataclass(frozen=True)
class Dataset:
    """Images (N, C, H, W), without the margin. permuted: the images of `train` with their pixels permuted.

    They are uint8, or uint16 of pixels that are floats, so that sums of their squares are exact.
    classes: as they are shown. full_names: as the user has them. margin: pixels above and below, and left and right.
    n_test: images of the whole test set, of which `test` is a stratified part where it would take too much memory.
    """

    title: str
    classes: list[str]
    full_names: list[str]
    margin: tuple[int, int]
    split_labels: dict[str, np.ndarray]
    train: np.ndarray
    train_labels: np.ndarray
    permuted: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    n_test: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.train.shape[2], self.train.shape[3]


def load(prepared: Path, images: int) -> Dataset:
    """The first `images` train images (a stratified part), or all if there are fewer, and the test set.

    Of large images, fewer are taken, of both: MOST_BYTES at most.
    """
    constants = paths.read_json(prepared / "constants.json")
    margin = tuple(constants["margin"])
    files = {split: prepared / f"{split}.safetensors" for split in SPLITS}
    if not files["val"].exists():
        del files["val"]
    split_labels = {split: _read_labels(file) for split, file in files.items()}
    height, width = (size - 2 * edge for size, edge in zip(constants["shape"][1:], margin, strict=True))
    order = permutation("permuted", height, width, margin, constants["layout_seed"])
    train = _read(files["train"], images, constants["pixel_range"])
    permuted = _without_margin(rearranged(train, order), margin)
    train = _without_margin(train, margin)
    test = _without_margin(_read(files["test"], None, constants["pixel_range"]), margin)
    return Dataset(
        title=constants["title"],
        classes=class_names.shown(constants["classes"]),
        full_names=constants["classes"],
        margin=margin,
        split_labels=split_labels,
        train=train,
        train_labels=split_labels["train"][: len(train)],
        permuted=permuted,
        test=test,
        test_labels=split_labels["test"][: len(test)],
        n_test=len(split_labels["test"]),
    )


def names_table(data: Dataset) -> Table | None:
    """The name of each class in full; None where all are shown as they are."""
    if data.classes == data.full_names:
        return None
    full = pd.DataFrame({"class": range(len(data.classes)), "name": data.full_names, "shown": data.classes})
    first = full.head(MOST_NAMES)
    strings = {
        "Name": [cell(class_names.breakable(class_names.spelled(name))) for name in first["name"]],
        "Number": [f"{number:,}" for number in first["class"]],
        "Shown as": [cell(name) for name in first["shown"]],
    }
    note = "" if len(first) == len(full) else f" The first {len(first)} classes; the CSV has all {len(full):,}."
    return Table(pd.DataFrame(strings), "The classes by their full names, and as they are shown." + note, full)


def finding(data: Dataset) -> Finding:
    """Which images the statistics are of, and which classes are shown."""
    n, total, margin = len(data.train), len(data.split_labels["train"]), max(data.margin)
    which = f"all {n:,}" if n == total else f"{n:,} of the {total:,}"
    around = f"without the margin of {numbers.plural(margin, 'pixel')}" if margin else "which have no margin"
    further = ""
    if len(data.test) < data.n_test:
        further = f" Of the {data.n_test:,} test images they take {len(data.test):,}, since all would need much memory."
    if data.train.dtype != np.uint8:
        further += " Their pixels are rounded to 16 bits."
    if data.classes != data.full_names:
        further += " @tbl-eda-class-names lists the classes by their full names."
    facts = {
        "images": f"{n:,}",
        "test_images": f"{len(data.test):,}",
        "images_sentence": f"The statistics are of {which} train images of {escape(class_names.breakable(data.title))} "
        f"in the original layout, {around} around them.{further}",
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


def _read(file: Path, first: int | None, pixel_range: Sequence[float]) -> np.ndarray:
    """The first images, so many if a number is given, and no more than MOST_BYTES; floats as 16 bits of their range."""
    with safe_open(file, "numpy") as opened:
        images = opened.get_slice("images")
        n, *shape = images.get_shape()
        is_float = images.get_dtype() == "F32"
        most = max(1, MOST_BYTES // (math.prod(shape) * (2 if is_float else 1)))
        taken = images[: min(n, first or n, most)]
    return _in_sixteen_bits(taken, pixel_range) if is_float else taken


def _in_sixteen_bits(images: np.ndarray, pixel_range: Sequence[float]) -> np.ndarray:
    low, high = pixel_range
    rounded = np.empty(images.shape, np.uint16)
    for place, image in enumerate(images):  # one by one: all at once would take twelve times their memory
        rounded[place] = np.rint(np.clip((image - np.float64(low)) / ((high - low) or 1), 0, 1) * SIXTEEN_BITS)
    return rounded

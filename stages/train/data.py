"""The images of one run as tensors: what its seed draws of the train images, and the test set."""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from safetensors.numpy import load_file
from torch import Tensor

from stages.shared.params import Sample
from stages.shared.pixel_order import rearranged
from stages.shared.prepared_data import load_constants, permutation_of, scattered
from stages.shared.random_streams import stream
from stages.shared.splits import train_and_val_rows
from stages.shared.stage_command import StageError
from stages.train.run_spec import RunSpec

WHITE = 255
BLOCK = 4096  # images counted at once


@dataclass(frozen=True)
class Split:
    """Images on the canvas, and the class of each."""

    images: UInt8[Tensor, "image channel height width"] | Float32[Tensor, "image channel height width"]
    labels: Int64[Tensor, " image"]


def load_splits(prepared: Path, spec: RunSpec) -> dict[str, Split]:
    """The splits train, val and test of a run, with the pixels in its layout.

    The run's seed draws train and val from the prepared train images, alike for every variant; where the dataset has a
    val set of its own, every seed takes that, and draws train alone. Random labels are the published ones of the train
    split, shuffled; val and test keep theirs.
    Raises StageError if there are too few images.
    """
    sample = spec.sample
    constants = load_constants(prepared)
    order = permutation_of(sample, constants)
    names = ("train", "test") if spec.val_size else ("train", "val", "test")
    files = [prepared / f"{name}.safetensors" for name in names]
    read = dict(zip(names, _read(tuple((file, file.stat().st_mtime_ns) for file in files)), strict=True))
    images, labels = read["train"]
    val_size = spec.val_size or 0
    if spec.train_size + val_size > len(labels):
        raise StageError(
            f"{spec.train_size} images to train and {val_size} to validate are more than the {len(labels)} that "
            "there are; reduce train_size in params.yaml"
        )
    train_rows, val_rows = train_and_val_rows(labels, spec.train_size, val_size, spec.seed)
    train_labels = labels[train_rows]
    if sample.labels == "random":
        train_labels = train_labels[stream("labels", spec.drawn_seed).permutation(len(train_labels))]

    def split_of(images: np.ndarray, rows: np.ndarray, labels: np.ndarray, file: str) -> Split:
        moved = scattered(images[rows], rows, file, sample, constants)
        seen = moved if order is None else rearranged(moved, order)
        return Split(torch.from_numpy(seen), torch.from_numpy(labels))

    def whole(name: str) -> Split:
        images, labels = read[name]
        return split_of(images, np.arange(len(labels)), labels, name)

    return {
        "train": split_of(images, train_rows, train_labels, "train"),
        "val": split_of(images, val_rows, labels[val_rows], "train") if spec.val_size else whole("val"),
        "test": whole("test"),
    }


def scale_of(
    sample: Sample, images: UInt8[Tensor, "image channel height width"] | Float32[Tensor, "image channel height width"]
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, of pixels / 255, by which the net standardises its input.

    images: the train split, bytes or float32. Where the sample does not standardise them, bytes come to [0, 1], and
    floats stay as they are.
    """
    if sample.pixels == "standardised":
        return mean_and_std(images.cpu().numpy())
    white = WHITE if images.dtype == torch.uint8 else 1
    return [0.0] * images.shape[1], [white / WHITE] * images.shape[1]


def mean_and_std(images: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of pixels / 255 of each channel, over all images and positions.

    images: uint8 or float32 (N, C, H, W). Of bytes, computed from exact counts of the 256 values, so that no order of
    summation matters. A channel in which all pixels are equal gets a deviation of 1 (of pixels / 255 for bytes, of the
    pixels for floats), so that it becomes 0 when standardised.
    """
    if images.dtype != np.uint8:
        return _mean_and_std_of_floats(images)
    means, stds = [], []
    values = np.arange(WHITE + 1)
    for channel in range(images.shape[1]):
        counts = sum(
            np.bincount(images[start : start + BLOCK, channel].ravel(), minlength=WHITE + 1)
            for start in range(0, len(images), BLOCK)
        )
        n, total, squares = (int(np.sum(counts * values**power)) for power in (0, 1, 2))
        variance = n * squares - total**2
        means.append(total / (n * WHITE))
        stds.append(variance**0.5 / (n * WHITE) if variance else 1.0)
    return means, stds


def _mean_and_std_of_floats(images: np.ndarray) -> tuple[list[float], list[float]]:
    """In two passes, in float64, block after block."""
    means, stds = [], []
    for channel in range(images.shape[1]):
        blocks = [images[start : start + BLOCK, channel] for start in range(0, len(images), BLOCK)]
        n = sum(block.size for block in blocks)
        mean = sum(float(block.sum(dtype=np.float64)) for block in blocks) / n
        varies = any((block != images[0, channel, 0, 0]).any() for block in blocks)
        squares = sum(float(((block.astype(np.float64) - mean) ** 2).sum()) for block in blocks) if varies else n
        means.append(mean / WHITE)
        stds.append((squares / n) ** 0.5 / WHITE)
    return means, stds


@functools.lru_cache(maxsize=1)  # a process trains many runs, of one prepared folder
def _read(files: tuple[tuple[Path, int], ...]) -> list[tuple[np.ndarray, np.ndarray]]:
    """(images, labels) of each file. files: path and time of last change, so that a changed file is read again."""
    arrays = [load_file(path) for path, _ in files]
    return [(split["images"], split["labels"]) for split in arrays]

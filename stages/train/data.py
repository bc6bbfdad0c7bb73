"""The prepared splits as tensors, as one run gets them."""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from safetensors.numpy import load_file
from torch import Tensor

from stages.shared.params import Sample
from stages.shared.pixel_order import rearranged
from stages.shared.prepared_data import load_constants, permutation_of, train_size
from stages.shared.random_streams import stream
from stages.shared.stage_command import StageError

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Split:
    """Images on the canvas, and the class of each."""

    images: UInt8[Tensor, "image channel height width"]
    labels: Int64[Tensor, " image"]


def load_splits(prepared: Path, sample: Sample, seed: int) -> dict[str, Split]:
    """The splits train, val and test, with the pixels in the sample's layout.

    The train split is the first images of the prepared one, as many as the sample says. Random labels are the published
    ones of these images, shuffled by a stream of `seed`; val and test keep theirs. The tensors may share memory between
    calls, so do not change them. Raises StageError if the sample asks for more train images than there are.
    """
    constants = load_constants(prepared)
    order = permutation_of(sample, constants)
    files = [prepared / f"{name}.safetensors" for name in SPLITS]
    arrays = _read(tuple((file, file.stat().st_mtime_ns) for file in files))
    splits = {}
    for name, (images, labels) in zip(SPLITS, arrays, strict=True):
        if name == "train":
            size = train_size(sample, constants)
            if size > len(labels):
                raise StageError(
                    f"sample.train_size is {size}, but the prepared train split has {len(labels)} images; "
                    "lessen it in params.yaml"
                )
            images, labels = images[:size], labels[:size]
            if sample.labels == "random":
                labels = labels[stream("labels", seed).permutation(size)]
        if order is not None:
            images = rearranged(images, order)
        splits[name] = Split(torch.from_numpy(images), torch.from_numpy(labels))
    return splits


@functools.lru_cache(maxsize=1)  # a process trains many runs, of one prepared folder
def _read(files: tuple[tuple[Path, int], ...]) -> list[tuple[np.ndarray, np.ndarray]]:
    """(images, labels) of each file. files: path and time of last change, so that a changed file is read again."""
    arrays = [load_file(path) for path, _ in files]
    return [(split["images"], split["labels"]) for split in arrays]

"""The prepared splits as tensors, as one run is given them."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int64, UInt8
from safetensors.numpy import load_file
from torch import Tensor

from stages.shared.params import Sample
from stages.shared.pixel_order import rearranged
from stages.shared.prepared_data import load_constants, permutation_of, train_size
from stages.shared.random_streams import stream
from stages.shared.stage_command import StageError


@dataclass(frozen=True)
class Split:
    """Images on the canvas, and the class of each."""

    images: UInt8[Tensor, "image channel height width"]
    labels: Int64[Tensor, " image"]


def load_splits(prepared: Path, sample: Sample, seed: int) -> dict[str, Split]:
    """train, val and test with the pixels in the sample's layout; of train the sample's beginning, with the sample's labels.

    Random labels are the published ones shuffled over the train images, by a stream of `seed`; val and test keep theirs.
    Raises StageError if the sample asks for more train images than there are.
    """
    constants = load_constants(prepared)
    order = permutation_of(sample, constants)
    splits = {}
    for name in ("train", "val", "test"):
        split = load_file(prepared / f"{name}.safetensors")
        images, labels = split["images"], split["labels"]
        if name == "train":
            size = train_size(sample, constants)
            if size > len(labels):
                raise StageError(
                    f"sample.train_size is {size}, but the prepared train split has {len(labels)} images; lessen it in params.yaml"
                )
            images, labels = images[:size], labels[:size]
            if sample.labels == "random":
                labels = labels[stream("labels", seed).permutation(size)]
        splits[name] = Split(
            torch.from_numpy(images if order is None else rearranged(images, order)), torch.from_numpy(labels)
        )
    return splits

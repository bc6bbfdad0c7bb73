"""The prepared splits as tensors, as one run is given them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64, UInt8
from safetensors.torch import load_file
from torch import Tensor

from stages import paths
from stages.layouts import permutation
from stages.params import Sample
from stages.seeds import stream


@dataclass(frozen=True)
class Split:
    """Images on the canvas, and the class of each."""

    images: UInt8[Tensor, "image channel height width"]
    labels: Int64[Tensor, " image"]


def load_splits(prepared: Path, sample: Sample, seed: int) -> dict[str, Split]:
    """train, val and test with the pixels in the sample's layout; of train the sample's beginning, with the sample's labels.

    Random labels are the published ones shuffled over the train images, by a stream of `seed`; val and test keep theirs.
    """
    order = torch.from_numpy(permutation_of(prepared, sample.layout))
    splits = {}
    for name in ("train", "val", "test"):
        split = load_file(prepared / f"{name}.safetensors")
        size = sample.train_size if name == "train" and sample.train_size != "protocol" else len(split["labels"])
        images, labels = split["images"][:size], split["labels"][:size]
        if name == "train" and sample.labels == "random":
            labels = labels[torch.from_numpy(stream("labels", seed).permutation(len(labels)))]
        splits[name] = Split(images.flatten(2)[:, :, order].view_as(images) if sample.layout != "original" else images, labels)
    return splits


def permutation_of(prepared: Path, layout: str) -> Any:
    """(H·W,): the order of the canvas's pixels in a layout."""
    constants = load_constants(prepared)
    _, rows, columns = constants["shape"]
    margin = tuple(constants["margin"])
    return permutation(layout, rows - 2 * margin[0], columns - 2 * margin[1], margin, constants["layout_seed"])


def scale_of(sample: Sample, constants: dict[str, Any]) -> tuple[list[float], list[float]]:
    """mean and std that the net takes from each channel of pixels / 255; (0, 1) where the pixels stay in [0, 1]."""
    channels = constants["shape"][0]
    return (constants["mean"], constants["std"]) if sample.pixels == "standardised" else ([0.0] * channels, [1.0] * channels)


def load_constants(prepared: Path) -> dict[str, Any]:
    """mean, std, class_counts, shape (C, H, W), margin, layout_seed and classes, as prepare wrote them."""
    constants: dict[str, Any] = paths.read_json(prepared / "constants.json")
    return constants

"""Which trained nets a reader of the page may try: one of each kind, and of a kind a small one before a large one."""

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from stages.shared.architectures.layer_settings import layers_of
from stages.shared.params import Params
from stages.shared.params.architecture import LAYERED, Architecture

KINDS = ("convolutional", "fully_connected", "locally_connected", "pooled")  # in the order of the page
SMALL = 100_000  # weights; the first net of a kind with so many at most is taken
EXACT = 400_000  # weights; those of a larger net are rounded to 8 bits in place of 16
ALL_BYTES = 2_100_000  # of the weights of all nets, before base64 makes four bytes of three
LONGEST_SIDE = 64  # pixels of a canvas that the page draws
SHOWN_IMAGES = 10
WEIGHTS = "weights.safetensors"
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")  # of batch norm: in the file, but not trained


def chosen_nets(settings: Params, sizes: Mapping[str, int]) -> list[str]:
    """The variants to try, one of each kind at most.

    sizes: variant → how many weights it has, of the variants whose weights are there. Only those count that differ from
    the baseline in nothing but the architecture and its learning rate. Of each kind the first net with at most SMALL
    weights is taken, else the one with the fewest. What does not fit into ALL_BYTES is left out.
    """
    baseline = _settings_without_net(settings, settings.baseline)
    order = [settings.baseline, *(key for key in settings.variants if key != settings.baseline)]
    by_kind: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for variant in order:
        kind = kind_of(settings.variants[variant].run.architecture)
        if variant in sizes and kind and _settings_without_net(settings, variant) == baseline:
            by_kind[kind].append(variant)
    chosen, left = [], ALL_BYTES
    for variants in by_kind.values():
        small = [variant for variant in variants if sizes[variant] <= SMALL]
        best = small[0] if small else min(variants, key=lambda variant: sizes[variant], default=None)
        if best is not None and stored_bytes(sizes[best]) <= left:
            chosen.append(best)
            left -= stored_bytes(sizes[best])
    return chosen


def kind_of(architecture: Architecture) -> str | None:
    """One of KINDS; None for a net that the page cannot run, or that is a mixture of kinds.

    The page runs convolutions, locally connected and fully connected layers one after the other: no shortcuts, no
    transformers, no nets of the user's own. A linear classifier, and filters that tiles share, are of no kind.
    """
    if architecture.connectivity == "fully_connected":
        return "fully_connected" if architecture.channels else None
    if architecture.connectivity not in LAYERED or architecture.residual:
        return None
    layers = layers_of(architecture)
    is_local = {layer.connectivity == "locally_connected" for layer in layers}
    if is_local == {True}:
        return "locally_connected" if all(layer.tile == (1, 1) for layer in layers) else None
    if is_local == {False}:
        return "convolutional" if architecture.head == "flatten" else "pooled"
    return None


def bits_of(n_weights: int) -> int:
    """To how many bits a weight of a net with so many is rounded."""
    return 16 if n_weights <= EXACT else 8


def stored_bytes(n_weights: int) -> int:
    return n_weights * bits_of(n_weights) // 8


def first_runs(runs: Path, variants: Mapping[str, Any]) -> dict[str, Path]:
    """Variant → the folder of its first seed that has weights, of these variants. runs: such as data/runs."""
    folders = {}
    for variant in variants:
        with_weights = [file.parent for file in (runs / variant).glob(f"seed_*/{WEIGHTS}")]
        if with_weights:
            folders[variant] = min(with_weights, key=seed_of)
    return folders


def seed_of(folder: Path) -> int:
    """Of a run's folder, which is named after its seed."""
    return int(folder.name.removeprefix("seed_"))


def n_weights(file: Path) -> int:
    """How many trained weights a file has. Only its header is read."""
    total = 0
    with safe_open(file, framework="numpy") as tensors:
        for name in tensors.keys():  # noqa: SIM118 (no mapping)
            if not name.startswith("normalise.") and not name.endswith(STATISTICS):
                total += prod(tensors.get_slice(name).get_shape())
    return total


def shown_rows(labels: np.ndarray) -> np.ndarray:
    """Rows of the test images that the page offers: the first image of each class, then the second, up to ten."""
    seen: dict[int, int] = {}
    ranks = np.empty(len(labels), dtype=np.int64)  # among the images of its class
    for row, label in enumerate(labels.tolist()):
        ranks[row] = seen[label] = seen.get(label, -1) + 1
    order: np.ndarray = np.lexsort((labels, ranks))[:SHOWN_IMAGES]
    return order


def _settings_without_net(settings: Params, variant: str) -> dict[str, Any]:
    """What a variant is given and how it is trained, without its learning rate and its number of seeds."""
    run = settings.variants[variant].run
    return {"sample": run.sample.model_dump(exclude={"seeds"}), "recipe": run.recipe.model_dump(exclude={"lr"})}

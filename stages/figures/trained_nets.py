"""The trained nets that a reader may try, and the test images that the page offers, read once."""

from dataclasses import dataclass

import numpy as np
from safetensors import safe_open

from stages.figures.net_layers import Net, read_net
from stages.shared import paths, try_it_nets
from stages.shared.params import Params
from stages.shared.stage_command import need


@dataclass(frozen=True)
class TrainedNet:
    """accuracy: of this one run on all test images, a fraction."""

    seed: int
    accuracy: float
    net: Net


def trained_nets(settings: Params) -> dict[str, TrainedNet]:
    """Variant → its net under the first seed whose weights are in data/runs: one of each kind, see `chosen_nets`."""
    folders = try_it_nets.first_runs(paths.RUNS, settings.variants)
    sizes = {variant: try_it_nets.n_weights(folder / try_it_nets.WEIGHTS) for variant, folder in folders.items()}
    nets = {}
    for variant in try_it_nets.chosen_nets(settings, sizes):
        folder = folders[variant]
        net = read_net(settings.variants[variant].run.architecture, folder / try_it_nets.WEIGHTS)
        accuracy = paths.read_json(folder / "metrics.json")["test_accuracy"]
        nets[variant] = TrainedNet(try_it_nets.seed_of(folder), accuracy, net)
    return nets


def offered_images() -> tuple[np.ndarray, np.ndarray]:
    """The first test images of the classes, (n, C, H, W) on their canvas, and their labels, (n,)."""
    file = paths.PREPARED / "test.safetensors"
    need(file, "prepare")
    with safe_open(file, framework="numpy") as arrays:
        labels, images = arrays.get_tensor("labels"), arrays.get_slice("images")
        rows = try_it_nets.shown_rows(labels)
        return np.concatenate([images[row : row + 1] for row in rows.tolist()]), labels[rows]

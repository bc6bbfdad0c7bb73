"""A variant's folder: what its seeds left, gathered into few files."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from stages import paths
from stages.architectures.closed_form import closed_form
from stages.params import Run
from stages.prepared import load_constants

CURVES = ["seed", "epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]


def gather(variant: str, run: Run, seeds: tuple[int, ...], prepared: Path, runs: Path, out: Path) -> dict[str, Any]:
    """Write metrics.json, curves.csv, predictions.safetensors and the weights of each seed into `out`.

    runs: the folder with one seed_<seed>/ for each of `seeds`. Returns the metrics.
    """
    folders = [runs / f"seed_{seed}" for seed in seeds]
    labels = load_file(prepared / "test.safetensors")["labels"]
    predicted = np.stack([np.load(folder / "predicted.npy") for folder in folders])
    save_file({"predicted": predicted, "correct": (predicted == labels).astype(np.uint8)}, out / "predictions.safetensors")
    curves = [row for folder in folders for row in paths.read_json(folder / "curves.json")]
    paths.write_csv(out / "curves.csv", [{name: row[name] for name in CURVES} for row in curves])
    for seed, folder in zip(seeds, folders, strict=True):
        shutil.copyfile(folder / "weights.safetensors", out / f"seed_{seed}.safetensors")
    metrics = {
        "variant": variant,
        "connectivity": run.architecture.connectivity,
        **_costs(run, prepared),
        "runs": [paths.read_json(folder / "metrics.json") for folder in folders],
    }
    paths.write_json(out / "metrics.json", metrics)
    return metrics


def _costs(run: Run, prepared: Path) -> dict[str, Any]:
    constants = load_constants(prepared)
    costs = closed_form(run.architecture, tuple(constants["shape"]), len(constants["classes"]))
    return {"parameters": costs.parameters, "macs": costs.macs, "map_sizes": costs.map_sizes, "receptive_field": costs.receptive_field}

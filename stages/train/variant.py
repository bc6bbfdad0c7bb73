"""A variant's folder: what its seeds left, gathered into few files."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from stages.shared import paths
from stages.shared.architectures.closed_form import closed_form
from stages.shared.params import Run
from stages.shared.prepared_data import load_constants

CURVES = ["seed", "epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]


def gather(variant: str, run: Run, seeds: tuple[int, ...], prepared: Path, runs: Path, out: Path) -> dict[str, Any]:
    """Write metrics.json, curves.csv, predictions.safetensors and the weights of each seed into `out`.

    runs: the folder with one seed_<seed>/ for each of `seeds`. Returns the metrics: `runs` are the seeds that finished, and
    alone have a part in the other files; `diverged`, where there are any, the others with the epoch.
    """
    found = [paths.read_json(runs / f"seed_{seed}" / "metrics.json") for seed in seeds]
    finished, diverged = ([one for one in found if ("diverged" in one) is so] for so in (False, True))
    folders = [runs / f"seed_{one['seed']}" for one in finished]
    labels = load_file(prepared / "test.safetensors")["labels"]
    predicted = np.array(
        [np.load(folder / "predicted.npy", allow_pickle=False) for folder in folders], np.int16
    ).reshape(-1, len(labels))
    save_file(
        {"predicted": predicted, "correct": (predicted == labels).astype(np.uint8)}, out / "predictions.safetensors"
    )
    curves = [row for folder in folders for row in paths.read_json(folder / "curves.json")]
    paths.write_csv(out / "curves.csv", CURVES, curves)
    for folder in folders:
        shutil.copyfile(folder / "weights.safetensors", out / f"{folder.name}.safetensors")
    metrics = {
        "variant": variant,
        "connectivity": run.architecture.connectivity,
        **_costs(run, prepared),
        "runs": finished,
        **({"diverged": diverged} if diverged else {}),
    }
    paths.write_json(out / "metrics.json", metrics)
    return metrics


def summary(metrics: dict[str, Any]) -> str:
    """What is said of a variant that is trained."""
    accuracies = [one["test_accuracy"] for one in metrics["runs"]]
    parts = (
        [
            f"test accuracy {np.mean(accuracies):.4f}, from {min(accuracies):.4f} to {max(accuracies):.4f} over {len(accuracies)} seeds"
        ]
        if accuracies
        else []
    )
    if "diverged" in metrics:
        named = ", ".join(f"seed {one['seed']} in epoch {one['diverged']}" for one in metrics["diverged"])
        parts.append(
            f"diverged, so that there is no accuracy: {named}; lower recipe.lr in params.yaml, or in that variant's run"
        )
    return f"train {metrics['variant']}: {'; '.join(parts)}"


def _costs(run: Run, prepared: Path) -> dict[str, Any]:
    constants = load_constants(prepared)
    costs = closed_form(run.architecture, tuple(constants["shape"]), len(constants["classes"]))
    return {
        "parameters": costs.parameters,
        "macs": costs.macs,
        "map_sizes": costs.map_sizes,
        "receptive_field": costs.receptive_field,
    }

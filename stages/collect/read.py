"""Read one variant's files and refuse what does not fit together."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open

from stages.shared import paths
from stages.shared.stage_command import StageError

CURVES = ["seed", "epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]


@dataclass(frozen=True)
class Variant:
    """What one variant's training and probe left, checked. Seeds that diverged are in `diverged` alone."""

    key: str
    metrics: dict[str, Any]
    probes: dict[int, dict[str, Any]]  # by seed
    curves: pd.DataFrame
    predicted: np.ndarray  # (seeds, test images), in the order of metrics["runs"]
    correct: np.ndarray  # of the same shape
    by_image: dict[
        str, np.ndarray
    ]  # of the shift probe, (seeds, probed images), in the order of probes; empty without a margin
    diverged: dict[int, int]  # seed → epoch


def test_labels() -> np.ndarray:
    """Labels of the test images, (N,); they are the same in every layout."""
    return _tensors(paths.PREPARED / "test.safetensors", "labels", "prepare")["labels"]


def variant(key: str, seeds: tuple[int, ...], labels: np.ndarray) -> Variant:
    """Raises StageError, naming the variant, if a file is missing or two of them contradict each other."""
    runs, probes = paths.RUNS / key, paths.PROBES / key
    metrics = _record(runs / "metrics.json", f"train@{key}")
    probe = _record(probes / "probe.json", f"probe@{key}")
    curves = _curves(runs / "curves.csv", f"train@{key}")
    trained, probed = ([run["seed"] for run in record["runs"]] for record in (metrics, probe))
    diverged = {run["seed"]: run["diverged"] for run in metrics.get("diverged", [])}
    for stage, finished in (("train", trained), ("probe", probed), ("train", curves["seed"].unique().tolist())):
        found = [*finished, *diverged]
        if sorted(found) != sorted(seeds):
            raise StageError(
                f"variant {key!r}: {stage} left seeds {found}, but the protocol asks for {list(seeds)}; run `dvc repro {stage}@{key}`"
            )
    tensors = _tensors(runs / "predictions.safetensors", "predicted correct", f"train@{key}")
    _check_accuracy(key, metrics["runs"], tensors["predicted"], tensors["correct"], labels)
    by_image = _tensors(probes / "consistency.safetensors", None, f"probe@{key}") if probed else {}
    return Variant(
        key,
        metrics,
        {run["seed"]: run for run in probe["runs"]},
        curves,
        tensors["predicted"],
        tensors["correct"],
        by_image,
        diverged,
    )


def _check_accuracy(
    key: str, runs: list[dict[str, Any]], predicted: np.ndarray, correct: np.ndarray, labels: np.ndarray
) -> None:
    expected, again = (len(runs), len(labels)), f"run `dvc repro train@{key}`"
    for name, array in (("predicted", predicted), ("correct", correct)):
        if array.shape != expected:
            raise StageError(
                f"variant {key!r}: {name} has shape {array.shape}, but {expected[0]} seeds × {expected[1]} test images make {expected}; {again}"
            )
    if not np.array_equal(predicted == labels, correct.astype(bool)):
        raise StageError(f"variant {key!r}: `correct` is not what its predictions and the test labels give; {again}")
    for run, row in zip(runs, correct, strict=True):
        accuracy = int(row.sum(dtype=np.int64)) / len(labels)
        if abs(accuracy - run["test_accuracy"]) > 1e-6:  # as many digits as runs.csv has
            raise StageError(
                f"variant {key!r}, seed {run['seed']}: metrics.json says test_accuracy {run['test_accuracy']}, "
                f"but {accuracy:.6f} of the test images are correct; {again}"
            )


def _record(path: Path, stage: str) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _missing(path, stage) from None
    except ValueError as error:  # no JSON, or no UTF-8
        raise _unreadable(path, error, stage) from None
    return record


def _curves(path: Path, stage: str) -> pd.DataFrame:
    try:
        return pd.read_csv(path)[CURVES]
    except FileNotFoundError:
        raise _missing(path, stage) from None
    except (ValueError, KeyError) as error:  # empty, ragged, or without a column
        raise _unreadable(path, error, stage) from None


def _tensors(path: Path, names: str | None, stage: str) -> dict[str, np.ndarray]:
    """The named arrays alone, so that a test set's images stay on the disk; None: all."""
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in (file.keys() if names is None else names.split())}
    except (FileNotFoundError, SafetensorError) as error:
        if path.exists():
            raise _unreadable(path, error, stage) from None
        raise _missing(path, stage) from None


def _unreadable(path: Path, error: Exception, stage: str) -> StageError:
    return StageError(f"{path.relative_to(paths.ROOT)} cannot be read ({str(error).strip()}); run `dvc repro {stage}`")


def _missing(path: Path, stage: str) -> StageError:
    return StageError(f"{path.relative_to(paths.ROOT)} is missing; run `dvc repro {stage}`")

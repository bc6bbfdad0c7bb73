"""Read what the runs and probes of a variant left, and refuse what does not fit together."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open

from stages.shared import paths
from stages.shared.inference.intervals import Arm
from stages.shared.metrics import METRICS
from stages.shared.stage_command import StageError

CURVES = ["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy"]
COSTS = ("connectivity", "parameters", "macs", "map_sizes", "receptive_field")
ACCURACY_TOLERANCE = 1e-6  # runs.csv has as many digits


@dataclass(frozen=True)
class VariantResults:
    """What the runs and probes of one variant left, checked. Seeds that diverged are in `diverged` alone.

    metrics, probes: seed → the scalars of its run and of its probe. costs: see COSTS. curves, shifts: a table of all
    seeds. predicted, correct: seed → the class of each test image, and whether it is right. by_image: name → seed → a
    value for each shifted test image. diverged: seed → epoch. Of runs that were not probed, probes, shifts and by_image
    are empty.
    """

    key: str
    costs: dict[str, Any]
    metrics: dict[int, dict[str, Any]]
    probes: dict[int, dict[str, Any]]
    curves: pd.DataFrame
    shifts: pd.DataFrame
    predicted: dict[int, np.ndarray]
    correct: dict[int, np.ndarray]
    by_image: dict[str, dict[int, np.ndarray]]
    diverged: dict[int, int]

    @property
    def seeds(self) -> list[int]:
        """Those that finished."""
        return list(self.metrics)

    def arm(self, metric: str) -> Arm | None:
        """Seed → the metric for each test image, or one number; None where it has no meaning for this net."""
        definition = METRICS[metric]
        if not self.seeds:
            return {}
        if definition.images == "correct":
            return self.correct
        values = {seed: (self.metrics[seed] | self.probes.get(seed, {})).get(definition.column) for seed in self.seeds}
        if any(value is None for value in values.values()):
            return None
        if definition.images:
            return self.by_image[definition.images]
        return {seed: float(value) for seed, value in values.items() if value is not None}


def read_test_labels(prepared: Path) -> np.ndarray:
    """Labels of the test images, (N,); they are the same in every layout."""
    return _arrays(prepared / "test.safetensors", ["labels"], "prepare")["labels"]


def read_variant(key: str, seeds: Sequence[int], labels: np.ndarray, runs: Path, probes: Path | None) -> VariantResults:
    """Every seed's results from the folders runs/<key>/seed_<seed> and probes/<key>/seed_<seed>.

    probes: None where the runs were not probed. Raises StageError, naming the variant, if a file is missing, is damaged
    or contradicts another.
    """
    metrics, probed, costs, curves, shifts, predictions, images, diverged = {}, {}, {}, [], [], {}, {}, {}
    for seed in seeds:
        run = runs / key / f"seed_{seed}"
        record = _json(run / "metrics.json", "train")
        costs = {name: record.pop(name, None) for name in COSTS}
        if "diverged" in record:
            diverged[seed] = record["diverged"]
            continue
        _check_seed(record, seed, run, "train")
        metrics[seed] = record
        curves.append(_table(run / "curves.csv", CURVES, "train").assign(seed=seed))
        predictions[seed] = _arrays(run / "predictions.safetensors", ["predicted", "correct"], "train")
        _check_predictions(f"variant {key!r}, seed {seed}", record, predictions[seed], labels)
        if probes is not None:
            probe = probes / key / f"seed_{seed}"
            probed[seed] = _json(probe / "probe.json", "probe")
            _check_seed(probed[seed], seed, probe, "probe")
            shifts.append(_table(probe / "shifts.csv", ["dy", "dx", "accuracy"], "probe").assign(seed=seed))
            images[seed] = _arrays(probe / "by_image.safetensors", None, "probe")
    names = dict.fromkeys(name for arrays in images.values() for name in arrays)
    return VariantResults(
        key,
        costs,
        metrics,
        probed,
        _joined(curves, ["seed", *CURVES]),
        _joined(shifts, ["seed", "dy", "dx", "accuracy"]),
        {seed: arrays["predicted"] for seed, arrays in predictions.items()},
        {seed: arrays["correct"] for seed, arrays in predictions.items()},
        {name: {seed: arrays[name] for seed, arrays in images.items() if name in arrays} for name in names},
        diverged,
    )


def _check_seed(record: dict[str, Any], seed: int, folder: Path, stage: str) -> None:
    if record.get("seed") != seed:
        raise StageError(f"{_shown(folder)} holds seed {record.get('seed')}; run `dvc repro {stage}`")


def _check_predictions(where: str, metrics: dict[str, Any], arrays: dict[str, np.ndarray], labels: np.ndarray) -> None:
    again = "run `dvc repro train`"
    for name, array in arrays.items():
        if array.shape != labels.shape:
            raise StageError(
                f"{where}: {name} has shape {array.shape}, but there are {len(labels)} test images; {again}"
            )
    if not np.array_equal(arrays["predicted"] == labels, arrays["correct"].astype(bool)):
        raise StageError(f"{where}: `correct` is not what its predictions and the test labels give; {again}")
    accuracy = int(arrays["correct"].sum(dtype=np.int64)) / len(labels)
    if abs(accuracy - metrics["test_accuracy"]) > ACCURACY_TOLERANCE:
        raise StageError(
            f"{where}: metrics.json says test_accuracy {metrics['test_accuracy']}, "
            f"but {accuracy:.6f} of the test images are correct; {again}"
        )


def _json(path: Path, stage: str) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _missing(path, stage) from None
    except ValueError as error:  # no JSON, or no UTF-8
        raise _unreadable(path, error, stage) from None
    return record


def _table(path: Path, columns: list[str], stage: str) -> pd.DataFrame:
    try:
        return pd.read_csv(path)[columns]
    except FileNotFoundError:
        raise _missing(path, stage) from None
    except (ValueError, KeyError) as error:  # empty, ragged, or without a column
        raise _unreadable(path, error, stage) from None


def _arrays(path: Path, names: list[str] | None, stage: str) -> dict[str, np.ndarray]:
    """The named arrays alone, so that a test set's images stay on the disk; None: all."""
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in (names or file.keys())}
    except (FileNotFoundError, SafetensorError) as error:
        if path.exists():
            raise _unreadable(path, error, stage) from None
        raise _missing(path, stage) from None


def _joined(tables: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def _unreadable(path: Path, error: Exception, stage: str) -> StageError:
    return StageError(f"{_shown(path)} cannot be read ({str(error).strip()}); run `dvc repro {stage}`")


def _missing(path: Path, stage: str) -> StageError:
    return StageError(f"{_shown(path)} is missing; run `dvc repro {stage}`")


def _shown(path: Path) -> Path:
    return path.relative_to(paths.ROOT) if path.is_relative_to(paths.ROOT) else path

"""What a revision left: its settings and code, and of each variant every run's answers, curves and costs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open

from stages.shared import paths
from stages.shared.inference.arms import Arm
from stages.shared.stage_command import StageError
from stages.tools.compare import cache
from stages.tools.compare.lock import Lock
from stages.tools.compare.revisions import Revision


@dataclass(frozen=True)
class Runs:
    """One variant's. digest: of all that training left. metrics: as train wrote them, one entry of `runs` for each seed.

    consistency: of each image that was shifted, the share of the pairs of shifts on which the prediction agrees; empty where it was not probed.
    """

    digest: str
    metrics: dict[str, Any]
    correct: Arm  # seed → (test images,), 0 or 1
    curves: pd.DataFrame
    consistency: Arm


@dataclass(frozen=True)
class Images:
    """The test set. digest: of its file; images without the margin that the protocol put around them, (N, C, H, W), and labels, (N,)."""

    digest: str
    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Result:
    """settings: params.yaml as it stands there. code: path → digest, of what bears on the runs. dataset: its title. margin: pixels above and beside."""

    revision: Revision
    settings: dict[str, Any]
    code: dict[str, str]
    dataset: str
    test: Images
    margin: tuple[int, int]
    runs: dict[str, Runs]


def results(revisions: Sequence[Revision]) -> list[Result]:
    """Raises StageError, saying what to run, if a revision has no results or DVC's cache lacks a file of them."""
    kept = cache.of_project()
    locks = [Lock(revision, kept) for revision in revisions]
    return [_result(lock) for lock in locks]


def _result(lock: Lock) -> Result:
    variants = lock.variants()
    code = {
        path: digest
        for stage in ("prepare", *(f"train@{key}" for key in variants))
        for path, digest in lock.code(stage).items()
    }
    constants = _record(lock.file("prepare", paths.PREPARED, "constants.json"))
    above, beside = constants["margin"]
    test = _images(lock, above, beside)
    runs = {key: _runs(lock, key, len(test.labels), shifts=above + beside > 0) for key in variants}
    return Result(lock.revision, lock.settings, code, str(constants["title"]), test, (above, beside), runs)


def _runs(lock: Lock, key: str, n_images: int, shifts: bool) -> Runs:
    stage, folder = f"train@{key}", paths.RUNS / key
    metrics = _record(lock.file(stage, folder, "metrics.json"))
    correct = _tensors(lock.file(stage, folder, "predictions.safetensors"), "correct")[0]
    seeds = [run["seed"] for run in metrics["runs"]]
    if correct.shape != (len(seeds), n_images):
        raise StageError(
            f"variant {key!r} of {lock.revision.name!r}: {correct.shape} answers for {len(seeds)} seeds and {n_images} test images"
        )
    curves = pd.read_csv(lock.file(stage, folder, "curves.csv"))
    consistency = _consistency(lock, key) if shifts and lock.is_probed(key) else {}
    return Runs(lock.out(stage, folder), metrics, dict(zip(seeds, correct, strict=True)), curves, consistency)


def _consistency(lock: Lock, key: str) -> Arm:
    stage, folder = f"probe@{key}", paths.PROBES / key
    seeds = [run["seed"] for run in _record(lock.file(stage, folder, "probe.json"))["runs"]]
    if not seeds:  # every run diverged
        return {}
    return dict(
        zip(seeds, _tensors(lock.file(stage, folder, "consistency.safetensors"), "consistency")[0], strict=True)
    )


def _images(lock: Lock, above: int, beside: int) -> Images:
    digest = lock.files("prepare", paths.PREPARED)["test.safetensors"]
    images, labels = _tensors(lock.file("prepare", paths.PREPARED, "test.safetensors"), "images", "labels")
    *_, height, width = images.shape
    return Images(digest, images[..., above : height - above, beside : width - beside], labels)


def _record(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(path, error) from None
    return record


def _tensors(path: Path, *names: str) -> list[np.ndarray]:
    try:
        with safe_open(path, framework="numpy") as file:
            return [file.get_tensor(name) for name in names]
    except SafetensorError as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> StageError:
    return StageError(
        f"{path}, in DVC's cache, cannot be read ({error}); delete it, and `dvc fetch` or `dvc repro` makes it again"
    )

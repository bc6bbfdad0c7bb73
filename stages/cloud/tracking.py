"""Log finished runs to an MLflow tracking server, where compute.yaml or MLFLOW_TRACKING_URI names one.

Only files of finished runs are read, after training: nothing of it can change a result. MLflow is imported only here.
"""

import csv
import importlib.util
import math
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stages.shared import paths, provenance
from stages.shared.run_records import PlannedRun, is_finished
from stages.shared.stage_command import StageError

EXPERIMENT = "what-convolution-buys"
DIGEST = "run_digest"  # the tag by which a run is found again; set last, so that a run without it is not whole
PARAMS_AT_ONCE, METRICS_AT_ONCE = 100, 1000  # that MLflow takes in one request
RETRIES = "2"  # of a request; MLflow's own number lets a server that is away hold up the end of training for minutes


def check(uri: str | None) -> None:
    """Raises StageError if runs are to be logged and MLflow is not installed."""
    if uri is not None and importlib.util.find_spec("mlflow") is None:
        raise StageError(
            f"mlflow_tracking_uri is {uri!r} (compute.yaml, or MLFLOW_TRACKING_URI), but MLflow is not installed: "
            "`make sagemaker` installs it; or unset it"
        )


def log_after_training(runs: Sequence[PlannedRun], uri: str | None, backend: str) -> None:
    """Log these runs. A server that does not answer costs no training: it is said, and how to log them later."""
    if uri is None:
        return
    try:
        log(runs, uri, {"backend": backend})
    except StageError as error:
        print(f"warning: {error}; `python -m stages.cloud track` logs what is missing", flush=True)


def log(runs: Sequence[PlannedRun], uri: str, tags: dict[str, str]) -> int:
    """Log those of the runs that are finished and not logged yet. Returns how many. Raises StageError."""
    check(uri)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", RETRIES)
    from mlflow import MlflowClient

    tags = tags | {"commit": provenance.git_commit()["commit"]}
    n_logged = 0
    try:
        client = MlflowClient(tracking_uri=uri)
        experiment = _experiment(client)
        there = set(_logged_digests(client, experiment))
        for run in runs:
            if run.digest not in there and is_finished(paths.RUNS / run.folder, run.digest):
                _log_run(client, experiment, run, tags)
                n_logged += 1
    except Exception as error:  # beside MLflow's own, each kind of store raises those of its driver
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise StageError(f"MLflow at {uri} took {n_logged} runs, and then failed ({reason})") from None
    print(f"MLflow: {n_logged} runs logged to experiment {EXPERIMENT!r} at {uri}", flush=True)
    return n_logged


def _experiment(client: Any) -> str:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return str(experiment.experiment_id if experiment else client.create_experiment(EXPERIMENT))


def _logged_digests(client: Any, experiment: str) -> Iterator[str]:
    token = None
    while True:
        page = client.search_runs([experiment], max_results=1000, page_token=token)
        yield from (run.data.tags[DIGEST] for run in page if DIGEST in run.data.tags)
        token = page.token
        if not token:
            return


def _log_run(client: Any, experiment: str, run: PlannedRun, tags: dict[str, str]) -> None:
    from mlflow.entities import Metric, Param

    folder, now = paths.RUNS / run.folder, int(time.time() * 1000)
    tags = tags | {"variant": run.variant, "seed": str(run.seed)}
    run_id = client.create_run(experiment, run_name=f"{run.variant} seed {run.seed}", tags=tags).info.run_id
    settings = [Param(name, str(value)) for name, value in flat(run.spec.model_dump(mode="json"))]
    for start in range(0, len(settings), PARAMS_AT_ONCE):
        client.log_batch(run_id, params=settings[start : start + PARAMS_AT_ONCE])
    scores = paths.read_json(folder / "metrics.json")
    values = [(name, value, 0) for name, value in scores.items() if _is_number(value)] + list(_curves(folder))
    metrics = [Metric(name, value, now, step) for name, value, step in values]
    for start in range(0, len(metrics), METRICS_AT_ONCE):
        client.log_batch(run_id, metrics=metrics[start : start + METRICS_AT_ONCE])
    client.set_tag(run_id, DIGEST, run.digest)
    client.set_terminated(run_id)


def flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name and value of each setting of nested blocks."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _curves(folder: Path) -> Iterator[tuple[str, float, int]]:
    """Name, value and epoch of each point of the learning curves; none for a run that diverged."""
    if not (folder / "curves.csv").exists():
        return
    with (folder / "curves.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                if name != "epoch":
                    yield f"epoch/{name}", float(value), int(row["epoch"])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

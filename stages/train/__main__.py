"""Train every run that the protocol asks for and that is not finished: `python -m stages.train`."""

import argparse
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from stages.cloud import settings as compute_settings
from stages.cloud import tracking
from stages.shared import params, paths, provenance, run_records, stage_command
from stages.shared.params import Params
from stages.shared.prepared_data import load_constants
from stages.shared.run_records import PlannedRun
from stages.train import checks, declared, local
from stages.train.runs import planned_runs


def main(settings: Params) -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.train", description=__doc__)
    parser.add_argument("variant", nargs="*", help="train only these variants of the protocol (default: all of them)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[], help="train only under these seeds")
    arguments = parser.parse_args()
    chosen = settings.chosen_variants(arguments.variant)
    stage_command.need(paths.PREPARED, "prepare")
    paths.clear_scratch("train")
    with stage_command.timed("train") as record:
        constants = load_constants(paths.PREPARED)
        checks.check_variants(settings, constants)
        checks.check_samples(settings, constants)
        declared.record(settings, params.load_hypotheses(settings))
        planned = planned_runs(settings, chosen, arguments.seeds)
        if chosen == list(settings.trained_variants) and not arguments.seeds:
            run_records.remove_others(planned, paths.RUNS)
        missing = run_records.missing_runs(planned, paths.RUNS)
        print(f"train: {len(planned) - len(missing)} of {len(planned)} runs are finished", flush=True)
        checks.check_own_nets(missing, constants)
        earlier = _earlier_record()
        record |= train_missing(missing)
        if record["backend"] == "none" or _machine_kind(earlier) == _machine_kind(record):
            record |= {name: earlier[name] for name in ("device", "instance_type") if name in earlier} | record
            record["runs"] = earlier.get("runs", {}) | record["runs"]
        print_summary(missing)


def train_missing(missing: list[PlannedRun]) -> dict[str, Any]:
    """Train these runs on the backend of compute.yaml. Returns where, and how long by variant, for data/timings."""
    if not missing:
        return {"backend": "none", "runs": {}}
    compute, store = compute_settings.load(), run_records.default_store()
    tracking.check(compute.mlflow_tracking_uri)
    finished = partial(_place, store)
    if compute_settings.backend() == "sagemaker":
        from stages.cloud import training  # imports what a local user need not have

        record = training.train(missing, paths.PREPARED, finished)
    else:
        seconds = local.train(missing, paths.PREPARED, finished)
        record = {
            "backend": "local",
            "device": missing[0].spec.device,
            "instructions": local.instructions(),
            "packages": provenance.packages(),
            "runs": mean_seconds(missing, seconds),
        }
    store.prune(compute.finished_runs_gb * 1e9)
    tracking.log_after_training(missing, compute.mlflow_tracking_uri, record["backend"])
    return record


def _place(store: run_records.Store, run: PlannedRun, folder: Path) -> None:
    run_records.place(run, folder, paths.RUNS, store)


def _earlier_record() -> dict[str, Any]:
    """What the last training left in data/timings; the estimates of cost on SageMaker use its seconds by variant."""
    try:
        record: dict[str, Any] = paths.read_json(paths.TIMINGS / "train.json")
    except (FileNotFoundError, ValueError):
        return {}
    return record


def _machine_kind(record: dict[str, Any]) -> tuple[str, str]:
    """Seconds are comparable on all CPUs, roughly, and on one type of GPU instance."""
    device = record.get("device", "cpu")
    return device, record.get("instance_type", "") if device == "cuda" else ""


def mean_seconds(runs: list[PlannedRun], seconds: list[float]) -> dict[str, float]:
    """Variant → mean seconds of its runs, on one core."""
    by_variant = defaultdict(list)
    for run, duration in zip(runs, seconds, strict=True):
        by_variant[run.variant].append(duration)
    return {variant: round(float(np.mean(durations)), 2) for variant, durations in by_variant.items()}


def print_summary(trained: list[PlannedRun]) -> None:
    """A line for each variant that was trained now: its test accuracies, and the runs that diverged."""
    by_variant = defaultdict(list)
    for run in trained:
        by_variant[run.variant].append(paths.read_json(paths.RUNS / run.folder / "metrics.json"))
    for variant, results in by_variant.items():
        accuracies = [result["test_accuracy"] for result in results if "diverged" not in result]
        diverged = [
            f"seed {result['seed']} in epoch {result['diverged']}" for result in results if "diverged" in result
        ]
        parts = []
        if accuracies:
            spread = f"from {min(accuracies):.4f} to {max(accuracies):.4f}"
            parts.append(f"test accuracy {np.mean(accuracies):.4f}, {spread} over {len(accuracies)} runs")
        if diverged:
            parts.append(
                f"diverged, so that there is no accuracy: {', '.join(diverged)}; "
                "lower recipe.lr in params.yaml, or in that variant's run"
            )
        print(f"train {variant}: {'; '.join(parts)}")


if __name__ == "__main__":
    stage_command.run_stage(main)

"""Print the finished runs of data/runs and what they reached: `python -m stages.tools.run_list [variant …]`."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from stages.shared import params, paths, stage_command
from stages.shared.drawing import numbers
from stages.shared.inference.intervals import estimate
from stages.shared.params import Params
from stages.shared.run_records import PlannedRun, is_finished, is_whole
from stages.train.runs import planned_runs

ACCURACIES = ("train_accuracy", "val_accuracy", "test_accuracy")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.tools.run_list", description=__doc__)
    parser.add_argument("variant", nargs="*", help="list each run of these variants (default: a row for each variant)")
    names = parser.parse_args().variant
    settings = params.load()
    chosen = settings.chosen_variants(names)
    print(run_table(settings, chosen) if names else variant_table(settings, chosen))
    n_outdated = len(outdated_runs(settings, chosen))
    if n_outdated:
        runs = numbers.plural(n_outdated, "run")
        print(f"\n{runs} of other settings, data or code than there are now; `dvc repro train` replaces them")


def variant_table(settings: Params, variants: Sequence[str]) -> str:
    """One row a variant: its seeds, the mean test accuracy ± SD over them, and its costs."""
    header = ["variant", "seeds", "diverged", "test accuracy, %", "parameters", "MACs", "probed"]
    rows = []
    for key in variants:
        runs = finished_runs(settings, key)
        accuracies = [run["test_accuracy"] for run in runs.values() if "diverged" not in run]
        mean = estimate(accuracies, settings.inference.confidence)
        costs = [numbers.count(next(iter(runs.values()))[cost]) if runs else "" for cost in ("parameters", "macs")]
        n_probed = sum(is_whole(paths.PROBES / folder.relative_to(paths.RUNS)) for folder in runs)
        seeds, probed = f"{len(runs)} of {len(settings.seeds(key))}", f"{n_probed} of {len(accuracies)}"
        n_diverged = len(runs) - len(accuracies)
        rows.append([key, seeds, n_diverged or "", numbers.mean_sd(mean.mean, mean.sd), *costs, probed])
    return tabulate(rows, header, colalign=("left", *["right"] * 6), disable_numparse=True)


def run_table(settings: Params, variants: Sequence[str]) -> str:
    """One row a run: its accuracies, the device, and its folder."""
    header = ["variant", "seed", "train, %", "val, %", "test, %", "device", "folder"]
    rows = []
    for key in variants:
        for folder, run in finished_runs(settings, key).items():
            accuracies = [numbers.percent(run[name]) if name in run else "diverged" for name in ACCURACIES]
            rows.append([key, run["seed"], *accuracies, run["device"], folder.relative_to(paths.ROOT)])
    return tabulate(rows, header, colalign=("left", *["right"] * 4, "left", "left"), disable_numparse=True)


def finished_runs(settings: Params, key: str) -> dict[Path, dict[str, Any]]:
    """Folder → metrics, of each seed that the protocol asks for and that is finished."""
    folders = [paths.RUNS / key / f"seed_{seed}" for seed in settings.seeds(key)]
    return {folder: paths.read_json(folder / "metrics.json") for folder in folders if is_whole(folder)}


def outdated_runs(settings: Params, variants: Sequence[str]) -> list[PlannedRun]:
    """Finished runs that `dvc repro train` would not keep; none is known to be before the data is prepared."""
    if not paths.PREPARED.exists():
        return []
    finished = [run for run in planned_runs(settings, variants) if is_whole(paths.RUNS / run.folder)]
    return [run for run in finished if not is_finished(paths.RUNS / run.folder, run.digest)]


if __name__ == "__main__":
    stage_command.run(main)

"""Train on this machine: seeds spread over the cores, one process and one thread each.

torch is imported only where a seed is to be trained: a stage that finds all of its seeds kept does without.
"""

import shutil
from functools import partial
from importlib.metadata import version
from pathlib import Path

from stages.cloud.code import code_of_stage
from stages.shared import paths, run_records
from stages.shared.params import TrainPlan
from stages.shared.prepared_data import load_constants, train_size
from stages.shared.process_pool import Report, spread


def train_seeds(variant: str, plan: TrainPlan, prepared: Path, out: Path) -> float:
    """Train every seed into out/seed_<seed>/, but for those that are kept. Returns the seconds of one core that all took.

    Raises StageError if a process is killed.
    """
    folder = train_ahead({variant: plan}, prepared)[variant]
    for seed in plan.seeds:
        shutil.copytree(
            folder / f"seed_{seed}", out / f"seed_{seed}", ignore=shutil.ignore_patterns(run_records.RECORD)
        )
    return sum(run_records.seconds(folder / f"seed_{seed}") for seed in plan.seeds)


def train_ahead(plans: dict[str, TrainPlan], prepared: Path) -> dict[str, Path]:
    """Train what of all these variants' seeds is not kept. Returns the folder in which each variant's are kept now."""
    folders = {variant: kept_folder(variant, plan, prepared) for variant, plan in plans.items()}
    title, missing = run_records.unfinished("train", {variant: plan.seeds for variant, plan in plans.items()}, folders)
    if missing:
        from stages.train import run  # noqa: F401  (imported once, before the processes part)
        from stages.train.recipe import epochs_begun

        constants = load_constants(prepared)
        epochs = {
            variant: epochs_begun(plan.run.recipe, plan.epochs, train_size(plan.run.sample, constants))
            for variant, plan in plans.items()
        }
        task = partial(_train_seed, plans, prepared, folders)
        spread(task, missing, reports=sum(epochs[variant] for variant, _ in missing), title=title, unit="epoch")
    return folders


def kept_folder(variant: str, plan: TrainPlan, prepared: Path) -> Path:
    settings = f"{plan.model_dump_json(exclude={'seeds'})} {version('torch')}"
    return run_records.folder(paths.FINISHED_SEEDS, variant, settings, [*sorted(prepared.iterdir()), *code_of_stage()])


def _train_seed(
    plans: dict[str, TrainPlan], prepared: Path, folders: dict[str, Path], task: run_records.Task, report: Report
) -> None:
    from stages.train.run import train_run

    variant, seed = task
    plan = plans[variant]
    told = report if len(plans) == 1 else lambda text: report(f"{variant}, {text}")
    with run_records.making(folders[variant] / f"seed_{seed}") as folder:
        train_run(plan.run, plan.epochs, seed, prepared, folder, told, plan.machine.device)

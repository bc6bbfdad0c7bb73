"""Seeds probed on all cores. torch is imported only where a seed is to be probed: a stage that finds all of its seeds kept does without."""

from functools import partial
from importlib.metadata import version
from pathlib import Path

from stages.shared import paths, run_records
from stages.shared.params import ProbePlan
from stages.shared.process_pool import Report, spread


def probe_ahead(plans: dict[str, ProbePlan], prepared: Path, runs: Path) -> dict[str, Path]:
    """Probe what of all these variants' seeds is not kept. Returns the folder in which each variant's are kept now.

    runs: the folder with one folder of trained seeds for each variant.
    """
    folders = {variant: kept_folder(variant, plan, prepared, runs / variant) for variant, plan in plans.items()}
    title, missing = run_records.unfinished(
        "probe", {variant: finished_seeds(plan, runs / variant) for variant, plan in plans.items()}, folders
    )
    if missing:
        from stages.probe import seed  # noqa: F401  (imported once, before the processes part)

        spread(
            partial(_probe_seed, plans, prepared, runs, folders),
            missing,
            reports=len(missing),
            title=title,
            unit="seed",
        )
    return folders


def finished_seeds(plan: ProbePlan, runs: Path) -> tuple[int, ...]:
    """The plan's seeds whose training did not diverge, of which alone there is something to probe."""
    finished = {run["seed"] for run in paths.read_json(runs / "metrics.json")["runs"]}
    return tuple(seed for seed in plan.seeds if seed in finished)


def code_of_stage() -> list[Path]:
    """The files that dvc.yaml names as this stage's code."""
    return run_records.code("layouts.py", "prepared.py", "seeds.py", "architectures/*.py", "probe/*.py")


def kept_folder(variant: str, plan: ProbePlan, prepared: Path, runs: Path) -> Path:
    settings = f"{plan.model_dump_json(exclude={'seeds'})} {version('torch')}"
    return run_records.folder(
        paths.PROBED_SEEDS,
        variant,
        settings,
        [*sorted(prepared.iterdir()), *sorted(runs.glob("seed_*")), *code_of_stage()],
    )


def _probe_seed(
    plans: dict[str, ProbePlan],
    prepared: Path,
    runs: Path,
    folders: dict[str, Path],
    task: run_records.Task,
    report: Report,
) -> None:
    from stages.probe.seed import probe_seed

    variant, seed = task
    with run_records.making(folders[variant] / f"seed_{seed}") as folder:
        probe_seed(plans[variant], seed, prepared, runs / variant, folder)
    report(f"{variant}, seed {seed}")

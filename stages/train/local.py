"""Train on this machine: runs spread over the cores, one process and one thread each."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from stages.shared import paths
from stages.shared.architectures.closed_form import closed_form
from stages.shared.prepared_data import load_constants, shape_of
from stages.shared.process_pool import Report, run_parallel
from stages.shared.run_records import PlannedRun, write_record
from stages.shared.stage_command import StageError
from stages.train.length import training_epochs, training_steps

STEP_OVERHEAD = 20e6  # multiply-accumulates that take as long as what a training step does beside its products
BACKWARD = 2  # times the multiply-accumulates of the forward pass

Finished = Callable[[PlannedRun, Path], None]


def train(runs: Sequence[PlannedRun], prepared: Path, finished: Finished) -> list[float]:
    """Train these runs and call finished(run, folder) with each one's whole folder, in the process that trained it.

    Returns the seconds that each took on one core. The longest runs begin first, so that all cores end together.
    Raises StageError if a process is killed.
    """
    from stages.train.run import train_run  # noqa: F401  (torch: imported once, before the processes part)

    work = {run: estimated_work(run, load_constants(prepared)) for run in runs}
    ordered = sorted(runs, key=lambda run: -work[run])
    n_variants = len({run.variant for run in runs})
    title = f"train {len(runs)} runs of {n_variants} {'variant' if n_variants == 1 else 'variants'}"
    with paths.scratch_folder("train") as scratch:
        task = partial(_train_one, work, prepared, scratch, finished)
        seconds = dict(zip(ordered, run_parallel(task, ordered, sum(work.values()), title), strict=True))
    return [seconds[run] for run in runs]


def estimated_work(run: PlannedRun, constants: dict[str, Any]) -> float:
    """Roughly the multiply-accumulates of a run; only progress and the order of work depend on it."""
    spec = run.spec
    images = spec.train_size
    steps, epochs = training_steps(spec.recipe, images), training_epochs(spec.recipe, images)
    macs = closed_form(spec.architecture, shape_of(spec.sample, constants), len(constants["classes"])).macs
    val_size = spec.val_size or sum(constants["class_counts"]["val"])
    scored = (epochs + 1) * val_size + images + sum(constants["class_counts"]["test"])
    return steps * (STEP_OVERHEAD + (1 + BACKWARD) * macs * spec.recipe.batch_size) + macs * scored


def _train_one(
    work: dict[PlannedRun, float], prepared: Path, scratch: Path, finished: Finished, run: PlannedRun, report: Report
) -> float:
    from stages.shared.architectures.own_net import in_words, is_of_own_net
    from stages.train.run import train_run

    start = time.monotonic()
    epochs = training_epochs(run.spec.recipe, run.spec.train_size)
    folder = scratch / run.digest
    folder.mkdir()
    try:
        train_run(
            run.spec,
            prepared,
            folder,
            lambda text: report(work[run] / epochs, f"{run.variant}, seed {run.seed}, {text}"),
        )
    except Exception as error:
        own = run.spec.architecture.own_module
        if own is None or not is_of_own_net(error):
            raise
        key = f"variants.{run.variant}.run.architecture.module.class = {own.class_!r}"
        raise StageError(f"{key}: training fails under seed {run.seed}: {in_words(error)}") from None
    write_record(folder, run.digest)
    finished(run, folder)
    return time.monotonic() - start

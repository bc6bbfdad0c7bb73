"""Train on this machine: one process and one thread a run, on all cores; on a GPU the seeds of a variant together."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from stages.shared import paths
from stages.shared.architectures.closed_form import closed_form
from stages.shared.prepared_data import load_constants, shape_of
from stages.shared.process_pool import Report, run_parallel
from stages.shared.run_records import PlannedRun, write_record
from stages.shared.stage_command import StageError
from stages.train.length import training_epochs, training_steps

STEP_OVERHEAD = 20e6  # multiply-accumulates that take as long as what a training step does beside its products
PROCESSES_PER_GPU = 4  # one alone leaves it idle between the steps of small nets
BACKWARD = 2  # times the multiply-accumulates of the forward pass

Finished = Callable[[PlannedRun, Path], None]


class Task(NamedTuple):
    """Runs that one process trains at once: on a CPU one, on a GPU the seeds of a variant. gpu: its number."""

    runs: Sequence[PlannedRun]
    gpu: int


def train(runs: Sequence[PlannedRun], prepared: Path, finished: Finished) -> list[float]:
    """Train these runs and call finished(run, folder) with each one's whole folder, in the process that trained it.

    Returns the seconds that each took on one core; of runs that a GPU trained together, an equal share. The longest
    tasks begin first, so that all processes end together. Raises StageError if a process is killed.
    """
    # torch, and what its optimisers load at their first step: imported once, before the processes part
    import torch._dynamo  # noqa: F401

    from stages.train.run import train_run  # noqa: F401

    work = {run: estimated_work(run, load_constants(prepared)) for run in runs}
    on_gpu = any(run.spec.device == "cuda" for run in runs)
    gpus = _count_gpus() if on_gpu else 1
    tasks = sorted(tasks_of(runs, gpus), key=lambda task: -sum(work[run] for run in task.runs))
    n_variants = len({run.variant for run in runs})
    title = f"train {len(runs)} runs of {n_variants} {'variant' if n_variants == 1 else 'variants'}"
    with paths.scratch_folder("train") as scratch:
        call = partial(_train_task, work, prepared, scratch, finished)
        most = gpus * PROCESSES_PER_GPU if on_gpu else None
        durations = run_parallel(call, tasks, sum(work.values()), title, most=most, fork=not on_gpu)
    seconds = {
        run: duration / len(task.runs) for task, duration in zip(tasks, durations, strict=True) for run in task.runs
    }
    return [seconds[run] for run in runs]


def tasks_of(runs: Sequence[PlannedRun], gpus: int) -> list[Task]:
    """What each process is given.

    A user's own net need not bear torch.func.vmap, so its runs are trained singly. Where there are fewer variants than
    GPUs, the seeds of a variant are spread over several.
    """
    groups: dict[str, list[PlannedRun]] = defaultdict(list)
    for run in runs:
        groups[run.variant if _is_stacked(run) else run.digest].append(run)
    parts = -(-gpus // len(groups))
    chunks = [group[start::parts] for group in groups.values() for start in range(min(parts, len(group)))]
    return [Task(chunk, number % gpus) for number, chunk in enumerate(chunks)]


def _is_stacked(run: PlannedRun) -> bool:
    return run.spec.device == "cuda" and run.spec.architecture.own_module is None


def _count_gpus() -> int:
    import torch

    return torch.cuda.device_count()


def estimated_work(run: PlannedRun, constants: dict[str, Any]) -> float:
    """Roughly the multiply-accumulates of a run; only progress and the order of work depend on it."""
    spec = run.spec
    images = spec.train_size
    steps, epochs = training_steps(spec.recipe, images), training_epochs(spec.recipe, images)
    macs = closed_form(spec.architecture, shape_of(spec.sample, constants), len(constants["classes"])).macs
    val_size = spec.val_size or sum(constants["class_counts"]["val"])
    scored = (epochs + 1) * val_size + images + sum(constants["class_counts"]["test"])
    return steps * (STEP_OVERHEAD + (1 + BACKWARD) * macs * spec.recipe.batch_size) + macs * scored


def _train_task(
    work: dict[PlannedRun, float], prepared: Path, scratch: Path, finished: Finished, task: Task, report: Report
) -> float:
    """Returns the seconds that it took."""
    start = time.monotonic()
    folders = {run: scratch / run.digest for run in task.runs}
    for folder in folders.values():
        folder.mkdir()
    if _is_stacked(task.runs[0]):
        from stages.train.stacked import StackedRun, gpu, train_stack

        stacked = [StackedRun(run.spec, folder, _epoch_report(work, run, report)) for run, folder in folders.items()]
        train_stack(stacked, prepared, gpu(task.gpu, PROCESSES_PER_GPU))
    else:
        _train_single(work, prepared, folders, task.gpu, report)
    for run, folder in folders.items():
        write_record(folder, run.digest)
        finished(run, folder)
    return time.monotonic() - start


def _epoch_report(work: dict[PlannedRun, float], run: PlannedRun, report: Report) -> Callable[[str], None]:
    """What a run calls after each epoch."""
    share = work[run] / training_epochs(run.spec.recipe, run.spec.train_size)
    return lambda text: report(share, f"{run.variant}, seed {run.seed}, {text}")


def _train_single(
    work: dict[PlannedRun, float], prepared: Path, folders: dict[PlannedRun, Path], gpu: int, report: Report
) -> None:
    import torch

    from stages.shared.architectures.own_net import in_words, is_of_own_net
    from stages.train.run import train_run

    for run, folder in folders.items():
        if run.spec.device == "cuda":
            torch.cuda.set_device(gpu)
        try:
            train_run(run.spec, prepared, folder, _epoch_report(work, run, report))
        except Exception as error:
            own = run.spec.architecture.own_module
            if own is None or not is_of_own_net(error):
                raise
            key = f"variants.{run.variant}.run.architecture.module.class = {own.class_!r}"
            raise StageError(f"{key}: training fails under seed {run.seed}: {in_words(error)}") from None


def instructions() -> str:
    """The newest instructions that torch's kernels use on this CPU, such as AVX2 or AVX512."""
    import torch

    return str(torch.backends.cpu.get_cpu_capability())

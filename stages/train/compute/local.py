"""Train on this machine: the seeds of a variant spread over the cores, one process and one thread each."""

from functools import partial
from pathlib import Path

from stages.cores import Report, spread
from stages.params import Run
from stages.prepared import load_constants, train_size
from stages.train.compute import resume
from stages.train.recipe import epochs_begun
from stages.train.run import train_run


def train_seeds(variant: str, run: Run, epochs: int, seeds: tuple[int, ...], prepared: Path, out: Path) -> None:
    """Train every seed into out/seed_<seed>/, but for those that an interrupted training of the same had finished.

    epochs: the protocol's. Raises StageError if a process is killed.
    """
    kept = resume.kept_folder(variant, run, epochs, prepared)
    task = partial(_train_seed, run, epochs, prepared, kept, out)
    reports = epochs_begun(run.recipe, epochs, train_size(run.sample, load_constants(prepared)))
    before = [str(seed) for seed in seeds if resume.is_whole(kept / f"seed_{seed}")]
    if before:
        print(f"train {variant}: finished before, and kept: seed {', '.join(before)}", flush=True)
    spread(task, seeds, reports=reports, title=f"train {variant}", unit="epoch")


def _train_seed(run: Run, epochs: int, prepared: Path, kept: Path, out: Path, seed: int, report: Report) -> None:
    folder = out / f"seed_{seed}"
    if resume.take(kept, folder):
        for _ in range(epochs_begun(run.recipe, epochs, train_size(run.sample, load_constants(prepared)))):
            report(f"seed {seed}: finished before")
        return
    folder.mkdir()
    train_run(run, epochs, seed, prepared, folder, report)
    resume.keep(folder, kept)

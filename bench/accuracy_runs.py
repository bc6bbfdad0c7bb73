"""The runs behind `make bench-accuracy`: the lab's loop, and this project with a recipe; both on the same images."""

import json
import math
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import load_file
from torch.utils.data import DataLoader, Subset

from bench.data import LR, OUT, TRAIN
from stages.shared import paths
from stages.shared.params import Params
from stages.shared.prepared_data import load_constants
from stages.shared.process_pool import Report, run_parallel
from stages.shared.splits import train_and_val_rows
from stages.train.run import train_run
from stages.train.run_spec import RunSpec

NET = "lab_cnn_3"
PREPARED = OUT / "prepared"
PIXELS = "standardised"  # as in the baseline; the lab's loop scales them to between 0 and 1


@dataclass(frozen=True)
class Result:
    """val, test: seed → accuracy after the last epoch. seconds: wall, of all seeds, with evaluation and writing."""

    name: str
    val: dict[int, float]
    test: dict[int, float]
    seconds: float

    @property
    def seconds_a_seed(self) -> float:
        return self.seconds / len(self.test)


def lab(seeds: Sequence[int], epochs: int) -> Result:
    """The lab's loop with its default threads, one seed after another, each in a process of its own."""
    val, test, start = {}, {}, time.perf_counter()
    for seed in seeds:
        command = [sys.executable, "-m", "bench.accuracy", "--lab-seed", str(seed), "--lab-epochs", str(epochs)]
        done = subprocess.run(command, cwd=paths.ROOT, stdout=subprocess.PIPE, encoding="utf-8", check=True)
        val[seed], test[seed] = json.loads(done.stdout)
        seconds = time.perf_counter() - start
        print(f"the lab's loop, seed {seed}: val {val[seed]:.4f}, {seconds:.0f} s so far", flush=True)
    return Result(f"the lab's loop, {epochs} epochs of Adam", val, test, time.perf_counter() - start)


def lab_run(seed: int, epochs: int) -> tuple[float, float]:
    """Accuracies on the validation and the test images after the last epoch. Trains on what the seed draws for all."""
    from bench.contestants.lab import dataset, loader_of, net_of, train_epoch

    torch.manual_seed(seed)
    published = load_file(PREPARED / "rows.safetensors")["train"]
    labels = load_file(PREPARED / "train.safetensors")["labels"]
    train_rows, val_rows = train_and_val_rows(labels, TRAIN, len(labels) - TRAIN, seed)
    everything = dataset()
    train = loader_of(Subset(everything, published[train_rows].tolist()))
    val = loader_of(Subset(everything, published[val_rows].tolist()), shuffle=False)
    model = net_of(NET)
    optimiser = torch.optim.Adam(model.parameters(), lr=LR)

    def accuracy(loader: DataLoader) -> float:
        model.eval()
        n_right = n_images = 0
        with torch.no_grad():
            for images, answers in loader:
                n_right += int((model(images).argmax(1) == answers).sum())
                n_images += len(answers)
        return n_right / n_images

    last = 0.0
    for _ in range(epochs):
        train_epoch(model, optimiser, train)
        last = accuracy(val)
    return last, accuracy(loader_of(dataset(train=False), shuffle=False))


def ours(settings: Params, recipe: dict[str, Any], epochs: float, seeds: Sequence[int], name: str) -> Result:
    """This project, as many seeds at once as there are cores. recipe: what differs from the lab's."""
    variant = settings.variants[NET]
    of_lab = variant.run.recipe
    steps = round(epochs * TRAIN / recipe.get("batch_size", of_lab.batch_size))
    changed = {
        "recipe": of_lab.model_copy(update={**recipe, "steps": steps}),
        "sample": variant.run.sample.model_copy(update={"pixels": PIXELS}),
    }
    variant = variant.model_copy(update={"run": variant.run.model_copy(update=changed)})
    settings = settings.model_copy(update={"variants": {NET: variant}})
    n_images = sum(load_constants(PREPARED)["class_counts"]["train"])
    specs = [RunSpec.of(settings, NET, seed, "cpu", n_images) for seed in seeds]
    with paths.whole_folder(OUT / "runs") as out:
        start = time.perf_counter()
        accuracies = run_parallel(partial(_accuracies, out), specs, len(specs) * math.ceil(epochs), name)
        seconds = time.perf_counter() - start
    val, test = (dict(zip(seeds, one, strict=True)) for one in zip(*accuracies, strict=True))
    return Result(name, val, test, seconds)


def _accuracies(out: Path, spec: RunSpec, report: Report) -> tuple[float, float]:
    """On the validation and the test images; not a number where the run diverged."""
    folder = out / str(spec.seed)
    folder.mkdir()
    train_run(spec, PREPARED, folder, lambda text: report(1, text))
    metrics = paths.read_json(folder / "metrics.json")
    if "diverged" in metrics:
        return np.nan, np.nan
    return float(pd.read_csv(folder / "curves.csv")["val_accuracy"].iloc[-1]), float(metrics["test_accuracy"])

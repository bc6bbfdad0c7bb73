"""Seconds to the lab's test accuracy: its loop, and this project with a shorter recipe; `make bench-accuracy`."""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from tabulate import tabulate

from bench import machine
from bench.data import OUT, TRAIN, arrays, torchvision_root
from bench.rounds import OTHERS_PYTHON
from stages.prepare.write import prepare
from stages.shared import params, paths, stage_command
from stages.shared.inference.intervals import estimate
from stages.shared.params import Params
from stages.shared.prepared_data import load_constants
from stages.shared.process_pool import Report, run_parallel
from stages.train.run import train_run
from stages.train.run_spec import RunSpec

NET = "lab_cnn_3"
LAB_EPOCHS = 15
# Of the recipe; the rest is the lab's.
SHORTER = {"optimizer": "adamw", "lr": 3e-3, "weight_decay": 0.01, "schedule": "one_cycle", "warm_up": 0.3}


@dataclass(frozen=True)
class Result:
    """accuracies: on the test images, one for each seed.

    seconds: wall, of all seeds, with reading, evaluation and writing.
    """

    name: str
    accuracies: list[float]
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.accuracy", description=__doc__)
    parser.add_argument(
        "--seeds",
        type=int,
        default=4,
        help="of this project; as many at once as there are cores (default: %(default)s)",
    )
    parser.add_argument(
        "--lab-seeds",
        type=int,
        default=2,
        help="of the lab's loop, one after another with its default threads (default: %(default)s)",
    )
    parser.add_argument(
        "--epochs", type=int, nargs="+", default=[3, 4, 5], help="lengths of the shorter recipe (default: %(default)s)"
    )
    parser.add_argument("--lab-epochs", type=int, default=LAB_EPOCHS, help="(default: %(default)s)")
    parser.add_argument("--lab-seed", type=int, help=argparse.SUPPRESS)  # in a process of its own
    arguments = parser.parse_args()
    if arguments.lab_seed is not None:
        return print(json.dumps(_lab_run(arguments.lab_seed, arguments.lab_epochs)))
    if min(arguments.seeds, arguments.lab_seeds, arguments.lab_epochs, *arguments.epochs) < 1:
        raise stage_command.StageError(
            "--seeds, --lab-seeds, --lab-epochs and --epochs must be whole numbers from 1 up"
        )
    arrays()
    torchvision_root()
    settings = params.load()
    settings = settings.model_copy(update={"protocol": "replication"})
    with paths.whole_folder(OUT / "prepared") as prepared:
        prepare(settings, paths.RAW, prepared)
    results = [_lab(arguments.lab_seeds, arguments.lab_epochs)]
    for epochs in arguments.epochs:
        results.append(_ours(settings, epochs, arguments.seeds))
        print(f"{results[-1].name}: {results[-1].accuracies}, {results[-1].seconds:.0f} s", flush=True)
    published = settings.variants[NET].published
    assert published is not None
    text = "\n\n".join(
        [
            "# Seconds to the lab's accuracy",
            _table(results, settings.inference.confidence),
            f"The lab published {published.accuracy:.4f}, of one seed. Each trains on {TRAIN:,} images with batches of "
            "128. Seconds a seed: wall seconds of all seeds, divided by their number, with reading, an evaluation on "
            "the validation images after every epoch, and one on the test images. They are of the whole machine: the "
            "lab's loop runs alone with its default threads, this project as many seeds at once as there are cores.",
            *machine.description(OTHERS_PYTHON),
        ]
    )
    with paths.whole_file(OUT / "accuracy.md") as partial_file:
        partial_file.write_text(text + "\n", encoding="utf-8")
    print(text)


def _table(results: list[Result], confidence: float) -> str:
    rows = []
    for result in results:
        found, lab = estimate(result.accuracies, confidence), results[0]
        seconds, theirs = (one.seconds / len(one.accuracies) for one in (result, lab))
        rows.append(
            [
                result.name,
                found.n,
                f"{found.mean:.4f}",
                f"{found.low:.4f} to {found.high:.4f}" if found.n > 1 else "",
                f"{seconds:.0f}",
                f"{theirs / seconds:.1f}",
            ]
        )
    header = [
        "",
        "seeds",
        "mean test accuracy",
        f"{100 * confidence:.0f} % t interval",
        "seconds a seed",
        "times as fast as the lab",
    ]
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)


def _lab(seeds: int, epochs: int) -> Result:
    accuracies, start = [], time.perf_counter()
    for seed in range(seeds):
        command = [sys.executable, "-m", "bench.accuracy", "--lab-seed", str(seed), "--lab-epochs", str(epochs)]
        accuracies.append(
            json.loads(
                subprocess.run(command, cwd=paths.ROOT, stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout
            )
        )
        print(
            f"the lab's loop, seed {seed}: {accuracies[-1]:.4f}, {time.perf_counter() - start:.0f} s so far", flush=True
        )
    return Result(f"the lab's loop, {epochs} epochs of Adam", accuracies, time.perf_counter() - start)


def _lab_run(seed: int, epochs: int) -> float:
    """Test accuracy after the last epoch."""
    from torch.utils.data import DataLoader, Subset

    from bench.contestants.lab import dataset, loader_of, net_of, train_epoch
    from bench.data import LR

    torch.manual_seed(seed)
    everything = dataset()
    train, val = (
        loader_of(Subset(everything, range(TRAIN))),
        loader_of(Subset(everything, range(TRAIN, len(everything))), shuffle=False),
    )
    model = net_of(NET)
    optimiser = torch.optim.Adam(model.parameters(), lr=LR)

    def accuracy(loader: DataLoader) -> float:
        model.eval()
        n_right = n_images = 0
        with torch.no_grad():
            for images, labels in loader:
                n_right += int((model(images).argmax(1) == labels).sum())
                n_images += len(labels)
        return n_right / n_images

    for _ in range(epochs):
        train_epoch(model, optimiser, train)
        accuracy(val)
    return accuracy(loader_of(dataset(train=False), shuffle=False))


def _ours(settings: Params, epochs: int, seeds: int) -> Result:
    variant = settings.variants[NET]
    recipe = variant.run.recipe.model_copy(update={**SHORTER, "epochs": epochs})
    variant = variant.model_copy(update={"run": variant.run.model_copy(update={"recipe": recipe})})
    settings = settings.model_copy(update={"variants": {NET: variant}})
    n_images = sum(load_constants(OUT / "prepared")["class_counts"]["train"])
    specs = [RunSpec.of(settings, NET, seed, "cpu", n_images) for seed in range(seeds)]
    with paths.whole_folder(OUT / "runs") as out:
        start = time.perf_counter()
        accuracies = run_parallel(partial(_test_accuracy, out), specs, seeds * epochs, f"{epochs} epochs")
        seconds = time.perf_counter() - start
    return Result(f"this project, {epochs} epochs of one-cycle AdamW", accuracies, seconds)


def _test_accuracy(out: Path, spec: RunSpec, report: Report) -> float:
    folder = out / str(spec.seed)
    folder.mkdir()
    train_run(spec, OUT / "prepared", folder, lambda text: report(1, text))
    accuracy: float = paths.read_json(folder / "metrics.json")["test_accuracy"]
    return accuracy


if __name__ == "__main__":
    stage_command.run(main)

"""One run: one variant, one seed, from first weights to a scored test set."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.shared import paths
from stages.shared.architectures.build import build, logits_of, save_weights
from stages.shared.params import Recipe, Run
from stages.shared.prepared_data import load_constants, scale_of
from stages.shared.random_streams import stream
from stages.train.data import Split, load_splits
from stages.train.evaluate import accuracy, evaluate
from stages.train.optimiser import Optimiser
from stages.train.recipe import ORDERS, epochs_begun, length, schedule

CPU = torch.device("cpu")


def train_run(
    run: Run, epochs: int, seed: int, prepared: Path, out: Path, report: Callable[[str], None], device: str = "cpu"
) -> None:
    """Train one seed and write its files into the folder `out`.

    epochs: the protocol's, for a recipe that has no length of its own. report: called after each epoch with how far the run is.
    device: cpu, or auto.
    Writes weights.safetensors, curves.json (a row an epoch), predicted.npy (N_test,) and metrics.json. A run whose loss is
    no longer finite, on whichever split, ends there and has no results: it writes metrics.json alone, which names the epoch.
    On one kind of CPU the bits depend on `run`, `epochs`, `seed` and the prepared data alone: one thread, random streams of its own.
    """
    place = _place(device, seed)
    set_up(place)
    constants = load_constants(prepared)
    drawn = seed + run.sample.seed_offset
    splits = {
        name: Split(split.images.to(place), split.labels.to(place))
        for name, split in load_splits(prepared, run.sample, drawn).items()
    }
    init = torch.Generator().manual_seed(int(stream("init", drawn).integers(2**62)))
    model = build(
        run.architecture, tuple(constants["shape"]), len(constants["classes"]), *scale_of(run.sample, constants), init
    ).to(place)
    steps = length(run.recipe, epochs, len(splits["train"].labels))
    epochs = epochs_begun(run.recipe, epochs, len(splits["train"].labels))
    about = {"seed": seed, "device": place.type}
    curves = []
    for row in _epochs(model, run.recipe, splits["train"], steps, stream("order", drawn)):
        val_loss, val_predicted = evaluate(model, splits["val"])
        if not np.isfinite(row["train_loss"] + val_loss):
            return _write_diverged({**about, "diverged": row["epoch"]}, epochs, out, report)
        row |= {"val_loss": val_loss, "val_accuracy": accuracy(val_predicted, splits["val"].labels)}
        curves.append({"seed": seed, **row})
        report(f"seed {seed}, epoch {row['epoch']} of {epochs}: val accuracy {row['val_accuracy']:.4f}")
    metrics, predicted = _score(model, splits)
    if not all(map(np.isfinite, metrics.values())):
        return _write_diverged({**about, "diverged": epochs}, epochs, out, report)
    save_weights(model, out / "weights.safetensors")
    paths.write_json(out / "curves.json", curves)
    np.save(out / "predicted.npy", predicted.cpu().numpy().astype(np.int16))
    paths.write_json(out / "metrics.json", {**about, **metrics})


def _place(device: str, seed: int) -> torch.device:
    """Where a seed is trained. The processes of several seeds share a GPU, and spread over what GPUs there are."""
    if device == "auto" and torch.cuda.is_available():
        return torch.device("cuda", seed % torch.cuda.device_count())
    return CPU


def set_up(place: torch.device = CPU) -> None:
    """Let torch use one thread, and only what gives the same bits every time; on a GPU, where there is such a thing."""
    torch.set_num_threads(1)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without which cuBLAS is not deterministic
    torch.set_deterministic_debug_mode(
        "error" if place == CPU else "warn"
    )  # use_deterministic_algorithms, without its import of the compiler
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # nothing here reads what it has not written


def _write_diverged(metrics: dict[str, Any], epochs: int, out: Path, report: Callable[[str], None]) -> None:
    """metrics: with the epoch, of `epochs`, that is the first with a loss that is not finite."""
    for _ in range(metrics["diverged"], epochs + 1):
        report(f"seed {metrics['seed']} diverged in epoch {metrics['diverged']}")
    paths.write_json(out / "metrics.json", metrics)


def _epochs(
    model: nn.Module, recipe: Recipe, train: Split, steps: int, order: np.random.Generator
) -> Iterator[dict[str, Any]]:
    """Train, and yield {epoch, train_loss, train_accuracy} after each; both are means over the epoch's own steps.

    The last epoch ends with the last step, which need not be the end of the images.
    """
    optimiser = Optimiser(recipe, model.parameters())
    lr_at = schedule(recipe, steps)
    step = 0
    for epoch, batches in enumerate(ORDERS[recipe.order](order, len(train.labels), recipe.batch_size), 1):
        loss_sum, right, seen = 0.0, 0, 0
        for batch in batches[: steps - step]:
            loss, logits = _step(model, recipe, optimiser, lr_at(step), train.images[batch], train.labels[batch])
            loss_sum += loss * len(batch)
            right += int((logits.argmax(1) == train.labels[batch]).sum())
            seen += len(batch)
            step += 1
        yield {"epoch": epoch, "train_loss": loss_sum / seen, "train_accuracy": right / seen}
        if step == steps:
            return


def _step(
    model: nn.Module, recipe: Recipe, optimiser: Optimiser, lr: float, images: Tensor, labels: Tensor
) -> tuple[float, Tensor]:
    with torch.autocast(images.device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
        logits = logits_of(model, images).float()
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    optimiser.step(lr)
    return loss.item(), logits.detach()


def _score(model: nn.Module, splits: dict[str, Split]) -> tuple[dict[str, float], Tensor]:
    """Loss and accuracy on all three splits with the final weights, and the classes predicted of the last, the test set: it is seen here for the first time."""
    metrics: dict[str, float] = {}
    for name, split in splits.items():
        loss, predicted = evaluate(model, split)
        metrics |= {f"{name}_loss": loss, f"{name}_accuracy": accuracy(predicted, split.labels)}
    return metrics, predicted

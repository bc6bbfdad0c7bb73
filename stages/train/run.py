"""One run: one variant, one seed, from first weights to a scored test set."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages import paths
from stages.architectures.build import build, logits_of, save_weights
from stages.params import Recipe, Run
from stages.prepared import load_constants, scale_of
from stages.seeds import stream
from stages.train.data import Split, load_splits
from stages.train.evaluate import accuracy, evaluate
from stages.train.optimiser import Optimiser
from stages.train.recipe import ORDERS, epochs_begun, length, schedule


def train_run(run: Run, epochs: int, seed: int, prepared: Path, out: Path, report: Callable[[str], None]) -> None:
    """Train one seed and write its files into the folder `out`.

    epochs: the protocol's, for a recipe that has no length of its own. report: called after each epoch with how far the run is.
    Writes weights.safetensors, curves.json (a row an epoch), predicted.npy (N_test,) and metrics.json. A run whose loss is
    no longer finite, on whichever split, ends there and has no results: it writes metrics.json alone, which names the epoch.
    The bits depend on `run`, `epochs`, `seed` and the prepared data alone: one thread, random streams of its own.
    """
    set_up()
    constants = load_constants(prepared)
    drawn = seed + run.sample.seed_offset
    splits = load_splits(prepared, run.sample, drawn)
    init = torch.Generator().manual_seed(int(stream("init", drawn).integers(2**62)))
    model = build(run.architecture, tuple(constants["shape"]), len(constants["classes"]), *scale_of(run.sample, constants), init)
    steps = length(run.recipe, epochs, len(splits["train"].labels))
    epochs = epochs_begun(run.recipe, epochs, len(splits["train"].labels))
    curves = []
    for row in _epochs(model, run.recipe, splits["train"], steps, stream("order", drawn)):
        val_loss, val_predicted = evaluate(model, splits["val"])
        if not np.isfinite(row["train_loss"] + val_loss):
            return _write_diverged(seed, row["epoch"], epochs, out, report)
        row |= {"val_loss": val_loss, "val_accuracy": accuracy(val_predicted, splits["val"].labels)}
        curves.append({"seed": seed, **row})
        report(f"seed {seed}, epoch {row['epoch']} of {epochs}: val accuracy {row['val_accuracy']:.4f}")
    metrics, predicted = _score(model, splits)
    if not all(map(np.isfinite, metrics.values())):
        return _write_diverged(seed, epochs, epochs, out, report)
    save_weights(model, out / "weights.safetensors")
    paths.write_json(out / "curves.json", curves)
    np.save(out / "predicted.npy", predicted.numpy().astype(np.int16))
    paths.write_json(out / "metrics.json", {"seed": seed, **metrics})


def set_up() -> None:
    """Let torch use one thread, and only what gives the same bits every time."""
    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms, without its import of the compiler
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # nothing here reads what it has not written


def _write_diverged(seed: int, epoch: int, epochs: int, out: Path, report: Callable[[str], None]) -> None:
    """epoch: the first with a loss that is not finite, of `epochs`."""
    for _ in range(epoch, epochs + 1):
        report(f"seed {seed} diverged in epoch {epoch}")
    paths.write_json(out / "metrics.json", {"seed": seed, "diverged": epoch})


def _epochs(model: nn.Module, recipe: Recipe, train: Split, steps: int, order: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Train, and yield {epoch, train_loss, train_accuracy} after each; both are means over the epoch's own steps.

    The last epoch ends with the last step, which need not be the end of the images.
    """
    optimiser = Optimiser(recipe, model.parameters())
    lr_at = schedule(recipe, steps)
    step = 0
    for epoch, batches in enumerate(ORDERS[recipe.order](order, len(train.labels), recipe.batch_size), 1):
        loss_sum, right, seen = 0.0, 0, 0
        for batch in batches[: steps - step]:
            loss, logits = _step(model, optimiser, lr_at(step), train.images[batch], train.labels[batch])
            loss_sum += loss * len(batch)
            right += int((logits.argmax(1) == train.labels[batch]).sum())
            seen += len(batch)
            step += 1
        yield {"epoch": epoch, "train_loss": loss_sum / seen, "train_accuracy": right / seen}
        if step == steps:
            return


def _step(model: nn.Module, optimiser: Optimiser, lr: float, images: Tensor, labels: Tensor) -> tuple[float, Tensor]:
    logits = logits_of(model, images)
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

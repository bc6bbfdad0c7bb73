"""One run: one variant under one seed, from initial weights to a scored test set."""

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from torch import Tensor, nn

from stages.shared import paths
from stages.shared.architectures.build import build, logits_of, save_weights
from stages.shared.architectures.closed_form import closed_form
from stages.shared.params import Architecture, Recipe
from stages.shared.prepared_data import load_constants, permutation_of, shape_of
from stages.shared.random_streams import stream, torch_seed
from stages.train.augmentation import View, views
from stages.train.data import Split, load_splits, scale_of
from stages.train.evaluate import accuracy, evaluate
from stages.train.length import steps_an_epoch, training_epochs, training_steps
from stages.train.recipe import ORDERS, PRECISIONS, averaged_weights, build_optimiser, schedule
from stages.train.run_spec import RunSpec

CPU = torch.device("cpu")
CURVES_FORMAT = "%.6f"

Report = Callable[[str], None]
Batch = tuple[Tensor, Tensor]  # images, (N, C, H, W); labels, (N,)


def train_run(spec: RunSpec, prepared: Path, out: Path, report: Report) -> None:
    """Train one run and write its files into the folder `out`.

    Writes weights.safetensors, curves.csv (a row for each epoch that is scored), predictions.safetensors (`predicted`,
    the class of each test image, int16, and `correct`, uint8, both (N_test,)) and metrics.json. A run whose loss is no
    longer finite, on any split, ends there and has no results: it writes metrics.json alone, with the epoch.
    report: called after each epoch with how far the run is. On one kind of CPU the bits depend on `spec` and the
    prepared data alone: a run has one thread and its own random streams.
    """
    device = device_of(spec)
    set_up(device)
    constants = load_constants(prepared)
    splits = splits_on(device, prepared, spec)
    train, val, test = splits["train"], splits["val"], splits["test"]
    torch.manual_seed(torch_seed("dropout", spec.drawn_seed))  # dropout draws from torch's global generator alone
    model = first_model(spec, train, constants).to(device)
    n_steps = training_steps(spec.recipe, len(train.labels))
    n_epochs = training_epochs(spec.recipe, len(train.labels))
    metrics = first_metrics(spec, device, constants)

    curves = []
    optimiser = build_optimiser(spec.recipe, model.parameters())
    scored = averaged_weights(model, optimiser, spec.recipe.ema_decay) if spec.recipe.ema_decay else model
    for row in train_epochs(model, optimiser, spec.recipe, epochs_of(spec, train, constants), n_steps):
        if not np.isfinite(row["train_loss"]):
            write_diverged(metrics | {"diverged": row["epoch"]}, n_epochs, out, report)
            return
        if not is_scored(row["epoch"], spec):
            report(f"epoch {row['epoch']} of {n_epochs}")
            continue
        val_loss, val_predicted = evaluate(scored, val)
        if not np.isfinite(val_loss):
            write_diverged(metrics | {"diverged": row["epoch"]}, n_epochs, out, report)
            return
        row |= {"val_loss": val_loss, "val_accuracy": accuracy(val_predicted, val.labels)}
        curves.append(row)
        report(f"epoch {row['epoch']} of {n_epochs}: val accuracy {row['val_accuracy']:.4f}")

    scores, predicted = _score(scored, splits)
    if not all(map(np.isfinite, scores.values())):
        write_diverged(metrics | {"diverged": n_epochs}, n_epochs, out, report)
        return
    save_weights(scored, out / "weights.safetensors")
    write_results(metrics | scores, curves, predicted, test.labels, out)


def set_up(device: torch.device = CPU) -> None:
    """One thread, and deterministic algorithms; on a GPU, a warning where torch has no deterministic one."""
    torch.set_num_threads(1)
    if device.type == "cuda":  # by default its convolutions round their inputs to TF32's ten bits
        torch.backends.cudnn.allow_tf32 = False
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without which cuBLAS is not deterministic
    torch.use_deterministic_algorithms(True, warn_only=device.type != "cpu")
    # Nothing here reads memory that it has not written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def splits_on(device: torch.device, prepared: Path, spec: RunSpec) -> dict[str, Split]:
    """The splits train, val and test of a run, on the device that trains."""
    return {
        name: Split(split.images.to(device), split.labels.to(device))
        for name, split in load_splits(prepared, spec).items()
    }


def first_model(spec: RunSpec, train: Split, constants: dict[str, Any]) -> nn.Sequential:
    """The net with its initial weights, on the CPU, so that every device begins with the same."""
    generator = torch.Generator().manual_seed(torch_seed("init", spec.drawn_seed))
    shape, n_classes = shape_of(spec.sample, constants), len(constants["classes"])
    return build(spec.architecture, shape, n_classes, *scale_of(spec.sample, train.images), generator)


def first_metrics(spec: RunSpec, device: torch.device, constants: dict[str, Any]) -> dict[str, Any]:
    """What metrics.json says whatever the training comes to."""
    shape, n_classes = shape_of(spec.sample, constants), len(constants["classes"])
    return {"seed": spec.seed, "device": device.type, **costs(spec.architecture, shape, n_classes)}


def is_scored(epoch: int, spec: RunSpec) -> bool:
    """Whether the validation images are scored after this epoch (from 1)."""
    epoch_steps = steps_an_epoch(spec.recipe, spec.train_size)
    return epoch * epoch_steps % spec.score_every < epoch_steps or epoch >= training_epochs(
        spec.recipe, spec.train_size
    )


def costs(architecture: Architecture, shape: tuple[int, int, int], n_classes: int) -> dict[str, Any]:
    """The net's costs and receptive field in closed form, so that tables need no other source."""
    form = closed_form(architecture, shape, n_classes)
    return {
        "connectivity": architecture.connectivity,
        "parameters": form.parameters,
        "macs": form.macs,
        "map_sizes": form.map_sizes,
        "receptive_field": form.receptive_field,
    }


def epochs_of(spec: RunSpec, train: Split, constants: dict[str, Any]) -> Iterator[Iterator[Batch]]:
    """Epoch after epoch, the batches in which the run sees its train images."""
    order = stream("order", spec.drawn_seed)
    layout = permutation_of(spec.sample, constants)
    shown = views(spec.recipe, train.images, tuple(constants["margin"]), layout, spec.drawn_seed)
    return batches_of(spec.recipe, train, order, shown)


def batches_of(
    recipe: Recipe, train: Split, order: np.random.Generator, shown: Iterator[View]
) -> Iterator[Iterator[Batch]]:
    """Epoch after epoch, its batches: images, (N, C, H, W), and labels, (N,). shown: a view for each epoch."""
    for rows_of_batches, view in zip(
        ORDERS[recipe.order](order, len(train.labels), recipe.batch_size), shown, strict=True
    ):
        yield ((view(rows), train.labels[rows]) for rows in rows_of_batches)


def train_epochs(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    recipe: Recipe,
    epochs: Iterable[Iterable[Batch]],
    n_steps: int,
) -> Iterator[dict[str, Any]]:
    """Train, and yield {epoch, train_loss, train_accuracy} after each epoch: means over the epoch's own steps.

    They are of what each step sees: augmented images, smoothed labels (in the loss alone), and that step's weights, not
    their average. The last epoch ends with the last step, which need not be the end of the images.
    """
    lr_at = schedule(recipe, n_steps)
    precision = PRECISIONS[recipe.precision](next(model.parameters()).device.type)
    step = 0
    for epoch, batches in enumerate(epochs, 1):
        loss_sum, n_right, n_seen = 0.0, 0, 0
        for images, labels in islice(batches, n_steps - step):
            for group in optimiser.param_groups:
                group["lr"] = lr_at(step)
            with precision:
                logits = logits_of(model, images).float()
            loss = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
            _step(optimiser, loss)
            loss_sum += loss.item() * len(labels)
            n_right += int((logits.argmax(1) == labels).sum())
            n_seen += len(labels)
            step += 1
        yield {"epoch": epoch, "train_loss": loss_sum / n_seen, "train_accuracy": n_right / n_seen}
        if step == n_steps:
            return


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    for parameter in optimiser.param_groups[0]["params"]:
        parameter.grad = None  # optimiser.zero_grad() does the same and takes a hundredth of a small net's step
    loss.backward()
    optimiser.step()


def _score(model: nn.Module, splits: dict[str, Split]) -> tuple[dict[str, float], Tensor]:
    """Loss and accuracy on every split with the final weights, and the predicted classes of the test set.

    The train split is scored like the others: its images as they are, without augmentation or smoothed labels.
    splits: the test set stands last. It is used here for the first time.
    """
    scores: dict[str, float] = {}
    for name, split in splits.items():
        loss, predicted = evaluate(model, split)
        scores |= {f"{name}_loss": loss, f"{name}_accuracy": accuracy(predicted, split.labels)}
    return scores, predicted


def device_of(spec: RunSpec) -> torch.device:
    """The CPU, or the GPU that this process has been given (`torch.cuda.set_device`)."""
    return torch.device("cuda", torch.cuda.current_device()) if spec.device == "cuda" else CPU


def write_results(
    metrics: dict[str, Any], curves: list[dict[str, Any]], predicted: Tensor, labels: Tensor, out: Path
) -> None:
    """Write what a finished run reached, but its weights. predicted, labels: (N_test,)."""
    correct = (predicted == labels).cpu().numpy().astype(np.uint8)
    pd.DataFrame(curves).to_csv(out / "curves.csv", index=False, float_format=CURVES_FORMAT, lineterminator="\n")
    save_file(
        {"predicted": predicted.cpu().numpy().astype(np.int16), "correct": correct}, out / "predictions.safetensors"
    )
    paths.write_json(out / "metrics.json", metrics)


def write_diverged(metrics: dict[str, Any], n_epochs: int, out: Path, report: Report) -> None:
    """metrics: with `diverged`, the first epoch, of n_epochs, with a loss that is not finite."""
    for _ in range(metrics["diverged"], n_epochs + 1):
        report(f"diverged in epoch {metrics['diverged']}")
    paths.write_json(out / "metrics.json", metrics)

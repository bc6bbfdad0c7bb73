"""One run: one variant under one seed, from first weights to a scored test set."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
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
from stages.shared.prepared_data import load_constants, shape_of
from stages.shared.random_streams import stream, torch_seed
from stages.train.data import Split, load_splits, scale_of
from stages.train.evaluate import accuracy, evaluate
from stages.train.length import steps_an_epoch, training_epochs, training_steps
from stages.train.recipe import ORDERS, PRECISIONS, build_optimiser, schedule
from stages.train.run_spec import RunSpec

CPU = torch.device("cpu")
CURVES_FORMAT = "%.6f"

Report = Callable[[str], None]


def train_run(spec: RunSpec, prepared: Path, out: Path, report: Report) -> None:
    """Train one run and write its files into the folder `out`.

    Writes weights.safetensors, curves.csv (a row for each epoch that is scored), predictions.safetensors (`predicted`,
    the class of each test image, int16, and `correct`, uint8, both (N_test,)) and metrics.json. A run whose loss is no
    longer finite, on any split, ends there and has no results: it writes metrics.json alone, with the epoch.
    report: called after each epoch with how far the run is. On one kind of CPU the bits depend on `spec` and the
    prepared data alone: a run has one thread and its own random streams.
    """
    device = _device(spec)
    set_up(device)
    constants = load_constants(prepared)
    splits = {
        name: Split(split.images.to(device), split.labels.to(device))
        for name, split in load_splits(prepared, spec).items()
    }
    train, val, test = splits["train"], splits["val"], splits["test"]
    shape, n_classes = shape_of(spec.sample, constants), len(constants["classes"])
    generator = torch.Generator().manual_seed(torch_seed("init", spec.drawn_seed))
    model = build(spec.architecture, shape, n_classes, *scale_of(spec.sample, train.images), generator).to(device)
    n_steps = training_steps(spec.recipe, len(train.labels))
    n_epochs = training_epochs(spec.recipe, len(train.labels))
    metrics = {"seed": spec.seed, "device": device.type, **costs(spec.architecture, shape, n_classes)}

    curves = []
    epoch_steps = steps_an_epoch(spec.recipe, len(train.labels))
    for row in train_epochs(model, spec.recipe, train, n_steps, stream("order", spec.drawn_seed)):
        if not np.isfinite(row["train_loss"]):
            _write_diverged(metrics | {"diverged": row["epoch"]}, n_epochs, out, report)
            return
        is_due = row["epoch"] * epoch_steps % spec.score_every < epoch_steps
        if not is_due and row["epoch"] < n_epochs:
            report(f"epoch {row['epoch']} of {n_epochs}")
            continue
        val_loss, val_predicted = evaluate(model, val)
        if not np.isfinite(val_loss):
            _write_diverged(metrics | {"diverged": row["epoch"]}, n_epochs, out, report)
            return
        row |= {"val_loss": val_loss, "val_accuracy": accuracy(val_predicted, val.labels)}
        curves.append(row)
        report(f"epoch {row['epoch']} of {n_epochs}: val accuracy {row['val_accuracy']:.4f}")

    scores, predicted = _score(model, splits)
    if not all(map(np.isfinite, scores.values())):
        _write_diverged(metrics | {"diverged": n_epochs}, n_epochs, out, report)
        return
    correct = (predicted == test.labels).cpu().numpy().astype(np.uint8)
    save_weights(model, out / "weights.safetensors")
    pd.DataFrame(curves).to_csv(out / "curves.csv", index=False, float_format=CURVES_FORMAT, lineterminator="\n")
    save_file(
        {"predicted": predicted.cpu().numpy().astype(np.int16), "correct": correct}, out / "predictions.safetensors"
    )
    paths.write_json(out / "metrics.json", metrics | scores)


def set_up(device: torch.device = CPU) -> None:
    """Let torch use one thread and deterministic algorithms only; on a GPU, where there is one."""
    torch.set_num_threads(1)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without which cuBLAS is not deterministic
    torch.use_deterministic_algorithms(True, warn_only=device.type != "cpu")
    # Nothing here reads memory that it has not written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


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


def train_epochs(
    model: nn.Module, recipe: Recipe, train: Split, n_steps: int, order: np.random.Generator
) -> Iterator[dict[str, Any]]:
    """Train, and yield {epoch, train_loss, train_accuracy} after each epoch: means over the epoch's own steps.

    The last epoch ends with the last step, which need not be the end of the images.
    """
    optimiser = build_optimiser(recipe, model.parameters())
    lr_at = schedule(recipe, n_steps)
    precision = PRECISIONS[recipe.precision](train.images.device.type)
    step = 0
    for epoch, batches in enumerate(ORDERS[recipe.order](order, len(train.labels), recipe.batch_size), 1):
        loss_sum, n_right, n_seen = 0.0, 0, 0
        for batch in batches[: n_steps - step]:
            for group in optimiser.param_groups:
                group["lr"] = lr_at(step)
            loss, logits = _step(model, optimiser, precision, train.images[batch], train.labels[batch])
            loss_sum += loss * len(batch)
            n_right += int((logits.argmax(1) == train.labels[batch]).sum())
            n_seen += len(batch)
            step += 1
        yield {"epoch": epoch, "train_loss": loss_sum / n_seen, "train_accuracy": n_right / n_seen}
        if step == n_steps:
            return


def _step(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    precision: AbstractContextManager[None],
    images: Tensor,
    labels: Tensor,
) -> tuple[float, Tensor]:
    with precision:
        logits = logits_of(model, images).float()
    loss = F.cross_entropy(logits, labels)
    for parameter in optimiser.param_groups[0]["params"]:
        parameter.grad = None  # optimiser.zero_grad() does the same and takes a hundredth of a small net's step
    loss.backward()
    optimiser.step()
    return loss.item(), logits.detach()


def _score(model: nn.Module, splits: dict[str, Split]) -> tuple[dict[str, float], Tensor]:
    """Loss and accuracy on every split with the final weights, and the predicted classes of the test set.

    splits: the test set stands last. It is used here for the first time.
    """
    scores: dict[str, float] = {}
    for name, split in splits.items():
        loss, predicted = evaluate(model, split)
        scores |= {f"{name}_loss": loss, f"{name}_accuracy": accuracy(predicted, split.labels)}
    return scores, predicted


def _device(spec: RunSpec) -> torch.device:
    """The processes of several runs share a GPU, and spread over all GPUs there are."""
    if spec.device == "cuda":
        return torch.device("cuda", spec.seed % torch.cuda.device_count())
    return CPU


def _write_diverged(metrics: dict[str, Any], n_epochs: int, out: Path, report: Report) -> None:
    """metrics: with `diverged`, the first epoch, of n_epochs, with a loss that is not finite."""
    for _ in range(metrics["diverged"], n_epochs + 1):
        report(f"diverged in epoch {metrics['diverged']}")
    paths.write_json(out / "metrics.json", metrics)

"""Train many runs of one variant as one net, since one small net leaves a GPU idle.

Each parameter has the runs as its first axis, and torch.func.vmap applies the net along it. Every run keeps its own
images, initial weights, order, augmentation and dropout, drawn as it draws them alone; only rounding differs. On a CPU
this is slower than a process a core, except for nets of linear layers alone.
"""

import copy
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64, Int64, Num
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.overrides import TorchFunctionMode

from stages.shared.architectures.build import logits_of, save_weights
from stages.shared.params import Recipe
from stages.shared.prepared_data import load_constants
from stages.shared.random_streams import torch_seed
from stages.train.data import Split
from stages.train.length import training_epochs, training_steps
from stages.train.recipe import PRECISIONS, averaged_weights, build_optimiser, schedule
from stages.train.run import (
    Report,
    epochs_of,
    first_metrics,
    first_model,
    is_scored,
    set_up,
    splits_on,
    write_diverged,
    write_results,
)
from stages.train.run_spec import RunSpec

EVALUATION_BATCH = 500  # images of each run
USABLE_MEMORY = 0.9  # of a GPU; the contexts of the processes take some

PerRun = Float64[Tensor, " run"]


class StackedRun(NamedTuple):
    """A run, where its files go, and what to call after each of its epochs."""

    spec: RunSpec
    out: Path
    report: Report


def gpu(number: int, processes: int) -> torch.device:
    """This GPU, of whose memory this process may take its share. processes: that work on it at once."""
    device = torch.device("cuda", number)
    torch.cuda.set_per_process_memory_fraction(USABLE_MEMORY / processes, device)
    return device


def train_stack(runs: Sequence[StackedRun], prepared: Path, device: torch.device) -> None:
    """Train runs that differ in their seeds alone, and write of each the files that `run.train_run` writes.

    A run that diverges ends as it does alone, and leaves the others as they are. Runs that do not fit into the memory
    of the GPU together are trained in two halves, one after the other. Raises torch.OutOfMemoryError if one alone does
    not fit.
    """
    set_up(device)
    try:
        _train_together(runs, prepared, device)
    except torch.OutOfMemoryError:
        if len(runs) == 1:
            raise
        half = len(runs) // 2
    else:
        return
    # Outside the `except`, whose traceback keeps the tensors of the attempt.
    if device.type == "cuda":
        torch.cuda.empty_cache()
    for part in (runs[:half], runs[half:]):
        train_stack(part, prepared, device)


def _train_together(runs: Sequence[StackedRun], prepared: Path, device: torch.device) -> None:
    specs, constants = [run.spec for run in runs], load_constants(prepared)
    spec = specs[0]
    splits = [splits_on(device, prepared, each) for each in specs]
    models = [first_model(each, split["train"], constants) for each, split in zip(specs, splits, strict=True)]
    stack = Stack(models, [each.drawn_seed for each in specs], spec.recipe.precision).to(device)
    optimiser = build_optimiser(spec.recipe, stack.parameters())
    scored = stack
    if spec.recipe.ema_decay:
        scored = cast(Stack, averaged_weights(stack, optimiser, spec.recipe.ema_decay))
    n_steps, n_epochs = (of(spec.recipe, spec.train_size) for of in (training_steps, training_epochs))
    results = [_Result(run, n_epochs, first_metrics(run.spec, device, constants)) for run in runs]
    epochs = [epochs_of(each, split["train"], constants) for each, split in zip(specs, splits, strict=True)]

    for epoch, (losses, accuracies) in enumerate(
        train_epochs_stacked(stack, optimiser, spec.recipe, epochs, n_steps), 1
    ):
        rows = _by_run("train", losses, accuracies)
        if is_scored(epoch, spec):
            val_losses, val_accuracies, _ = _score(scored, [split["val"] for split in splits])
            rows = [a | b for a, b in zip(rows, _by_run("val", val_losses, val_accuracies), strict=True)]
        for result, row in zip(results, rows, strict=True):
            result.after_epoch(epoch, row)
        if all(result.diverged for result in results):
            break

    scores: list[dict[str, float]] = [{} for _ in runs]
    for name in splits[0]:
        losses, accuracies, predicted = _score(scored, [split[name] for split in splits])
        scores = [a | b for a, b in zip(scores, _by_run(name, losses, accuracies), strict=True)]
    # The splits end with the test set, so the last predictions are of that.
    for number, (result, model) in enumerate(zip(results, models, strict=True)):
        scored.copy_run(number, model)
        result.finish(scores[number], model, predicted[number], splits[number]["test"].labels)


def _by_run(split: str, losses: PerRun, accuracies: PerRun) -> list[dict[str, float]]:
    return [
        {f"{split}_loss": loss, f"{split}_accuracy": accuracy}
        for loss, accuracy in zip(losses.tolist(), accuracies.tolist(), strict=True)
    ]


class _Result:
    """What one run of the stack has come to."""

    def __init__(self, run: StackedRun, n_epochs: int, metrics: dict[str, Any]) -> None:
        self.run, self.n_epochs, self.metrics = run, n_epochs, metrics
        self.curves: list[dict[str, Any]] = []
        self.diverged = False

    def after_epoch(self, epoch: int, row: dict[str, float]) -> None:
        """row: the epoch's losses and accuracies; those of the validation images only where they were scored."""
        if self.diverged:
            return
        if not _all_finite(row):
            self._diverge(epoch)
            return
        message = f"epoch {epoch} of {self.n_epochs}"
        if "val_loss" in row:
            self.curves.append({"epoch": epoch, **row})
            message += f": val accuracy {row['val_accuracy']:.4f}"
        self.run.report(message)

    def finish(self, scores: dict[str, float], model: nn.Module, predicted: Tensor, labels: Tensor) -> None:
        if self.diverged:
            return
        if not _all_finite(scores):
            self._diverge(self.n_epochs)
            return
        save_weights(model, self.run.out / "weights.safetensors")
        write_results(self.metrics | scores, self.curves, predicted, labels, self.run.out)

    def _diverge(self, epoch: int) -> None:
        self.diverged = True
        write_diverged(self.metrics | {"diverged": epoch}, self.n_epochs, self.run.out, self.run.report)


def _all_finite(values: dict[str, float]) -> bool:
    return bool(torch.tensor(list(values.values())).isfinite().all())


class Stack(nn.Module):
    """Nets of one architecture as one: each parameter and buffer has the runs as its first axis.

    models: the nets, on the CPU. seeds: of each one's dropout. precision: of the training, which decides in which type
    a dropout mask is drawn.
    """

    def __init__(self, models: Sequence[nn.Sequential], seeds: Sequence[int], precision: str) -> None:
        super().__init__()
        self.stacked = copy.deepcopy(models[0])
        parameters, buffers = stack_module_state(list(models))
        for name, tensor in (parameters | buffers).items():
            owner, _, last = name.rpartition(".")
            plain = tensor.detach().contiguous()  # vmap has slow ways for channels last, which a GPU does not need
            value = nn.Parameter(plain) if name in parameters else plain
            setattr(self.stacked.get_submodule(owner), last, value)
        self.masks = DropoutMasks(models[0], seeds, precision)
        # In a list, so that its weights, which are never used, are no parameters of the stack.
        self._template = [_with_given_masks(copy.deepcopy(models[0]).to("meta"))]

    def train(self, mode: bool = True) -> "Stack":
        super().train(mode)
        self._template[0].train(mode)
        return self

    def forward(self, images: Num[Tensor, "run image channel height width"]) -> Float[Tensor, "run image class"]:
        state = dict(self.stacked.named_parameters()) | dict(self.stacked.named_buffers())
        if self.training:
            masks = self.masks.draw(images.shape[1:])
            state |= {f"{name}.mask": mask.to(images.device, non_blocking=True) for name, mask in masks.items()}

        def one_net(state: dict[str, Tensor], images: Tensor) -> Tensor:
            logits: Tensor = functional_call(self._template[0], state, (images,))
            return logits

        with _AnyMemoryFormat():
            logits: Tensor = vmap(one_net)(state, images)
        return logits

    def copy_run(self, number: int, model: nn.Module) -> None:
        """Copy the weights of one run into a net of its own."""
        model.load_state_dict({name: tensor[number] for name, tensor in self.stacked.state_dict().items()})


class _AnyMemoryFormat(TorchFunctionMode):
    """Leaves out copies to another order in memory: they change no value, and vmap has no rule for them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.contiguous and kwargs:
            return args[0]
        return func(*args, **kwargs or {})


class _GivenMask(nn.Module):
    """Dropout whose mask is given in place of drawn."""

    mask: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.empty(0), persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        return values * self.mask if self.training else values


def _with_given_masks(model: nn.Module) -> nn.Module:
    for name, _ in _dropouts(model):
        model.set_submodule(name, _GivenMask())
    return model


def _dropouts(model: nn.Module) -> list[tuple[str, nn.Dropout]]:
    return [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Dropout) and module.p]


class DropoutMasks:
    """The masks that torch's dropout draws in each run when it trains alone on a CPU, in the same order.

    model: one of the nets. seeds: of the runs.
    """

    def __init__(self, model: nn.Sequential, seeds: Sequence[int], precision: str) -> None:
        self._model, self._precision = copy.deepcopy(model).train(), precision
        self._generators = [torch.Generator().manual_seed(torch_seed("dropout", seed)) for seed in seeds]
        self._layers = cache(self._layers_of)

    def draw(self, shape: torch.Size) -> dict[str, Tensor]:
        """The masks of one step, (run, …), by the name of the layer. shape: of a run's batch, (N, C, H, W)."""
        layers = self._layers(shape) if _dropouts(self._model) else []
        by_run = [
            {
                name: like.clone().bernoulli_(1 - share, generator=generator).div_(1 - share)
                for name, share, like in layers
            }
            for generator in self._generators
        ]
        return {name: torch.stack([masks[name] for masks in by_run]) for name, _, _ in layers}

    def _layers_of(self, shape: torch.Size) -> list[tuple[str, float, Tensor]]:
        """Name, share and a tensor like its input, in its order in memory, of each dropout as the net comes to it."""
        reached: list[tuple[str, float, Tensor]] = []
        hooks = [
            module.register_forward_pre_hook(
                lambda _, inputs, name=name, share=module.p: reached.append((name, share, torch.empty_like(inputs[0])))
            )
            for name, module in _dropouts(self._model)
        ]
        with torch.no_grad(), torch.random.fork_rng(devices=[]), PRECISIONS[self._precision]("cpu"):
            logits_of(self._model, torch.zeros(shape))
        for hook in hooks:
            hook.remove()
        return reached


def train_epochs_stacked(
    stack: Stack,
    optimiser: torch.optim.Optimizer,
    recipe: Recipe,
    epochs: Sequence[Iterator[Iterator[tuple[Tensor, Tensor]]]],
    n_steps: int,
) -> Iterator[tuple[PerRun, PerRun]]:
    """As `run.train_epochs`, of all runs: loss and accuracy of each after each epoch. epochs: of each run."""
    lr_at, step = schedule(recipe, n_steps), 0
    device = next(stack.parameters()).device
    precision = PRECISIONS[recipe.precision](device.type)
    for batches_of_runs in zip(*epochs, strict=True):
        loss_sums, n_right, n_seen = torch.zeros((), device=device), torch.zeros((), device=device), 0
        for batches in islice(zip(*batches_of_runs, strict=True), n_steps - step):
            images, labels = (torch.stack(parts) for parts in zip(*batches, strict=True))
            for group in optimiser.param_groups:
                group["lr"] = lr_at(step)
            with precision:
                logits = stack(images).float()
            losses = _mean_losses(logits, labels, recipe.label_smoothing)
            optimiser.zero_grad()
            losses.sum().backward()  # no weight of one run bears on the loss of another
            optimiser.step()
            loss_sums = loss_sums + losses.detach().double() * labels.shape[1]
            n_right = n_right + (logits.argmax(2) == labels).sum(1)
            n_seen += labels.shape[1]
            step += 1
        yield loss_sums / n_seen, n_right.double() / n_seen
        if step == n_steps:
            return


def _mean_losses(
    logits: Float[Tensor, "run image class"], labels: Int64[Tensor, "run image"], label_smoothing: float = 0.0
) -> Float[Tensor, " run"]:
    """The mean cross-entropy of each run's batch."""
    losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none", label_smoothing=label_smoothing)
    return losses.view(labels.shape).mean(1)


def _score(stack: Stack, splits: Sequence[Split]) -> tuple[PerRun, PerRun, Int64[Tensor, "run image"]]:
    """Loss, accuracy and predicted classes of each run on its own split."""
    was_training = stack.training
    stack.eval()
    labels = torch.stack([split.labels for split in splits])
    loss_sums, predicted = torch.zeros((), device=labels.device), []
    with torch.inference_mode():
        for start in range(0, labels.shape[1], EVALUATION_BATCH):
            some = slice(start, start + EVALUATION_BATCH)
            logits = stack(torch.stack([split.images[some] for split in splits]))
            losses = _mean_losses(logits, labels[:, some])
            loss_sums = loss_sums + losses.double() * labels[:, some].shape[1]
            predicted.append(logits.argmax(2))
    stack.train(was_training)
    answers = torch.cat(predicted, 1)
    n_images = labels.shape[1]
    return loss_sums / n_images, (answers == labels).sum(1).double() / n_images, answers

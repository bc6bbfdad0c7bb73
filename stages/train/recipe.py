"""How to train: optimiser, precision, learning rates, length, order of images, each by its name in params.yaml."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adadelta, Adam, AdamW
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from stages.shared.params import Recipe


def build_optimiser(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """torch's optimiser of the recipe's name. Its learning rate is set before each step, from `schedule`."""
    return OPTIMISERS[recipe.optimizer](recipe, list(parameters))


# Fused where torch offers it: one pass over the parameters in place of many.
OPTIMISERS: dict[str, Callable[[Recipe, list[nn.Parameter]], torch.optim.Optimizer]] = {
    "adamw": lambda recipe, parameters: AdamW(parameters, weight_decay=recipe.weight_decay, fused=True),
    "adam": lambda recipe, parameters: Adam(parameters, weight_decay=recipe.weight_decay, fused=True),
    "sgd": lambda recipe, parameters: SGD(
        parameters, momentum=recipe.momentum, weight_decay=recipe.weight_decay, fused=True
    ),
    "adadelta": lambda recipe, parameters: Adadelta(parameters, weight_decay=recipe.weight_decay),
}


def averaged_weights(model: nn.Module, optimiser: torch.optim.Optimizer, decay: float) -> nn.Module:
    """A copy of the model, whose weights follow the model's as an exponential moving average with this decay.

    After the optimiser's first step they are the model's; each later step leaves `decay` of the average and adds
    1 − decay of the model's weights. The statistics of batch norm are averaged alike, so that they belong to the same
    steps as the weights. Those of the last step would not; to compute them again would take a pass over the train
    images before each validation.
    Source: Polyak and Juditsky 1992; of the moving average, Tarvainen and Valpola 2017, arXiv:1703.01780.
    """
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    optimiser.register_step_post_hook(lambda *_: average.update_parameters(model))
    copy: nn.Module = average.module
    return copy


# Device type → the context of the forward pass. An autocast that is switched off would still take time in every step.
PRECISIONS: dict[str, Callable[[str], AbstractContextManager[None]]] = {
    "float32": lambda _: nullcontext(),
    "bfloat16": lambda device_type: torch.autocast(device_type, torch.bfloat16),
}


def schedule(recipe: Recipe, n_steps: int) -> Callable[[int], float]:
    """Step (from 0) → learning rate, in a training of n_steps."""
    shape = SCHEDULES[recipe.schedule]
    return lambda step: recipe.lr * shape(recipe, step, n_steps)


def _one_cycle(recipe: Recipe, step: int, n_steps: int) -> float:
    """Cosine from near 0 up to 1 in the first `warm_up` of the steps, then down to 0. Source: Smith and Topin 2018."""
    done, peak = (step + 1) / n_steps, recipe.warm_up
    return _half_cosine(1 - done / peak) if done < peak else _half_cosine((done - peak) / (1 - peak))


def _half_cosine(share: float) -> float:
    """Falls from 1 at share 0 to 0 at share 1."""
    return (1 + math.cos(math.pi * share)) / 2


# (recipe, step, number of steps) → share of the recipe's learning rate. torch's OneCycleLR does not end at 0.
SCHEDULES: dict[str, Callable[[Recipe, int, int], float]] = {
    "one_cycle": _one_cycle,
    "cosine": lambda _, step, n_steps: _half_cosine(step / n_steps),
    "constant": lambda _, __, ___: 1.0,
}


def _reshuffled(order: np.random.Generator, n_images: int, batch_size: int) -> Iterator[tuple[Tensor, ...]]:
    while True:
        yield torch.from_numpy(order.permutation(n_images)).split(batch_size)


def _fixed(order: np.random.Generator, n_images: int, batch_size: int) -> Iterator[tuple[Tensor, ...]]:
    batches = torch.from_numpy(order.permutation(n_images)).split(batch_size)
    while True:
        yield batches


# (generator, number of images, batch size) → epoch after epoch, its batches of row numbers.
ORDERS: dict[str, Callable[[np.random.Generator, int, int], Iterator[tuple[Tensor, ...]]]] = {
    "reshuffled": _reshuffled,
    "fixed": _fixed,
}

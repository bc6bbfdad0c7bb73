"""Optimisers and learning-rate schedules, each chosen by its name in params.yaml."""

import math
from collections.abc import Callable, Iterable

import torch
from torch.nn import Parameter

from stages.params import Recipe


def optimiser(recipe: Recipe, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
    return OPTIMISERS[recipe.optimizer](recipe, parameters)


def schedule(recipe: Recipe, steps: int) -> Callable[[int], float]:
    """Step (from 0) → learning rate."""
    shape = SCHEDULES[recipe.schedule]
    return lambda step: recipe.lr * shape(recipe, step, steps)


OPTIMISERS: dict[str, Callable[[Recipe, Iterable[Parameter]], torch.optim.Optimizer]] = {
    "adamw": lambda r, p: torch.optim.AdamW(p, lr=r.lr, weight_decay=r.weight_decay, fused=True),
    "adam": lambda r, p: torch.optim.Adam(p, lr=r.lr, weight_decay=r.weight_decay, fused=True),
    "sgd": lambda r, p: torch.optim.SGD(p, lr=r.lr, momentum=r.momentum, weight_decay=r.weight_decay, fused=True),
}


def _one_cycle(recipe: Recipe, step: int, steps: int) -> float:
    """Cosine from near 0 up to 1 in the first `warm_up` of the steps, then down to 0. Source: Smith and Topin 2018."""
    done, peak = (step + 1) / steps, recipe.warm_up
    return _fall(1 - done / peak) if done < peak else _fall((done - peak) / (1 - peak))


def _fall(share: float) -> float:
    """Half a cosine from 1 at share 0 to 0 at share 1."""
    return (1 + math.cos(math.pi * share)) / 2


SCHEDULES: dict[str, Callable[[Recipe, int, int], float]] = {
    "one_cycle": _one_cycle,
    "cosine": lambda _, step, steps: _fall(step / steps),
    "constant": lambda _, __, ___: 1.0,
}

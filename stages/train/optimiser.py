"""torch's optimisers, each chosen by its name in params.yaml."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim.adadelta import adadelta
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from stages.shared.params import Recipe


class Optimiser:
    """What torch.optim's class of the recipe's name does, step for step, by the function that this class calls.

    The classes import torch's compiler, which nothing here uses: more than a second in every process that trains.
    """

    def __init__(self, recipe: Recipe, parameters: Iterable[Parameter]) -> None:
        self.recipe = recipe
        self.parameters: list[Tensor] = list(parameters)
        self.first, self.second = (
            [torch.zeros_like(p) for p in self.parameters] for _ in range(2)
        )  # moments, or what adadelta has for them
        self.steps = [torch.zeros((), device=p.device) for p in self.parameters]
        self.buffers: list[Tensor | None] = [None for _ in self.parameters]

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Update the parameters by their gradients, and drop these."""
        gradients = [_gradient(p) for p in self.parameters]
        UPDATES[self.recipe.optimizer](self, gradients, lr)
        for parameter in self.parameters:
            parameter.grad = None


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None, "every parameter of our nets takes part in the loss"
    return parameter.grad


def _adam(own: Optimiser, gradients: list[Tensor], lr: float, decoupled: bool = False) -> None:
    adam(
        own.parameters, gradients, own.first, own.second, [], own.steps, fused=True, decoupled_weight_decay=decoupled,
        amsgrad=False, beta1=0.9, beta2=0.999, lr=lr, weight_decay=own.recipe.weight_decay, eps=1e-8, maximize=False,
    )  # fmt: skip


def _adamw(own: Optimiser, gradients: list[Tensor], lr: float) -> None:
    _adam(own, gradients, lr, decoupled=True)


def _adadelta(own: Optimiser, gradients: list[Tensor], lr: float) -> None:
    adadelta(
        own.parameters,
        gradients,
        own.first,
        own.second,
        own.steps,
        lr=lr,
        rho=0.9,
        eps=1e-6,
        weight_decay=own.recipe.weight_decay,
        maximize=False,
    )


def _sgd(own: Optimiser, gradients: list[Tensor], lr: float) -> None:
    recipe = own.recipe
    sgd(
        own.parameters, gradients, own.buffers, fused=True,
        weight_decay=recipe.weight_decay, momentum=recipe.momentum, lr=lr, dampening=0, nesterov=False, maximize=False,
    )  # fmt: skip


UPDATES: dict[str, Callable[[Optimiser, list[Tensor], float], None]] = {
    "adamw": _adamw,
    "adam": _adam,
    "adadelta": _adadelta,
    "sgd": _sgd,
}

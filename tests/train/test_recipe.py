"""Optimisers and learning rates worked out by hand, and batches that hold every image once."""

import numpy as np
import pytest
import torch

from stages.shared import params
from stages.train.length import training_epochs, training_steps, with_length
from stages.train.recipe import ORDERS, build_optimiser, schedule

RECIPE = params.load().recipe


def recipe(**changes):
    return RECIPE.model_copy(update=changes)


def weight_after(changes, lr, gradients):
    """A weight of 1 after a step with each of the gradients, in double precision."""
    weight = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimiser = build_optimiser(recipe(**changes), [weight])
    for gradient in gradients:
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        optimiser.param_groups[0]["lr"] = lr
        optimiser.step()
    return weight.item()


BY_HAND = {
    # v1 = 1 + .2·1 = 1.2, w = .88; v2 = .5·1.2 + 1 + .2·.88 = 1.776, w = .88 − .1776
    "sgd": ({"momentum": 0.5, "weight_decay": 0.2}, 0.1, [1.0, 1.0], 0.7024),
    # g = .5 + .5·1 = 1; mean square .1·1, that of the steps 0: √(0 + 1e-6) / √(.1 + 1e-6) · g, times 2
    "adadelta": ({"weight_decay": 0.5}, 2.0, [0.5], 1 - 2 * (1e-6 / 0.100001) ** 0.5),
    # g = −.5 + .2·1 = −.3, of which the first step keeps the sign: w = 1 + .1·.3/(.3 + 1e-8)
    "adam": ({"weight_decay": 0.2}, 0.1, [-0.5], 1 + 0.1 * 0.3 / (0.3 + 1e-8)),
    # decay apart from the gradient: w = 1 − .1·.2·1 = .98, then a step of .1·.5/(.5 + 1e-8) up
    "adamw": ({"weight_decay": 0.2}, 0.1, [-0.5], 0.98 + 0.1 * 0.5 / (0.5 + 1e-8)),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_an_optimiser_takes_its_settings_from_the_recipe(name):
    changes, lr, gradients, expected = BY_HAND[name]
    assert weight_after({"optimizer": name, **changes}, lr, gradients) == pytest.approx(expected, rel=1e-9)


def test_one_cycle_rises_to_its_peak_and_falls_to_zero():
    lr_at = schedule(recipe(schedule="one_cycle", lr=2.0, warm_up=0.25), 8)
    # Steps end at 1/8 … 8/8 of the run; the peak is at 2/8, so the first step is half way up the cosine.
    assert [lr_at(step) for step in (0, 1, 4, 7)] == pytest.approx([1.0, 2.0, 1.0, 0.0])


def test_cosine_starts_at_the_peak_and_constant_stays():
    cosine, constant = (schedule(recipe(schedule=name, lr=2.0), 4) for name in ("cosine", "constant"))
    assert [cosine(step) for step in (0, 2)] == pytest.approx([2.0, 1.0])
    assert [constant(step) for step in (0, 3)] == [2.0, 2.0]


@pytest.mark.parametrize(
    ("length", "steps", "epochs"),
    [({"epochs": 2}, 6, 2), ({"steps": 2}, 2, 1), ({"steps": 3}, 3, 1), ({"steps": 4}, 4, 2)],
)
def test_a_training_ends_with_its_epochs_or_within_one_after_its_steps(length, steps, epochs):
    of_10_images = recipe(batch_size=4, **length), 10  # 3 steps an epoch
    assert (training_steps(*of_10_images), training_epochs(*of_10_images)) == (steps, epochs)


LENGTHS = {
    "the protocol's epochs": ({}, 10, {"epochs": 6}),
    "four times as long": ({"length": 4}, 10, {"epochs": 24}),
    "as many steps on fewer images": ({}, 5, {"steps": 18}),  # 6 epochs of ⌈10 / 4⌉ steps
    "twice as many steps on fewer images": ({"length": 2}, 5, {"steps": 36}),
    "epochs of its own": ({"epochs": 2, "length": 4}, 5, {"epochs": 8}),
    "steps of its own": ({"steps": 7, "length": 4}, 5, {"steps": 28}),
}


@pytest.mark.parametrize(("changes", "n_images", "expected"), LENGTHS.values(), ids=LENGTHS)
def test_a_recipe_without_a_length_of_its_own_has_the_protocols_steps(changes, n_images, expected):
    """The protocol has 10 images and 6 epochs."""
    resolved = with_length(recipe(batch_size=4, **changes), 6, n_images, 10)
    assert resolved == recipe(batch_size=4, **expected)


@pytest.mark.parametrize("name", ORDERS)
def test_every_epoch_holds_every_image_once_in_batches_of_which_the_last_may_be_short(name):
    epochs = ORDERS[name](np.random.default_rng(0), 10, 4)
    for batches in (next(epochs), next(epochs)):
        assert [len(batch) for batch in batches] == [4, 4, 2]
        assert sorted(torch.cat(batches).tolist()) == list(range(10))


def test_a_fixed_order_repeats_its_batches_and_a_reshuffled_one_does_not():
    fixed, reshuffled = (ORDERS[name](np.random.default_rng(0), 90, 8) for name in ("fixed", "reshuffled"))
    one, two = ([torch.cat(next(epochs)).tolist() for _ in range(2)] for epochs in (fixed, reshuffled))
    assert one[0] == one[1] == two[0]
    assert two[0] != two[1]

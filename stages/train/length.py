"""How long a run trains: from the recipe and the protocol to steps and epochs."""

import math

from stages.shared.params import Recipe


def with_length(recipe: Recipe, protocol_epochs: int, n_images: int, protocol_images: int) -> Recipe:
    """The recipe with its own length, or with as many steps as the protocol's epochs have; `length` multiplies either.

    A run on fewer images than the protocol's trains for as many steps, and so for more epochs.
    """
    length: dict[str, int] = {}
    if recipe.steps is not None:
        length["steps"] = recipe.length * recipe.steps
    elif recipe.epochs != "protocol":
        length["epochs"] = recipe.length * recipe.epochs
    elif n_images == protocol_images:
        length["epochs"] = recipe.length * protocol_epochs
    else:
        length["steps"] = recipe.length * protocol_epochs * steps_an_epoch(recipe, protocol_images)
    return recipe.model_copy(update={**length, "length": 1})


def training_steps(recipe: Recipe, n_images: int) -> int:
    """Optimiser steps of a whole training. recipe: as `with_length` returns it."""
    if recipe.steps is not None:
        return recipe.steps
    assert recipe.epochs != "protocol", "with_length puts the protocol's epochs into the recipe"
    return recipe.epochs * steps_an_epoch(recipe, n_images)


def training_epochs(recipe: Recipe, n_images: int) -> int:
    """Epochs that a whole training begins; the last may end before all images were seen."""
    return math.ceil(training_steps(recipe, n_images) / steps_an_epoch(recipe, n_images))


def steps_an_epoch(recipe: Recipe, n_images: int) -> int:
    """Batches of an epoch, of which the last may be short."""
    return math.ceil(n_images / recipe.batch_size)

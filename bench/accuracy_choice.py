"""Which recipe is the shortest that reaches the lab's accuracy: chosen on validation images alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from bench.accuracy_runs import Result

# Of the recipe; the rest is the lab's. All end at a learning rate of zero, after so few epochs that this decides.
_ONE_CYCLE = {"optimizer": "adamw", "weight_decay": 0.01, "label_smoothing": 0.1}
_ONE_CYCLE |= {"schedule": "one_cycle", "warm_up": 0.3}
RECIPES: list[dict[str, Any]] = [
    {**_ONE_CYCLE, "lr": 6e-3},
    {**_ONE_CYCLE, "lr": 1e-2},
    {**_ONE_CYCLE, "lr": 6e-3, "batch_size": 64},
]
LENGTHS = [2, 2.5, 3, 4, 5, 6]  # epochs


@dataclass(frozen=True)
class Trial:
    """A recipe with a length that was tried. recipe: with its precision."""

    recipe: dict[str, Any]
    epochs: float
    result: Result

    @property
    def val_accuracy(self) -> float:
        return mean(self.result.val.values())


@dataclass(frozen=True)
class Choice:
    """trials: in the order in which they were made. reached: whether the chosen one reaches what was needed on val."""

    chosen: Trial
    trials: list[Trial]
    reached: bool


def choose(
    measure: Callable[[dict[str, Any], float], Result],
    recipes: Sequence[dict[str, Any]],
    lengths: Sequence[float],
    needed: float,
) -> Choice:
    """Try every recipe at the shortest length, then at the next; end at the first length at which one reaches `needed`.

    Of those of that length that reach it, the fastest is chosen; if none does at any length, the most accurate of all.
    needed: mean validation accuracy. A run that diverged is not a number, so that its recipe never reaches it.
    """
    trials: list[Trial] = []
    for epochs in sorted(lengths):
        of_length = [Trial(recipe, epochs, measure(recipe, epochs)) for recipe in recipes]
        trials += of_length
        enough = [trial for trial in of_length if trial.val_accuracy >= needed]
        if enough:
            return Choice(min(enough, key=lambda trial: trial.result.seconds), trials, True)
    finished = [trial for trial in trials if trial.val_accuracy == trial.val_accuracy]
    return Choice(max(finished or trials, key=lambda trial: trial.val_accuracy), trials, False)


def named(recipe: dict[str, Any], epochs: float) -> str:
    """ "3 epochs of one-cycle AdamW, lr 0.003, batches of 128, float32"."""
    batch = recipe.get("batch_size", 128)
    return f"{epochs:g} epochs of one-cycle AdamW, lr {recipe['lr']:g}, batches of {batch}, {recipe['precision']}"

"""How `make bench-accuracy` chooses a recipe on validation images, and what it says of the choice."""

import math
import sys

import pytest

from bench import accuracy, machine
from bench.accuracy_choice import RECIPES, Choice, Trial, choose, named
from bench.accuracy_runs import Result
from stages.shared import params
from stages.shared.stage_command import StageError

SLOW, FAST = {"lr": 0.1, "precision": "float32"}, {"lr": 0.2, "precision": "float32"}


def result(val, seconds, test=(0.9,), name="x"):
    """seconds: of a seed."""
    return Result(name, dict(enumerate(val)), dict(enumerate(test)), seconds * len(test))


def measured(val_accuracies):
    """A measure that knows (lr, epochs) → val accuracy; the recipe SLOW takes twice as long. It notes what it did."""
    calls = []

    def measure(recipe, epochs):
        calls.append((recipe["lr"], epochs))
        return result([val_accuracies[recipe["lr"], epochs]], epochs * (2 if recipe is SLOW else 1))

    return measure, calls


def test_the_first_length_at_which_a_recipe_is_good_enough_ends_the_search():
    measure, calls = measured({(0.1, 2): 0.80, (0.2, 2): 0.81, (0.1, 3): 0.92, (0.2, 3): 0.89})
    choice = choose(measure, [SLOW, FAST], [4, 3, 2], 0.9)
    assert calls == [(0.1, 2), (0.2, 2), (0.1, 3), (0.2, 3)]
    assert (choice.chosen.recipe, choice.chosen.epochs, choice.reached) == (SLOW, 3, True)
    assert len(choice.trials) == 4


def test_of_two_that_are_good_enough_the_faster_is_chosen_not_the_better():
    measure, _ = measured({(0.1, 2): 0.95, (0.2, 2): 0.91})
    assert choose(measure, [SLOW, FAST], [2], 0.9).chosen.recipe is FAST


def test_where_none_is_good_enough_the_best_is_chosen_and_a_diverged_run_never():
    measure, _ = measured({(0.1, 2): 0.85, (0.2, 2): math.nan, (0.1, 3): 0.88, (0.2, 3): math.nan})
    choice = choose(measure, [FAST, SLOW], [2, 3], 0.9)
    assert (choice.chosen.recipe, choice.chosen.epochs, choice.reached) == (SLOW, 3, False)


def test_one_diverged_seed_of_four_disqualifies_a_recipe():
    choice = choose(lambda *_: result([0.95, 0.95, math.nan, 0.95], 1), [FAST], [2], 0.9)
    assert not choice.reached


@pytest.mark.parametrize(
    ("seconds", "test", "needles"),
    [
        (10, [0.91] * 4, ["10.0 times", "is not below", "The goal, 9 times at no less accuracy, is met."]),
        (20, [0.91] * 4, ["5.0 times", "is not met."]),
        (10, [0.90] * 4, ["is below the lab's over 2, 0.9050", "is not met."]),
        (10, [math.nan] * 4, ["cannot be compared with", "is not met."]),
        (10, [0.91] * 3, ["too few seeds for a word about the goal of 9 times."]),
    ],
)
def test_the_goal_is_met_at_nine_times_the_speed_and_no_less_accuracy(seconds, test, needles):
    lab = result([0.9, 0.9], 100, [0.90, 0.91])
    trial = Trial(FAST, 3, result([0.9], 1))
    text = accuracy.sentence("float32", result([0.9], seconds, test), lab, Choice(trial, [trial], True))
    for needle in needles:
        assert needle in text


def test_a_choice_that_reached_nothing_says_so():
    lab, trial = result([0.9, 0.9], 100, [0.9, 0.9]), Trial(FAST, 3, result([0.8], 1))
    text = accuracy.sentence("bfloat16", result([0.8], 5, [0.95] * 4), lab, Choice(trial, [trial], False))
    assert "reached on the validation images what was needed; this is the best of them" in text
    assert "The goal, 15 times at no less accuracy, is met." in text


@pytest.mark.parametrize("precisions", [["float32"], ["float32", "bfloat16"]])
def test_the_report_has_both_ratios_where_there_are_both_and_every_trial_without_its_test_accuracy(precisions):
    settings = params.load()
    lab = result([0.9, 0.9], 100, [0.9111, 0.9111], "the lab's loop")
    trials = [Trial(FAST, epochs, result([0.9] * 4, 5, [0.1234] * 4, f"{epochs} epochs")) for epochs in (2, 3)]
    choices = dict.fromkeys(precisions, Choice(trials[1], trials, True))
    ours = {one: result([0.9] * 4, 10, [0.9222] * 4, one) for one in precisions}
    text = accuracy.report(settings, lab, 0.901, choices, ours, 99)
    assert text.count("10.0 times as fast as the lab's loop.") == len(precisions)
    assert text.count("| chosen |") == len(precisions)
    assert "0.1234" not in text
    assert ("bfloat16 was not tried" in text) == (len(precisions) == 1)
    assert "Everything took 99 s." in text


@pytest.mark.parametrize(
    ("flags", "setting", "expected"),
    [
        ({"avx2", "avx512_bf16"}, "native", ["float32", "bfloat16"]),
        ({"avx2", "amx_bf16"}, "native", ["float32", "bfloat16"]),
        ({"avx2", "amx_bf16"}, "avx2", ["float32"]),
        ({"avx2"}, "native", ["float32"]),
    ],
)
def test_bfloat16_is_tried_where_the_cpu_multiplies_it_and_the_settings_let_it(flags, setting, expected, monkeypatch):
    monkeypatch.setattr(machine, "flags", lambda: flags)
    settings = params.load()
    allowed = settings.machine.model_copy(update={"instruction_set": setting})
    settings = settings.model_copy(update={"machine": allowed})
    assert machine.precisions(settings) == expected
    assert ("multiplies" in machine.bfloat16_sentence(settings)) == (len(expected) == 2)


def test_every_recipe_can_be_trained_and_has_a_name_of_its_own():
    recipe = params.load().variants["lab_cnn_3"].run.recipe
    names = set()
    for change in RECIPES:
        type(recipe).model_validate(recipe.model_dump() | change | {"epochs": 3, "precision": "bfloat16"})
        names.add(named({**change, "precision": "bfloat16"}, 3))
    assert len(names) == len(RECIPES)
    assert "3 epochs of one-cycle AdamW, lr 0.006, batches of 128, bfloat16" in names
    assert named({**RECIPES[0], "precision": "float32"}, 2.5).startswith("2.5 epochs of ")


@pytest.mark.parametrize(
    "option", [("--seeds", "0"), ("--recipes", "0"), ("--epochs", "3", "0.5"), ("--epochs", "nan"), ("--epochs", "inf")]
)
def test_a_number_that_cannot_be_is_refused_before_anything_is_trained(option, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["accuracy", *option])
    with pytest.raises(StageError, match="must be whole numbers from 1 up, and --epochs numbers from 1 up"):
        accuracy.main(params.load())

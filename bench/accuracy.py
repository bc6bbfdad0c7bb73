"""Seconds to the lab's test accuracy: its loop, and this project with a shorter recipe; `make bench-accuracy`.

The recipe and its length are chosen on validation images, separately in float32 and, where the CPU multiplies it, in
bfloat16. The choice is then trained again under other seeds: only these are scored on the test images, and timed.
"""

import argparse
import json
import math
import time
from statistics import mean
from typing import Any

from tabulate import tabulate

from bench import machine
from bench.accuracy_choice import LENGTHS, RECIPES, Choice, choose, named
from bench.accuracy_runs import NET, PREPARED, Result, lab, lab_run, ours
from bench.data import OUT, TRAIN, arrays, torchvision_root
from bench.rounds import OTHERS_PYTHON
from stages.prepare.write import prepare
from stages.shared import paths, stage_command
from stages.shared.inference.intervals import estimate
from stages.shared.params import Params

LAB_EPOCHS = 15
GOALS = {"float32": 9, "bfloat16": 15}  # times as fast as the lab's loop
MARGIN = 0.001  # above the lab's validation accuracy, so that other images do not turn the choice
FEWEST_SEEDS, FEWEST_LAB_SEEDS = 4, 2  # for a sentence about the goal


def main(settings: Params) -> None:
    description, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="python -m bench.accuracy", description=description, epilog=details)
    seeds = "of this project, to choose with and again to measure; as many at once as there are cores"
    parser.add_argument("--seeds", type=int, default=FEWEST_SEEDS, help=f"{seeds} (default: %(default)s)")
    parser.add_argument(
        "--lab-seeds",
        type=int,
        default=FEWEST_LAB_SEEDS,
        help="of the lab's loop, one after another with its default threads (default: %(default)s)",
    )
    lengths = "lengths to try, from the shortest until one is enough"
    parser.add_argument("--epochs", type=float, nargs="+", default=LENGTHS, help=f"{lengths} (default: %(default)s)")
    parser.add_argument("--recipes", type=int, default=len(RECIPES), help="how many to try (default: %(default)s)")
    parser.add_argument("--lab-epochs", type=int, default=LAB_EPOCHS, help="(default: %(default)s)")
    parser.add_argument("--lab-seed", type=int, help=argparse.SUPPRESS)  # in a process of its own
    arguments = parser.parse_args()
    if arguments.lab_seed is not None:
        return print(json.dumps(lab_run(arguments.lab_seed, arguments.lab_epochs)))
    numbers = (arguments.seeds, arguments.lab_seeds, arguments.lab_epochs, arguments.recipes, *arguments.epochs)
    if not all(1 <= number < math.inf for number in numbers):
        raise stage_command.StageError(
            "--seeds, --lab-seeds, --lab-epochs and --recipes must be whole numbers from 1 up, "
            "and --epochs numbers from 1 up, such as 2.5"
        )
    arrays()
    torchvision_root()
    began = time.monotonic()
    settings = settings.model_copy(update={"protocol": "replication"})
    with paths.whole_folder(PREPARED) as prepared:
        prepare(settings, paths.RAW, prepared)
    of_lab = lab(range(arguments.lab_seeds), arguments.lab_epochs)
    needed = mean(of_lab.val.values()) + MARGIN
    print(f"needed on the validation images: {needed:.4f}", flush=True)
    choices, measured = {}, {}
    for precision in machine.precisions(settings):
        recipes = [{**recipe, "precision": precision} for recipe in RECIPES[: arguments.recipes]]
        choices[precision] = choose(_measure(settings, range(arguments.seeds)), recipes, arguments.epochs, needed)
        chosen = choices[precision].chosen
        others = range(arguments.seeds, 2 * arguments.seeds)
        measured[precision] = _measure(settings, others)(chosen.recipe, chosen.epochs)
    text = report(settings, of_lab, needed, choices, measured, time.monotonic() - began)
    with paths.whole_file(OUT / "accuracy.md") as partial_file:
        partial_file.write_text(text + "\n", encoding="utf-8")
    print(text)


def _measure(settings: Params, seeds: range) -> Any:
    def measure(recipe: dict[str, Any], epochs: float) -> Result:
        result = ours(settings, recipe, epochs, seeds, named(recipe, epochs))
        accuracy = mean(result.val.values())
        print(f"{result.name}: val {accuracy:.4f}, {result.seconds_a_seed:.1f} s a seed", flush=True)
        return result

    return measure


def report(
    settings: Params,
    of_lab: Result,
    needed: float,
    choices: dict[str, Choice],
    measured: dict[str, Result],
    seconds: float,
) -> str:
    """choices, measured: by precision. seconds: that everything took."""
    published = settings.variants[NET].published
    assert published is not None
    parts = ["# Seconds to the lab's accuracy"]
    parts += [sentence(precision, result, of_lab, choices[precision]) for precision, result in measured.items()]
    if "bfloat16" not in measured:
        parts.append(f"{machine.bfloat16_sentence(settings)} bfloat16 was not tried.")
    parts.append(_table([of_lab, *measured.values()], settings.inference.confidence))
    parts.append(
        f"The lab published {published.accuracy:.4f}, of one seed. Each trains on the {TRAIN:,} images that its seed "
        "draws, the lab's loop with batches of 128 and pixels between 0 and 1, this project with standardised pixels "
        "and smoothed labels. Seconds a seed: wall seconds of all seeds, divided by their number, with reading, an "
        "evaluation on the validation images after every epoch, and one on the test images; this project also scores "
        "the train images, and writes its files. They are of the whole machine: the lab's loop runs alone with its "
        "default threads, this project as many seeds at once as there are cores."
    )
    parts += ["## The choice", f"Needed: a mean validation accuracy of {needed:.4f}, {MARGIN:g} above the lab's."]
    parts.append(_trials(choices))
    parts += [*machine.description(OTHERS_PYTHON, settings), f"Everything took {seconds:.0f} s."]
    return "\n\n".join(parts)


def sentence(precision: str, result: Result, of_lab: Result, choice: Choice) -> str:
    """How many times as fast, whether the lab's accuracy is reached on the test images, and the goal."""
    ratio, goal = of_lab.seconds_a_seed / result.seconds_a_seed, GOALS[precision]
    ours, theirs = mean(result.test.values()), mean(of_lab.test.values())
    reaches = "is not below" if ours >= theirs else "is below" if ours < theirs else "cannot be compared with"
    text = (
        f"**{precision}: {ratio:.1f} times as fast as the lab's loop.** The mean test accuracy over {len(result.test)} "
        f"seeds, {ours:.4f}, {reaches} the lab's over {len(of_lab.test)}, {theirs:.4f}."
    )
    if len(result.test) < FEWEST_SEEDS or len(of_lab.test) < FEWEST_LAB_SEEDS:
        return f"{text} These are too few seeds for a word about the goal of {goal} times."
    if not choice.reached:
        text += " No length that was tried reached on the validation images what was needed; this is the best of them."
    met = ours >= theirs and ratio >= goal
    return f"{text} The goal, {goal} times at no less accuracy, is {'met' if met else 'not met'}."


def _table(results: list[Result], confidence: float) -> str:
    rows, of_lab = [], results[0]
    for result in results:
        mean_accuracy = estimate(list(result.test.values()), confidence)
        rows.append(
            [
                result.name,
                mean_accuracy.n,
                f"{mean_accuracy.mean:.4f}",
                f"{mean_accuracy.low:.4f} to {mean_accuracy.high:.4f}"
                if mean_accuracy.n > 1 and not math.isnan(mean_accuracy.mean)
                else "",
                f"{result.seconds_a_seed:.1f}",
                f"{of_lab.seconds_a_seed / result.seconds_a_seed:.1f}",
            ]
        )
    level = f"{100 * confidence:.0f} % t interval"
    header = ["", "seeds", "mean test accuracy", level, "seconds a seed", "times as fast as the lab"]
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)


def _trials(choices: dict[str, Choice]) -> str:
    """Every recipe that was tried; the chosen ones are marked. Test accuracies are left out: they chose nothing."""
    rows = [
        [
            trial.result.name,
            len(trial.result.val),
            f"{trial.val_accuracy:.4f}",
            f"{trial.result.seconds_a_seed:.1f}",
            "chosen" if trial is choice.chosen else "",
        ]
        for choice in choices.values()
        for trial in choice.trials
    ]
    header = ["tried", "seeds", "mean val accuracy", "seconds a seed", ""]
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)


if __name__ == "__main__":
    stage_command.run_stage(main)

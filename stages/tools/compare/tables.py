"""The tables, as text that terminal and page both show."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.shared.drawing import numbers
from stages.tools.compare.read import Result, Runs
from stages.tools.compare.side_by_side import Pair, Row, SideBySide

HASH = 10  # characters of a full hash that are shown
MEASURES = ("train_accuracy", "val_accuracy")


@dataclass(frozen=True)
class Table:
    header: list[str]
    rows: list[list[str]]


def name(result: Result) -> str:
    """What a revision is called in a heading: as the user did, but for the end of a full hash."""
    given = result.revision.name
    return given[:HASH] if given == result.revision.commit else given


def revisions(made: SideBySide) -> Table:
    header = ["revision", "commit", "dataset", "test images", "protocol", "variants", "seeds"]
    return Table(header, [_revision(result) for result in made.results])


def settings(made: SideBySide) -> Table:
    return Table(
        ["setting", *map(name, made.results)],
        [[key, *(value or numbers.DASH for value in values)] for key, values in made.settings.items()],
    )


def compared(pair: Pair, rows: Sequence[Row]) -> Table:
    header = ["variant", name(pair.first), name(pair.other), "difference", "verdict", "new images", "seeds", "p"]
    return Table(header, [_compared(row) for row in rows])


def alone(pair: Pair) -> Table:
    rows = [
        [key, name(owner), numbers.percent(_mean(owner.runs[key])), str(len(owner.runs[key].correct))]
        for key, owner in pair.alone.items()
    ]
    return Table(["variant", "only in", "accuracy, %", "seeds"], rows)


def beside(made: SideBySide) -> Table:
    """Costs and other measures, of the variants of which some revisions have other runs; one row for each revision."""
    header = ["variant", "revision", "parameters", "MACs", "train accuracy, %", "val accuracy, %", "test loss"]
    changed = dict.fromkeys(row.variant for pair in made.pairs for row in pair.changed)
    return Table(header, [_beside(key, result) for key in changed for result in made.results if key in result.runs])


def _revision(result: Result) -> list[str]:
    protocol = result.settings["protocol"]
    counts = sorted({len(runs.correct) for runs in result.runs.values()})
    seeds = " or ".join(map(str, counts))
    return [
        name(result),
        result.revision.about,
        result.dataset,
        f"{len(result.test.labels):,}",
        protocol["name"],
        str(len(result.runs)),
        seeds,
    ]


def _compared(row: Row) -> list[str]:
    means = [f"{numbers.percent(one.mean)} {numbers.half_width(one.low, one.high)}" for one in (row.first, row.other)]
    made = row.comparison
    if made is None:
        return [row.variant, *means, numbers.DASH, row.verdict.name, *[numbers.DASH] * 3]
    difference = numbers.points_half_width(made.difference, made.low, made.high)
    new_images = numbers.half_width(made.total_low, made.total_high)
    return [
        row.variant,
        *means,
        difference,
        row.verdict.name,
        new_images,
        str(made.n_seeds),
        numbers.p_value(row.p_adjusted),
    ]


def _beside(key: str, result: Result) -> list[str]:
    runs = result.runs[key]
    measured = [
        *(numbers.percent(_of_runs(runs, measure)) for measure in MEASURES),
        numbers.plain(_of_runs(runs, "test_loss")).lstrip("+"),
    ]
    return [key, name(result), *(numbers.count(runs.metrics[cost]) for cost in ("parameters", "macs")), *measured]


def _of_runs(runs: Runs, measure: str) -> float:
    values = [run[measure] for run in runs.metrics["runs"]]
    return float(np.mean(values)) if values else math.nan


def _mean(runs: Runs) -> float:
    answered: Sequence[np.ndarray] = list(runs.correct.values())
    return float(np.mean(answered)) if answered else math.nan

"""Whether the results of this machine agree with the published ones: by seed and test image, not by bits."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.shared import params, paths
from stages.shared.drawing import numbers
from stages.shared.inference.comparison import compare
from stages.shared.inference.intervals import Arm
from stages.shared.params import Inference, Params
from stages.shared.run_files import read_test_labels, read_variant
from stages.shared.stage_command import StageError, need
from stages.tools.reference import report
from stages.tools.reference.settings import is_trained_here, trained_as

SAME, AGREES, DIFFERS, UNDECIDED = "the same", "agrees", "differs", "undecided"
MEANINGS = {
    SAME: "every test image has the same answer",
    AGREES: "shown to deviate by less than the smallest effect of interest",
    DIFFERS: "shown to deviate, and not shown to deviate by less than that",
    UNDECIDED: "neither is shown",
}


@dataclass(frozen=True)
class Row:
    """name: of a variant, or of a comparison. deviation: here minus published, a fraction; low, high: its interval."""

    name: str
    n_seeds: int
    deviation: float
    low: float
    high: float
    outcome: str


def conform(settings: Params) -> list[Row]:
    """A row for every variant that ran here and is published, then one for every comparison of two such.

    Raises StageError if nothing here is trained as the published results were.
    """
    need(paths.PREPARED, "prepare")
    protocol = settings.protocol
    with paths.scratch_folder("conform") as root:
        report.lay_out(protocol, root)
        published = params.load(root / "params.yaml")
        shared = [
            key
            for key in published.trained_variants
            if trained_as(settings, key) == trained_as(published, key) and is_trained_here(settings, key)
        ]
        if not shared:
            raise StageError(
                f"nothing in data/runs is trained as the published results of protocol {protocol!r} are; "
                "`dvc repro train` with the published settings makes something to compare"
            )
        labels = read_test_labels(paths.PREPARED)
        if not np.array_equal(labels, read_test_labels(root / "data" / "prepared")):
            raise StageError("the test images are not those of the published results: their labels differ")
        here = {key: _answers(settings, key, labels, paths.RUNS) for key in shared}
        there = {key: _answers(published, key, labels, root / "data" / "runs") for key in shared}
    pairs = [
        (variant, family.reference)
        for name, family in settings.families.items()
        for variant in settings.levels(name)
        if variant != family.reference and {variant, family.reference} <= set(shared)
    ]
    arms = {key: [here[key], there[key]] for key in shared}
    arms |= {
        f"{one} − {other}": [here[one], here[other], there[one], there[other]] for one, other in sorted(set(pairs))
    }
    return _rows(arms, settings.inference)


def text(rows: Sequence[Row]) -> str:
    """A line for each row, and how many have which outcome."""
    width = max(len(row.name) for row in rows)
    lines = [f"{'':{width}}  seeds  here − published, points"]
    for row in rows:
        deviation = numbers.points_interval(row.deviation, row.low, row.high)
        lines.append(f"{row.name:{width}}  {row.n_seeds:5}  {deviation:24}  {row.outcome}")
    counts = {outcome: sum(row.outcome == outcome for row in rows) for outcome in MEANINGS}
    return "\n".join([*lines, "", *(f"{n} {outcome}: {MEANINGS[outcome]}" for outcome, n in counts.items() if n)])


def _answers(settings: Params, key: str, labels: np.ndarray, runs: Path) -> Arm:
    return read_variant(key, settings.seeds(key), labels, runs, None).correct


def _rows(arms: dict[str, list[Arm]], inference: Inference) -> list[Row]:
    """The intervals are as wide as so many rows ask for (Bonferroni), so that all of them hold together.

    AGREES is tested for each row alone: with many rows, one of them may agree by chance.
    """
    alpha = inference.alpha / len(arms)
    return [_row(name, of_row, 1 - alpha, inference) for name, of_row in arms.items()]


def _row(name: str, arms: list[Arm], confidence: float, inference: Inference) -> Row:
    comparison = compare(arms, confidence=confidence, smallest_effect=inference.smallest_effect, alpha=inference.alpha)
    outcome = UNDECIDED
    if _are_equal(arms):
        outcome = SAME
    elif comparison.equivalence_p <= inference.alpha:
        outcome = AGREES
    elif comparison.total_low > 0 or comparison.total_high < 0:
        outcome = DIFFERS
    return Row(name, comparison.n_seeds, comparison.difference, comparison.total_low, comparison.total_high, outcome)


def _are_equal(arms: list[Arm]) -> bool:
    half = len(arms) // 2  # here, then published
    return all(
        np.array_equal(here[seed], published[seed])
        for here, published in zip(arms[:half], arms[half:], strict=True)
        for seed in set(here) & set(published)
    )

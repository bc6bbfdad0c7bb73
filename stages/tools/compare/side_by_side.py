"""Each variant of each revision against the same variant of the first: paired differences, intervals and verdicts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from stages.shared.inference import verdict as verdicts
from stages.shared.inference.arms import Arm, shared
from stages.shared.inference.comparison import Comparison
from stages.shared.inference.comparison import compare as compared
from stages.shared.inference.intervals import Estimate, estimate
from stages.shared.inference.multiplicity import benjamini_hochberg
from stages.shared.inference.verdict import Verdict
from stages.shared.params import Inference
from stages.tools.compare import settings
from stages.tools.compare.read import Images, Result, Runs

SAME, UNPAIRED = "same runs", "not paired"


@dataclass(frozen=True)
class Row:
    """One variant under one measure. first, other: in the two revisions, as fractions. differences: of each seed that both have.

    comparison, p_adjusted: other − first; None and NaN where not paired.
    """

    variant: str
    first: Estimate
    other: Estimate
    comparison: Comparison | None
    differences: tuple[float, ...]
    p_adjusted: float
    verdict: Verdict


@dataclass(frozen=True)
class Pair:
    """A revision against the first. rows: accuracy of the variants that both have, those whose runs are the same among them. alone: variant → whose it is.

    shift: shift consistency of those whose runs are not the same, where both probed it.
    """

    first: Result
    other: Result
    rows: list[Row]
    shift: list[Row]
    alone: dict[str, Result]
    unpaired: str  # why nothing is paired; empty where something may be

    @property
    def changed(self) -> list[Row]:
        return [row for row in self.rows if row.verdict.name != SAME]


@dataclass(frozen=True)
class SideBySide:
    """pairs: one for each revision but the first. settings: key → its value in each. code: that differs."""

    results: list[Result]
    pairs: list[Pair]
    settings: dict[str, list[str]]
    code: list[str]
    inference: Inference

    @property
    def nothing_differs(self) -> bool:
        return not (self.settings or self.code or any(pair.changed or pair.alone for pair in self.pairs))


def compare(results: Sequence[Result], inference: Inference) -> SideBySide:
    """The p values of all comparisons of a measure are one exploratory family (Benjamini–Hochberg), to which runs that are the same do not belong."""
    first, *others = results
    pairs = [_pair(first, other, inference) for other in others]
    judged = zip(
        *(_judged([getattr(pair, measure) for pair in pairs], inference) for measure in ("rows", "shift")), strict=True
    )
    pairs = [replace(pair, rows=rows, shift=shift) for pair, (rows, shift) in zip(pairs, judged, strict=True)]
    return SideBySide(list(results), pairs, settings.differing(results), settings.differing_code(results), inference)


def why_unpaired(one: Images, other: Images) -> str:
    """Why answers to two test sets cannot be paired; empty where they are the same images in the same order."""
    if one.digest == other.digest:
        return ""
    if len(one.labels) != len(other.labels):
        return f"the test sets differ: {len(one.labels):,} images and {len(other.labels):,}"
    if not (np.array_equal(one.images, other.images) and np.array_equal(one.labels, other.labels)):
        return "the test sets differ: as many images, but not the same ones in the same order"
    return ""


def _pair(first: Result, other: Result, inference: Inference) -> Pair:
    reason = why_unpaired(first.test, other.test)
    both = [(key, runs, other.runs[key]) for key, runs in first.runs.items() if key in other.runs]
    rows = [
        _row(key, runs.correct, others.correct, reason, inference, same=runs.digest == others.digest)
        for key, runs, others in both
    ]
    probed = [
        (key, runs, others)
        for key, runs, others in both
        if runs.digest != others.digest and runs.consistency and others.consistency
    ]
    shift = [
        _row(key, runs.consistency, others.consistency, reason or _other_shifts(first, other, runs, others), inference)
        for key, runs, others in probed
    ]
    alone = {key: first for key in first.runs if key not in other.runs} | {
        key: other for key in other.runs if key not in first.runs
    }
    return Pair(first, other, rows, shift, alone, reason)


def _other_shifts(first: Result, other: Result, runs: Runs, others: Runs) -> str:
    """Why two shift consistencies cannot be paired; empty where the same images were shifted alike."""
    if first.margin != other.margin:
        return "the shifts differ: a margin of {}×{} pixels and of {}×{}".format(*first.margin, *other.margin)
    sizes = [len(next(iter(arm.values()))) for arm in (runs.consistency, others.consistency)]
    return "" if sizes[0] == sizes[1] else f"{sizes[0]:,} images were shifted and {sizes[1]:,}"


def _row(key: str, first: Arm, other: Arm, reason: str, inference: Inference, same: bool = False) -> Row:
    means = [
        estimate([float(images.mean()) for images in arm.values()], inference.confidence) for arm in (first, other)
    ]
    row = Row(key, means[0], means[1], None, (), math.nan, Verdict(SAME, "byte for byte"))
    if same:
        return row
    arms = shared([other, first])
    reason = reason or ("" if arms[0] else f"no seed in common: {_seeds(first)} and {_seeds(other)}")
    if reason:
        return replace(row, verdict=Verdict(UNPAIRED, reason))
    options = {
        "confidence": inference.confidence,
        "smallest_effect": inference.smallest_effect,
        "alpha": inference.alpha,
    }
    differences = tuple(float(arms[0][seed].mean() - arms[1][seed].mean()) for seed in arms[0])
    return replace(row, comparison=compared(arms[0], arms[1], **options), differences=differences)


def _judged(groups: Sequence[Sequence[Row]], inference: Inference) -> list[list[Row]]:
    """The same rows with every comparison's p, adjusted over all groups, and its verdict."""
    made = [row.comparison for rows in groups for row in rows if row.comparison]
    adjusted = iter(benjamini_hochberg([comparison.p for comparison in made]).tolist())
    return [
        [_with_verdict(row, next(adjusted), inference) if row.comparison else row for row in rows] for rows in groups
    ]


def _with_verdict(row: Row, p: float, inference: Inference) -> Row:
    made = row.comparison
    assert made is not None
    limits = {"smallest_effect": inference.smallest_effect, "alpha": inference.alpha}
    said = verdicts.verdict(
        made.total_low,
        made.total_high,
        p,
        made.equivalence_p,
        made.n_seeds,
        min_seeds=inference.verdict_seeds,
        **limits,
    )
    return replace(row, p_adjusted=p, verdict=said)


def _seeds(arm: Arm) -> str:
    return ", ".join(map(str, sorted(arm))) or "none that finished"

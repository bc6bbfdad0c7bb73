"""Each variant of each revision against the same variant of the first: paired differences, intervals and verdicts."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stages.shared.inference import comparison
from stages.shared.inference import verdict as verdicts
from stages.shared.inference.comparison import Comparison
from stages.shared.inference.intervals import Arm, Estimate, estimate, on_shared_seeds
from stages.shared.inference.multiplicity import benjamini_hochberg
from stages.shared.inference.verdict import Verdict
from stages.shared.params import Inference
from stages.tools.compare.results import Images, Results

UNPAIRED = "not paired"


@dataclass(frozen=True)
class Row:
    """One variant under one metric. first, other: in the two revisions, as fractions.

    comparison, differences, p_adjusted: of other − first, over the seeds that both have; None, () and NaN where not
    paired.
    """

    variant: str
    first: Estimate
    other: Estimate
    verdict: Verdict
    comparison: Comparison | None = None
    differences: tuple[float, ...] = ()
    p_adjusted: float = math.nan


@dataclass(frozen=True)
class Pair:
    """A revision against the first.

    same: variants whose runs are the same in both, byte for byte. accuracy: a row for each other variant that both
    have. shift_consistency: of those the ones that both probed. alone: variant → the one revision that has it.
    """

    first: Results
    other: Results
    same: list[str]
    accuracy: list[Row]
    shift_consistency: list[Row]
    alone: dict[str, Results]


@dataclass(frozen=True)
class SideBySide:
    """pairs: one for each revision but the first. settings: key → its value in each. code: the paths that differ."""

    results: list[Results]
    pairs: list[Pair]
    settings: dict[str, list[str]]
    code: list[str]
    inference: Inference

    @property
    def nothing_differs(self) -> bool:
        return not (self.settings or self.code or any(pair.accuracy or pair.alone for pair in self.pairs))


def compare(results: Sequence[Results], inference: Inference) -> SideBySide:
    """Compare each revision with the first.

    The p values of all comparisons of a metric are one exploratory family (Benjamini–Hochberg), to which runs that are
    the same do not belong.
    """
    first, *others = results
    pairs = [_pair(first, other, inference) for other in others]
    accuracy = _with_verdicts([pair.accuracy for pair in pairs], inference)
    shifts = _with_verdicts([pair.shift_consistency for pair in pairs], inference)
    pairs = [
        replace(pair, accuracy=rows, shift_consistency=shift_rows)
        for pair, rows, shift_rows in zip(pairs, accuracy, shifts, strict=True)
    ]
    return SideBySide(list(results), pairs, differing_settings(results), differing_code(results), inference)


def why_unpaired(one: Images, other: Images) -> str:
    """Why answers to two test sets cannot be paired; empty where they are the same images in the same order."""
    if len(one.labels) != len(other.labels):
        return f"the test sets differ: {len(one.labels):,} images and {len(other.labels):,}"
    if not (np.array_equal(one.images, other.images) and np.array_equal(one.labels, other.labels)):
        return "the test sets differ: as many images, but not the same ones in the same order"
    return ""


def differing_settings(results: Sequence[Results]) -> dict[str, list[str]]:
    """Key of params.yaml → its value in each revision as text, empty where it has none.

    Left out are variants and protocols that no revision runs, and which variants a protocol has: they are listed
    elsewhere. The chosen protocol's settings have the keys `protocol.…` whatever its name is.
    """
    active = {key for result in results for key in result.variants}
    flat = [dict(_flat(_settings_in_use(result.settings, active))) for result in results]
    rows = {key: [values.get(key, "") for values in flat] for values in flat for key in values}
    return {key: values for key, values in rows.items() if len(set(values)) > 1}


def differing_code(results: Sequence[Results]) -> list[str]:
    """Files and folders of code that prepared the data or trained, and are not the same in all revisions."""
    paths = sorted({path for result in results for path in result.code})
    return [path for path in paths if len({result.code.get(path) for result in results}) > 1]


def _settings_in_use(settings: Mapping[str, Any], active: set[str]) -> dict[str, Any]:
    name = settings["protocol"]
    protocol = {"name": name, **settings.get("protocols", {}).get(name, {})}
    protocol.pop("variants", None)
    variants = {key: value for key, value in settings.get("variants", {}).items() if key in active}
    others = {key: value for key, value in settings.items() if key not in ("protocol", "protocols", "variants")}
    return {"protocol": protocol, **others, "variants": variants}


def _flat(block: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """(dotted key, value as text) of every value that is no mapping with something in it."""
    for key, value in block.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _pair(first: Results, other: Results, inference: Inference) -> Pair:
    reason = why_unpaired(first.test, other.test)
    same, accuracy, shift_consistency = [], [], []
    for key, variant in first.variants.items():
        if key not in other.variants:
            continue
        if first.digests[key] == other.digests[key]:
            same.append(key)
            continue
        other_variant = other.variants[key]
        accuracy.append(_row(key, variant.correct, other_variant.correct, reason, inference))
        shifts, other_shifts = (one.arm("shift_consistency") for one in (variant, other_variant))
        if shifts and other_shifts:
            shift_reason = reason or _why_shifts_unpaired(first, other, shifts, other_shifts)
            shift_consistency.append(_row(key, shifts, other_shifts, shift_reason, inference))
    alone = {key: first for key in first.variants if key not in other.variants}
    alone |= {key: other for key in other.variants if key not in first.variants}
    return Pair(first, other, same, accuracy, shift_consistency, alone)


def _why_shifts_unpaired(first: Results, other: Results, shifts: Arm, other_shifts: Arm) -> str:
    """Why two shift consistencies cannot be paired; empty where the same images were shifted alike."""
    if first.margin != other.margin:
        return "the shifts differ: a margin of {}×{} pixels and of {}×{}".format(*first.margin, *other.margin)
    n_images, n_other_images = (np.size(next(iter(arm.values()))) for arm in (shifts, other_shifts))
    return "" if n_images == n_other_images else f"{n_images:,} images were shifted and {n_other_images:,}"


def _row(key: str, first: Arm, other: Arm, reason: str, inference: Inference) -> Row:
    """reason: why the two cannot be paired, empty where they can be. The verdict of a paired row comes later."""
    means = [_mean(arm, inference.confidence) for arm in (first, other)]
    if not reason and not set(first) & set(other):
        reason = f"no seed in common: {_seeds(first)} and {_seeds(other)}"
    row = Row(key, means[0], means[1], Verdict(UNPAIRED, reason))
    if reason:
        return row
    options = {name: getattr(inference, name) for name in ("confidence", "smallest_effect", "alpha")}
    table, reference_table = on_shared_seeds(other, first)
    differences = tuple((table - reference_table).mean(axis=1).tolist())
    return replace(row, comparison=comparison.compare([other, first], **options), differences=differences)


def _mean(arm: Arm, confidence: float) -> Estimate:
    by_seed = [np.ravel(images) for images in arm.values()]
    n_images = max(map(len, by_seed), default=1)
    return estimate([float(np.mean(images)) for images in by_seed], confidence, n_images).within(0, 1)


def _with_verdicts(groups: Sequence[Sequence[Row]], inference: Inference) -> list[list[Row]]:
    """The same rows with the p values of every comparison, adjusted over all groups, and its verdict."""
    compared = [row.comparison for rows in groups for row in rows if row.comparison]
    p_values = iter(benjamini_hochberg([one.p for one in compared]).tolist())
    small_p_values = iter(_adjusted_if_known([one.equivalence_p for one in compared]))
    return [
        [_with_verdict(row, next(p_values), next(small_p_values), inference) if row.comparison else row for row in rows]
        for rows in groups
    ]


def _adjusted_if_known(p_values: Sequence[float]) -> list[float]:
    """One seed has no p of equivalence: it stays unknown and counts for nothing."""
    adjusted = np.array(p_values, dtype=float)
    known = ~np.isnan(adjusted)
    adjusted[known] = benjamini_hochberg(adjusted[known])
    return [float(p) for p in adjusted]


def _with_verdict(row: Row, p_adjusted: float, equivalence_p: float, inference: Inference) -> Row:
    assert row.comparison is not None
    verdict = verdicts.verdict(
        row.comparison.total_low,
        row.comparison.total_high,
        p_adjusted,
        equivalence_p,
        row.comparison.n_seeds,
        smallest_effect=inference.smallest_effect,
        alpha=inference.alpha,
        min_seeds=inference.verdict_seeds,
    )
    return replace(row, p_adjusted=p_adjusted, verdict=verdict)


def _seeds(arm: Arm) -> str:
    return ", ".join(map(str, sorted(arm))) or "none that finished"

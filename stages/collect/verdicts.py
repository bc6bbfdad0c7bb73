"""Comparisons with their verdicts: the declared hypotheses, the exploratory effects, and the A/A comparison."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stages.shared.inference import verdict as verdicts
from stages.shared.inference.comparison import Comparison, compare, detectable_effect
from stages.shared.inference.intervals import Arm
from stages.shared.inference.multiplicity import benjamini_hochberg, holm
from stages.shared.inference.verdict import MIRRORED, WORDS
from stages.shared.params import Contrast, Hypothesis, Inference, Params
from stages.shared.random_streams import stream
from stages.shared.run_files import VariantResults

FIELDS = [field.name for field in dataclasses.fields(Comparison)]
HYPOTHESIS_COLUMNS = ["hypothesis", "family", "metric", "direction", "smallest_effect", *FIELDS]
HYPOTHESIS_COLUMNS += ["small_p", "p_adjusted", "equivalence_p_adjusted", "small_p_adjusted"]
HYPOTHESIS_COLUMNS += ["verdict", "reason", "outcome", "outcome_together", "detectable"]
JUDGED = ["hypothesis", "p_adjusted", "equivalence_p_adjusted", "verdict", "reason"]  # one verdict of a contrast
EFFECT_COLUMNS = ["family", "variant", "level", "reference", *FIELDS, *JUDGED]
SMALL = {"not_above": "not_above_p", "not_below": "not_below_p"}  # else equivalence_p
RATES = ["sign_flip_rate", "interval_rate", "total_rate", "verdict_rate"]
AA_COLUMNS = ["variant", "resamples", *RATES]


def hypotheses(
    settings: Params, declared: Mapping[str, Hypothesis], variants: Sequence[VariantResults]
) -> pd.DataFrame:
    """One row for each declared hypothesis, whether it ran or not; p values are adjusted by Holm within the family.

    variants: also those of which every seed diverged. small_p: of the test that the effect is too small to matter on
    the side, or the sides, that the direction names. outcome_together: the outcome, were the p values adjusted over
    all hypotheses that ran.
    """
    rows: list[dict[str, Any]] = []
    for key, hypothesis in declared.items():
        row = {"hypothesis": key, **hypothesis.model_dump(include={"family", "metric", "direction", "smallest_effect"})}
        arms = arms_of(variants, hypothesis.metric)
        measured = _measure(hypothesis.contrast, arms, settings.inference, hypothesis.smallest_effect)
        if measured:
            measured["small_p"] = measured[SMALL.get(hypothesis.direction, "equivalence_p")]
        rows.append(row | (measured or _why_unmeasured(hypothesis.contrast, arms)))
    table = pd.DataFrame(rows, columns=HYPOTHESIS_COLUMNS)
    for column, groups in {"outcome_together": pd.Series("all", table.index), "outcome": table["family"]}.items():
        _adjust(table, groups, ("p", "equivalence_p", "small_p"), holm)
        _add_verdicts(table, settings.inference)
        outcomes = [
            WORDS[verdict].outcomes[row["direction"]] for row, verdict in zip(rows, table["verdict"], strict=True)
        ]
        table[column] = [row.get("outcome", outcome) for row, outcome in zip(rows, outcomes, strict=True)]
    table["reason"] = [row.get("reason", reason) for row, reason in zip(rows, table["reason"], strict=True)]
    return table


def effects(
    settings: Params,
    variants: Sequence[VariantResults],
    declared: Mapping[str, Hypothesis],
    hypotheses: pd.DataFrame,
) -> pd.DataFrame:
    """One row for each level of a family but its reference; none where the reference is not among the variants.

    A contrast has one verdict: one that a hypothesis declares takes its p values and its verdict from there, and
    `hypothesis` names it. The others are exploratory: each is counted once, in however many families it stands, and
    the p values, of a difference and of equivalence, are adjusted over all of them (Benjamini–Hochberg).
    hypotheses: as `hypotheses` returns them.
    """
    arms, inference = arms_of(variants, "accuracy"), settings.inference
    rows = []
    for family, definition in settings.families.items():
        reference = definition.reference
        for key, level in settings.levels(family).items():
            if key != reference and reference in arms:
                contrast = Contrast(variant=key, reference=reference)
                measured = _measure(contrast, arms, inference, inference.smallest_effect) or {}
                rows.append({"family": family, "variant": key, "level": level, "reference": reference, **measured})
    table = pd.DataFrame(rows, columns=EFFECT_COLUMNS[: -len(JUDGED)])
    judged = _declared_verdicts(table, declared, hypotheses)
    pairs = pd.MultiIndex.from_frame(table[["variant", "reference"]])
    explored = table.set_axis(pairs)[~pairs.isin(judged.index)]
    explored = explored[~explored.index.duplicated()].assign(direction="", smallest_effect=inference.smallest_effect)
    _adjust(explored, pd.Series("all", index=explored.index), ("p", "equivalence_p"), benjamini_hochberg)
    _add_verdicts(explored, inference)
    judged = pd.concat([judged, explored.reindex(columns=JUDGED)])
    return table.join(judged.reindex(pairs).set_axis(table.index))


def aa(settings: Params, variants: Sequence[VariantResults]) -> pd.DataFrame:
    """How often the procedure finds a difference between groups of nets that differ in nothing but their seeds.

    The groups are exchangeable by construction, so this tests the code alone. The comparison of the baseline with its
    repetition, which `variant` names, is among the effects.
    The nets of the baseline and of its repetition under other seeds are dealt into two groups and paired, at random,
    `inference.resamples` times. The rates are of sign-flip p ≤ alpha, of intervals that leave zero out, and of the
    verdicts better and worse. No row where no variant repeats the baseline.
    """
    inference, repetition = settings.inference, _repetition(settings)
    if repetition is None:
        return pd.DataFrame(columns=AA_COLUMNS)
    arms = arms_of(variants, "accuracy")
    nets = np.concatenate([np.stack(list(arms[key].values())) for key in (settings.baseline, repetition)])
    generator = stream("aa", settings.data.seed)
    counts = np.zeros(len(RATES))
    for _ in range(inference.resamples):
        group, other_group = np.array_split(nets[generator.permutation(len(nets) // 2 * 2)], 2)
        comparison = _compare([dict(enumerate(group)), dict(enumerate(other_group))], inference)
        fields, p_values = dataclasses.asdict(comparison), (comparison.p, comparison.equivalence_p)
        verdict = _verdict(fields, *p_values, inference, inference.smallest_effect)
        counts += [
            comparison.p <= inference.alpha,
            comparison.low > 0 or comparison.high < 0,
            comparison.total_low > 0 or comparison.total_high < 0,
            verdict.name in (verdicts.BETTER, verdicts.WORSE),
        ]
    rates = counts / inference.resamples
    if len(nets) // 2 < inference.verdict_seeds:
        rates[RATES.index("verdict_rate")] = math.nan
    return pd.DataFrame([[repetition, inference.resamples, *rates]], columns=AA_COLUMNS)


def arms_of(variants: Sequence[VariantResults], metric: str) -> dict[str, Arm]:
    """Variant → its arm, of the seeds that finished. A variant in which the metric has no meaning is left out."""
    arms = {variant.key: variant.arm(metric) for variant in variants}
    return {key: arm for key, arm in arms.items() if arm is not None}


def _declared_verdicts(
    effects: pd.DataFrame, declared: Mapping[str, Hypothesis], hypotheses: pd.DataFrame
) -> pd.DataFrame:
    """What the hypotheses say of those effects that one of them is about; indexed by variant and reference."""
    by_key, rows = hypotheses.set_index("hypothesis"), {}
    for variant, reference in zip(effects["variant"], effects["reference"], strict=True):
        weights = Contrast(variant=variant, reference=reference).weights
        for key, hypothesis in declared.items():
            contrast = hypothesis.contrast
            if hypothesis.metric == "accuracy" and weights in (contrast.weights, contrast.mirrored):
                row = by_key.loc[key].to_dict() | {"hypothesis": key}
                if weights == contrast.mirrored:
                    row["verdict"] = MIRRORED.get(row["verdict"], row["verdict"])
                rows[variant, reference] = [row[name] for name in JUDGED]
    index = pd.MultiIndex.from_tuples(rows.keys(), names=["variant", "reference"]) if rows else None
    return pd.DataFrame(list(rows.values()), index=index, columns=JUDGED)


def _repetition(settings: Params) -> str | None:
    """The variant that is the baseline under other seeds."""
    baseline = settings.variants[settings.baseline].run
    base_offset = baseline.sample.seed_offset
    for key, variant in settings.active_variants.items():
        sample = variant.run.sample.model_copy(update={"seed_offset": base_offset})
        equal = variant.run.model_copy(update={"sample": sample}) == baseline
        if equal and variant.run.sample.seed_offset != base_offset:
            return key
    return None


def _measure(
    contrast: Contrast, arms: Mapping[str, Arm], inference: Inference, smallest_effect: float
) -> dict[str, Any] | None:
    """The comparison of a contrast's arms, and the smallest effect that it can detect.

    None if an arm did not run, or no seed finished in all of them.
    """
    if not set(contrast.variants) <= set(arms):
        return None
    chosen = [arms[key] for key in contrast.variants]
    if not set.intersection(*(set(arm) for arm in chosen)):
        return None
    comparison = _compare(chosen, inference, smallest_effect)
    return dataclasses.asdict(comparison) | {"detectable": detectable_effect(chosen, inference.alpha, inference.power)}


def _why_unmeasured(contrast: Contrast, arms: Mapping[str, Arm]) -> dict[str, str]:
    """Outcome and reason of a hypothesis that has no comparison."""
    if not set(contrast.variants) <= set(arms):
        reason = "a variant that it needs was left out, or has no such metric"
        return {"outcome": verdicts.NOT_RUN, "reason": reason}
    lost = list(dict.fromkeys(key for key in contrast.variants if not arms[key]))
    reason = f"every seed of {' and of '.join(lost)} diverged" if lost else "no seed finished in all of its variants"
    return {"outcome": verdicts.UNDECIDED, "reason": reason}


def _compare(arms: Sequence[Arm], inference: Inference, smallest_effect: float | None = None) -> Comparison:
    smallest_effect = smallest_effect or inference.smallest_effect
    return compare(arms, confidence=inference.confidence, smallest_effect=smallest_effect, alpha=inference.alpha)


def _adjust(table: pd.DataFrame, groups: pd.Series, names: Sequence[str], adjust: Callable[[Any], np.ndarray]) -> None:
    """Add to each column of p values one that is adjusted within each group; an unknown p counts for nothing."""
    for name in names:
        known = table[name].dropna().astype(float)
        adjusted = known.groupby(groups.loc[known.index], sort=False).transform(lambda group: adjust(group.to_numpy()))
        table[f"{name}_adjusted"] = adjusted.reindex(table.index) if len(known) else math.nan


def _add_verdicts(table: pd.DataFrame, inference: Inference) -> None:
    """Fill in the columns verdict and reason, from the adjusted p values."""
    stated = []
    for row in table.to_dict("records"):
        options = {"direction": row["direction"], "bounded_p": row.get("small_p_adjusted", math.nan)}
        p_values = row["p_adjusted"], row["equivalence_p_adjusted"]
        unknown = math.isnan(row["n_seeds"])
        stated.append(
            verdicts.Verdict(verdicts.NOT_STATED, verdicts.UNKNOWN)
            if unknown
            else _verdict(row, *p_values, inference, row["smallest_effect"], **options)
        )
    table["verdict"] = [verdict.name for verdict in stated]
    table["reason"] = [verdict.reason for verdict in stated]


def _verdict(
    comparison: Mapping[str, Any],
    p: float,
    equivalence_p: float,
    inference: Inference,
    smallest_effect: float,
    **one_sided: Any,
) -> verdicts.Verdict:
    """comparison: the fields of a Comparison. one_sided: direction and bounded_p, where a hypothesis has one side."""
    return verdicts.verdict(
        comparison["total_low"],
        comparison["total_high"],
        p,
        equivalence_p,
        int(comparison["n_seeds"]),
        smallest_effect=smallest_effect,
        alpha=inference.alpha,
        min_seeds=inference.verdict_seeds,
        **one_sided,
    )

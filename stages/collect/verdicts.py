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
from stages.shared.inference.verdict import WORDS
from stages.shared.params import Contrast, Hypothesis, Inference, Params
from stages.shared.random_streams import stream
from stages.shared.run_files import VariantResults

FIELDS = [field.name for field in dataclasses.fields(Comparison)]
HYPOTHESIS_COLUMNS = ["hypothesis", "family", "metric", "direction", "smallest_effect", *FIELDS]
HYPOTHESIS_COLUMNS += ["p_adjusted", "equivalence_p_adjusted", "verdict", "reason", "outcome", "detectable"]
EFFECT_COLUMNS = ["family", "variant", "level", "reference", *FIELDS, "p_adjusted", "verdict", "reason"]
RATES = ["sign_flip_rate", "interval_rate", "total_rate", "verdict_rate"]


def hypotheses(
    settings: Params, declared: Mapping[str, Hypothesis], variants: Sequence[VariantResults]
) -> pd.DataFrame:
    """One row for each declared hypothesis, whether it ran or not; p values are adjusted by Holm within the family.

    variants: also those of which every seed diverged.
    """
    rows: list[dict[str, Any]] = []
    for key, hypothesis in declared.items():
        row = {"hypothesis": key, **hypothesis.model_dump(include={"family", "metric", "direction", "smallest_effect"})}
        arms = arms_of(variants, hypothesis.metric)
        measured = _measure(hypothesis.contrast, arms, settings.inference, hypothesis.smallest_effect)
        rows.append(row | (measured or _why_unmeasured(hypothesis.contrast, arms)))
    table = pd.DataFrame(rows, columns=HYPOTHESIS_COLUMNS)
    for name in ("p", "equivalence_p"):
        table[f"{name}_adjusted"] = _adjusted(table[name], table["family"], holm)
    _add_verdicts(
        table, settings.inference, table["p_adjusted"], table["equivalence_p_adjusted"], table["smallest_effect"]
    )
    outcomes = [WORDS[verdict].outcomes[row["direction"]] for row, verdict in zip(rows, table["verdict"], strict=True)]
    table["outcome"] = [row.get("outcome", outcome) for row, outcome in zip(rows, outcomes, strict=True)]
    table["reason"] = [row.get("reason", reason) for row, reason in zip(rows, table["reason"], strict=True)]
    return table


def effects(settings: Params, variants: Sequence[VariantResults]) -> pd.DataFrame:
    """One row for each level of a family but its reference; none where the reference is not among the variants.

    These are exploratory: p values are adjusted over all rows (Benjamini–Hochberg).
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
    table = pd.DataFrame(rows, columns=EFFECT_COLUMNS)
    table["p_adjusted"] = _adjusted(table["p"], pd.Series("all", index=table.index), benjamini_hochberg)
    smallest_effects = pd.Series(inference.smallest_effect, index=table.index)
    _add_verdicts(table, inference, table["p_adjusted"], table["equivalence_p"], smallest_effects)
    return table


def aa(settings: Params, variants: Sequence[VariantResults]) -> pd.DataFrame:
    """How often the procedure finds a difference between groups of nets that differ in nothing but their seeds.

    The nets of the baseline and of its repetition under other seeds are dealt into two groups and paired, at random,
    `inference.resamples` times. The rates are of sign-flip p ≤ alpha, of intervals that leave zero out, and of the
    verdicts better and worse. No row where no variant repeats the baseline.
    """
    inference, repetition = settings.inference, _repetition(settings)
    if repetition is None:
        return pd.DataFrame(columns=["resamples", *RATES])
    arms = arms_of(variants, "accuracy")
    nets = np.concatenate([np.stack(list(arms[key].values())) for key in (settings.baseline, repetition)])
    generator = stream("aa", settings.data.seed)
    counts = np.zeros(len(RATES))
    for _ in range(inference.resamples):
        group, other_group = np.array_split(nets[generator.permutation(len(nets) // 2 * 2)], 2)
        comparison = _compare([dict(enumerate(group)), dict(enumerate(other_group))], inference)
        verdict = _verdict(comparison, comparison.p, comparison.equivalence_p, inference, inference.smallest_effect)
        counts += [
            comparison.p <= inference.alpha,
            comparison.low > 0 or comparison.high < 0,
            comparison.total_low > 0 or comparison.total_high < 0,
            verdict.name in (verdicts.BETTER, verdicts.WORSE),
        ]
    rates = counts / inference.resamples
    if len(nets) // 2 < inference.verdict_seeds:
        rates[RATES.index("verdict_rate")] = math.nan
    return pd.DataFrame([[inference.resamples, *rates]], columns=["resamples", *RATES])


def arms_of(variants: Sequence[VariantResults], metric: str) -> dict[str, Arm]:
    """Variant → its arm, of the seeds that finished. A variant in which the metric has no meaning is left out."""
    arms = {variant.key: variant.arm(metric) for variant in variants}
    return {key: arm for key, arm in arms.items() if arm is not None}


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


def _adjusted(values: pd.Series, groups: pd.Series, adjust: Callable[[Any], np.ndarray]) -> pd.Series:
    """p values adjusted within each group; an unknown one stays unknown and counts for nothing."""
    known = values.dropna()
    if known.empty:
        return values.astype(float)
    by_group = known.groupby(groups.loc[known.index], sort=False)
    return by_group.transform(lambda group: adjust(group.to_numpy(dtype=float))).reindex(values.index)


def _add_verdicts(
    table: pd.DataFrame, inference: Inference, p: pd.Series, equivalence_p: pd.Series, smallest_effects: pd.Series
) -> None:
    """Fill in the columns verdict and reason. p: adjusted."""
    unknown = verdicts.Verdict(verdicts.NOT_STATED, verdicts.UNKNOWN)
    rows = zip(table[FIELDS].itertuples(index=False), p, equivalence_p, smallest_effects, strict=True)
    stated = [unknown if math.isnan(row[0].n_seeds) else _verdict(*row[:3], inference, row[3]) for row in rows]
    table["verdict"] = [verdict.name for verdict in stated]
    table["reason"] = [verdict.reason for verdict in stated]


def _verdict(
    comparison: Any, p: float, equivalence_p: float, inference: Inference, smallest_effect: float
) -> verdicts.Verdict:
    """comparison: a Comparison, or a row of a table with its fields."""
    return verdicts.verdict(
        comparison.total_low,
        comparison.total_high,
        p,
        equivalence_p,
        int(comparison.n_seeds),
        smallest_effect=smallest_effect,
        alpha=inference.alpha,
        min_seeds=inference.verdict_seeds,
    )

"""Comparisons with their verdicts: the declared hypotheses, the exploratory effects, and the A/A comparison."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stages.collect.answers import answers
from stages.collect.read import Variant
from stages.shared.inference import verdict as verdicts
from stages.shared.inference.arms import Arm, shared
from stages.shared.inference.comparison import Comparison, compare
from stages.shared.inference.crossed import (
    expected_mean_squares,
    mean_squares,
    seed_errors,
    total_errors,
    variance_components,
)
from stages.shared.inference.interaction import interaction
from stages.shared.inference.multiplicity import benjamini_hochberg, holm
from stages.shared.inference.power import smallest_detectable_effect
from stages.shared.params import Contrast, Hypothesis, Inference, Params
from stages.shared.random_streams import stream

FIELDS = [field.name for field in dataclasses.fields(Comparison)]
SUPPORTED, CONTRADICTED, UNDECIDED, NOT_RUN = "supported", "contradicted", "undecided", "not run"
EXPECTED = {"above": verdicts.BETTER, "below": verdicts.WORSE, "alike": verdicts.EQUIVALENT}
HYPOTHESIS_COLUMNS = ["hypothesis", "family", "metric", "direction", "smallest_effect", *FIELDS]
HYPOTHESIS_COLUMNS += ["p_adjusted", "equivalence_p_adjusted", "verdict", "reason", "outcome", "detectable"]
EFFECT_COLUMNS = ["family", "variant", "level", "reference", *FIELDS, "p_adjusted", "verdict", "reason"]


def hypotheses(settings: Params, declared: Mapping[str, Hypothesis], variants: Sequence[Variant]) -> pd.DataFrame:
    """One row for each declared hypothesis, whether it ran or not; p values are adjusted by Holm within the family.

    variants: also those of which every seed diverged.
    """
    rows: list[dict[str, Any]] = []
    for key, about in declared.items():
        place: dict[str, Any] = {"hypothesis": key, "family": about.family, "metric": about.metric}
        place |= {"direction": about.direction, "smallest_effect": about.smallest_effect}
        arms = answers(variants, about.metric)
        made = _contrast(about.contrast, arms, settings.inference, about.smallest_effect)
        rows.append(
            place
            | (dataclasses.asdict(made[0]) | {"detectable": made[1]} if made else _unmeasured(about.contrast, arms))
        )
    table = pd.DataFrame(rows, columns=HYPOTHESIS_COLUMNS)
    for name in ("p", "equivalence_p"):
        table[f"{name}_adjusted"] = _adjusted(table[name], table["family"], holm)
    _judge(table, settings.inference, table["p_adjusted"], table["equivalence_p_adjusted"], table["smallest_effect"])
    outcomes = [_outcome(row["direction"], row["verdict"]) for row in table.to_dict("records")]
    table["outcome"] = [row.get("outcome", outcome) for row, outcome in zip(rows, outcomes, strict=True)]
    table["reason"] = [row.get("reason", reason) for row, reason in zip(rows, table["reason"], strict=True)]
    return table


def effects(settings: Params, variants: Sequence[Variant]) -> pd.DataFrame:
    """One row for each level of a family but its reference: exploratory, p values adjusted over all rows (Benjamini–Hochberg).

    None where the reference is not among the variants.
    """
    arms, inference = answers(variants, "accuracy"), settings.inference
    rows = []
    for family, about in settings.families.items():
        for key, level in settings.levels(family).items():
            if key != about.reference and about.reference in arms:
                place = {"family": family, "variant": key, "level": level, "reference": about.reference}
                made = _contrast(
                    Contrast(variant=key, reference=about.reference), arms, inference, inference.smallest_effect
                )
                rows.append(place | (dataclasses.asdict(made[0]) if made else {}))
    table = pd.DataFrame(rows, columns=EFFECT_COLUMNS)
    table["p_adjusted"] = _adjusted(table["p"], pd.Series("all", index=table.index), benjamini_hochberg)
    _judge(
        table,
        inference,
        table["p_adjusted"],
        table["equivalence_p"],
        pd.Series(inference.smallest_effect, index=table.index),
    )
    return table


def aa(settings: Params, variants: Sequence[Variant]) -> pd.DataFrame:
    """How often the procedure finds a difference between groups of nets that differ in nothing but their seeds.

    The nets of the baseline and of its repetition under other seeds are dealt into two groups and paired, at random,
    `inference.resamples` times; the rates are of sign-flip p ≤ alpha, of intervals that leave zero out, and of the
    verdicts better and worse. No row where no variant repeats the baseline.
    """
    inference, columns = (
        settings.inference,
        ["resamples", "sign_flip_rate", "interval_rate", "total_rate", "verdict_rate"],
    )
    again = _repetition(settings)
    if again is None:
        return pd.DataFrame(columns=columns)
    arms = answers(variants, "accuracy")
    nets = np.concatenate([np.stack(list(arms[key].values())) for key in (settings.baseline, again)])
    generator = stream("aa", settings.data.seed)
    found = np.zeros(4)
    for _ in range(inference.resamples):
        one, other = np.array_split(nets[generator.permutation(len(nets) // 2 * 2)], 2)
        made = _compare([dict(enumerate(one)), dict(enumerate(other))], inference, inference.smallest_effect)
        said = _verdict(made, made.p, made.equivalence_p, inference, inference.smallest_effect).name
        differs = [made.p <= inference.alpha, made.low > 0 or made.high < 0, made.total_low > 0 or made.total_high < 0]
        found += [*differs, said in (verdicts.BETTER, verdicts.WORSE)]
    rates = found / inference.resamples
    if len(nets) // 2 < inference.verdict_seeds:
        rates[3] = math.nan
    return pd.DataFrame([[inference.resamples, *rates]], columns=columns)


def _repetition(settings: Params) -> str | None:
    """The variant that is the baseline under other seeds."""
    base = settings.variants[settings.baseline].run
    for key, variant in settings.active_variants.items():
        offset = variant.run.sample.seed_offset
        alike = variant.run.model_copy(
            update={"sample": variant.run.sample.model_copy(update={"seed_offset": base.sample.seed_offset})}
        )
        if offset != base.sample.seed_offset and alike == base:
            return key
    return None


def _contrast(
    contrast: Contrast, arms: Mapping[str, Arm], inference: Inference, smallest_effect: float
) -> tuple[Comparison, float] | None:
    """The comparison on the seeds that its arms share, and the smallest effect it can detect; None if an arm did not run, or no seed is shared."""
    if not set(contrast.variants) <= set(arms):
        return None
    chosen = shared([arms[key] for key in contrast.variants])
    if not chosen[0]:
        return None
    return _compare(chosen, inference, smallest_effect), _detectable(chosen, inference)


def _unmeasured(contrast: Contrast, arms: Mapping[str, Arm]) -> dict[str, str]:
    """Outcome and reason of a hypothesis that has no comparison."""
    if not set(contrast.variants) <= set(arms):
        return {"outcome": NOT_RUN, "reason": "a variant that it needs was left out, or has no such metric"}
    lost = list(dict.fromkeys(key for key in contrast.variants if not arms[key]))
    return {
        "outcome": UNDECIDED,
        "reason": f"every seed of {' and of '.join(lost)} diverged"
        if lost
        else "no seed finished in all of its variants",
    }


def _compare(arms: Sequence[Arm], inference: Inference, smallest_effect: float) -> Comparison:
    options = {"confidence": inference.confidence, "smallest_effect": smallest_effect, "alpha": inference.alpha}
    if len(arms) == 2:
        return compare(arms[0], arms[1], **options)
    return interaction((arms[0], arms[1]), (arms[2], arms[3]), **options)


def _detectable(arms: Sequence[Arm], inference: Inference) -> float:
    """By the t interval that the verdict needs, with the variances that these arms have."""
    signs = [1, -1, -1, 1][: len(arms)]
    table = sum(
        sign * np.stack([np.asarray(images, dtype=float) for images in arm.values()])
        for sign, arm in zip(signs, arms, strict=True)
    )
    n, n_images = np.shape(table)
    if n < 2:
        return math.nan
    squares = mean_squares(table)
    errors = (
        seed_errors(squares)
        if n_images == 1
        else total_errors(expected_mean_squares(variance_components(squares), n, n_images))
    )
    return smallest_detectable_effect(errors, inference.alpha, inference.power)


def _adjusted(values: pd.Series, groups: pd.Series, adjust: Callable[[Any], np.ndarray]) -> pd.Series:
    """Within each group; what is unknown stays so and counts for nothing."""
    known = values.dropna()
    if known.empty:
        return values.astype(float)
    return (
        known.groupby(groups.loc[known.index], sort=False)
        .transform(lambda own: adjust(own.to_numpy(dtype=float)))
        .reindex(values.index)
    )


def _judge(
    table: pd.DataFrame, inference: Inference, p: pd.Series, equivalence_p: pd.Series, smallest: pd.Series
) -> None:
    """Fill in verdict and reason."""
    said = []
    for row, own, equivalent, least in zip(
        table[FIELDS].itertuples(index=False), p, equivalence_p, smallest, strict=True
    ):
        known = not math.isnan(row.n_seeds)
        said.append(
            _verdict(row, own, equivalent, inference, least)
            if known
            else verdicts.Verdict(verdicts.NOT_STATED, verdicts.UNKNOWN)
        )
    table["verdict"], table["reason"] = [one.name for one in said], [one.reason for one in said]


def _verdict(
    made: Any, p: float, equivalence_p: float, inference: Inference, smallest_effect: float
) -> verdicts.Verdict:
    return verdicts.verdict(
        made.total_low, made.total_high, p, equivalence_p, int(made.n_seeds),
        smallest_effect=smallest_effect, alpha=inference.alpha, min_seeds=inference.verdict_seeds,
    )  # fmt: skip


def _outcome(direction: str, verdict: str) -> str:
    """What a verdict says of a hypothesis. Equivalent contradicts one that expects a difference."""
    if verdict == EXPECTED[direction]:
        return SUPPORTED
    return {verdicts.INCONCLUSIVE: UNDECIDED, verdicts.NOT_STATED: verdicts.NOT_STATED}.get(verdict, CONTRADICTED)

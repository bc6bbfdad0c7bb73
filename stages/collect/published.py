"""Published numbers beside ours: the effects that hypotheses repeat, and the accuracies of the same nets."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stages.collect.verdicts import arms_of
from stages.shared.inference.intervals import difference_of_pairs, on_shared_seeds
from stages.shared.inference.replication import PublishedNumber, Replication, replicate
from stages.shared.params import Contrast, Hypothesis, Params, Published
from stages.shared.run_files import VariantResults

EFFECT, ACCURACY = "effect", "accuracy"
NUMBER = [field.name for field in dataclasses.fields(PublishedNumber)]
COLUMNS = ["kind", "key", "source", *NUMBER, *(field.name for field in dataclasses.fields(Replication))]


def published(
    settings: Params, hypotheses: Mapping[str, Hypothesis], variants: Sequence[VariantResults]
) -> pd.DataFrame:
    """A row for each published number that can be set beside ours: a variant's accuracy, a hypothesis's effect.

    What did not run, or shares no finished seed, has none.
    """
    rows: list[dict[str, Any]] = []
    accuracies = arms_of(variants, "accuracy")
    for key, variant in settings.active_variants.items():
        if variant.published is not None and accuracies.get(key):
            (values,) = on_shared_seeds(accuracies[key])
            rows.append(_row(settings, ACCURACY, key, variant.published.source, _of_variant(variant.published), values))
    for key, hypothesis in hypotheses.items():
        arms = arms_of(variants, hypothesis.metric)
        number = number_of(settings, hypothesis)
        if number is not None and set(hypothesis.contrast.variants) <= set(arms):
            tables = on_shared_seeds(*(arms[name] for name in hypothesis.contrast.variants))
            if len(tables[0]):
                rows.append(_row(settings, EFFECT, key, hypothesis.source, number, difference_of_pairs(tables)))
    types = dict.fromkeys(("seeds", "other_images", "n_seeds"), "Int64")
    return pd.DataFrame(rows, columns=COLUMNS).astype(types)


def number_of(settings: Params, hypothesis: Hypothesis) -> PublishedNumber | None:
    """The published effect that a hypothesis repeats, from its variants' accuracies where these were published."""
    effect = hypothesis.published
    if effect is None:
        return None
    if effect.difference is not None:
        return PublishedNumber(effect.difference, effect.margin, effect.seeds, effect.other_images)
    stated = {key: settings.variants[key].published for key in hypothesis.contrast.variants}
    of_arms = [one for one in stated.values() if one is not None]
    return PublishedNumber(
        round(_published_difference(hypothesis.contrast, {key: one.accuracy for key, one in stated.items() if one}), 6),
        effect.margin,
        _least([one.seeds for one in of_arms]),
        _least([one.other_images for one in of_arms]),
    )


def _published_difference(contrast: Contrast, accuracies: Mapping[str, float]) -> float:
    difference = accuracies[contrast.variant] - accuracies[contrast.reference]
    return difference - (_published_difference(contrast.minus, accuracies) if contrast.minus else 0)


def _least(numbers: Sequence[int | None]) -> int | None:
    """The smallest number, which is the most cautious; None if one is unknown."""
    known = [number for number in numbers if number is not None]
    return min(known) if len(known) == len(numbers) else None


def _of_variant(stated: Published) -> PublishedNumber:
    return PublishedNumber(stated.accuracy, stated.margin, stated.seeds, stated.other_images)


def _row(
    settings: Params, kind: str, key: str, source: str, number: PublishedNumber, values: np.ndarray
) -> dict[str, Any]:
    inference = settings.inference
    judged = replicate(
        values, number, confidence=inference.confidence, alpha=inference.alpha, min_seeds=inference.verdict_seeds
    )
    return {"kind": kind, "key": key, "source": source, **dataclasses.asdict(number), **dataclasses.asdict(judged)}

"""hypotheses.yaml as frozen, strictly checked objects: what is expected."""

import datetime
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, RootModel, Strict, ValidationError, field_validator, model_validator

from stages.shared import paths
from stages.shared.metrics import METRICS
from stages.shared.params.fields import Block, Fraction, Name, Positive, Text
from stages.shared.params.messages import ParamsError, guess, message, mistake, must_be_one_of, sentence
from stages.shared.params.settings import Params
from stages.shared.params.yaml_files import read_yaml


class Contrast(Block):
    """variant − reference; with `minus`, the difference of two such differences. The second may have a `minus` too."""

    variant: str
    reference: str
    minus: "Contrast | None" = None

    @property
    def variants(self) -> tuple[str, ...]:
        """Every variant that the contrast needs."""
        return (self.variant, self.reference, *(self.minus.variants if self.minus else ()))

    @property
    def weights(self) -> dict[str, int]:
        """Variant → how often its number is added or, below zero, taken off: equal in contrasts that are the same."""
        weights = Counter({self.variant: 1})
        weights.subtract([self.reference])
        if self.minus is not None:
            weights.subtract(self.minus.weights)
        return {variant: weight for variant, weight in sorted(weights.items()) if weight}

    @property
    def mirrored(self) -> dict[str, int]:
        """The weights of the same contrast with its arms in each other's place."""
        return {variant: -weight for variant, weight in self.weights.items()}

    @model_validator(mode="after")
    def _compares_two(self) -> Self:
        if self.variant == self.reference:
            raise mistake(f"variant and reference are both {self.variant!r}; a contrast needs two")
        if not self.weights:
            raise mistake("the contrast takes off all that it adds, so it is always 0; name other variants in minus")
        return self


class PublishedEffect(Block):
    """That a hypothesis repeats what its source has published, as a claim that is tested against ours.

    margin: how far ours may lie from it and still reproduce it. The effect is computed from the published accuracies of
    the contrast's variants; difference, seeds and other_images, as in Published, stand only where the source has none.
    """

    margin: Fraction
    difference: Annotated[float, Field(gt=-1, lt=1)] | None = None
    seeds: Positive | None = None
    other_images: Positive | None = None


class Change(Block):
    """What was done to a hypothesis after results of its variants had been seen, before the record of them began."""

    date: datetime.date
    kind: Literal["added", "altered"]
    reason: Text


class Hypothesis(Block):
    """direction: the expectation; the last three mean less than smallest_effect, which is in the metric's unit.

    alike: on either side. not_above: the effect is below +smallest_effect, however far below. not_below: above −it.
    """

    statement: Text
    family: Name
    contrast: Contrast
    metric: str
    direction: Literal["above", "below", "alike", "not_above", "not_below"]
    smallest_effect: Annotated[float, Field(gt=0, lt=1)]
    source: str
    published: PublishedEffect | None = None
    history: Annotated[tuple[Change, ...], Strict(False)] = ()

    @field_validator("metric")
    @classmethod
    def _metric_is_known(cls, metric: str) -> str:
        must_be_one_of("", metric, METRICS)
        return metric


class _File(RootModel[dict[Name, Hypothesis]]):
    model_config = {"strict": True, "frozen": True}


def load_hypotheses(settings: Params, path: Path = paths.HYPOTHESES) -> dict[str, Hypothesis]:
    """Every declared hypothesis by its key. Raises ParamsError with one message that lists every mistake."""
    raw = read_yaml(path)
    try:
        hypotheses = _File.model_validate(raw).root
    except ValidationError as error:
        raise ParamsError(message(path, [sentence(detail, _fields_at) for detail in error.errors()])) from None
    unknown = [
        f"{key}.contrast: variant {name!r} is not in params.yaml{guess(name, settings.variants)}"
        for key, hypothesis in hypotheses.items()
        for name in hypothesis.contrast.variants
        if name not in settings.variants
    ]
    unknown += [
        f"{key}.family: {hypothesis.family!r} is not one of {', '.join(settings.families)}"
        f"{guess(hypothesis.family, settings.families)}"
        for key, hypothesis in hypotheses.items()
        if hypothesis.family not in settings.families
    ]
    unknown = unknown or [
        f"{key}.published: {mistake}"
        for key, hypothesis in hypotheses.items()
        for mistake in _mistakes_of_published(settings, hypothesis)
    ]
    if unknown:
        raise ParamsError(message(path, unknown))
    repeated = _repeated(hypotheses)
    if repeated:
        raise ParamsError(message(path, repeated))
    return hypotheses


def _mistakes_of_published(settings: Params, hypothesis: Hypothesis) -> Iterator[str]:
    """A number is stated once: with the variants, or as the difference."""
    effect = hypothesis.published
    if effect is None:
        return
    stated = {name: settings.variants[name].published for name in hypothesis.contrast.variants}
    missing = [name for name, published in stated.items() if published is None or published.source != hypothesis.source]
    if effect.difference is not None:
        if not missing and hypothesis.metric == "accuracy":
            yield "its variants state the published accuracies; leave `difference` out"
        return
    if effect.seeds is not None or effect.other_images is not None:
        yield "seeds and other_images belong to a `difference`; without one, its variants state them"
    if missing or hypothesis.metric != "accuracy":
        lacking = " and ".join(missing) if missing else "a metric other than accuracy"
        yield f"{lacking}: no published accuracy of source {hypothesis.source!r}; state it, or a `difference` here"


def _repeated(hypotheses: dict[str, Hypothesis]) -> list[str]:
    """A mistake for each hypothesis about a contrast that an earlier one is about: a contrast has one verdict."""
    repeated = []
    for (first, one), (second, other) in combinations(hypotheses.items(), 2):
        same = other.contrast.weights in (one.contrast.weights, one.contrast.mirrored)
        if one.metric == other.metric and same:
            repeated.append(f"{second}.contrast: {first} has it too, in the same metric; a contrast has one verdict")
    return repeated


def _fields_at(location: list[str]) -> list[str]:
    block: Any = Hypothesis
    if {"contrast", "minus"} & set(location):
        block = Contrast
    elif "history" in location:
        block = Change
    elif "published" in location:
        block = PublishedEffect
    return list(block.model_fields)

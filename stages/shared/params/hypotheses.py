"""hypotheses.yaml as frozen, strictly checked objects: what is expected."""

import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, RootModel, Strict, ValidationError, field_validator, model_validator

from stages.shared import paths
from stages.shared.metrics import METRICS
from stages.shared.params.blocks import Block, Name, Params, Text
from stages.shared.params.messages import ParamsError, guess, message, mistake, must_be_one_of, sentence
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

    @model_validator(mode="after")
    def _compares_two(self) -> Self:
        if self.variant == self.reference:
            raise mistake(f"variant and reference are both {self.variant!r}; a contrast needs two")
        return self


class Change(Block):
    """What was done to a hypothesis after results of its variants had been seen, before the record of them began."""

    date: datetime.date
    kind: Literal["added", "altered"]
    reason: Text


class Hypothesis(Block):
    """direction: the expectation; alike means less than smallest_effect, which is in the metric's unit."""

    statement: Text
    family: Name
    contrast: Contrast
    metric: str
    direction: Literal["above", "below", "alike"]
    smallest_effect: Annotated[float, Field(gt=0, lt=1)]
    source: str
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
    if unknown:
        raise ParamsError(message(path, unknown))
    return hypotheses


def _fields_at(location: list[str]) -> list[str]:
    block: Any = Hypothesis
    if {"contrast", "minus"} & set(location):
        block = Contrast
    elif "history" in location:
        block = Change
    return list(block.model_fields)

"""The settings of a run: what it is given, its net, and how that is trained."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stages.shared.params.architecture import Architecture
from stages.shared.params.fields import Block, Few, Fraction, Layout, Natural, OwnSize, Positive, Share
from stages.shared.params.messages import mistake


class Sample(Block):
    seeds: Literal["all", "few"]
    seed_offset: Natural
    layout: Layout
    labels: Literal["published", "random"]
    train_size: OwnSize
    pixels: Literal["standardised", "unit"]


class Recipe(Block):
    optimizer: Literal["adamw", "adam", "sgd", "adadelta"]
    precision: Literal["float32", "bfloat16"]
    lr: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    momentum: Share
    schedule: Literal["one_cycle", "cosine", "constant"]
    warm_up: Fraction
    batch_size: Positive
    order: Literal["reshuffled", "fixed"]
    augment_shift: Natural
    augment_flip: bool
    label_smoothing: Share
    ema_decay: Share
    epochs: OwnSize
    steps: Positive | None
    length: Few

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.steps is not None and self.epochs != "protocol":
            raise mistake(
                f"steps {self.steps} and epochs {self.epochs} both say how long to train; "
                "set one (steps: null, or epochs: protocol)"
            )
        return self


class Run(Block):
    """What a variant trains: the base settings with the variant's changes merged in."""

    sample: Sample
    architecture: Architecture
    recipe: Recipe

"""The other blocks of params.yaml as frozen, strictly checked objects."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stages.shared.params.fields import Block, Few, Fraction, Name, Natural, Pair, Positive, Quantity, Size, Text
from stages.shared.params.messages import mistake
from stages.shared.params.run import Run

ALPHA_LIMIT = 0.5
MOST_SEEDS = 40  # as many as stages/shared/inference/sign_flip.py takes, which would import numpy here


class Longer(Block):
    """The variants that are trained again, `times` as long: whether what is said of them depends on the length."""

    times: Annotated[int, Field(ge=2, le=1000)]
    variants: Annotated[tuple[str, ...], Field(min_length=1)]


class Protocol(Block):
    """rates: variant → its learning rate in this protocol, where that is not the variant's own."""

    baseline: str
    train_size: Size
    val_size: Positive
    epochs: Positive
    seeds: Annotated[tuple[Natural, ...], Field(min_length=1)]
    few_seeds: Annotated[tuple[Natural, ...], Field(min_length=1)]
    margin: Annotated[int, Field(ge=0, le=1000)]
    probe_images: Annotated[int, Field(ge=2)]
    variants: Annotated[tuple[str, ...], Field(min_length=1)]
    longer: Longer | None
    rates: dict[Name, Annotated[float, Field(gt=0)]] = Field(default={})

    def images_to_train(self, n_images: int, has_val_set: bool) -> int:
        """Size of a train split, where `n_images` are there to train and, without a val set, to validate too."""
        if self.train_size != "all":
            return self.train_size
        return n_images if has_val_set else n_images - self.val_size

    @model_validator(mode="after")
    def _nothing_stands_twice(self) -> Self:
        for name in ("seeds", "few_seeds", "variants"):
            listed = getattr(self, name)
            twice = sorted(item for item, times in Counter(listed).items() if times > 1)
            if twice:
                raise mistake(f"{name} {list(listed)} name {twice} more than once; each may stand once")
        if len(self.seeds) > MOST_SEEDS:
            raise mistake(f"seeds are {len(self.seeds)}; the sign-flip test takes at most {MOST_SEEDS}")
        others = sorted(set(self.few_seeds) - set(self.seeds))
        if others:
            raise mistake(
                f"few_seeds {list(self.few_seeds)} have {others}, which seeds {list(self.seeds)} lack; "
                "comparisons are paired by seed"
            )
        absent = [name for name in self.longer.variants if name not in self.variants] if self.longer else []
        if absent:
            raise mistake(
                f"longer.variants name {absent}, which `variants` lack; what is trained longer is trained first"
            )
        return self


class Data(Block):
    """size: [height, width] of every image of a folder, or one number for both; None where all have one size."""

    dataset: Literal[
        "fashion_mnist", "mnist", "kmnist", "emnist_letters", "svhn", "cifar10", "cifar100", "digits", "npz", "folder"
    ]
    file: str | None
    folder: str | None
    size: Pair | None
    colour: Literal["grey", "rgb"]
    scale: Literal["unit", "none"]
    test_fraction: Fraction
    seed: Natural

    @property
    def target_size(self) -> tuple[int, int] | None:
        """(height, width) to which the images of a folder are brought; None where they keep theirs."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    @model_validator(mode="after")
    def _names_go_with_their_dataset(self) -> Self:
        described = {"file": ("npz", "your .npz"), "folder": ("folder", "your folder of images")}
        for field, (dataset, what) in described.items():
            name = getattr(self, field)
            if self.dataset == dataset and not name:
                raise mistake(f"dataset {dataset} needs `{field}`, the name of {what} in data/user/")
            if self.dataset != dataset and name is not None:
                raise mistake(
                    f"{field} {name!r} is only for dataset {dataset} (dataset is {self.dataset!r}); set it to null"
                )
            if name is not None and (Path(name).name != name or name == ".."):
                raise mistake(f"{field} {name!r} must be the name of {what}, which lies in data/user/")
        if self.file is not None and not self.file.endswith(".npz"):
            raise mistake(f"file {self.file!r} must be the name of an .npz file that lies in data/user/")
        if self.size is not None and self.dataset != "folder":
            raise mistake(f"size {self.size} is only for dataset folder (dataset is {self.dataset!r}); set it to null")
        return self


class Machine(Block):
    """device: of training alone. mixed: as auto, and runs of a CPU and of a GPU may be compared with each other."""

    device: Literal["auto", "cpu", "mixed"]
    instruction_set: Literal["native", "avx2"]


class Eda(Block):
    images: Annotated[int, Field(ge=2)]
    max_distance: Few
    samples_per_class: Few
    object_threshold: Annotated[float, Field(ge=0, lt=1)]
    rare_share: Fraction
    variance_shares: Annotated[tuple[Fraction, ...], Field(min_length=1)]
    twonn_discard: Annotated[float, Field(ge=0, lt=1)]
    near_duplicate: Annotated[float, Field(ge=0)]


class Published(Block):
    """A published test accuracy of the same net, and what else its source says of it.

    margin: how far ours may lie from it and still reproduce it. seeds: of which it is the mean; null where unknown.
    other_images: how many images it was measured on, if they are not the test images used here. source: a key of
    report/references.bib, or empty where there is none. parameters, summary: where stated; summary is in words.
    """

    accuracy: Fraction
    margin: Fraction
    seeds: Positive | None
    other_images: Positive | None = None
    source: str
    parameters: Positive | None = None
    summary: Text | None = None


class Variant(Block):
    """matched: quantity → the variant that should have as much of it. It is checked, and changes no training."""

    families: dict[Name, Text]
    matched: dict[Quantity, str] = Field(default={})
    published: Published | None = None
    run: Run

    def lengthened(self, times: int) -> Self:
        """The same variant, trained so many times as long."""
        recipe = self.run.recipe.model_copy(update={"length": times * self.run.recipe.length})
        return self.model_copy(update={"run": self.run.model_copy(update={"recipe": recipe})})


class Family(Block):
    title: Text
    reference: str
    question: Text
    held: Text


class Probe(Block):
    bins: Few
    calibration_draws: Few
    shifts_of_image: Few
    images: Annotated[int, Field(ge=2)]
    field_share: Fraction
    luo_share: Fraction
    folds: Annotated[int, Field(ge=2, le=1000)]
    ridge_penalty: Annotated[float, Field(gt=0)]
    active_share: Fraction
    drawn_images: Few
    drawn_channels: Few
    drawn_places: Few
    hard_images: Few


class Inference(Block):
    confidence: Fraction
    alpha: Fraction
    power: Fraction
    smallest_effect: Fraction
    min_seeds: Annotated[int, Field(ge=2)]
    verdict_seeds: Annotated[int, Field(ge=2)]
    resamples: Annotated[int, Field(ge=1, le=10**6)]
    match_tolerance: Fraction

    @model_validator(mode="after")
    def _levels_are_possible(self) -> Self:
        if self.alpha >= ALPHA_LIMIT:
            raise mistake(
                f"alpha {self.alpha:g} should be below {ALPHA_LIMIT:g}: it is the level of one-sided tests too"
            )
        if self.power <= self.alpha:
            raise mistake(f"power {self.power:g} should be above alpha {self.alpha:g}")
        return self

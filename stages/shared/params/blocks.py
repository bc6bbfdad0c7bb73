"""The blocks of params.yaml as frozen, strictly checked objects."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from stages.shared.params.messages import ParamsError, guess, mistake, must_be_one_of

# The upper limits lie beyond anything that could be run. They catch a slip of the finger that asks for terabytes.
Positive = Annotated[int, Field(ge=1, le=10**9)]
Natural = Annotated[int, Field(ge=0)]
Few = Annotated[int, Field(ge=1, le=1000)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


def _or_else(allowed: str) -> WrapValidator:
    """One sentence about a union, in place of pydantic's error for each of its branches."""

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise PydanticCustomError("value", "should be {allowed}", {"allowed": allowed}) from None

    return WrapValidator(check)


# Strict(False): a WrapValidator passes Python's list on, which a strict tuple refuses.
Pair = Annotated[
    Few | Annotated[tuple[Few, Few], Strict(False)],
    _or_else("a whole number from 1 up to 1000, or [height, width] of two such"),
]
Widths = Annotated[tuple[Positive, ...], Field(max_length=1000)]
Size = Annotated[Positive | Literal["all"], _or_else("a whole number from 1 up, or all")]
OwnSize = Annotated[Positive | Literal["protocol"], _or_else("a whole number from 1 up, or protocol")]
Layout = Annotated[
    Annotated[str, Field(pattern=r"^(original|permuted|(patches|scattered)_[1-9][0-9]{0,2})$")],
    _or_else("original, permuted, patches_ and a side (patches_4), or scattered_ and a reach (scattered_6), in pixels"),
]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(_[a-z0-9]+)*$", max_length=40)]
Text = Annotated[str, Field(min_length=1)]
Quantity = Literal["parameters", "macs", "receptive_field"]


LONGER = "_longer"  # ends the name of a variant that is trained longer


class Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Longer(Block):
    """The variants that are trained again, `times` as long: whether what is said of them depends on the length."""

    times: Annotated[int, Field(ge=2, le=1000)]
    variants: Annotated[tuple[str, ...], Field(min_length=1)]


class Protocol(Block):
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

    def images_to_train(self, n_images: int) -> int:
        """Size of a train split, where `n_images` are there to train and to validate."""
        return n_images - self.val_size if self.train_size == "all" else self.train_size

    @model_validator(mode="after")
    def _nothing_stands_twice(self) -> Self:
        for name in ("seeds", "few_seeds", "variants"):
            listed = getattr(self, name)
            twice = sorted(item for item, times in Counter(listed).items() if times > 1)
            if twice:
                raise mistake(f"{name} {list(listed)} name {twice} more than once; each may stand once")
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
    dataset: Literal["fashion_mnist", "mnist", "kmnist", "cifar10", "cifar100", "digits", "npz"]
    file: str | None
    test_fraction: Fraction
    seed: Natural

    @model_validator(mode="after")
    def _file_goes_with_npz(self) -> Self:
        if self.dataset == "npz" and not self.file:
            raise mistake("dataset npz needs `file`, the name of your .npz in data/user/")
        if self.dataset != "npz" and self.file is not None:
            raise mistake(f"file {self.file!r} is only for dataset npz (dataset is {self.dataset!r}); set it to null")
        if self.file is not None and (Path(self.file).name != self.file or not self.file.endswith(".npz")):
            raise mistake(f"file {self.file!r} must be the name of an .npz file that lies in data/user/")
        return self


class Machine(Block):
    """device: of training alone."""

    device: Literal["auto", "cpu"]
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


class Architecture(Block):
    connectivity: Literal["conv", "locally_connected", "fully_connected", "resnet18"]
    channels: Widths
    kernel: Pair
    dilation: Pair
    padding: Literal["zero", "valid", "reflect", "circular"]
    reduce_at: tuple[Positive, ...]
    stride: Pair
    pooling: Literal["max", "average", "blur", "none"]
    pool_size: Pair
    norm: Literal["none", "batch"]
    activation: Literal["relu", "gelu", "tanh"]
    head: Literal["flatten", "global_average", "global_max"]
    hidden: Widths

    @model_validator(mode="after")
    def _layers_are_there(self) -> Self:
        depth = len(self.channels)
        absent = [layer for layer in self.reduce_at if layer > depth]
        if self.connectivity in ("conv", "locally_connected"):
            if not depth:
                raise mistake(f"channels is empty, but a net with connectivity {self.connectivity} needs a layer")
            if absent:
                raise mistake(
                    f"reduce_at {list(self.reduce_at)} names layer {absent[0]}, but channels has {depth} (1 to {depth})"
                )
        if len(set(self.reduce_at)) < len(self.reduce_at):
            raise mistake(f"reduce_at {list(self.reduce_at)} names a layer twice")
        return self


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
    momentum: Annotated[float, Field(ge=0, lt=1)]
    schedule: Literal["one_cycle", "cosine", "constant"]
    warm_up: Fraction
    batch_size: Positive
    order: Literal["reshuffled", "fixed"]
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
    matched: dict[Quantity, str] = {}
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


class Params(Block):
    protocols: Annotated[dict[Name, Protocol], Field(min_length=1)]
    protocol: Name  # the name of the one that is used
    data: Data
    machine: Machine
    eda: Eda
    sample: Sample
    architecture: Architecture
    recipe: Recipe
    probe: Probe
    variants: Annotated[dict[Name, Variant], Field(min_length=1)]
    families: dict[Name, Family]
    inference: Inference

    @property
    def chosen_protocol(self) -> Protocol:
        """The protocol that `protocol` names."""
        return self.protocols[self.protocol]

    @property
    def baseline(self) -> str:
        """The variant that the others of the chosen protocol are compared with."""
        return self.chosen_protocol.baseline

    @property
    def active_variants(self) -> dict[str, Variant]:
        """The variants that the chosen protocol runs, in the order of params.yaml."""
        return {key: variant for key, variant in self.variants.items() if key in self.chosen_protocol.variants}

    @property
    def longer_variants(self) -> dict[str, Variant]:
        """The variants of the chosen protocol that are trained longer, each under its own name and `_longer`."""
        longer = self.chosen_protocol.longer
        if longer is None:
            return {}
        return {key + LONGER: self.variants[key].lengthened(longer.times) for key in longer.variants}

    @property
    def trained_variants(self) -> dict[str, Variant]:
        """All that the chosen protocol trains and probes."""
        return self.active_variants | self.longer_variants

    def without(self, variants: Collection[str]) -> Self:
        """The same settings, but for these variants in the protocol."""
        kept = tuple(key for key in self.chosen_protocol.variants if key not in variants)
        return self.model_copy(
            update={
                "protocols": {
                    **self.protocols,
                    self.protocol: self.chosen_protocol.model_copy(update={"variants": kept}),
                }
            }
        )

    def levels(self, family: str) -> dict[str, str]:
        """Variant → name of its level, for the variants of one family that the protocol runs."""
        return {key: v.families[family] for key, v in self.active_variants.items() if family in v.families}

    def variant(self, key: str) -> Variant:
        """Raises ParamsError, naming those that exist, if there is no variant `key`."""
        if key not in self.variants:
            raise ParamsError(f"variant {key!r} is not in params.yaml (have: {', '.join(self.variants)})")
        return self.variants[key]

    def chosen_variants(self, names: Sequence[str]) -> list[str]:
        """These variants of the chosen protocol, all of them if none is named, in the order of params.yaml.

        Raises ParamsError for a variant that the protocol does not run.
        """
        trained = self.trained_variants
        for name in names:
            if name not in trained:
                raise ParamsError(
                    f"variant {name!r} is not one of protocol {self.protocol!r} in params.yaml"
                    f"{guess(name, trained)} (have: {', '.join(trained)})"
                )
        return [key for key in trained if not names or key in names]

    def seeds(self, key: str) -> tuple[int, ...]:
        """The protocol's seeds that the variant runs under."""
        protocol, variant = self.chosen_protocol, self.variants.get(key) or self.longer_variants[key]
        return protocol.seeds if variant.run.sample.seeds == "all" else protocol.few_seeds

    @model_validator(mode="after")
    def _names_resolve(self) -> Self:
        for key, variant in self.variants.items():
            for named in variant.families:
                must_be_one_of(f"variants.{key}.families", named, self.families)
            for quantity, other in variant.matched.items():
                must_be_one_of(f"variants.{key}.matched.{quantity}", other, self.variants)
                if other == key:
                    raise mistake(f"variants.{key}.matched.{quantity} names the variant itself")
        must_be_one_of("protocol", self.protocol, self.protocols)
        for name, protocol in self.protocols.items():
            for field, keys in {"baseline": (protocol.baseline,), "variants": protocol.variants}.items():
                for key in keys:
                    must_be_one_of(f"protocols.{name}.{field}", key, self.variants)
            for key in protocol.longer.variants if protocol.longer else ():
                if key + LONGER in self.variants:
                    raise mistake(
                        f"variants.{key}{LONGER} has the name of {key!r} trained longer; give it another name"
                    )
        self._must_run(f"protocols.{self.protocol}.baseline", self.baseline)
        for key, family in self.families.items():
            must_be_one_of(f"families.{key}.reference", family.reference, self.variants)
            if self.levels(key):
                self._must_run(f"families.{key}.reference", family.reference)
                if key not in self.variants[family.reference].families:
                    raise mistake(
                        f"families.{key}.reference is {family.reference!r}, which has no level in that family"
                    )
        return self

    def _must_run(self, where: str, variant: str) -> None:
        must_be_one_of(where, variant, self.variants)
        if variant not in self.active_variants:
            raise mistake(
                f"{where}: protocol {self.protocol!r} leaves {variant!r} out; "
                f"its `variants` are {', '.join(self.active_variants)}"
            )

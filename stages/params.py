"""params.yaml as frozen, strictly checked objects, and its only reader.

`load()` refuses a mistake anywhere in the file in one message, before any stage runs.
`python -m stages.params` does nothing else.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError, ValidatorFunctionWrapHandler, WrapValidator, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages import paths
from stages.params_text import WORDS, guess, shown

Positive = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


def _or_else(allowed: str) -> WrapValidator:
    """One sentence in place of an error for each branch of a union."""

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise PydanticCustomError("value", "should be {allowed}", {"allowed": allowed}) from None

    return WrapValidator(check)


# Strict(False): what a WrapValidator hands on is Python's list, which a strict tuple refuses.
Pair = Annotated[Positive | Annotated[tuple[Positive, Positive], Strict(False)], _or_else("a whole number from 1 up, or [height, width] of two such")]
Size = Annotated[Positive | Literal["all"], _or_else("a whole number from 1 up, or all")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(_[a-z0-9]+)*$", max_length=40)]
Text = Annotated[str, Field(min_length=1)]

# channels, height, width; None where only the user's file can tell.
DATASETS: dict[str, tuple[int, int, int] | None] = {
    "fashion_mnist": (1, 28, 28),
    "mnist": (1, 28, 28),
    "kmnist": (1, 28, 28),
    "cifar10": (3, 32, 32),
    "cifar100": (3, 32, 32),
    "digits": (1, 8, 8),
    "npz": None,
}
LAYOUTS = ("original", "permuted")


class ParamsError(Exception):
    """A mistake in params.yaml; its text is the whole message for the user."""


class Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Protocol(Block):
    train_size: Size
    val_size: Positive
    epochs: Positive
    seeds: Annotated[tuple[Natural, ...], Field(min_length=1)]
    probe_images: Positive

    @model_validator(mode="after")
    def _seeds_differ(self) -> Self:
        twice = sorted({seed for seed in self.seeds if self.seeds.count(seed) > 1})
        if twice:
            raise _mistake(f"seeds {list(self.seeds)} name {twice} more than once; every seed may stand once")
        return self


class Data(Block):
    dataset: Literal["fashion_mnist", "mnist", "kmnist", "cifar10", "cifar100", "digits", "npz"]
    file: str | None
    test_fraction: Fraction
    margin: Natural
    seed: Natural

    @model_validator(mode="after")
    def _file_goes_with_npz(self) -> Self:
        if self.dataset == "npz" and not self.file:
            raise _mistake("dataset npz needs `file`, the name of your .npz in data/user/")
        if self.dataset != "npz" and self.file is not None:
            raise _mistake(f"file {self.file!r} is only for dataset npz (dataset is {self.dataset!r}); set it to null")
        if self.file is not None and (Path(self.file).name != self.file or not self.file.endswith(".npz")):
            raise _mistake(f"file {self.file!r} must be the name of an .npz file that lies in data/user/")
        return self


class Eda(Block):
    images: Annotated[int, Field(ge=2)]
    max_distance: Positive
    samples_per_class: Positive
    object_threshold: Annotated[float, Field(ge=0, lt=1)]
    variance_shares: Annotated[tuple[Fraction, ...], Field(min_length=1)]
    twonn_discard: Annotated[float, Field(ge=0, lt=1)]
    near_duplicate: Annotated[float, Field(ge=0)]


class Architecture(Block):
    connectivity: Literal["conv", "locally_connected", "fully_connected", "resnet18"]
    channels: Annotated[tuple[Positive, ...], Field(min_length=1)]
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

    @model_validator(mode="after")
    def _reduce_at_names_layers(self) -> Self:
        depth = len(self.channels)
        absent = [layer for layer in self.reduce_at if layer > depth]
        if absent and self.connectivity in ("conv", "locally_connected"):
            raise _mistake(f"reduce_at {list(self.reduce_at)} names layer {absent[0]}, but channels has {depth} (1 to {depth})")
        if len(set(self.reduce_at)) < len(self.reduce_at):
            raise _mistake(f"reduce_at {list(self.reduce_at)} names a layer twice")
        return self


# What these connectivities do not read; a variant that sets it would change nothing.
UNREAD = {
    "conv": set(),
    "locally_connected": set(),
    "fully_connected": set(Architecture.model_fields) - {"connectivity", "channels", "norm", "activation"},
    "resnet18": set(Architecture.model_fields) - {"connectivity"},
}


class Recipe(Block):
    optimizer: Literal["adamw", "adam", "sgd"]
    lr: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    schedule: Literal["one_cycle", "cosine", "constant"]
    warm_up: Fraction
    batch_size: Positive


class Run(Block):
    """What one variant trains: the base with the variant's own changes merged in."""

    protocols: tuple[str, ...] | None = None  # None: all
    layout: Literal["original", "permuted"] = "original"
    architecture: Architecture
    recipe: Recipe


class Variant(Block):
    families: dict[Name, Text]
    run: Run


class Family(Block):
    title: Text
    reference: str
    question: Text
    held: Text


class Contrast(Block):
    title: Text
    variant: str
    reference: str


class Inference(Block):
    confidence: Fraction
    min_seeds: Annotated[int, Field(ge=2)]


class Params(Block):
    protocol: str
    protocols: Annotated[dict[Name, Protocol], Field(min_length=1)]
    data: Data
    eda: Eda
    architecture: Architecture
    recipe: Recipe
    variants: Annotated[dict[Name, Variant], Field(min_length=1)]
    baseline: str
    families: dict[Name, Family]
    contrasts: dict[Name, Contrast]
    inference: Inference

    @property
    def active_protocol(self) -> Protocol:
        return self.protocols[self.protocol]

    @property
    def active_variants(self) -> dict[str, Variant]:
        """The variants that the chosen protocol runs, in the order of params.yaml."""
        return {key: variant for key, variant in self.variants.items() if _runs_in(variant, self.protocol)}

    def levels(self, family: str) -> dict[str, str]:
        """Variant → name of its level, for the variants of one family that the protocol runs."""
        return {key: v.families[family] for key, v in self.active_variants.items() if family in v.families}

    def variant(self, key: str) -> Variant:
        """Raises ParamsError, naming those that exist, if there is no variant `key`."""
        if key not in self.variants:
            raise ParamsError(f"variant {key!r} is not in params.yaml (have: {', '.join(self.variants)})")
        return self.variants[key]

    @model_validator(mode="after")
    def _names_resolve(self) -> Self:
        _must_be_one_of("protocol", self.protocol, self.protocols)
        for key, variant in self.variants.items():
            for named in variant.families:
                _must_be_one_of(f"variants.{key}.families", named, self.families)
            for protocol in variant.run.protocols or ():
                _must_be_one_of(f"variants.{key}.run.protocols", protocol, self.protocols)
        self._must_run("baseline", self.baseline)
        for key, family in self.families.items():
            self._must_run(f"families.{key}.reference", family.reference)
            if key not in self.variants[family.reference].families and self.levels(key):
                raise _mistake(f"families.{key}.reference is {family.reference!r}, which has no level in that family")
        for key, contrast in self.contrasts.items():
            self._must_run(f"contrasts.{key}.variant", contrast.variant)
            self._must_run(f"contrasts.{key}.reference", contrast.reference)
        return self

    def _must_run(self, where: str, variant: str) -> None:
        _must_be_one_of(where, variant, self.variants)
        if variant not in self.active_variants:
            raise _mistake(f"{where}: protocol {self.protocol!r} leaves {variant!r} out (see its `protocols`); it runs {', '.join(self.active_variants)}")


def load(path: Path = paths.PARAMS) -> Params:
    """Read and check params.yaml. Raises ParamsError with one message that lists every mistake."""
    raw = _read(path)
    own = raw.get("variants", {})
    try:
        params = Params.model_validate_json(json.dumps(_with_changes_merged(raw), default=str))
    except ValidationError as error:
        mistakes = [_sentence(detail) for detail in error.errors() if not _is_inherited(detail, own)]
        raise ParamsError(_message(path, mistakes)) from None
    mistakes = [*_changes_without_effect(own, params), *_vanishing_layers(params)]
    if mistakes:
        raise ParamsError(_message(path, mistakes))
    return params


def image_shape(data: Data) -> tuple[int, int, int] | None:
    """(channels, height, width) of the canvas: the image and its margin; None while the user's file is absent."""
    shape = DATASETS[data.dataset] or _npz_shape(paths.USER / str(data.file))
    if shape is None:
        return None
    channels, height, width = shape
    return channels, *canvas(height, width, data.margin)


def canvas(height: int, width: int, margin: int) -> tuple[int, int]:
    """Height and width with the margin around; an axis of one pixel (a signal) gets none."""
    return tuple(size if size == 1 else size + 2 * margin for size in (height, width))  # type: ignore[return-value]


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """A number stands for (number, number)."""
    return (value, value) if isinstance(value, int) else value


def map_sizes(architecture: Architecture, height: int, width: int) -> list[tuple[int, int]]:
    """Height and width of the feature map after each convolution (or locally connected) layer and its pooling.

    Raises ValueError, naming the layer, if nothing is left or reflection has too few pixels.
    """
    sizes = []
    for layer in range(1, len(architecture.channels) + 1):
        reduces = layer in architecture.reduce_at
        size = []
        for axis, before in enumerate((height, width)):
            reach = pair(architecture.dilation)[axis] * (pair(architecture.kernel)[axis] - 1)
            if architecture.padding in ("reflect", "circular") and (reach + 1) // 2 >= before + (architecture.padding == "circular"):
                raise ValueError(f"layer {layer}: {architecture.padding} padding of {(reach + 1) // 2} pixels needs a larger map than {height}×{width}")
            span = before - reach if architecture.padding == "valid" else before
            stride = pair(architecture.stride)[axis] if reduces else 1
            after = (span - 1) // stride + 1 if span >= 1 else 0
            if reduces and architecture.pooling != "none":
                after //= pair(architecture.pool_size)[axis]
            size.append(after)
        if min(size) < 1:
            raise ValueError(f"layer {layer}: the feature map vanishes ({height}×{width} → {size[0]}×{size[1]})")
        height, width = size
        sizes.append((height, width))
    return sizes


def _runs_in(variant: Variant, protocol: str) -> bool:
    return variant.run.protocols is None or protocol in variant.run.protocols


def _read(path: Path) -> dict[str, Any]:
    """The file as DVC reads it (YAML 1.2, where 1e-3 is a number)."""
    try:
        raw = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; restore it with `git checkout -- params.yaml`") from None
    except (YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ParamsError(f"{path.name} is not valid YAML: {reason[:300]}") from None
    if not isinstance(raw, dict):
        raise ParamsError(f"{path.name} must be a mapping with the keys {', '.join(Params.model_fields)}")
    try:
        odd = [key for key in _keys(raw) if not isinstance(key, str)]
    except RecursionError:
        raise ParamsError(f"{path.name} refers to itself through an alias (*); write the block out") from None
    if odd:
        raise ParamsError(_message(path, [f"the key {key!r} must be text; write it in quotes or with a letter" for key in odd]))
    return raw


def _keys(block: Any) -> Iterator[Any]:
    """Every key of every mapping inside."""
    if isinstance(block, dict):
        yield from block
    for inner in block.values() if isinstance(block, dict) else block if isinstance(block, list) else ():
        yield from _keys(inner)


def _with_changes_merged(raw: dict[str, Any]) -> dict[str, Any]:
    """Give every variant its whole architecture and recipe: the base, then its own changes.

    What has the wrong type is left as it is, for the validation to name.
    """
    if not isinstance(raw.get("variants"), dict):
        return raw
    variants = {}
    for key, variant in raw["variants"].items():
        if isinstance(variant, dict) and isinstance(variant.get("run"), dict):
            run = dict(variant["run"])
            for block in ("architecture", "recipe"):
                base, change = raw.get(block), run.get(block, {})
                run[block] = {**base, **change} if isinstance(base, dict) and isinstance(change, dict) else change
            variant = {**variant, "run": run}
        variants[key] = variant
    return {**raw, "variants": variants}


def _is_inherited(detail: ErrorDetails, own_blocks: dict[str, Any]) -> bool:
    """Whether a variant only repeats a mistake of the base block, which is reported there."""
    location = detail["loc"]
    if len(location) < 4 or location[0] != "variants" or location[2] != "run" or location[3] not in ("architecture", "recipe"):
        return False
    own = own_blocks[str(location[1])]["run"].get(location[3], {})
    return isinstance(own, dict) and (location[4] not in own if len(location) > 4 else not own)


def _changes_without_effect(own_blocks: dict[str, Any], params: Params) -> list[str]:
    mistakes = []
    for key, variant in params.variants.items():
        connectivity = variant.run.architecture.connectivity
        own = own_blocks[key]["run"].get("architecture", {})
        for name in sorted(set(own) & UNREAD[connectivity]):
            mistakes.append(f"variants.{key}.run.architecture.{name}: has no effect where connectivity is {connectivity}; leave it out")
    return mistakes


def _vanishing_layers(params: Params) -> list[str]:
    shape = image_shape(params.data)
    mistakes = []
    for key, variant in params.variants.items():
        architecture = variant.run.architecture
        if shape is None or architecture.connectivity not in ("conv", "locally_connected"):
            continue
        try:
            map_sizes(architecture, *shape[1:])
        except ValueError as error:
            mistakes.append(f"variants.{key}: {error}; lessen kernel, stride, pooling or depth")
    return mistakes


def _npz_shape(path: Path) -> tuple[int, int, int] | None:
    """Shape of the user's images, from the file's header alone; None if it cannot be told (download says why)."""
    import zipfile

    import numpy as np

    try:
        with zipfile.ZipFile(path) as archive, archive.open("images.npy") as header:
            version = np.lib.format.read_magic(header)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape = read(header)[0]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
    if len(shape) == 3:
        return 1, shape[1], shape[2]
    return (shape[3], shape[1], shape[2]) if len(shape) == 4 else None


def _mistake(text: str) -> PydanticCustomError:
    return PydanticCustomError("mistake", "{text}", {"text": text})


def _must_be_one_of(where: str, value: str, allowed: dict[str, Any]) -> None:
    if value not in allowed:
        raise _mistake(f"{where}: {value!r} is not one of {', '.join(allowed) or '(none)'}{guess(value, allowed)}")


def _sentence(detail: ErrorDetails) -> str:
    """One line: the key, its value, and what is allowed."""
    location = [str(part) for part in detail["loc"] if part != "[key]"]
    key = ".".join(location) or "params.yaml"
    if detail["type"] == "mistake":
        return f"{key}: {detail['msg']}" if location else detail["msg"]
    if detail["type"] == "extra_forbidden":
        allowed = _fields_at(location[:-1])
        return f"{key} = {shown(detail['input'])}: unknown key{guess(location[-1], allowed)}; allowed here: {', '.join(allowed)}"
    if detail["type"] == "missing":
        return f"{key}: missing"
    message = detail["msg"]
    for ours, theirs in WORDS:
        message = message.replace(theirs, ours)
    quoted = isinstance(detail["input"], str) and detail["type"] in ("float_type", "int_type")
    return f"{key} = {shown(detail['input'])}: {message}{' (a number stands without quotes)' if quoted else ''}"


def _fields_at(location: list[str]) -> list[str]:
    """The keys allowed at a location such as ["variants", "k5", "run"]."""
    named: dict[str, type[Block]] = {
        "protocols": Protocol, "data": Data, "eda": Eda, "architecture": Architecture, "recipe": Recipe,
        "run": Run, "variants": Variant, "families": Family, "contrasts": Contrast, "inference": Inference,
    }  # fmt: skip
    block = next((named[part] for part in reversed(location) if part in named), Params)
    return list(block.model_fields)


def _message(path: Path, mistakes: list[str]) -> str:
    lines = list(dict.fromkeys(mistakes))
    head = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
    return f"{path.name}: {head}; nothing was run\n" + "\n".join(f"  {line}" for line in lines)


if __name__ == "__main__":
    try:
        load()
    except ParamsError as error:
        sys.exit(str(error))
    paths.write_json(paths.CHECKED, {"params": "valid"})

"""Read params.yaml, give each variant its whole run, and check what concerns several blocks."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stages.shared import paths
from stages.shared.architectures import geometry
from stages.shared.params.architecture import LAYERED, Architecture, LayerChange, OwnModule
from stages.shared.params.blocks import Data, Eda, Family, Inference, Probe, Protocol, Published, Variant
from stages.shared.params.fields import Block
from stages.shared.params.image_sizes import image_shape, raw_shape
from stages.shared.params.messages import ParamsError, message, sentence
from stages.shared.params.run import Recipe, Run, Sample
from stages.shared.params.settings import Params
from stages.shared.params.yaml_files import read_yaml

LAYER_FIELDS = set(LayerChange.model_fields)
MERGED = ("sample", "architecture", "recipe")  # the blocks of which a variant states only what it changes
EVERY_NET = {"connectivity", "channels", "activation", "dropout"}
HEAD = {"head", "hidden"}
# Connectivity → the fields that it reads; a variant that sets another would change nothing.
READ = {
    **dict.fromkeys(LAYERED, EVERY_NET | HEAD | {"residual", "layers", "reduce_at", "norm_groups", *LAYER_FIELDS}),
    "fully_connected": EVERY_NET | {"norm", "norm_groups"},
    "attention": EVERY_NET | HEAD | {"patch", "heads", "positions", "mlp_ratio"},
    "mixer": EVERY_NET | HEAD | {"patch", "mlp_ratio"},
    "resnet18": {"connectivity"},
    "module": {"connectivity", "module"},
}


def load(path: Path = paths.PARAMS) -> Params:
    """Read and check params.yaml. Raises ParamsError with one message that lists every mistake."""
    raw = read_yaml(path)
    try:
        settings = Params.model_validate_json(json.dumps(_with_changes_merged(raw), default=str))
    except ValidationError as error:
        mistakes = [sentence(detail, _fields_at) for detail in error.errors() if not _is_inherited(detail, raw)]
        raise ParamsError(message(path, mistakes)) from None
    mistakes = [
        *_changes_without_effect(raw, settings),
        *_samples_too_large(settings),
        *_patches_that_do_not_fit(settings),
        *_shifts_beyond_the_margin(raw, settings),
        *_impossible_nets(settings),
    ]
    if mistakes:
        raise ParamsError(message(path, mistakes))
    return settings


def _with_changes_merged(raw: dict[str, Any]) -> dict[str, Any]:
    """Give every variant its whole sample, architecture and recipe: the base, then the variant's changes, then the
    learning rate that the chosen protocol has for it.

    A value of the wrong type is left as it is, for the validation to name.
    """
    if not isinstance(raw.get("variants"), dict):
        return raw
    rates = _rates(raw)
    variants = {}
    for key, variant in raw["variants"].items():
        if isinstance(variant, dict) and isinstance(variant.get("run"), dict):
            run = dict(variant["run"])
            for block in MERGED:
                base, change = raw.get(block), run.get(block, {})
                run[block] = change
                if isinstance(base, dict) and isinstance(change, dict):
                    run[block] = {**base, **change}
            if key in rates and isinstance(run["recipe"], dict):
                run["recipe"] = {**run["recipe"], "lr": rates[key]}
            variant = {**variant, "run": run}
        variants[key] = variant
    return {**raw, "variants": variants}


def _rates(raw: dict[str, Any]) -> dict[str, Any]:
    """Of the chosen protocol; none where something of the wrong type stands there, for the validation to name."""
    protocols, name = raw.get("protocols"), raw.get("protocol")
    chosen = protocols.get(name) if isinstance(protocols, dict) and isinstance(name, str) else None
    rates = chosen.get("rates", {}) if isinstance(chosen, dict) else {}
    return rates if isinstance(rates, dict) else {}


def _is_inherited(error: ErrorDetails, raw: dict[str, Any]) -> bool:
    """Whether a variant only repeats a mistake of the base block, which is reported there."""
    match error["loc"]:
        case ("variants", str(key), "run", str(block), *rest) if block in MERGED:
            change = raw["variants"][key]["run"].get(block, {})
        case _:
            return False
    if not isinstance(change, dict):
        return False
    return rest[0] not in change if rest else not change


def _changes_without_effect(raw: dict[str, Any], settings: Params) -> list[str]:
    mistakes = []
    for key, variant in settings.variants.items():
        connectivity = variant.run.architecture.connectivity
        change = raw["variants"][key]["run"].get("architecture", {})
        for name in sorted(set(change) - READ[connectivity]):
            mistakes.append(
                f"variants.{key}.run.architecture.{name}: has no effect where connectivity is {connectivity}; "
                "leave it out"
            )
    return mistakes


def _samples_too_large(settings: Params) -> list[str]:
    largest = settings.chosen_protocol.train_size
    mistakes = []
    for key, variant in settings.active_variants.items():
        size = variant.run.sample.train_size
        if isinstance(size, int) and isinstance(largest, int) and size > largest:
            mistakes.append(
                f"variants.{key}.run.sample.train_size = {size}: protocol {settings.protocol!r} prepares {largest} "
                "train images; reduce it, or leave the variant out of the protocol"
            )
    return mistakes


def _patches_that_do_not_fit(settings: Params) -> list[str]:
    shape = raw_shape(settings)
    if shape is None:
        return []
    _, height, width = shape
    mistakes = []
    for key, variant in settings.active_variants.items():
        layout = variant.run.sample.layout
        side = geometry.patch_side(layout)
        if side is not None and not geometry.patches_fit(side, height, width):
            mistakes.append(
                f"variants.{key}.run.sample.layout = {layout!r}: patches of {side} do not tile {height}×{width} "
                "images; choose another side, or leave the variant out of the protocol"
            )
    return mistakes


def _shifts_beyond_the_margin(raw: dict[str, Any], settings: Params) -> list[str]:
    margin = settings.chosen_protocol.margin
    mistakes = []
    for key, variant in settings.active_variants.items():
        shift = variant.run.recipe.augment_shift
        if shift > margin:
            is_own = "augment_shift" in raw["variants"][key]["run"].get("recipe", {})
            place = f"variants.{key}.run.recipe" if is_own else "recipe"
            mistakes.append(
                f"{place}.augment_shift = {shift}: a longer shift than the margin crops the image; at most {margin}, "
                f"the margin of protocol {settings.protocol!r}"
            )
    return mistakes


def _impossible_nets(settings: Params) -> list[str]:
    """What is wrong with the nets of the variants, as far as the size of the images is known."""
    from stages.shared.architectures.closed_form import closed_form  # it imports the settings of a net from here

    mistakes = []
    for key, variant in settings.active_variants.items():
        shape = image_shape(settings, variant.run.sample.layout)
        is_own = variant.run.architecture.own_module is not None  # which takes torch; stages.check looks at it
        if shape is not None and not is_own:
            try:
                closed_form(variant.run.architecture, shape, classes=1)
            except ValueError as error:
                mistakes.append(f"variants.{key}.run.architecture: {error}")
    return mistakes


BLOCKS: dict[str, type[Block]] = {
    "protocols": Protocol,
    "data": Data,
    "eda": Eda,
    "probe": Probe,
    "sample": Sample,
    "architecture": Architecture,
    "layers": LayerChange,
    "module": OwnModule,
    "recipe": Recipe,
    "run": Run,
    "variants": Variant,
    "published": Published,
    "families": Family,
    "inference": Inference,
}


def _fields_at(location: list[str]) -> list[str]:
    """The keys allowed at a location such as ["variants", "kernel_5", "run"]."""
    block = next((BLOCKS[part] for part in reversed(location) if part in BLOCKS), Params)
    return [field.alias or name for name, field in block.model_fields.items()]

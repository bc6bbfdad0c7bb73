"""Read params.yaml, give each variant its whole run, and check what no single block can tell."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stages.shared import paths
from stages.shared.architectures import geometry
from stages.shared.params.blocks import (
    UNREAD,
    Architecture,
    Block,
    Data,
    Eda,
    Family,
    Inference,
    Params,
    Probe,
    Protocol,
    Recipe,
    Run,
    Sample,
    Variant,
)
from stages.shared.params.messages import ParamsError, message, sentence
from stages.shared.params.sizes import image_shape, raw_shape
from stages.shared.params.yaml import read_yaml

MERGED = ("sample", "architecture", "recipe")  # the blocks of which a variant states only what it changes


def load(path: Path = paths.PARAMS) -> Params:
    """Read and check params.yaml. Raises ParamsError with one message that lists every mistake."""
    raw = read_yaml(path)
    own = raw.get("variants", {})
    try:
        params = Params.model_validate_json(json.dumps(_with_changes_merged(raw), default=str))
    except ValidationError as error:
        mistakes = [sentence(detail, _fields_at) for detail in error.errors() if not _is_inherited(detail, own)]
        raise ParamsError(message(path, mistakes)) from None
    mistakes = [
        *_changes_without_effect(own, params),
        *_samples_too_large(params),
        *_patches_that_do_not_fit(params),
        *_vanishing_layers(params),
    ]
    if mistakes:
        raise ParamsError(message(path, mistakes))
    return params


def _with_changes_merged(raw: dict[str, Any]) -> dict[str, Any]:
    """Give every variant its whole sample, architecture and recipe: the base, then its own changes.

    What has the wrong type is left as it is, for the validation to name.
    """
    if not isinstance(raw.get("variants"), dict):
        return raw
    variants = {}
    for key, variant in raw["variants"].items():
        if isinstance(variant, dict) and isinstance(variant.get("run"), dict):
            run = dict(variant["run"])
            for block in MERGED:
                base, change = raw.get(block), run.get(block, {})
                run[block] = {**base, **change} if isinstance(base, dict) and isinstance(change, dict) else change
            variant = {**variant, "run": run}
        variants[key] = variant
    return {**raw, "variants": variants}


def _is_inherited(detail: ErrorDetails, own_blocks: dict[str, Any]) -> bool:
    """Whether a variant only repeats a mistake of the base block, which is reported there."""
    location = detail["loc"]
    if len(location) < 4 or location[0] != "variants" or location[2] != "run" or location[3] not in MERGED:
        return False
    own = own_blocks[str(location[1])]["run"].get(location[3], {})
    return isinstance(own, dict) and (location[4] not in own if len(location) > 4 else not own)


def _changes_without_effect(own_blocks: dict[str, Any], params: Params) -> list[str]:
    mistakes = []
    for key, variant in params.variants.items():
        connectivity = variant.run.architecture.connectivity
        own = own_blocks[key]["run"].get("architecture", {})
        for name in sorted(set(own) & UNREAD[connectivity]):
            mistakes.append(
                f"variants.{key}.run.architecture.{name}: has no effect where connectivity is {connectivity}; leave it out"
            )
    return mistakes


def _samples_too_large(params: Params) -> list[str]:
    largest = params.chosen_protocol.train_size
    sizes = {key: variant.run.sample.train_size for key, variant in params.active_variants.items()}
    return [
        f"variants.{key}.run.sample.train_size = {size}: protocol {params.protocol!r} prepares {largest} train images; "
        "lessen it, or leave the variant out of the protocol"
        for key, size in sizes.items()
        if isinstance(size, int) and isinstance(largest, int) and size > largest
    ]


def _patches_that_do_not_fit(params: Params) -> list[str]:
    shape = raw_shape(params)
    if shape is None:
        return []
    mistakes = []
    for key, variant in params.active_variants.items():
        side = geometry.patch_side(variant.run.sample.layout)
        if side is not None and not geometry.patches_fit(side, *shape[1:]):
            where = f"variants.{key}.run.sample.layout = {variant.run.sample.layout!r}"
            mistakes.append(
                f"{where}: patches of {side} do not tile {shape[1]}×{shape[2]} images; choose another side, or leave the variant out of the protocol"
            )
    return mistakes


def _vanishing_layers(params: Params) -> list[str]:
    shape = image_shape(params)
    mistakes = []
    for key, variant in params.variants.items():
        architecture = variant.run.architecture
        if shape is None or architecture.connectivity not in ("conv", "locally_connected"):
            continue
        try:
            geometry.map_sizes(architecture, *shape[1:])
        except ValueError as error:
            mistakes.append(f"variants.{key}: {error}; lessen kernel, stride, pooling or depth")
    return mistakes


def _fields_at(location: list[str]) -> list[str]:
    """The keys allowed at a location such as ["variants", "k5", "run"]."""
    named: dict[str, type[Block]] = {
        "protocols": Protocol, "protocol": Protocol, "data": Data, "eda": Eda, "probe": Probe, "sample": Sample, "architecture": Architecture, "recipe": Recipe,
        "run": Run, "variants": Variant, "families": Family, "inference": Inference,
    }  # fmt: skip
    block = next((named[part] for part in reversed(location) if part in named), Params)
    return list(block.model_fields)

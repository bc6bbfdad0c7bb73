"""All probes of one trained run."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import nn

from stages.probe.measures import Array, measures
from stages.probe.probe_spec import ProbeSpec
from stages.probe.shift import (
    accuracy_by_shift,
    agreement,
    agreement_beyond_chance,
    design,
    predictions_under_shifts,
    shifts_within,
)
from stages.shared import paths
from stages.shared.architectures.build import build, trained
from stages.shared.pixel_order import rearranged
from stages.shared.prepared_data import load_constants, permutation_of, scattered, shape_of
from stages.shared.random_streams import stream, torch_seed
from stages.shared.stage_command import StageError


def probe_run(spec: ProbeSpec, weights: Path, prepared: Path, out: Path) -> None:
    """Probe the net whose weights are in the file `weights`, and write what it shows into the folder `out`.

    probe.json: every scalar (null where a probe has no meaning, and why, in `reasons`). shifts.csv: accuracy by shift.
    by_image.safetensors: of each shifted image the share of its shifts under which the prediction is right (`shifted`),
    and, where there are two shifts or more, the share of their pairs that agree (`consistency`), and that corrected for
    chance (`consistency_beyond_chance`). pictures.safetensors,
    where the spec asks for it: arrays to draw, see `measures`.
    """
    torch.set_num_threads(1)
    constants = load_constants(prepared)
    test = load_file(prepared / "test.safetensors")
    test["images"] = scattered(test["images"], np.arange(len(test["labels"])), "test", spec.sample, constants)
    order = permutation_of(spec.sample, constants)
    model = _trained_net(spec, constants, weights)

    by_image, shift_table, shift_scalars, shift_reasons = _shift_probe(spec, constants, model, test, order)

    untrained = _untrained_net(spec, constants, model)
    seen = torch.from_numpy(test["images"] if order is None else rearranged(test["images"], order))
    result = measures(model, untrained, seen, torch.from_numpy(test["labels"]), spec.seed, spec.probe)
    class_accuracy = result.arrays.pop("class_accuracy")

    scalars = {
        "seed": spec.seed,
        **shift_scalars,
        "class_accuracy": [None if np.isnan(share) else float(share) for share in class_accuracy],
        **result.scalars,
        "reasons": shift_reasons | result.reasons,
    }
    paths.write_json(out / "probe.json", scalars)
    shift_table.to_csv(out / "shifts.csv", index=False, float_format="%.6f", lineterminator="\n")
    save_file(_as_float32(by_image), out / "by_image.safetensors")
    if spec.pictures:
        save_file(_as_float32(result.arrays), out / "pictures.safetensors")


def _shift_probe(
    spec: ProbeSpec,
    constants: dict[str, Any],
    model: nn.Sequential,
    test: dict[str, Array],
    order: Array | None,
) -> tuple[dict[str, Array], pd.DataFrame, dict[str, float | None], dict[str, str]]:
    """Values by image, accuracy by shift, the scalars, and why a scalar is None.

    All variants of a seed show an image under the same shifts.
    """
    shifts = shifts_within(tuple(constants["margin"]))
    images, labels = torch.from_numpy(test["images"][: spec.shifted_images]), test["labels"][: spec.shifted_images]
    shown = design(len(images), len(shifts), spec.probe.shifts_of_image, stream("shifts", spec.seed))
    predicted = predictions_under_shifts(model, images, shifts, shown, order)
    correct = predicted == labels[:, None]  # image, shift
    by_image = {"shifted": correct.mean(1)}
    if shown.shape[1] > 1:
        by_image["consistency"] = agreement(predicted)
        beyond_chance = agreement_beyond_chance(predicted)
        if beyond_chance is not None:
            by_image["consistency_beyond_chance"] = beyond_chance
    names = ("consistency", "consistency_beyond_chance")
    scalars = {f"shift_{name}": float(by_image[name].mean()) if name in by_image else None for name in names}
    no_shift = shown.shape[1] < 2
    reason = "no image can be shifted: the margin is zero" if no_shift else "all predictions are of one class"
    reasons = {name: reason for name, value in scalars.items() if value is None}
    rows, columns = zip(*shifts, strict=True)
    accuracy = accuracy_by_shift(correct, shown, len(shifts))
    table = pd.DataFrame({"dy": rows, "dx": columns, "accuracy": accuracy})
    return by_image, table, scalars | {"shifted_accuracy": float(correct.mean())}, reasons


def _trained_net(spec: ProbeSpec, constants: dict[str, Any], weights: Path) -> nn.Sequential:
    try:
        return trained(spec.architecture, shape_of(spec.sample, constants), len(constants["classes"]), weights)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        where = weights.relative_to(paths.ROOT) if weights.is_relative_to(paths.ROOT) else weights
        raise StageError(f"{where} cannot be used ({reason}); `dvc repro train` makes it again") from None


def _untrained_net(spec: ProbeSpec, constants: dict[str, Any], model: nn.Sequential) -> nn.Sequential:
    """The trained net with the weights that its training began with, and the scale of pixels that it has."""
    shape, n_classes = shape_of(spec.sample, constants), len(constants["classes"])
    generator = torch.Generator().manual_seed(torch_seed("init", spec.seed + spec.sample.seed_offset))
    untrained = build(spec.architecture, shape, n_classes, [0.0] * shape[0], [1.0] * shape[0], generator).eval()
    untrained[0].load_state_dict(model[0].state_dict())
    return untrained


def _as_float32(arrays: dict[str, Array]) -> dict[str, Array]:
    """Half the bytes; no picture and no mean over seeds shows more digits."""
    return {name: array.astype(np.float32) if array.dtype.kind == "f" else array for name, array in arrays.items()}

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
from stages.probe.shift import agreement, predictions_under_shifts, shifts_within
from stages.shared import paths
from stages.shared.architectures.build import trained
from stages.shared.pixel_order import rearranged
from stages.shared.prepared_data import load_constants, permutation_of
from stages.shared.random_streams import stream
from stages.shared.stage_command import StageError


def probe_run(spec: ProbeSpec, weights: Path, prepared: Path, out: Path) -> None:
    """Probe the net whose weights are in the file `weights`, and write what it shows into the folder `out`.

    probe.json: every scalar (null where a probe has no meaning, and why, in `reasons`). shifts.csv: accuracy by shift.
    by_image.safetensors: of each shifted image the share of shifts under which the prediction is right (`shifted`),
    and, where there are two shifts or more, the share of their pairs that agree (`consistency`). pictures.safetensors,
    where the spec asks for it: arrays to draw, see `measures`.
    """
    torch.set_num_threads(1)
    constants = load_constants(prepared)
    test = load_file(prepared / "test.safetensors")
    order = permutation_of(spec.sample, constants)
    model = _trained_net(spec, constants, weights)

    shifts = shifts_within(tuple(constants["margin"]))
    images = torch.from_numpy(test["images"][: spec.shifted_images])
    predicted = predictions_under_shifts(model, images, shifts, order)
    correct = predicted == test["labels"][: spec.shifted_images]  # shift, image
    by_image = {"shifted": correct.mean(0)}
    if len(shifts) > 1:
        by_image["consistency"] = agreement(predicted)

    seen = torch.from_numpy(test["images"] if order is None else rearranged(test["images"], order))
    result = measures(model, seen, torch.from_numpy(test["labels"]), stream("probe", spec.seed), spec.probe)
    class_accuracy = result.arrays.pop("class_accuracy")

    scalars = {
        "seed": spec.seed,
        "shift_consistency": float(by_image["consistency"].mean()) if len(shifts) > 1 else None,
        "shifted_accuracy": float(correct.mean()),
        "class_accuracy": [None if np.isnan(share) else float(share) for share in class_accuracy],
        **result.scalars,
        "reasons": result.reasons,
    }
    rows, columns = zip(*shifts, strict=True)
    table = pd.DataFrame({"dy": rows, "dx": columns, "accuracy": correct.mean(1)})
    paths.write_json(out / "probe.json", scalars)
    table.to_csv(out / "shifts.csv", index=False, float_format="%.6f", lineterminator="\n")
    save_file(_as_float32(by_image), out / "by_image.safetensors")
    if spec.pictures:
        save_file(_as_float32(result.arrays), out / "pictures.safetensors")


def _trained_net(spec: ProbeSpec, constants: dict[str, Any], weights: Path) -> nn.Sequential:
    try:
        return trained(spec.architecture, tuple(constants["shape"]), len(constants["classes"]), weights)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        where = weights.relative_to(paths.ROOT) if weights.is_relative_to(paths.ROOT) else weights
        raise StageError(f"{where} cannot be used ({reason}); `dvc repro train` makes it again") from None


def _as_float32(arrays: dict[str, Array]) -> dict[str, Array]:
    """Half the bytes; no picture and no mean over seeds shows more digits."""
    return {name: array.astype(np.float32) if array.dtype.kind == "f" else array for name, array in arrays.items()}

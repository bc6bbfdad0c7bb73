"""All probes of one trained seed."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import nn

from stages.probe.measures import Array, Measures, measures
from stages.probe.shift import agreement, predictions_under_shifts, shifts_within
from stages.shared import paths
from stages.shared.architectures.build import build, load_weights
from stages.shared.params import ProbePlan
from stages.shared.pixel_order import rearranged
from stages.shared.prepared_data import load_constants, permutation_of, scale_of
from stages.shared.random_streams import stream
from stages.shared.stage_command import StageError


def probe_seed(plan: ProbePlan, seed: int, prepared: Path, weights: Path, out: Path) -> None:
    """Write what the seed shows into `out`: result.json, by_image.safetensors and pictures.safetensors.

    weights: the variant's folder of runs.
    """
    torch.set_num_threads(1)
    constants = load_constants(prepared)
    test = load_file(prepared / "test.safetensors")
    order = permutation_of(plan.sample, constants)
    model = _trained(plan, constants, weights, seed)

    shifts = shifts_within(tuple(constants["margin"]))
    still = torch.from_numpy(test["images"][: plan.images])
    predicted = predictions_under_shifts(model, still, shifts, order)
    right = predicted == test["labels"][: plan.images]  # shift, image
    by_image = {"shifted": right.mean(0)} | ({"consistency": agreement(predicted)} if len(shifts) > 1 else {})

    seen = torch.from_numpy(test["images"] if order is None else rearranged(test["images"], order))
    found = measures(model, seen, torch.from_numpy(test["labels"]), stream("probe", seed), plan.probe)

    result = {
        "run": {
            "seed": seed,
            "shift_consistency": float(by_image["consistency"].mean()) if len(shifts) > 1 else None,
            "shifted_accuracy": float(right.mean()),
            "class_accuracy": [None if np.isnan(share) else float(share) for share in found.arrays["class_accuracy"]],
            **found.scalars,
        },
        "shifts": [
            {"seed": seed, "dy": dy, "dx": dx, "accuracy": float(a)}
            for (dy, dx), a in zip(shifts, right.mean(1), strict=True)
        ],
        "reasons": found.reasons,
    }
    paths.write_json(out / "result.json", result)
    save_file(_small(by_image), out / "by_image.safetensors")
    save_file(_small(_pictures(found)), out / "pictures.safetensors")


def _trained(plan: ProbePlan, constants: dict[str, Any], weights: Path, seed: int) -> nn.Sequential:
    model = build(
        plan.architecture,
        tuple(constants["shape"]),
        len(constants["classes"]),
        *scale_of(plan.sample, constants),
        torch.Generator(),
    )
    path = weights / f"seed_{seed}.safetensors"
    try:
        load_weights(model, path)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise StageError(
            f"{path.name} of {weights.name} cannot be used ({reason}); `dvc repro train@{weights.name}` makes it again"
        ) from None
    model.eval()
    return model


def _pictures(found: Measures) -> dict[str, Array]:
    return {
        name: array for name, array in found.arrays.items() if name != "class_accuracy"
    }  # probe.json has it of every seed


def _small(arrays: dict[str, Array]) -> dict[str, Array]:
    """Real numbers in half their bytes, as no picture and no mean over seeds shows more."""
    return {name: array.astype(np.float32) if array.dtype.kind == "f" else array for name, array in arrays.items()}

"""All probes of all seeds of one variant."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import nn

from stages import paths
from stages.architectures.build import build, load_weights
from stages.cores import Report, spread
from stages.layouts import rearranged
from stages.params import ProbePlan
from stages.prepared import load_constants, permutation_of, scale_of
from stages.probe.measures import Array, Measures, measures
from stages.probe.shift import agreement, predictions_under_shifts, shifts_within
from stages.provenance import StageError
from stages.seeds import stream


def probe_variant(variant: str, plan: ProbePlan, prepared: Path, weights: Path, scratch: Path, out: Path) -> None:
    """Write into `out` what every seed shows, and pictures of the first one.

    probe.json: the scalars of each seed (null where a probe has no meaning), and once why. shift.csv: accuracy by shift.
    consistency.safetensors: by seed and image, `shifted`, the share of shifts under which the prediction is right, and,
    where there are two shifts, `consistency`, that of the pairs on which it agrees. pictures.safetensors: see `measures`.
    Of a run that diverged there is nothing to probe; where all did, probe.json has no run and is alone.
    weights: the variant's folder of runs. scratch: an empty folder.
    """
    diverged = {run["seed"] for run in paths.read_json(weights / "metrics.json").get("diverged", [])}
    seeds = [seed for seed in plan.seeds if seed not in diverged]
    if not seeds:
        return paths.write_json(out / "probe.json", {"variant": variant, "runs": [], "reasons": {}})
    spread(partial(_probe_seed, plan, prepared, weights, scratch), seeds, reports=1, title=f"probe {variant}", unit="seed")
    results = [paths.read_json(scratch / f"{seed}.json") for seed in seeds]
    paths.write_csv(out / "shift.csv", ["seed", "dy", "dx", "accuracy"], [row for result in results for row in result["shifts"]])
    reasons = {name: text for result in reversed(results) for name, text in result["reasons"].items()}  # the first seed's, where it has one
    paths.write_json(out / "probe.json", {"variant": variant, "runs": [result["run"] for result in results], "reasons": reasons})
    by_image = [load_file(scratch / f"{seed}.safetensors") for seed in seeds]
    save_file({name: np.stack([own[name] for own in by_image]) for name in by_image[0]}, out / "consistency.safetensors")
    (scratch / f"{seeds[0]}-pictures.safetensors").replace(out / "pictures.safetensors")


def _probe_seed(plan: ProbePlan, prepared: Path, weights: Path, scratch: Path, seed: int, report: Report) -> None:
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
        "shifts": [{"seed": seed, "dy": dy, "dx": dx, "accuracy": float(a)} for (dy, dx), a in zip(shifts, right.mean(1), strict=True)],
        "reasons": found.reasons,
    }
    paths.write_json(scratch / f"{seed}.json", result)
    save_file(_small(by_image), scratch / f"{seed}.safetensors")
    save_file(_small(_pictures(found)), scratch / f"{seed}-pictures.safetensors")
    report(f"seed {seed}")


def _trained(plan: ProbePlan, constants: dict[str, Any], weights: Path, seed: int) -> nn.Sequential:
    model = build(plan.architecture, tuple(constants["shape"]), len(constants["classes"]), *scale_of(plan.sample, constants), torch.Generator())
    path = weights / f"seed_{seed}.safetensors"
    try:
        load_weights(model, path)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise StageError(f"{path.name} of {weights.name} cannot be used ({reason}); `dvc repro train@{weights.name}` makes it again") from None
    model.eval()
    return model


def _pictures(found: Measures) -> dict[str, Array]:
    return {name: array for name, array in found.arrays.items() if name != "class_accuracy"}  # probe.json has it of every seed


def _small(arrays: dict[str, Array]) -> dict[str, Array]:
    """Real numbers in half their bytes, as no picture and no mean over seeds shows more."""
    return {name: array.astype(np.float32) if array.dtype.kind == "f" else array for name, array in arrays.items()}

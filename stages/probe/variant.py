"""All probes of all seeds of one variant."""

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from stages import paths
from stages.architectures.build import build, load_weights
from stages.cores import Report, spread
from stages.params import Run
from stages.prepared import load_constants, permutation_of, scale_of
from stages.probe.shift import predictions_under_shifts, shift_consistency, shifts_within


def probe_variant(variant: str, run: Run, seeds: tuple[int, ...], images: int, prepared: Path, weights: Path, scratch: Path, out: Path) -> None:
    """Write probe.json, shift.csv and, where there are convolutions, filters.safetensors into `out`.

    weights: the variant's folder of runs. images: how many of the first test images are shifted. scratch: an empty folder.
    """
    spread(partial(_probe_seed, run, images, prepared, weights, scratch), seeds, reports=1, title=f"probe {variant}", unit="seed")
    results = [paths.read_json(scratch / f"{seed}.json") for seed in seeds]
    shift_rows = [row for result in results for row in result["shifts"]]
    pd.DataFrame(shift_rows).to_csv(out / "shift.csv", index=False, float_format="%.6f", lineterminator="\n")
    paths.write_json(out / "probe.json", {"variant": variant, "skipped": False, "runs": [result["run"] for result in results]})
    if run.architecture.connectivity == "conv":
        model = _trained(run, prepared, weights, seeds[0])
        first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
        save_file({"filters": first.weight.detach().contiguous()}, out / "filters.safetensors")


def _probe_seed(run: Run, images: int, prepared: Path, weights: Path, scratch: Path, seed: int, report: Report) -> None:
    torch.set_num_threads(1)
    model = _trained(run, prepared, weights, seed)
    constants = load_constants(prepared)
    test = load_file(prepared / "test.safetensors")
    labels = test["labels"][:images].numpy()
    order = permutation_of(run.sample, constants)
    shifts = shifts_within(tuple(constants["margin"]))
    predicted = predictions_under_shifts(model, test["images"][:images], shifts, None if order is None else torch.from_numpy(order))
    right = (predicted == labels).mean(1)
    result: dict[str, Any] = {
        "run": {
            "seed": seed,
            "shift_consistency": shift_consistency(predicted) if len(shifts) > 1 else None,
            "shifted_accuracy": float(right.mean()),
        },
        "shifts": [{"seed": seed, "dy": dy, "dx": dx, "accuracy": float(a)} for (dy, dx), a in zip(shifts, right, strict=True)],
    }
    paths.write_json(scratch / f"{seed}.json", result)
    report(f"seed {seed}")


def _trained(run: Run, prepared: Path, weights: Path, seed: int) -> nn.Module:
    constants = load_constants(prepared)
    model = build(run.architecture, tuple(constants["shape"]), len(constants["classes"]), *scale_of(run.sample, constants), torch.Generator())
    load_weights(model, weights / f"seed_{seed}.safetensors")
    return model.eval()

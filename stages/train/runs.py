"""The runs that the protocol asks for, and which of them are still to be trained."""

import ctypes
import sys
from collections.abc import Iterable, Sequence
from typing import Literal

from stages.cloud import settings as compute_settings
from stages.shared import paths
from stages.shared.params import Params
from stages.shared.prepared_data import load_constants
from stages.shared.run_records import (
    PlannedRun,
    default_store,
    file_digests,
    own_net_digests,
    run_digest,
    unfinished_runs,
)
from stages.train.run_spec import RunSpec

NVIDIA_DRIVER = "libcuda.so.1"


def planned_runs(settings: Params, variants: Iterable[str], seeds: Sequence[int] = ()) -> list[PlannedRun]:
    """The runs of these variants under these seeds, or under every seed, in the order of params.yaml."""
    device = device_kind(settings)
    files = file_digests(f"stages.train.{'stacked' if device == 'cuda' else 'run'}", paths.PREPARED)
    class_counts = load_constants(paths.PREPARED)["class_counts"]
    n_images, has_val_set = sum(class_counts["train"]), "val" in class_counts
    runs = []
    for variant in variants:
        for seed in settings.chosen_seeds(variant, seeds):
            spec = RunSpec.of(settings, variant, seed, device, n_images, has_val_set)
            own = own_net_digests(spec.architecture.own_module)
            runs.append(PlannedRun(variant, seed, run_digest(spec.determining_settings(), files | own), spec))
    return runs


def missing(settings: Params, variants: Iterable[str]) -> list[PlannedRun]:
    """The runs of these variants that are neither in data/runs nor in the store. Nothing is changed there."""
    unfinished = unfinished_runs(planned_runs(settings, variants), paths.RUNS)
    if not unfinished:
        return []
    store = default_store()
    return [run for run in unfinished if not store.holds(run.digest)]


def device_kind(settings: Params) -> Literal["cpu", "cuda"]:
    """The kind of device that trains: machine.device, resolved on the backend that is chosen."""
    if settings.machine.device == "cpu":
        return "cpu"
    if compute_settings.backend() == "sagemaker":
        has_gpu = compute_settings.instance_has_gpu(compute_settings.load().sagemaker.instance_type)
        return "cuda" if has_gpu else "cpu"
    return "cuda" if _cuda_is_here() else "cpu"


def _cuda_is_here() -> bool:
    """Whether torch finds a CUDA device. torch takes seconds to import, so a Linux without the driver is not asked."""
    if sys.platform == "linux":
        try:
            ctypes.CDLL(NVIDIA_DRIVER)
        except OSError:
            return False
    import torch

    return torch.cuda.is_available()

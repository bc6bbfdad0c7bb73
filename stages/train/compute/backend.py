"""The backend that trains a variant's seeds. It is chosen outside params.yaml, since where a run is made is not what it is."""

from pathlib import Path
from typing import Any

from stages import provenance
from stages.aws import settings
from stages.params import Run
from stages.train.compute import local


def train_seeds(variant: str, run: Run, epochs: int, seeds: tuple[int, ...], prepared: Path, out: Path) -> dict[str, Any]:
    """Train every seed into out/seed_<seed>/ on the backend of compute.yaml. Returns where that was, for the record of times."""
    return BACKENDS[settings.backend()](variant, run, epochs, seeds, prepared, out)


def _local(variant: str, run: Run, epochs: int, seeds: tuple[int, ...], prepared: Path, out: Path) -> dict[str, Any]:
    seconds = local.train_seeds(variant, run, epochs, seeds, prepared, out)
    return {"backend": "local", "device": "cpu", "core_seconds": round(seconds, 2), "packages": provenance.packages()}


def _sagemaker(variant: str, run: Run, epochs: int, seeds: tuple[int, ...], prepared: Path, out: Path) -> dict[str, Any]:
    from stages.train.compute.sagemaker import train  # imports what a local user need not have

    return train.train_seeds(variant, run, epochs, seeds, prepared, out)


BACKENDS = {"local": _local, "sagemaker": _sagemaker}

"""The backend that trains a variant's seeds. It is chosen outside params.yaml, since where a run is made is not what it is."""

from pathlib import Path
from typing import Any

from stages.cloud import settings
from stages.shared import provenance
from stages.shared.params import TrainPlan
from stages.train import local


def train_seeds(variant: str, plan: TrainPlan, prepared: Path, out: Path) -> dict[str, Any]:
    """Train every seed into out/seed_<seed>/ on the backend of compute.yaml. Returns where that was, for the record of times."""
    return BACKENDS[settings.backend()](variant, plan, prepared, out)


def _local(variant: str, plan: TrainPlan, prepared: Path, out: Path) -> dict[str, Any]:
    seconds = local.train_seeds(variant, plan, prepared, out)
    return {"backend": "local", "core_seconds": round(seconds, 2), "packages": provenance.packages()}


def _sagemaker(variant: str, plan: TrainPlan, prepared: Path, out: Path) -> dict[str, Any]:
    from stages.cloud import train  # imports what a local user need not have

    return train.train_seeds(variant, plan, prepared, out)


BACKENDS = {"local": _local, "sagemaker": _sagemaker}

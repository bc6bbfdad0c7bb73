"""A training job: some seeds of one variant, and a name that tells what it makes."""

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stages.cloud.account import Account
from stages.cloud.job_inputs import code_digest, data_digest
from stages.cloud.names import resource_name
from stages.cloud.settings import SageMaker
from stages.shared.params import TrainPlan

SCHEMA = 1  # of the artifact; another number makes every job anew
AWS_IMAGE = "pytorch "  # and a version: AWS's own training image of it
PART = 2500  # characters that a hyperparameter may have
COMMAND = "cd $(mktemp -d) && tar -xzf /opt/ml/input/data/code/code.tar.gz && exec python -m stages.cloud.container"  # at most 256 characters


@dataclass(frozen=True)
class Place:
    """Where jobs are made, and from what."""

    account: Account
    settings: SageMaker
    prepared: Path

    def uri(self, *parts: str) -> str:
        return "/".join([f"s3://{self.account.bucket}/{self.settings.prefix}", *parts])


@dataclass(frozen=True)
class Job:
    """digest: of all that the result depends on; of equal ones only one is ever made."""

    variant: str
    plan: TrainPlan
    whole: bool
    digest: str

    @property
    def title(self) -> str:
        return self.variant if self.whole else f"{self.variant}-seed-{self.plan.seeds[0]}"

    def name(self, attempt: int = 0) -> str:
        return resource_name(self.title, self.digest, attempt)


def jobs_of(variant: str, plan: TrainPlan, place: Place) -> list[Job]:
    """The jobs that make a variant: one, or one a seed, as `jobs` in compute.yaml has it."""
    whole = place.settings.jobs == "variant"
    shares = [plan] if whole else [plan.model_copy(update={"seeds": (seed,)}) for seed in plan.seeds]
    return [Job(variant, share, whole, _digest(variant, share, place)) for share in shares]


def hyperparameters(job: Job) -> dict[str, str]:
    """The specification as one JSON text in parts: the service gives a container texts alone, and short ones."""
    text = _spec(job.variant, job.plan)
    return {f"job_{i:02d}": text[start : start + PART] for i, start in enumerate(range(0, len(text), PART))}


def request(job: Job, name: str, place: Place, image: str, code: str, data: str) -> dict[str, Any]:
    """The arguments of TrainingJob.create. code, data: S3 prefixes that end in "/", since a prefix is only that."""
    settings = place.settings
    stopping = {"max_runtime_in_seconds": 60 * settings.max_runtime_minutes}
    return {
        "training_job_name": name,
        "algorithm_specification": {
            "training_image": image,
            "training_input_mode": "File",
            "container_entrypoint": ["/bin/bash", "-c"],
            "container_arguments": [COMMAND],
        },
        "hyper_parameters": hyperparameters(job),
        "input_data_config": [_channel("code", code), _channel("prepared", data)],
        "output_data_config": {"s3_output_path": place.uri("jobs")},
        "checkpoint_config": {"s3_uri": place.uri("checkpoints", job.name())},  # of every attempt alike
        "resource_config": {
            "instance_type": settings.instance_type,
            "instance_count": 1,
            "volume_size_in_gb": settings.volume_gb,
        },
        "stopping_condition": stopping
        | ({"max_wait_time_in_seconds": 60 * settings.max_wait_minutes} if settings.spot else {}),
        "enable_managed_spot_training": settings.spot,
        "role_arn": place.account.role,
        "tags": [
            {"key": key, "value": value} for key, value in sorted({**settings.tags, "variant": job.variant}.items())
        ],
    }


def image_name(settings: SageMaker) -> str:
    """The image as the settings name it; of AWS's own, the version of torch, by which it is looked up when a job is made."""
    return settings.image or AWS_IMAGE + ".".join(version("torch").split(".")[:2])


def _channel(name: str, uri: str) -> dict[str, Any]:
    source = {"s3_data_type": "S3Prefix", "s3_uri": uri, "s3_data_distribution_type": "FullyReplicated"}
    return {"channel_name": name, "data_source": {"s3_data_source": source}}


def _digest(variant: str, plan: TrainPlan, place: Place) -> str:
    content = [
        SCHEMA,
        _spec(variant, plan),
        code_digest(),
        data_digest(place.prepared),
        image_name(place.settings),
        place.settings.instance_type,
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _spec(variant: str, plan: TrainPlan) -> str:
    return json.dumps({"variant": variant, "plan": plan.model_dump(mode="json")}, sort_keys=True, separators=(",", ":"))

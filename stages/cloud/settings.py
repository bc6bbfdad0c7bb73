"""compute.yaml: where training runs. DVC does not watch it, since no result depends on it."""

import os
from typing import Literal

from pydantic import Field, ValidationError

from stages.shared import paths
from stages.shared.params.fields import Block
from stages.shared.params.messages import ParamsError, message, sentence
from stages.shared.params.yaml_files import read_yaml

BACKENDS = ("local", "sagemaker")
# Environment variable → the setting that it overrides.
OVERRIDES = {"SAGEMAKER_ROLE": "role", "SAGEMAKER_BUCKET": "bucket", "SAGEMAKER_IMAGE": "image"}
MLFLOW = "MLFLOW_TRACKING_URI"  # overrides mlflow_tracking_uri


class SageMaker(Block):
    """The block `sagemaker`; what each setting means stands beside it in compute.yaml."""

    role: str | None
    bucket: str | None
    prefix: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9/_.-]*[A-Za-z0-9]$")
    image: str | None
    instance_type: str = Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")
    price_per_hour: float | None = Field(ge=0)
    spot: bool
    jobs: Literal["variant", "seed"]
    max_concurrent: int = Field(ge=1)
    max_runtime_minutes: int = Field(ge=1)
    max_wait_minutes: int = Field(ge=1)
    keep_alive_minutes: int = Field(ge=0, le=60)
    quota_minutes: float = Field(ge=0)
    poll_seconds: float = Field(gt=0)
    volume_gb: int = Field(ge=1)
    tags: dict[str, str]
    subnets: list[str]
    security_groups: list[str]
    volume_kms_key: str | None
    output_kms_key: str | None
    network_isolation: bool
    encrypt_between_containers: bool


class Compute(Block):
    backend: Literal["local", "sagemaker"]
    finished_runs_gb: float = Field(ge=0)
    mlflow_tracking_uri: str | None
    sagemaker: SageMaker


def backend() -> str:
    """local or sagemaker. COMPUTE_BACKEND in the environment overrides compute.yaml. Raises ParamsError for others."""
    chosen = os.environ.get("COMPUTE_BACKEND")
    if chosen is None:
        return load().backend if paths.COMPUTE.exists() else "local"
    if chosen not in BACKENDS:
        raise ParamsError(f"COMPUTE_BACKEND is {chosen!r}; allowed: {', '.join(BACKENDS)}")
    return chosen


def load() -> Compute:
    """Read and check compute.yaml, with what the environment overrides. Raises ParamsError with every mistake."""
    raw = read_yaml(paths.COMPUTE)
    if os.environ.get(MLFLOW):
        raw = {**raw, "mlflow_tracking_uri": os.environ[MLFLOW]}
    block = raw.get("sagemaker")
    if isinstance(block, dict):
        raw = {
            **raw,
            "sagemaker": {
                **block,
                **{key: os.environ[name] for name, key in OVERRIDES.items() if os.environ.get(name)},
            },
        }
    try:
        compute = Compute.model_validate(raw)
    except ValidationError as error:
        raise ParamsError(message(paths.COMPUTE, [sentence(detail, _fields_at) for detail in error.errors()])) from None
    limits = compute.sagemaker
    if limits.spot and limits.keep_alive_minutes:
        mistake = (
            f"sagemaker.keep_alive_minutes = {limits.keep_alive_minutes}: AWS keeps no spot instance warm; "
            "set it to 0, or sagemaker.spot to false"
        )
        raise ParamsError(message(paths.COMPUTE, [mistake]))
    if limits.spot and limits.max_wait_minutes < limits.max_runtime_minutes:
        mistake = (
            f"sagemaker.max_wait_minutes = {limits.max_wait_minutes}: "
            f"must not be less than max_runtime_minutes ({limits.max_runtime_minutes})"
        )
        raise ParamsError(message(paths.COMPUTE, [mistake]))
    return compute


def instance_has_gpu(instance_type: str) -> bool:
    """Whether AWS's instances of this type have GPUs: the families g and p, such as ml.g4dn.xlarge."""
    return instance_type.startswith(("ml.g", "ml.p"))


def _fields_at(location: list[str]) -> list[str]:
    return list((SageMaker if location else Compute).model_fields)

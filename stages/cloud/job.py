"""A training job: the runs that it trains, its name, the request that makes it, and the code and data that it reads."""

import gzip
import hashlib
import io
import json
import tarfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stages.cloud import job_metrics
from stages.cloud.account import (
    Account,
    aws_errors_in_words,
    bucket_and_key,
    client,
    object_exists,
    resource_name,
)
from stages.cloud.container import REQUIREMENTS
from stages.cloud.settings import SageMaker
from stages.shared import paths
from stages.shared.run_records import CODE, PlannedRun, file_digest, imported_files, own_net_files
from stages.shared.stage_command import StageError

SCHEMA = 2  # of the artifact; another number makes every job anew
AWS_IMAGE = "pytorch "  # and a version: AWS's own training image of it
PART = 2500  # characters that a hyperparameter may have
# At most 256 characters.
COMMAND = "cd $(mktemp -d) && tar -xzf /opt/ml/input/data/code/code.tar.gz && exec python -m stages.cloud.container"
WARM_CACHE = "/opt/ml/sagemaker/warmpoolcache"  # in a container: stays from job to job on an instance kept warm
DATA = ("*.json", "*.safetensors")  # of data/prepared
# What training imports. torch is missing here, since the image has its own.
PACKAGES = (
    *("annotated-types", "jaxtyping", "numpy", "pandas", "pydantic", "pydantic-core", "python-dateutil", "ruamel-yaml"),
    *("safetensors", "six", "tqdm", "typing-extensions", "typing-inspection", "wadler-lindig"),
)


@dataclass(frozen=True)
class Place:
    """Where jobs are made, and from which prepared data."""

    account: Account
    settings: SageMaker
    prepared: Path

    def uri(self, *parts: str) -> str:
        return "/".join([f"s3://{self.account.bucket}/{self.settings.prefix}", *parts])


@dataclass(frozen=True)
class Job:
    """Runs of one variant. title: in the job's name. digest: of all that the results depend on."""

    title: str
    runs: tuple[PlannedRun, ...]
    digest: str

    @property
    def variant(self) -> str:
        return self.runs[0].variant

    def name(self, attempt: int = 0) -> str:
        return resource_name(self.title, self.digest, attempt)


def jobs_of(runs: Iterable[PlannedRun], settings: SageMaker) -> list[Job]:
    """The jobs that train these runs: one for each variant or one for each run, as `jobs` in compute.yaml says."""
    by_title = defaultdict(list)
    for run in runs:
        by_title[run.variant if settings.jobs == "variant" else f"{run.variant}-seed-{run.seed}"].append(run)
    return [Job(title, tuple(share), _digest(share, settings)) for title, share in by_title.items()]


def request(job: Job, name: str, place: Place, image: str) -> dict[str, Any]:
    """The arguments of TrainingJob.create. Uploads the code and the data if they are not in the bucket yet."""
    settings = place.settings
    stopping_condition = {"max_runtime_in_seconds": 60 * settings.max_runtime_minutes}
    if settings.spot:
        stopping_condition["max_wait_time_in_seconds"] = 60 * settings.max_wait_minutes
    tags = sorted({**settings.tags, "variant": job.variant}.items())
    return {
        "training_job_name": name,
        "algorithm_specification": {
            "training_image": image,
            "training_input_mode": "File",
            "container_entrypoint": ["/bin/bash", "-c"],
            "container_arguments": [COMMAND],
            "metric_definitions": job_metrics.definitions(),
        },
        "hyper_parameters": hyperparameters(job),
        "input_data_config": [
            _channel("code", _upload_code(place.uri("code"), _own_net_files(job), tuple(encryption(settings).items()))),
            _channel("prepared", _upload_data(place.uri("data"), place.prepared, tuple(encryption(settings).items()))),
        ],
        "output_data_config": {"s3_output_path": place.uri("jobs"), **_given("kms_key_id", settings.output_kms_key)},
        "checkpoint_config": {"s3_uri": place.uri("checkpoints", job.name())},  # the same for every attempt
        "resource_config": {
            "instance_type": settings.instance_type,
            "instance_count": 1,
            "volume_size_in_gb": settings.volume_gb,
            **_given("volume_kms_key_id", settings.volume_kms_key),
            **_given("keep_alive_period_in_seconds", 60 * settings.keep_alive_minutes or None),
        },
        # Packages that a job downloads stay for the next one on the same instance.
        **_given("environment", {"PIP_CACHE_DIR": f"{WARM_CACHE}/pip"} if settings.keep_alive_minutes else None),
        **_given("vpc_config", vpc(settings)),
        "enable_network_isolation": settings.network_isolation,
        "enable_inter_container_traffic_encryption": settings.encrypt_between_containers,
        "stopping_condition": stopping_condition,
        "enable_managed_spot_training": settings.spot,
        "role_arn": place.account.role,
        "tags": [{"key": key, "value": value} for key, value in tags],
    }


def vpc(settings: SageMaker) -> dict[str, list[str]] | None:
    """Where in a VPC jobs run, in the SDK's words; None where no subnets are set."""
    if not settings.subnets:
        return None
    return {"subnets": settings.subnets, "security_group_ids": settings.security_groups}


def encryption(settings: SageMaker) -> dict[str, str]:
    """How S3 is to encrypt an object that is uploaded, as arguments of PutObject."""
    if settings.output_kms_key is None:
        return {}
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": settings.output_kms_key}


def _given(key: str, value: Any) -> dict[str, Any]:
    return {} if value is None else {key: value}


def hyperparameters(job: Job) -> dict[str, str]:
    """The runs as one JSON text, in parts: the service passes only texts to a container, and only short ones.

    A run's settings differ from those of the job's other runs in the seed alone.
    """
    content = {
        "variant": job.variant,
        "spec": job.runs[0].spec.model_dump(mode="json"),
        "digests": {str(run.seed): run.digest for run in job.runs},
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    starts = range(0, len(text), PART)
    return {f"job_{i:02d}": text[start : start + PART] for i, start in enumerate(starts)}


def image_name(settings: SageMaker) -> str:
    """The image in compute.yaml, or the version of torch, by which AWS's own image is looked up when a job is made."""
    return settings.image or AWS_IMAGE + torch_version()


def torch_version() -> str:
    """The first two numbers of torch's version, by which AWS names its images."""
    return ".".join(version("torch").split(".")[:2])


def code_archive(own_net: Mapping[str, Path]) -> bytes:
    """A .tar.gz of the Python files that training imports, and of the versions of its packages. Nothing else is sent.

    own_net: name → file of a user's own net; empty for any other. Equal files give equal bytes.
    """
    # The package stages.shared.params imports all of its modules; of other packages only the modules themselves count.
    settings = [f"stages.shared.params.{file.stem}" for file in (CODE / "stages/shared/params").glob("*.py")]
    modules = ["stages.cloud.container", "stages.train.local", "stages.train.run_spec", *settings]
    files = {file for module in modules for file in imported_files(module, exempt=())}
    packages = {parent / "__init__.py" for file in files for parent in file.parents if parent.is_relative_to(CODE)}
    files |= {file for file in packages if file.exists()}
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w") as archive:
        for name, file in sorted({**{file.relative_to(CODE).as_posix(): file for file in files}, **own_net}.items()):
            _add(archive, name, file.read_bytes())
        _add(archive, REQUIREMENTS, "".join(f"{line}\n" for line in requirements()).encode())
    return gzip.compress(tarred.getvalue(), mtime=0)


def _digest(runs: list[PlannedRun], settings: SageMaker) -> str:
    content = [SCHEMA, [run.digest for run in runs], image_name(settings), settings.instance_type, requirements()]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _channel(name: str, uri: str) -> dict[str, Any]:
    """uri: ends in "/", since the service takes it for the beginning of a key and not for a folder."""
    source = {"s3_data_type": "S3Prefix", "s3_uri": uri, "s3_data_distribution_type": "FullyReplicated"}
    return {"channel_name": name, "data_source": {"s3_data_source": source}}


def _own_net_files(job: Job) -> tuple[tuple[str, Path], ...]:
    return tuple(own_net_files(job.runs[0].spec.architecture.own_module).items())


@cache
def _upload_code(folder: str, own_net: tuple[tuple[str, Path], ...], extra: tuple[tuple[str, str], ...]) -> str:
    """folder: an S3 URI. Returns the prefix in it that holds the archive, which is named by its content."""
    archive = code_archive(dict(own_net))
    uri = f"{folder}/{hashlib.sha256(archive).hexdigest()[:16]}/"
    bucket, key = bucket_and_key(f"{uri}code.tar.gz")
    if not object_exists(f"{uri}code.tar.gz"):
        with aws_errors_in_words():
            client("s3").put_object(Bucket=bucket, Key=key, Body=archive, **dict(extra))
    return uri


@cache
def _upload_data(folder: str, prepared: Path, extra: tuple[tuple[str, str], ...]) -> str:
    """folder: an S3 URI. Returns the prefix in it that holds the prepared files.

    An empty object beside the prefix, written last, says that all files are there.
    """
    files = sorted(file for pattern in DATA for file in prepared.glob(pattern))
    digest = hashlib.sha256(json.dumps([[file.name, file_digest(file)] for file in files]).encode()).hexdigest()
    uri = f"{folder}/{digest[:16]}"
    bucket, key = bucket_and_key(uri)
    if not object_exists(f"{uri}.complete"):
        with aws_errors_in_words():
            for file in files:
                print(f"uploading {file.name}, {file.stat().st_size / 1e6:.1f} MB", flush=True)
                client("s3").upload_file(str(file), bucket, f"{key}/{file.name}", ExtraArgs=dict(extra))
            client("s3").put_object(Bucket=bucket, Key=f"{key}.complete", Body=b"", **dict(extra))
    return f"{uri}/"


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)  # of user 0 and time 0
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def requirements() -> list[str]:
    """The pins of requirements.lock that a job needs."""
    pins = [line.split(";")[0].strip() for line in paths.LOCK.read_text(encoding="utf-8").splitlines()]
    needed = [pin for pin in pins if pin.split("==")[0] in PACKAGES]
    absent = sorted(set(PACKAGES) - {pin.split("==")[0] for pin in needed})
    if absent:
        raise StageError(
            f"requirements.lock does not pin {', '.join(absent)}, which training needs; `make lock` writes it"
        )
    return needed

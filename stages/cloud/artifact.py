"""Fetch what a job left: download its artifact, check it, and hand its runs over."""

import gzip
import math
import tarfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stages.cloud.account import Unavailable, aws_errors_in_words, bucket_and_key, client
from stages.cloud.job import Job
from stages.cloud.job_service import Description, pause
from stages.cloud.settings import SageMaker
from stages.shared import paths, run_records
from stages.shared.run_records import PlannedRun
from stages.shared.stage_command import StageError

Finished = Callable[[PlannedRun, Path], None]


def fetch(job: Job, description: Description, finished: Finished, settings: SageMaker) -> dict[str, Any]:
    """Unpack a job's artifact, check its runs and hand each over. Returns the record that the job wrote."""
    uri = description["ModelArtifacts"]["S3ModelArtifacts"]
    bucket, key = bucket_and_key(uri)
    again = "delete that object, and `dvc repro` makes the job again"
    with paths.scratch_folder(description["TrainingJobName"]) as folder:
        archive, unpacked = folder / "model.tar.gz", folder / "model"
        _download(bucket, key, archive, settings)
        try:
            with tarfile.open(archive) as tar:
                tar.extractall(unpacked, filter="data")
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise StageError(f"{uri} cannot be unpacked ({' '.join(str(error).split())}); {again}") from None
        for run in job.runs:
            if not _is_whole(unpacked / run.folder, run.digest):
                raise StageError(f"{uri} lacks seed {run.seed} of variant {job.variant!r}, or holds another; {again}")
        record = _job_record(unpacked / "job.json")
        if record is None:
            raise StageError(f"{uri} lacks a whole job.json, which every job of this project writes; {again}")
        for run in job.runs:
            if wrong := _odd_metrics(unpacked / run.folder / "metrics.json"):
                raise StageError(f"{uri}: metrics.json of seed {run.seed} of variant {job.variant!r} {wrong}; {again}")
        for run in job.runs:
            finished(run, unpacked / run.folder)
    return record


def _download(bucket: str, key: str, target: Path, settings: SageMaker) -> None:
    """Download an object. A fault that may pass is tried again, for `quota_minutes`. Raises StageError."""
    end = time.monotonic() + 60 * settings.quota_minutes
    while True:
        try:
            with aws_errors_in_words():
                client("s3").download_file(bucket, key, str(target))
            return
        except StageError as error:
            if not isinstance(error, Unavailable) or time.monotonic() > end:
                raise StageError(
                    f"{error}\nThe job has ended and costs nothing more; its results stay at s3://{bucket}/{key}, "
                    "and `dvc repro` fetches them"
                ) from None
            print(f"waiting: {error}", flush=True)
        pause(settings.poll_seconds)


def _job_record(file: Path) -> dict[str, Any] | None:
    """What the job wrote about itself; None if the file is missing, or lacks what is read of it."""
    try:
        record = paths.read_json(file)
        whole = (
            all(isinstance(seconds, int | float) for seconds in record["run_seconds"])
            and isinstance(record["packages"]["torch"], str)
            and {"cpu", "cores", "python"} <= set(record)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if whole else None


def _odd_metrics(file: Path) -> str:
    """What is wrong with a run's metrics, in words; "" if its accuracy and its losses can be read."""
    try:
        metrics = paths.read_json(file)
        if "diverged" in metrics:
            return ""
        accuracy = metrics["test_accuracy"]
        loss = metrics["test_loss"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"cannot be read ({type(error).__name__}: {error})"
    if not (isinstance(accuracy, int | float) and 0 <= accuracy <= 1):
        return f"has a test_accuracy of {accuracy!r}, which is no fraction"
    if not (isinstance(loss, int | float) and math.isfinite(loss)):
        return f"has a test_loss of {loss!r}, which is no finite number"
    return ""


def _is_whole(folder: Path, digest: str) -> bool:
    """Whether the folder holds the run of this digest: plain files alone, each as its record says."""
    try:
        plain = all(file.is_file() and not file.is_symlink() for file in folder.iterdir())
    except OSError:
        return False
    return plain and run_records.is_finished(folder, digest)

"""Train the seeds of one variant in jobs: the counterpart of compute/local.py."""

import gzip
import tarfile
import zlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stages.cloud import prices, storage
from stages.cloud.account import client, errors_said, preflight
from stages.cloud.ensure_job import attempts, ensure, failure, is_transient
from stages.cloud.job import Job, Place, jobs_of
from stages.cloud.job_queue import ensure_all
from stages.cloud.job_service import STOP, Description, wait
from stages.cloud.settings import load
from stages.shared import paths
from stages.shared.params import TrainPlan
from stages.shared.stage_command import StageError


def train_seeds(variant: str, plan: TrainPlan, prepared: Path, out: Path) -> dict[str, Any]:
    """Train every seed into out/seed_<seed>/. Returns where that was and what it cost, for the record of times.

    Raises StageError if a job fails, with the script's own words.
    """
    settings = load().sagemaker
    hourly = prices.usd_per_hour(settings.instance_type, settings.price_per_hour)
    place = Place(preflight(settings), settings, prepared)
    jobs = jobs_of(variant, plan, place)
    try:
        names, failures = ensure_all(jobs, place)
        if failures:
            raise failures[0]
        ended = [_finished(job, names[job], place) for job in jobs]
        records = [_fetch(job, found, out) for job, found in zip(jobs, ended, strict=True)]
    except KeyboardInterrupt:
        raise StageError(
            f"interrupted; the jobs of {variant!r} go on and are paid for: {STOP} stops them, `dvc repro` attaches to them"
        ) from None
    paid = [
        (name, found.get("BillableTimeInSeconds", 0)) for job in jobs for name, found in attempts(job)
    ]  # those without a result, too
    billable = sum(seconds for _, seconds in paid)
    usd = round(billable / 3600 * hourly, 4)
    theirs, ours = records[0]["packages"]["torch"].split("+")[0], version("torch").split("+")[0]
    if theirs != ours:
        print(
            f"train {variant}: trained with torch {theirs}, not with {ours} as here; the last bits may differ",
            flush=True,
        )
    counted = f"{len(paid)} {'job' if len(paid) == 1 else 'jobs'}"
    print(
        f"train {variant}: {counted}, {billable} s billed on {settings.instance_type}, about {usd:.3f} US dollars",
        flush=True,
    )
    return {
        "backend": "sagemaker",
        "instance_type": settings.instance_type,
        "jobs": [name for name, _ in paid],
        "billable_seconds": billable,
        "usd": usd,
        "core_seconds": sum(
            record["train_seconds"] * min(record["cores"], len(job.plan.seeds))
            for job, record in zip(jobs, records, strict=True)
        ),
        **{key: records[0][key] for key in ("packages", "cpu", "cores", "python")},
    }


def _finished(job: Job, name: str, place: Place) -> Description:
    """Wait for a job; one that the service itself let fail is attempted again."""
    while True:
        found = wait(name, place.settings)
        if found["TrainingJobStatus"] == "Completed":
            return found
        if not is_transient(found, len(attempts(job))):
            raise failure(job, name, found)
        name = ensure(job, place)


def _fetch(job: Job, found: Description, out: Path) -> dict[str, Any]:
    """Unpack the seeds of a job into `out`. Returns the job's own record."""
    uri = found["ModelArtifacts"]["S3ModelArtifacts"]
    bucket, key = storage.split(uri)
    with paths.scratch_folder(found["TrainingJobName"]) as folder:
        packed, unpacked = folder / "model.tar.gz", folder / "model"
        with errors_said():
            client("s3").download_file(bucket, key, str(packed))
        again = "delete that object, and `dvc repro` makes the job again"
        try:
            with tarfile.open(packed) as archive:
                archive.extractall(unpacked, filter="data")
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise StageError(f"{uri} cannot be unpacked ({' '.join(str(error).split())}); {again}") from None
        for seed in job.plan.seeds:
            if not (unpacked / f"seed_{seed}").is_dir():
                raise StageError(f"{uri} lacks seed {seed} of variant {job.variant!r}; {again}")
            (unpacked / f"seed_{seed}").rename(out / f"seed_{seed}")
        record: dict[str, Any] = paths.read_json(unpacked / "job.json")
    return record

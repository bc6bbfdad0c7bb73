"""Ensure that a job is there: attach to one that runs, take one that is finished, and only else make one."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache

from stages.cloud import storage
from stages.cloud.account import THROTTLED, error_code, errors_said, region, session
from stages.cloud.job import AWS_IMAGE, Job, Place, image_name, request
from stages.cloud.job_inputs import upload_code, upload_data
from stages.cloud.job_service import Description, describe, log_tail, pause, wait
from stages.cloud.settings import SageMaker
from stages.shared.stage_command import StageError

ATTEMPTS = 99
TRANSIENT = ("InternalServerError", "CapacityError")  # the service's own failures, which another attempt may not meet
TRANSIENT_ATTEMPTS = 3
# What a job that took too long had too little of: the setting, and the limit in the job's description.
LIMITS = {
    "MaxRuntimeExceeded": ("max_runtime_minutes", "MaxRuntimeInSeconds"),
    "MaxWaitTimeExceeded": ("max_wait_minutes", "MaxWaitTimeInSeconds"),
}
RETRY = "`python -m stages.cloud.submit --retry-failed` tries it again as it is"


class JobFailed(StageError):
    """A job has failed, and would fail again."""


def ensure(job: Job, place: Place, retry_failed: bool = False, make_room: Callable[[], None] = lambda: None) -> str:
    """The name of the job that runs or is finished; of a new one where there is none, or none of use.

    make_room: called before one is made. Raises JobFailed for one that would fail again, unless it is to be tried again.
    """
    made = attempts(job)
    if made:
        name, found = made[-1]
        if found["TrainingJobStatus"] == "Stopping":
            found = wait(name, place.settings)
        if found["TrainingJobStatus"] == "InProgress":
            return name
        if found["TrainingJobStatus"] == "Completed":
            if storage.exists(found["ModelArtifacts"]["S3ModelArtifacts"]):
                return name
            print(f"job {name} is finished, but its artifact is gone; it is made again", flush=True)
        elif not (retry_failed or _may_end_otherwise(found, len(made), place.settings)):
            raise failure(job, name, found)
    make_room()
    name = job.name(len(made))
    _create(job, name, place)
    return name


def attempts(job: Job) -> list[tuple[str, Description]]:
    """Name and description of every attempt that the service knows, the first one first."""
    made: list[tuple[str, Description]] = []
    while (found := describe(name := job.name(len(made)))) is not None:
        made.append((name, found))
        if len(made) == ATTEMPTS:
            raise StageError(f"job {job.name()} was attempted {ATTEMPTS} times")
    return made


def _may_end_otherwise(found: Description, made: int, settings: SageMaker) -> bool:
    """Whether the same job may: it may now take longer, it was stopped from outside, or the service itself failed."""
    if found.get("SecondaryStatus") in LIMITS:
        setting, limit = LIMITS[found["SecondaryStatus"]]
        return bool(60 * getattr(settings, setting) > found["StoppingCondition"][limit]) or (
            setting == "max_wait_minutes" and not settings.spot
        )
    return found["TrainingJobStatus"] == "Stopped" or is_transient(found, made)


def is_transient(found: Description, made: int) -> bool:
    """Whether the service itself failed, and of the attempts that are allowed then some are left."""
    return str(found.get("FailureReason", "")).startswith(TRANSIENT) and made < TRANSIENT_ATTEMPTS


def failure(job: Job, name: str, found: Description) -> JobFailed:
    """What is said of a job that ended without a result."""
    head = f"variant {job.variant!r}: job {name}"
    after = f"after {found.get('TrainingTimeInSeconds', 0)} s"
    if found.get("SecondaryStatus") in LIMITS:
        setting, limit = LIMITS[found["SecondaryStatus"]]
        raised = f"raise sagemaker.{setting} (it was {found['StoppingCondition'][limit] // 60}) in compute.yaml"
        return JobFailed(
            f"{head} took too long and was stopped {after}; {raised}: it goes on from the seeds that are finished"
        )
    if found["TrainingJobStatus"] == "Stopped":
        return JobFailed(
            f"{head} was stopped {after}, not by this command; `dvc repro` makes another attempt, which goes on from the seeds that are finished"
        )
    reason = str(found.get("FailureReason", "no reason was given")).strip()
    return JobFailed(
        f"{head} failed {after}:\n{reason}\n{log_tail(name)}\nMend what it names and say `dvc repro` again; {RETRY}"
    )


def _create(job: Job, name: str, place: Place) -> None:
    """Make a job, or find that somebody just did. Waits while the quota is used up or requests are throttled.

    Raises StageError where the quota is 0, or the wait passes `quota_minutes`.
    """
    from botocore.exceptions import ClientError
    from sagemaker.core.resources import TrainingJob

    code, data = upload_code(place.uri("code")), upload_data(place.uri("data"), place.prepared)
    asked = request(job, name, place, _image(image_name(place.settings), place.settings.instance_type), code, data)
    minutes = place.settings.quota_minutes
    deadline, said = time.monotonic() + 60 * minutes, ""
    while True:
        with errors_said():
            try:
                TrainingJob.create(**asked, session=session(), region=region())
            except ClientError as error:
                if error_code(error) == "ResourceInUse":
                    return
                reason = _reason_to_wait(error, place)
            else:
                print(f"job {name}: made", flush=True)
                return
        if time.monotonic() >= deadline:
            raise StageError(
                f"job {name} could not be made within {minutes:g} minutes: {reason}; `dvc repro` tries again. "
                "In compute.yaml sagemaker.quota_minutes is the limit, and a lower sagemaker.max_concurrent makes fewer jobs at once"
            )
        if reason != said:
            print(f"job {name} waits: {reason}", flush=True)
            said = reason
        pause(place.settings.poll_seconds)


@cache
def _image(named: str, instance_type: str) -> str:
    """The image's address; AWS's own, which is named by the version of torch, is looked up."""
    from sagemaker.core import image_uris

    if not named.startswith(AWS_IMAGE):
        return named
    wanted = named.removeprefix(AWS_IMAGE)
    for framework in ("pytorch-amzn2023", "pytorch"):  # from 2.11 on, and before
        with suppress(ValueError):
            return str(
                image_uris.retrieve(
                    framework, region(), version=wanted, instance_type=instance_type, image_scope="training"
                )
            )
    raise StageError(
        f"AWS has no training image of PyTorch {wanted} that this version of sagemaker-core knows; set SAGEMAKER_IMAGE to one of your own"
    )


def _reason_to_wait(error: Exception, place: Place) -> str:
    """Why the same request may be granted later. Raises the error if it never will be, StageError where the quota is 0."""
    code, text = error_code(error), str(error)
    if code in THROTTLED:
        return "AWS takes no more requests for now (throttling)"
    if code != "ResourceLimitExceeded":
        raise error
    limit = re.search(r"limit '?([^']+?)'? is (\d+) Instances", text)
    if limit is None or limit[2] != "0":
        return f"the quota {limit[1]!r} ({limit[2]} instances) is used up" if limit else text
    raise StageError(
        f"the quota {limit[1]!r} of account {place.account.number} in {region()} is 0: ask for more under Service Quotas → Amazon SageMaker, "
        "or set another sagemaker.instance_type (or spot, which has a quota of its own) in compute.yaml"
    )

"""What SageMaker is asked about jobs: is there one, make one, stop one, why did one fail.

boto3, except to make a job. The classes of the package `sagemaker` take seconds to import, and their wait() returns as
if all were well when a job was stopped.
"""

import random
import re
import time
from collections.abc import Iterator
from typing import Any

from stages.cloud.account import (
    PREFIX,
    THROTTLED,
    Unavailable,
    aws_errors_in_words,
    client,
    error_code,
    region,
    session,
)
from stages.cloud.images import training_image
from stages.cloud.job import Job, Place, image_name, request
from stages.cloud.settings import SageMaker
from stages.shared.stage_command import StageError

ATTEMPTS = 99
# The code of the error alone, ValidationException, also covers real mistakes.
UNKNOWN = ("Could not find", "Requested resource not found")
UNFINISHED = ("InProgress", "Stopping")
TRANSIENT = ("InternalServerError", "CapacityError")  # the service's own failures; another attempt may succeed
TRANSIENT_ATTEMPTS = 3
# A job that took too long: the setting that limited it, and where its description has the limit.
LIMITS = {
    "MaxRuntimeExceeded": ("max_runtime_minutes", "MaxRuntimeInSeconds"),
    "MaxWaitTimeExceeded": ("max_wait_minutes", "MaxWaitTimeInSeconds"),
}
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
LOG_LINES = 40  # as long as a traceback
STOP = "`python -m stages.cloud stop`"
RETRY = "`python -m stages.cloud retry`"

Description = dict[str, Any]


class JobFailed(StageError):
    """A job has failed, and would fail again."""


class NoRoom(StageError):
    """AWS makes no more jobs for now: a quota is used up, or requests are throttled."""


def describe(name: str) -> Description | None:
    """What the service knows of a job; None if it knows none of that name."""
    from botocore.exceptions import ClientError

    with aws_errors_in_words():
        try:
            description: Description = client("sagemaker").describe_training_job(TrainingJobName=name)
        except ClientError as error:
            if any(text in str(error) for text in UNKNOWN):
                return None
            raise
    return description


def attempts(job: Job) -> list[tuple[str, Description]]:
    """Name and description of every attempt at a job, the first one first."""
    known: list[tuple[str, Description]] = []
    while (description := describe(job.name(len(known)))) is not None:
        known.append((job.name(len(known)), description))
        if len(known) == ATTEMPTS:
            raise StageError(f"job {job.name()} was attempted {ATTEMPTS} times")
    return known


def create(job: Job, name: str, place: Place, begun: list[str] | None = None) -> None:
    """Make a job of this name. Does nothing if somebody has just made it.

    begun: gains the name while it is open whether AWS has made the job: the SDK describes it as soon as it is made, and
    that may fail.
    Raises NoRoom where it may be made later, StageError where the quota is 0 or AWS refuses.
    """
    from botocore.exceptions import ClientError
    from sagemaker.core.resources import TrainingJob

    arguments = request(job, name, place, training_image(image_name(place.settings), place.settings.instance_type))
    begun = [] if begun is None else begun
    with aws_errors_in_words():
        begun.append(name)
        try:
            TrainingJob.create(**arguments, session=session(), region=region())
        except ClientError as error:
            if error.operation_name == "CreateTrainingJob":
                begun.remove(name)
            if error_code(error) == "ResourceInUse":
                return
            if error_code(error) in THROTTLED:
                raise NoRoom("AWS takes no more requests for now (throttling)") from None
            if error_code(error) == "ResourceLimitExceeded":
                raise _quota_error(str(error), place) from None
            raise
    print(f"job {name}: made", flush=True)


def may_end_otherwise(description: Description, n_attempts: int, settings: SageMaker) -> bool:
    """Whether the same job may end otherwise: it may now take longer, somebody stopped it, or the service failed."""
    if description.get("SecondaryStatus") in LIMITS:
        setting, limit = LIMITS[description["SecondaryStatus"]]
        no_longer_waits = setting == "max_wait_minutes" and not settings.spot
        return no_longer_waits or 60 * getattr(settings, setting) > description["StoppingCondition"][limit]
    return description["TrainingJobStatus"] == "Stopped" or is_transient(description, n_attempts)


def is_transient(description: Description, n_attempts: int) -> bool:
    """Whether a job failed by the service's own fault, and has attempts left."""
    return n_attempts < TRANSIENT_ATTEMPTS and str(description.get("FailureReason", "")).startswith(TRANSIENT)


def failure(job: Job, name: str, description: Description) -> JobFailed:
    """What to tell of a job that did not complete: its own words, where its log is, and what to do."""
    seeds = ", ".join(str(run.seed) for run in job.runs)
    head = f"variant {job.variant!r}, seeds {seeds}: job {name}"
    after = f"after {description.get('TrainingTimeInSeconds', 0)} s"
    if description.get("SecondaryStatus") in LIMITS:
        setting, limit = LIMITS[description["SecondaryStatus"]]
        minutes = description["StoppingCondition"][limit] // 60
        return JobFailed(
            f"{head} took too long and was stopped {after}; "
            f"raise sagemaker.{setting} (it was {minutes}) in compute.yaml: it goes on from the runs that are finished"
        )
    if description["TrainingJobStatus"] == "Stopped":
        return JobFailed(
            f"{head} was stopped {after}, not by this command; `dvc repro` makes another attempt, "
            "which goes on from the runs that are finished"
        )
    reason = str(description.get("FailureReason", "no reason was given")).strip()
    return JobFailed(
        f"{head} failed {after}:\n{reason}\n{_log_tail(name)}\n"
        f"Correct the cause and run `dvc repro` again; {RETRY} tries the job again as it is"
    )


def job_names(**filters: str) -> Iterator[str]:
    """Names of the project's jobs. filters: of ListTrainingJobs, such as StatusEquals."""
    with aws_errors_in_words():
        pages = client("sagemaker").get_paginator("list_training_jobs").paginate(NameContains=f"{PREFIX}-", **filters)
        for page in pages:
            for summary in page["TrainingJobSummaries"]:
                if summary["TrainingJobName"].startswith(f"{PREFIX}-"):
                    yield summary["TrainingJobName"]


def stop(name: str) -> bool:
    """Ask a job to stop. Returns whether it still ran: it may just have ended."""
    try:
        with aws_errors_in_words():
            client("sagemaker").stop_training_job(TrainingJobName=name)
    except StageError:
        if (describe(name) or {}).get("TrainingJobStatus") == "InProgress":
            raise
        return False
    return True


def pause(seconds: float) -> None:
    """Sleep about so long, so that many who wait do not ask at the same moment."""
    time.sleep(seconds * random.uniform(0.75, 1.25))


def _quota_error(text: str, place: Place) -> StageError:
    """NoRoom, or an error that says how to get a quota where it is 0. text: AWS's message."""
    limit = re.search(r"limit '?([^']+?)'? is (\d+) Instances", text)
    if limit is None:
        return NoRoom(text)
    quota, instances = limit.groups()
    if instances != "0":
        return NoRoom(f"the quota {quota!r} ({instances} instances) is used up")
    return StageError(
        f"the quota {quota!r} of account {place.account.number} in {region()} is 0: "
        "ask for more under Service Quotas → Amazon SageMaker, or set another sagemaker.instance_type "
        "(or spot, which has a quota of its own) in compute.yaml"
    )


def _log_tail(name: str) -> str:
    """The last lines of a job's log, and where it is. A log that cannot be read hides no other message."""
    from botocore.exceptions import BotoCoreError, ClientError

    where = f"CloudWatch, region {region()}, group {LOG_GROUP}, streams {name}/…"
    try:
        logs = client("logs")
        streams = logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
        events = []
        for stream in streams:
            group_and_stream = {"logGroupName": LOG_GROUP, "logStreamName": stream["logStreamName"]}
            events += logs.get_log_events(**group_and_stream, limit=LOG_LINES, startFromHead=False)["events"]
        lines = [event["message"] for event in events]
    except (BotoCoreError, ClientError, Unavailable) as error:
        lines = [f"(cannot be read: {error})"]
    return "\n".join([f"The end of its log ({where}):", *(f"  {line.rstrip()}" for line in lines[-LOG_LINES:])])

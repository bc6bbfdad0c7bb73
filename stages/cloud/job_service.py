"""What the service is asked about jobs."""

import random
import time
from collections.abc import Iterator
from typing import Any

from stages.cloud.account import Unavailable, client, errors_said, region
from stages.cloud.names import PREFIX
from stages.cloud.settings import SageMaker
from stages.shared.stage_command import StageError

UNKNOWN = (
    "Could not find",
    "Requested resource not found",
)  # the code alone, ValidationException, also covers real mistakes
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
LOG_LINES = 40  # a traceback is that long
STOP = "`python -m stages.cloud.submit --stop`"

Description = dict[str, Any]


# boto3, not TrainingJob.get, refresh and wait: these import for seconds in every stage that only attaches, and wait()
# returns as if all were well when a job was stopped.
def describe(name: str) -> Description | None:
    """What the service knows of a job; None where it knows none of that name."""
    from botocore.exceptions import ClientError

    with errors_said():
        try:
            found: Description = client("sagemaker").describe_training_job(TrainingJobName=name)
        except ClientError as error:
            if any(text in str(error) for text in UNKNOWN):
                return None
            raise
    return found


def wait(name: str, settings: SageMaker) -> Description:
    """Ask until the job has ended, and say when its state changes.

    Raises StageError if AWS gives no answer, for throttling or a broken network, for `quota_minutes`.
    """
    said, answered = "", time.monotonic()
    while True:
        try:
            found = describe(name)
        except Unavailable as error:
            if time.monotonic() > answered + 60 * settings.quota_minutes:
                raise StageError(
                    f"{error}\nThe job {name} goes on and is paid for: `dvc repro` attaches to it, {STOP} stops it"
                ) from None
            print(f"job {name}: {error}; asking again", flush=True)
            pause(settings.poll_seconds)
            continue
        assert found is not None, f"{name} was there"
        answered = time.monotonic()
        state = str(found.get("SecondaryStatus", found["TrainingJobStatus"]))
        if state != said:
            print(f"job {name}: {state}", flush=True)
            said = state
        if found["TrainingJobStatus"] not in ("InProgress", "Stopping"):
            return found
        pause(settings.poll_seconds)


def pause(seconds: float) -> None:
    """Sleep about so long, so that many who wait do not ask at the same moment."""
    time.sleep(seconds * random.uniform(0.75, 1.25))


def running() -> Iterator[str]:
    """Names of the project's jobs that are running."""
    with errors_said():
        for page in (
            client("sagemaker")
            .get_paginator("list_training_jobs")
            .paginate(NameContains=f"{PREFIX}-", StatusEquals="InProgress")
        ):
            yield from (
                job["TrainingJobName"]
                for job in page["TrainingJobSummaries"]
                if job["TrainingJobName"].startswith(f"{PREFIX}-")
            )


def stop(name: str) -> None:
    with errors_said():
        client("sagemaker").stop_training_job(TrainingJobName=name)


def log_tail(name: str) -> str:
    """The last lines of a job's log, and where it is. A log that cannot be read hides no other message."""
    from botocore.exceptions import BotoCoreError, ClientError

    where = f"CloudWatch, region {region()}, group {LOG_GROUP}, streams {name}/…"
    try:
        logs = client("logs")
        streams = logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
        lines = [
            event["message"]
            for stream in streams
            for event in logs.get_log_events(
                logGroupName=LOG_GROUP, logStreamName=stream["logStreamName"], limit=LOG_LINES, startFromHead=False
            )["events"]
        ]
    except (BotoCoreError, ClientError) as error:
        lines = [f"(not to be read: {error})"]
    return "\n".join([f"The end of its log ({where}):", *(f"  {line.rstrip()}" for line in lines[-LOG_LINES:])])

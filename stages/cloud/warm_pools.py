"""Instances that stay after a job, ready for the next one: SageMaker's managed warm pools (`keep_alive_minutes`).

An instance takes the next job whose role, resources, VPC, isolation and encryption are the same. All jobs of a command
have these from the same settings, so that any of them fits. An instance that waits is billed like one that trains.
"""

import time
from collections.abc import Sequence

from stages.cloud import job_service, prices
from stages.cloud.account import aws_errors_in_words, client
from stages.cloud.job_service import UNFINISHED, Description, pause
from stages.cloud.settings import SageMaker
from stages.shared.stage_command import StageError

STOP_SECONDS = 180  # a container that is stopped has two minutes to end


def kept_seconds(description: Description) -> int:
    """Seconds that an instance waited after this job, which are billed beside those of the job."""
    return int(description.get("WarmPoolStatus", {}).get("ResourceRetainedBillableTimeInSeconds", 0))


def is_waiting(description: Description) -> bool:
    """Whether an instance waits after this job for the next one."""
    return description.get("WarmPoolStatus", {}).get("Status") == "Available"


def end_all(stopped: Sequence[str], poll_seconds: float) -> list[str]:
    """End every instance of the project that waits. Returns the names of the jobs after which they waited.

    stopped: jobs that were asked to stop just now; their instances begin to wait when they have ended.
    """
    waiting_for, deadline = list(stopped), time.monotonic() + STOP_SECONDS
    while waiting_for and time.monotonic() < deadline:
        waiting_for = [name for name in waiting_for if _keeps_its_instance_and_runs(name)]
        if waiting_for:
            pause(poll_seconds)
    return [name for name in list(job_service.job_names(WarmPoolStatusEquals="Available")) if _end(name)]


def _end(name: str) -> bool:
    """End the instance that waits after this job. Returns whether it still waited: a job may just have taken it."""
    try:
        with aws_errors_in_words():
            client("sagemaker").update_training_job(
                TrainingJobName=name, ResourceConfig={"KeepAlivePeriodInSeconds": 0}
            )
    except StageError:
        if is_waiting(job_service.describe(name) or {}):
            raise
        return False
    return True


def _keeps_its_instance_and_runs(name: str) -> bool:
    description = job_service.describe(name) or {}
    keeps = description.get("ResourceConfig", {}).get("KeepAlivePeriodInSeconds", 0) > 0
    return keeps and description["TrainingJobStatus"] in UNFINISHED


def what_may_stay(settings: SageMaker) -> str:
    """In words, for where AWS is not asked; "" where no instance is kept."""
    if not settings.keep_alive_minutes:
        return ""
    return (
        f"Instances of jobs that have ended wait up to {settings.keep_alive_minutes} minutes for the next job, "
        f"and are paid for; {job_service.STOP} ends that"
    )


def what_stays(descriptions: Sequence[Description], settings: SageMaker) -> str:
    """In words: which instances wait after these jobs and cost; or which quota is missing; "" where none is kept."""
    if not settings.keep_alive_minutes:
        return ""
    n_waiting = sum(map(is_waiting, descriptions))
    if not n_waiting:
        return (
            "no instance is kept warm; where none ever is, ask for more of the quota "
            f"'{settings.instance_type} for training warm pool usage'"
        )
    price = prices.price(settings.instance_type, settings.price_per_hour)
    count = "1 instance stays" if n_waiting == 1 else f"{n_waiting} instances stay"
    return (
        f"{count} warm for the next job, {settings.keep_alive_minutes} minutes at most, and each is paid for at "
        f"{prices.in_words(price.usd_per_hour, 3)} an hour ({price.source}); {job_service.STOP} ends that"
    )

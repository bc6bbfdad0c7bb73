"""Many jobs, but only so many at once."""

from collections.abc import Iterable

from stages.cloud.ensure_job import JobFailed, ensure
from stages.cloud.job import Job, Place
from stages.cloud.job_service import describe, pause, running


def ensure_all(jobs: Iterable[Job], place: Place, retry_failed: bool = False) -> tuple[dict[Job, str], list[JobFailed]]:
    """Ensure every job, with at most max_concurrent of the project's unfinished at once, those of earlier commands included.

    Returns their names, and what is said of those that failed before. Ends when the last is made; a failed one does not
    hold up the others.
    """
    names: dict[Job, str] = {}
    failures: list[JobFailed] = []
    unfinished = set(running())
    limit = place.settings.max_concurrent

    def make_room() -> None:
        if len(unfinished) >= limit:
            print(
                f"{len(unfinished)} jobs run, and sagemaker.max_concurrent is {limit}: the next one waits for an end",
                flush=True,
            )
        while len(unfinished) >= limit:
            unfinished.intersection_update([name for name in unfinished if _goes_on(name)])
            if len(unfinished) >= limit:
                pause(place.settings.poll_seconds)

    for job in jobs:
        try:
            names[job] = ensure(job, place, retry_failed, make_room)
            unfinished.add(names[job])
        except JobFailed as error:
            failures.append(error)
    return names, failures


def _goes_on(name: str) -> bool:
    found = describe(name)
    return found is not None and found["TrainingJobStatus"] in ("InProgress", "Stopping")

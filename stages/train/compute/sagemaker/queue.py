"""Many jobs, but only so many at once."""

from collections.abc import Iterable

from stages.train.compute.sagemaker.ensure import JobFailed, ensure
from stages.train.compute.sagemaker.job import Job, Place
from stages.train.compute.sagemaker.service import describe, pause


def ensure_all(jobs: Iterable[Job], place: Place, retry_failed: bool = False) -> tuple[dict[Job, str], list[JobFailed]]:
    """Ensure every job, with at most max_concurrent unfinished at once. Returns their names, and what is said of those that failed before.

    Ends when the last is made; a failed one does not hold up the others.
    """
    names: dict[Job, str] = {}
    failures: list[JobFailed] = []
    unfinished: set[str] = set()
    for job in jobs:
        while len(unfinished) >= place.settings.max_concurrent:
            unfinished = {name for name in unfinished if _goes_on(name)}
            if len(unfinished) >= place.settings.max_concurrent:
                pause(place.settings.poll_seconds)
        try:
            names[job] = ensure(job, place, retry_failed)
            unfinished.add(names[job])
        except JobFailed as error:
            failures.append(error)
    return names, failures


def _goes_on(name: str) -> bool:
    found = describe(name)
    return found is not None and found["TrainingJobStatus"] in ("InProgress", "Stopping")

"""Train runs in jobs on SageMaker: make all jobs, wait for them, and fetch the runs of each as soon as it ends."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

from stages.cloud import interruptions, job_service, prices, service_model, warm_pools
from stages.cloud.account import (
    Unavailable,
    object_exists,
    preflight,
)
from stages.cloud.artifact import Finished, fetch
from stages.cloud.job import Job, Place, jobs_of
from stages.cloud.job_service import STOP, UNFINISHED, Description, JobFailed, NoRoom, pause
from stages.cloud.settings import SageMaker, load
from stages.shared.run_records import PlannedRun
from stages.shared.stage_command import StageError


def train(missing: Sequence[PlannedRun], prepared: Path, finished: Finished) -> dict[str, Any]:
    """Train these runs, and call finished(run, folder) with each one's whole folder as soon as its job has ended.

    A job that runs already is waited for; one that is finished is fetched. A job that fails does not hold up the
    others. Returns where the runs were trained and what it cost, for data/timings. Raises StageError with the words of
    every job that failed.
    """
    place = place_of_jobs(prepared)
    queue = Queue(jobs_of(missing, place.settings), place)
    records: dict[Job, dict[str, Any]] = {}
    failures: list[StageError] = []
    try:
        with interruptions.ending_signals():
            for job, description in queue.completed():
                try:
                    records[job] = fetch(job, description, finished, place.settings)
                except StageError as error:
                    failures.append(error)
    except KeyboardInterrupt as interruption:
        raise StageError(f"{interruptions.reason(interruption)}\n{queue.what_goes_on()}") from None
    except StageError as error:
        reasons = [str(one) for one in (*failures, *queue.failures, error)]
        raise StageError("\n\n".join([*reasons, queue.what_goes_on()])) from None
    failures += queue.failures
    if failures:
        may_stay = warm_pools.what_may_stay(place.settings)
        raise StageError("\n\n".join([*map(str, failures), *filter(None, [may_stay])]))
    return _summary(records, place)


def place_of_jobs(prepared: Path) -> Place:
    """Check settings and account before anything is sent, and warn where the price is not known."""
    settings = load().sagemaker
    service_model.check_training(settings)
    account = preflight(settings)
    price = prices.price(settings.instance_type, settings.price_per_hour)
    if price.usd_per_hour is None:
        print(f"warning: what the jobs cost is not known ({price.source})", flush=True)
    return Place(account, settings, prepared)


def retry_failed(jobs: Sequence[Job], place: Place) -> tuple[list[str], int]:
    """Make another attempt at the jobs whose last attempt failed or was stopped, as far as max_concurrent leaves room.

    Returns the new names, and how many jobs had no room. Does not wait for any. Raises StageError where AWS makes no
    more jobs.
    """
    failed: list[tuple[Job, str]] = []
    for job in jobs:
        known = job_service.attempts(job)
        if known and known[-1][1]["TrainingJobStatus"] in ("Failed", "Stopped"):
            failed.append((job, job.name(len(known))))
    if not failed:
        return [], 0
    n_running = len(list(job_service.job_names(StatusEquals="InProgress")))
    room = max(0, place.settings.max_concurrent - n_running)
    for job, name in failed[:room]:
        job_service.create(job, name, place)
    return [name for _, name in failed[:room]], len(failed[room:])


@dataclass
class Queue:
    """Jobs that wait to be made, jobs that run (name → job), and the errors of those that failed.

    At most max_concurrent of the project's jobs run at once, those of other commands included.
    """

    waiting: list[Job]
    place: Place
    running: dict[str, Job] = field(default_factory=dict)
    failures: list[JobFailed] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)  # name → the last one that was printed
    perhaps_made: list[str] = field(default_factory=list)  # jobs whose making was broken off
    printed_reason: str = ""  # the last reason to wait
    progress: float = field(default_factory=time.monotonic)  # when AWS last made or described a job of ours

    def completed(self) -> Iterator[tuple[Job, Description]]:
        """Yield every job that completes, with its description, until all jobs have ended."""
        while self.waiting or self.running:
            try:
                self.make_jobs()
                yield from self.ended_jobs()
            except Unavailable as error:
                self._wait_on(str(error))
            if self.waiting or self.running:
                pause(self.place.settings.poll_seconds)

    def make_jobs(self) -> None:
        """Attach to the waiting jobs that run or are finished, and make the others while there is room."""
        others = None
        for job in list(self.waiting):
            try:
                name, exists = self._next_attempt(job)
            except JobFailed as error:
                self.failures.append(error)
                self.waiting.remove(job)
                continue
            except NoRoom as error:
                self._say(str(error))
                continue
            if not exists:
                others = self._jobs_of_others() if others is None else others
                limit = self.place.settings.max_concurrent
                if len(self.running) + others >= limit:
                    self._say(f"{limit} jobs run, which is sagemaker.max_concurrent: the next one waits for an end")
                    continue
                try:
                    job_service.create(job, name, self.place, self.perhaps_made)
                    self.perhaps_made.clear()
                except NoRoom as error:
                    self._wait_on(str(error), job)
                    return
            self.progress = time.monotonic()
            self.running[name] = job
            self.waiting.remove(job)

    def _next_attempt(self, job: Job) -> tuple[str, bool]:
        """The name of the attempt that counts, and whether it exists.

        Raises JobFailed if the job would fail again, NoRoom while it is being stopped.
        """
        known = job_service.attempts(job)
        if not known:
            return job.name(), False
        name, description = known[-1]
        status = description["TrainingJobStatus"]
        if status == "InProgress":
            return name, True
        if status == "Completed":
            if object_exists(description["ModelArtifacts"]["S3ModelArtifacts"]):
                return name, True
            print(f"job {name} is finished, but its artifact is gone; it is made again", flush=True)
        elif status == "Stopping":
            raise NoRoom(f"job {name} is being stopped; another attempt follows")
        elif not job_service.may_end_otherwise(description, len(known), self.place.settings):
            raise job_service.failure(job, name, description)
        return job.name(len(known)), False

    def ended_jobs(self) -> Iterator[tuple[Job, Description]]:
        """Yield the running jobs that have completed. One that failed by the service's own fault waits again."""
        for name, job in list(self.running.items()):
            description = job_service.describe(name)
            assert description is not None, f"{name} was there"
            self.progress = time.monotonic()
            state = str(description.get("SecondaryStatus", description["TrainingJobStatus"]))
            if self.states.get(name) != state:
                print(f"job {name}: {state}", flush=True)
                self.states[name] = state
            if description["TrainingJobStatus"] in UNFINISHED:
                continue
            transient = job_service.is_transient(description, len(job_service.attempts(job)))
            del self.running[name]
            if description["TrainingJobStatus"] == "Completed":
                yield job, description
            elif transient:
                self.waiting.append(job)
            else:
                self.failures.append(job_service.failure(job, name, description))

    def _jobs_of_others(self) -> int:
        return len(set(job_service.job_names(StatusEquals="InProgress")) - set(self.running))

    def _wait_on(self, reason: str, job: Job | None = None) -> None:
        """Print why the queue waits. Raises StageError once nothing has moved for `quota_minutes`."""
        minutes = self.place.settings.quota_minutes
        if time.monotonic() > self.progress + 60 * minutes:
            what = f"job {job.name()} could not be made within {minutes:g} minutes" if job else "AWS gives no answer"
            raise StageError(
                f"{what}: {reason}\n"
                "In compute.yaml sagemaker.quota_minutes limits the wait, and max_concurrent the jobs at once"
            )
        self._say(reason)

    def _say(self, reason: str) -> None:
        if reason != self.printed_reason:
            print(f"waiting: {reason}", flush=True)
            self.printed_reason = reason

    def what_goes_on(self) -> str:
        """What runs on and costs, and the commands that go on with it or stop it."""
        settings = self.place.settings
        unsure = [name for name in dict.fromkeys(self.perhaps_made) if name not in self.running]
        names = [*self.running, *(f"{name} (if it was made)" for name in unsure)]
        if not names:
            ended = "no job is known to run on; `dvc repro` goes on, and fetches what has finished"
            return "\n".join(filter(None, [ended, warm_pools.what_may_stay(settings)]))
        price = prices.price(settings.instance_type, settings.price_per_hour)
        hourly = f"at most {prices.in_words(price.usd_per_hour, 3)} an hour each ({price.source})"
        may_stay = warm_pools.what_may_stay(settings)
        return (
            f"These jobs go on and are paid for, {hourly}: {', '.join(names)}\n"
            f"`dvc repro` attaches to them, {STOP} stops them; none runs longer than "
            f"{settings.max_runtime_minutes} minutes{f'. {may_stay}' if may_stay else ''}"
        )


def _summary(records: dict[Job, dict[str, Any]], place: Place) -> dict[str, Any]:
    """Where the runs were trained, how long and for how much; attempts without a result are paid for, too."""
    settings = place.settings
    billed = _billed(records, settings)
    first = next(iter(records.values()))
    there, here = first["packages"]["torch"].split("+")[0], version("torch").split("+")[0]
    if there != here:
        print(f"train: trained with torch {there}, not with {here} as here; the last bits may differ", flush=True)
    run_seconds: dict[str, list[float]] = defaultdict(list)
    for job, record in records.items():
        run_seconds[job.variant] += record["run_seconds"]
    return {
        "backend": "sagemaker",
        "device": next(iter(records)).runs[0].spec.device,
        "instance_type": settings.instance_type,
        **billed,
        "core_seconds": round(sum(sum(one) for one in run_seconds.values()), 2),
        "runs": {variant: round(fmean(one), 2) for variant, one in run_seconds.items() if one},
        **{key: first[key] for key in ("packages", "cpu", "cores", "python")},
    }


def _billed(jobs: Iterable[Job], settings: SageMaker) -> dict[str, Any]:
    """Print and return what the jobs were billed. The runs are here by now, so a fault of AWS loses the bill alone."""
    try:
        known = [attempt for job in jobs for attempt in job_service.attempts(job)]
    except StageError as error:
        print(f"train: what was billed is not known ({error}); `python -m stages.cloud cost` shows it", flush=True)
        return {"jobs": [job.name() for job in jobs], "billable_seconds": None, "warm_seconds": None, "usd": None}
    seconds = sum(description.get("BillableTimeInSeconds", 0) for _, description in known)
    warm_seconds = sum(warm_pools.kept_seconds(description) for _, description in known)
    price = prices.price(settings.instance_type, settings.price_per_hour)
    usd = price.of(seconds + warm_seconds)
    counted = f"{len(known)} {'job' if len(known) == 1 else 'jobs'}"
    print(
        f"train: {counted}, {seconds} s billed{f' and {warm_seconds} s kept warm' if warm_seconds else ''} on "
        f"{settings.instance_type}, about {prices.in_words(usd, 3)} ({price.source})",
        flush=True,
    )
    if stays := warm_pools.what_stays([description for _, description in known], settings):
        print(f"train: {stays}", flush=True)
    return {
        "jobs": [name for name, _ in known],
        "billable_seconds": seconds,
        "warm_seconds": warm_seconds,
        "usd": None if usd is None else round(usd, 4),
    }

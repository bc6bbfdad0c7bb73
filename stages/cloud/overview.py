"""All jobs at once: make them, stop them, and say what they cost before and after."""

import math
from collections.abc import Sequence
from dataclasses import replace

from tabulate import tabulate

from stages.cloud import job_service, prices
from stages.cloud.account import preflight
from stages.cloud.ensure_job import attempts
from stages.cloud.job import Job, Place, jobs_of
from stages.cloud.job_queue import ensure_all
from stages.cloud.settings import SageMaker, load
from stages.shared import paths
from stages.shared.params import TrainPlan
from stages.shared.stage_command import StageError

WAYS = ("variant", "seed")  # of `jobs` in compute.yaml
START_SECONDS = (
    90  # assumed: what a job is billed for beside the training (the image's missing packages, data, artifact)
)


def submit(plans: dict[str, TrainPlan], retry_failed: bool) -> None:
    """Ensure the jobs of these variants. Ends when the last is made. Raises StageError with what is said of those that failed."""
    place = _place()
    jobs = _jobs(plans, place)
    try:
        names, failures = ensure_all(jobs, place, retry_failed)
    except KeyboardInterrupt:
        raise StageError(
            f"interrupted; what was made goes on and is paid for: {job_service.STOP} stops all, `make repro` attaches to it"
        ) from None
    print(f"{len(names)} of {len(jobs)} jobs run or are finished ({job_service.STOP} stops all)", flush=True)
    if failures:
        raise StageError("\n\n".join(str(error) for error in failures))


def print_plan(plans: dict[str, TrainPlan]) -> None:
    """The jobs of these variants, what there is of them, and their price. Asks, and changes nothing."""
    place = _place()
    settings = place.settings
    rows, due = [], []
    for job in _jobs(plans, place):
        made = attempts(job)
        name, state = (made[-1][0], made[-1][1]["TrainingJobStatus"]) if made else (job.name(), "to be made")
        seconds = estimated_seconds(job, settings)
        shown = ("unknown", "unknown") if seconds is None else (f"{seconds:.0f}", f"{_usd(seconds, settings):.4f}")
        if state in ("Completed", "InProgress"):
            shown = ("", "paid for")
        else:
            due.append(job)
        rows.append([name, len(job.plan.seeds), state, *shown])
    print(tabulate(rows, headers=["job", "seeds", "state", "seconds", "US dollars"], disable_numparse=True))
    print(f"On {settings.instance_type}{', spot' if settings.spot else ''}, at most {settings.max_concurrent} at once")
    print(f"To be paid: {_price(due, settings)}")
    for way in WAYS:
        print(
            f"All of it anew with `jobs: {way}`: {_price(_jobs(plans, replace(place, settings=settings.model_copy(update={'jobs': way}))), settings)}"
        )
    source = prices.AS_OF if settings.price_per_hour is None else "price_per_hour in compute.yaml"
    print(f"Prices: {source}{f'; spot at {prices.SPOT_SHARE:.0%} of them' if settings.spot else ''}")
    print("Nothing was changed")


def _price(jobs: Sequence[Job], settings: SageMaker) -> str:
    """In words: how many jobs, about how much, and never more than what."""
    seconds = [estimated_seconds(job, settings) for job in jobs]
    known = [one for one in seconds if one is not None]
    about = f"about {_usd(sum(known), settings):.2f} US dollars" if known or not jobs else "no estimate"
    untimed = f" ({len(seconds) - len(known)} were never timed here)" if len(known) < len(seconds) else ""
    limit = (
        len(jobs)
        * settings.max_runtime_minutes
        / 60
        * prices.usd_per_hour(settings.instance_type, settings.price_per_hour)
    )
    return f"{len(jobs)} jobs, {about}{untimed}, never more than {limit:.2f} (max_runtime_minutes, on demand)"


def _usd(seconds: float, settings: SageMaker) -> float:
    hourly = prices.usd_per_hour(settings.instance_type, settings.price_per_hour)
    return seconds / 3600 * hourly * (prices.SPOT_SHARE if settings.spot else 1.0)


def print_cost() -> None:
    """What the runs in data/timings cost, by their billable seconds. Spot's discount is in these already."""
    records = [
        record for file in sorted(paths.TIMINGS.glob("train-*.json")) if "usd" in (record := paths.read_json(file))
    ]
    rows = [
        [
            record["stage"],
            record["instance_type"],
            len(record["jobs"]),
            record["billable_seconds"],
            f"{record['usd']:.4f}",
        ]
        for record in records
    ]
    print(tabulate(rows, headers=["stage", "instance", "jobs", "billed seconds", "US dollars"], disable_numparse=True))
    total, jobs = sum(record["usd"] for record in records), sum(len(record["jobs"]) for record in records)
    print(
        f"{total:.2f} US dollars in {jobs} jobs: billed seconds × the price when each was fetched; what counts is AWS's bill"
    )


def stop_all() -> None:
    """Stop every job of the project that runs."""
    preflight(load().sagemaker, with_role=False)
    names = list(job_service.running())
    for name in names:
        job_service.stop(name)
        print(f"job {name}: asked to stop")
    print(f"{len(names)} jobs were running")


def estimated_seconds(job: Job, settings: SageMaker) -> float | None:
    """Seconds that a job will be billed for without spot's discount, from what the variant took when it last ran; None if it never did.

    The instance trains as many seeds at once as it has cores, each as fast as here.
    """
    file = paths.TIMINGS / f"train-{job.variant}.json"
    if not file.exists() or settings.instance_type not in prices.INSTANCES:
        return None
    record = paths.read_json(file)
    seeds = len(paths.read_json(paths.plan("train", job.variant))["seeds"])
    core_seconds = record.get("core_seconds", record["seconds"] * min(record["cores"], seeds))
    return float(
        START_SECONDS
        + core_seconds / seeds * math.ceil(len(job.plan.seeds) / prices.INSTANCES[settings.instance_type].cores)
    )


def _place() -> Place:
    settings = load().sagemaker
    prices.usd_per_hour(settings.instance_type, settings.price_per_hour)
    return Place(preflight(settings), settings, paths.PREPARED)


def _jobs(plans: dict[str, TrainPlan], place: Place) -> list[Job]:
    return [job for variant, plan in plans.items() for job in jobs_of(variant, plan, place)]

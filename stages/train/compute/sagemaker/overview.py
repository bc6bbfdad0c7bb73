"""All jobs at once: make them, stop them, and say what they cost before and after."""

import math

from tabulate import tabulate

from stages import paths
from stages.aws import prices
from stages.aws.account import preflight
from stages.aws.settings import SageMaker, load
from stages.params import TrainPlan
from stages.provenance import StageError
from stages.train.compute.sagemaker import service
from stages.train.compute.sagemaker.ensure import latest
from stages.train.compute.sagemaker.job import Job, Place, jobs_of
from stages.train.compute.sagemaker.queue import ensure_all

STOP = "`python -m stages.train.compute.submit --stop` stops all"
START_SECONDS = 90  # assumed: what a job is billed for beside the training (the image's missing packages, data, artifact)


def submit(plans: dict[str, TrainPlan], retry_failed: bool) -> None:
    """Ensure the jobs of these variants. Ends when the last is made. Raises StageError with what is said of those that failed."""
    place = _place()
    jobs = _jobs(plans, place)
    try:
        names, failures = ensure_all(jobs, place, retry_failed)
    except KeyboardInterrupt:
        raise StageError(f"interrupted; what was made goes on and is paid for: {STOP}, `make repro` attaches to it") from None
    print(f"{len(names)} of {len(jobs)} jobs run or are finished ({STOP})", flush=True)
    if failures:
        raise StageError("\n\n".join(str(error) for error in failures))


def print_plan(plans: dict[str, TrainPlan]) -> None:
    """The jobs of these variants, what there is of them, and their price. Asks, and changes nothing."""
    place = _place()
    settings = place.settings
    hourly = prices.usd_per_hour(settings.instance_type, settings.price_per_hour)
    share = prices.SPOT_SHARE if settings.spot else 1.0
    rows, total, unknown, limit = [], 0.0, 0, 0.0
    for job in _jobs(plans, place):
        name, found, _ = latest(job)
        status = found["TrainingJobStatus"] if found else "to be made"
        seconds = estimated_seconds(job, settings)
        paid = status in ("Completed", "InProgress")
        usd = None if seconds is None else 0.0 if paid else seconds / 3600 * hourly * share
        total, unknown, limit = total + (usd or 0), unknown + (usd is None), limit + (0 if paid else settings.max_runtime_minutes / 60 * hourly)
        rows.append([name, len(job.plan.seeds), status, "unknown" if seconds is None else f"{seconds:.0f}", "unknown" if usd is None else f"{usd:.4f}"])
    print(tabulate(rows, headers=["job", "seeds", "state", "seconds", "US dollars"], disable_numparse=True))
    kind = f"{settings.instance_type}{', spot' if settings.spot else ''}, at most {settings.max_concurrent} at once"
    known = "no estimate" if rows and unknown == len(rows) else f"about {total:.2f} US dollars"
    guess = f"{known}{f' ({unknown} were never timed here)' if unknown else ''}"
    print(f"{len(rows)} jobs on {kind}: {guess}; never more than {limit:.2f} (max_runtime_minutes, on demand)")
    source = prices.AS_OF if settings.price_per_hour is None else "price_per_hour in compute.yaml"
    print(f"Prices: {source}{f'; spot at {share:.0%} of them' if settings.spot else ''}")
    print("Nothing was changed")


def print_cost() -> None:
    """What the runs in data/timings cost, by their billable seconds. Spot's discount is in these already."""
    records = [record for file in sorted(paths.TIMINGS.glob("train-*.json")) if "usd" in (record := paths.read_json(file))]
    rows = [[record["stage"], record["instance_type"], len(record["jobs"]), record["billable_seconds"], f"{record['usd']:.4f}"] for record in records]
    print(tabulate(rows, headers=["stage", "instance", "jobs", "billed seconds", "US dollars"], disable_numparse=True))
    total, jobs = sum(record["usd"] for record in records), sum(len(record["jobs"]) for record in records)
    print(f"{total:.2f} US dollars in {jobs} jobs, by the price list of {prices.AS_OF}")


def stop_all() -> None:
    """Stop every job of the project that runs."""
    _place()
    names = list(service.running())
    for name in names:
        service.stop(name)
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
    return float(START_SECONDS + core_seconds / seeds * math.ceil(len(job.plan.seeds) / prices.INSTANCES[settings.instance_type].cores))


def _place() -> Place:
    settings = load().sagemaker
    prices.usd_per_hour(settings.instance_type, settings.price_per_hour)
    return Place(preflight(settings), settings, paths.PREPARED)


def _jobs(plans: dict[str, TrainPlan], place: Place) -> list[Job]:
    return [job for variant, plan in plans.items() for job in jobs_of(variant, plan, place)]

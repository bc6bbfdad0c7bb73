"""See, stop and retry the training jobs on SageMaker, and see what they cost: `python -m stages.cloud`.

`dvc repro train` makes the jobs itself, waits for them and fetches their results.
"""

import argparse
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate

from stages.cloud import prices
from stages.cloud.settings import SageMaker, backend, instance_has_gpu, load
from stages.shared import params, paths, stage_command
from stages.shared.run_records import PlannedRun

# Assumed seconds that a job is billed for beside the training: the image's missing packages, the data, the artifact.
START_SECONDS = 90


def main() -> None:
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.command is None:
        parser.print_help()
        return
    if backend() == "local" and arguments.command in ("plan", "retry"):
        print("training runs on this machine (`backend` in compute.yaml, or COMPUTE_BACKEND): no jobs")
        return
    COMMANDS[arguments.command](arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stages.cloud", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", metavar="{" + ",".join(COMMANDS) + "}")
    plan = commands.add_parser("plan", help="show the jobs that are to be made and their price; send nothing")
    retry = commands.add_parser(
        "retry", help="make the jobs that failed again, as they are; `dvc repro` attaches to them"
    )
    commands.add_parser("stop", help="stop every job of the project that runs")
    commands.add_parser("cost", help="show what the project's jobs have cost")
    commands.add_parser("dockerfile", help="print the Dockerfile of an image with which a job installs nothing")
    for command in (plan, retry):
        command.add_argument("variant", nargs="*", help="only of these variants of the protocol (default: all of them)")
    return parser


def _plan(arguments: argparse.Namespace) -> None:
    """Print the jobs of the runs that are missing, what exists of them, and what they will cost."""
    from stages.cloud import job_service, training
    from stages.cloud.job import jobs_of

    missing = _missing_runs(arguments.variant)
    settings = training.place_of_jobs(paths.PREPARED).settings
    rows, unpaid = [], []
    for job in jobs_of(missing, settings):
        known = job_service.attempts(job)
        name, state = (known[-1][0], known[-1][1]["TrainingJobStatus"]) if known else (job.name(), "to be made")
        if state in ("Completed", "InProgress"):
            rows.append([name, len(job.runs), state, "", "paid for"])
        else:
            estimate = estimated_cost(job.variant, len(job.runs), settings)
            seconds = "unknown" if estimate.seconds is None else f"{estimate.seconds:.0f}"
            usd = "unknown" if estimate.usd is None else f"{estimate.usd:.4f}"
            rows.append([name, len(job.runs), state, seconds, usd])
            unpaid.append(job)
    headers = ["job", "runs", "state", "seconds", "US dollars"]
    print(tabulate(rows, headers=headers, disable_numparse=True))
    print(f"On {settings.instance_type}{', spot' if settings.spot else ''}, at most {settings.max_concurrent} at once")
    print(f"To be paid: {_price([run for job in unpaid for run in job.runs], settings)}")
    for way in ("variant", "seed"):
        price = _price(missing, settings.model_copy(update={"jobs": way}))
        print(f"All of it anew with `jobs: {way}`: {price}")
    if settings.spot:
        print(f"Spot is taken to cost {prices.SPOT_SHARE:.0%} of the price on demand")
    print("Nothing was sent")


def _retry(arguments: argparse.Namespace) -> None:
    from stages.cloud import training
    from stages.cloud.job import jobs_of

    missing = _missing_runs(arguments.variant)
    place = training.place_of_jobs(paths.PREPARED)
    names, without_room = training.retry_failed(jobs_of(missing, place.settings), place)
    print(f"{len(names)} jobs were made again; `dvc repro` waits for them and fetches their results")
    if without_room:
        print(
            f"{without_room} more have no room beside those that run (sagemaker.max_concurrent is "
            f"{place.settings.max_concurrent}): say it again when one has ended"
        )


def _stop(_: argparse.Namespace) -> None:
    from stages.cloud import account, job_service

    account.preflight(load().sagemaker, with_role=False)
    names = list(job_service.job_names(StatusEquals="InProgress"))
    for name in names:
        job_service.stop(name)
        print(f"job {name}: asked to stop")
    print(f"{len(names)} jobs were running")


def _cost(_: argparse.Namespace) -> None:
    """Print what every job of the project that AWS knows was billed. Spot's discount is in the seconds already."""
    from stages.cloud import account, job_service

    settings = load().sagemaker
    account.preflight(settings, with_role=False)
    rows, total, unpriced, sources = [], 0.0, 0, set()
    for name in job_service.job_names():
        job = job_service.describe(name) or {}
        instance_type, seconds = job["ResourceConfig"]["InstanceType"], job.get("BillableTimeInSeconds", 0)
        price = prices.price(instance_type, settings.price_per_hour)
        usd = price.of(seconds)
        total += usd or 0.0
        unpriced += usd is None
        sources.add(price.source)
        usd_text = "unknown" if usd is None else f"{usd:.4f}"
        rows.append([name, job["TrainingJobStatus"], instance_type, seconds, usd_text])
    headers = ["job", "state", "instance", "billed seconds", "US dollars"]
    print(tabulate(rows, headers=headers, disable_numparse=True))
    without = f", without {unpriced} whose price is not known" if unpriced else ""
    print(
        f"{total:.2f} US dollars in {len(rows)} jobs{without}: billed seconds × price "
        f"({'; '.join(sorted(sources)) or prices.source()}); what counts is AWS's bill"
    )


def _dockerfile(_: argparse.Namespace) -> None:
    from stages.cloud import account, images

    account.need_boto3()
    print(images.dockerfile(load().sagemaker), end="")


COMMANDS = {"plan": _plan, "retry": _retry, "stop": _stop, "cost": _cost, "dockerfile": _dockerfile}


def _missing_runs(variants: list[str]) -> list[PlannedRun]:
    from stages.train import runs

    stage_command.need(paths.PREPARED, "prepare")
    settings = params.load()
    return runs.missing(settings, settings.chosen_variants(variants))


@dataclass(frozen=True)
class Estimate:
    """seconds: that a job is billed for without spot's discount. Both None where unknown, and `unknown` says why."""

    seconds: float | None
    usd: float | None
    unknown: str = ""


def estimated_cost(variant: str, n_runs: int, settings: SageMaker) -> Estimate:
    """The cost of one job with this many runs of a variant.

    The instance trains as many runs at once as it has cores, each as fast as in data/timings/train.json.
    """
    timings = paths.TIMINGS / "train.json"
    record = paths.read_json(timings) if timings.exists() else {}
    run_seconds = record.get("runs", {})
    if variant not in run_seconds:
        return Estimate(None, None, "were never timed here")
    if instance_has_gpu(settings.instance_type) and record.get("instance_type") != settings.instance_type:
        return Estimate(None, None, f"were timed on other machines alone, not on the GPU of {settings.instance_type}")
    rounds = math.ceil(n_runs / prices.cores(settings.instance_type))
    seconds = START_SECONDS + run_seconds[variant] * rounds
    usd = prices.price(settings.instance_type, settings.price_per_hour).of(seconds)
    if usd is None:
        return Estimate(seconds, None, "have no known price")
    return Estimate(seconds, usd * (prices.SPOT_SHARE if settings.spot else 1.0))


def _price(runs: Sequence[PlannedRun], settings: SageMaker) -> str:
    """In words: how many jobs these runs take, about how much they cost, and how much at most."""
    from stages.cloud.job import jobs_of

    jobs = jobs_of(runs, settings)
    estimates = [estimated_cost(job.variant, len(job.runs), settings) for job in jobs]
    known = [estimate.usd for estimate in estimates if estimate.usd is not None]
    about = f"about {sum(known):.2f} US dollars" if known or not jobs else "no estimate"
    reasons = Counter(estimate.unknown for estimate in estimates if estimate.unknown)
    lacking = f" ({'; '.join(f'{n} {reason}' for reason, n in reasons.items())})" if reasons else ""
    price = prices.price(settings.instance_type, settings.price_per_hour)
    limit = price.of(len(jobs) * settings.max_runtime_minutes * 60)
    most = f"never more than {limit:.2f} (max_runtime_minutes, on demand)" if limit is not None else "no known limit"
    return f"{len(jobs)} jobs, {about}{lacking}, {most}; prices: {price.source}"


if __name__ == "__main__":
    stage_command.run(main)

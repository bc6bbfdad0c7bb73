"""See, stop and retry the training jobs on SageMaker, and see what they cost: `python -m stages.cloud`.

`dvc repro train` makes the jobs itself, waits for them and fetches their results.
"""

import argparse

from tabulate import tabulate

from stages.cloud import prices
from stages.cloud.settings import backend, instance_has_gpu, load
from stages.shared import params, paths, stage_command
from stages.shared.run_records import PlannedRun
from stages.shared.stage_command import StageError


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
    commands.add_parser("stop", help="stop every job of the project, and end the instances that are kept warm")
    commands.add_parser("cost", help="show what the project's jobs have cost")
    trial = commands.add_parser("try", help="train one small run here as a job would: in Docker, or as a process")
    trial.add_argument("variant", nargs="?", help="of this variant (default: the first one of the protocol)")
    trial.add_argument("--process", action="store_true", help="do not use Docker")
    commands.add_parser("track", help="log the protocol's finished runs to the MLflow server of compute.yaml")
    commands.add_parser("dockerfile", help="print the Dockerfile of an image with which a job installs nothing")
    for command in (plan, retry):
        command.add_argument("variant", nargs="*", help="only of these variants of the protocol (default: all of them)")
    return parser


def _plan(arguments: argparse.Namespace) -> None:
    """Print the jobs of the runs that are missing, what exists of them, and what they will cost."""
    from stages.cloud import account, estimates, job_service, training
    from stages.cloud.job import jobs_of

    missing = _missing_runs(arguments.variant)
    settings = training.place_of_jobs(paths.PREPARED).settings
    rows, unpaid = [], []
    for job in jobs_of(missing, settings):
        known = job_service.attempts(job)
        name, state = (known[-1][0], known[-1][1]["TrainingJobStatus"]) if known else (job.name(), "to be made")
        if state == "Completed" and not account.object_exists(known[-1][1]["ModelArtifacts"]["S3ModelArtifacts"]):
            state = "artifact gone"
        if state in ("Completed", "InProgress"):
            rows.append([name, len(job.runs), state, "", "paid for"])
        else:
            estimate = estimates.estimated_cost(job.variant, len(job.runs), settings)
            seconds = "unknown" if estimate.seconds is None else f"{estimate.seconds:.0f}"
            usd = "unknown" if estimate.usd is None else f"{estimate.usd:.4f}"
            rows.append([name, len(job.runs), state, seconds, usd])
            unpaid.append(job)
    headers = ["job", "runs", "state", "seconds", "US dollars"]
    print(tabulate(rows, headers=headers, disable_numparse=True))
    print(f"On {settings.instance_type}{', spot' if settings.spot else ''}, at most {settings.max_concurrent} at once")
    print(f"To be paid: {estimates.in_words([run for job in unpaid for run in job.runs], settings)}")
    for way in ("variant", "seed"):
        price = estimates.in_words(missing, settings.model_copy(update={"jobs": way}))
        print(f"All of it anew with `jobs: {way}`: {price}")
    if settings.jobs == "seed" and instance_has_gpu(settings.instance_type):
        print("A GPU trains the seeds of a variant together: `jobs: seed` gives that up, and pays a start for each")
    if settings.keep_alive_minutes and unpaid:
        cold = min(len(unpaid), settings.max_concurrent)
        print(
            f"With max_concurrent {settings.max_concurrent}, {cold} of {len(unpaid)} jobs start on a new instance and "
            f"{len(unpaid) - cold} on one that is warm, or more where instances wait from before"
        )
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
            f"{place.settings.max_concurrent}): run it again when one has ended"
        )


def _stop(_: argparse.Namespace) -> None:
    from stages.cloud import account, job_service, warm_pools

    settings = load().sagemaker
    account.preflight(settings, with_role=False)
    names = list(job_service.job_names(StatusEquals="InProgress"))
    stopping = list(job_service.job_names(StatusEquals="Stopping"))
    for name in names:
        has_run = job_service.stop(name)
        print(f"job {name}: {'asked to stop' if has_run else 'had just ended'}", flush=True)
    for name in warm_pools.end_all([*names, *stopping], settings.poll_seconds):
        print(f"the instance that was kept warm after job {name}: ended")
    print(f"{len(names)} jobs were running")


def _cost(_: argparse.Namespace) -> None:
    """Print what every job of the project that AWS knows was billed. Spot's discount is in the seconds already."""
    from stages.cloud import account, job_service, warm_pools

    settings = load().sagemaker
    account.preflight(settings, with_role=False)
    rows, total, unpriced, sources = [], 0.0, 0, set()
    for name in job_service.job_names():
        job = job_service.describe(name) or {}
        instance_type, seconds = job["ResourceConfig"]["InstanceType"], job.get("BillableTimeInSeconds", 0)
        warm_seconds = warm_pools.kept_seconds(job)
        price = prices.price(instance_type, settings.price_per_hour)
        usd = price.of(seconds + warm_seconds)
        total += usd or 0.0
        unpriced += usd is None
        sources.add(price.source)
        usd_text = "unknown" if usd is None else f"{usd:.4f}"
        rows.append([name, job["TrainingJobStatus"], instance_type, seconds, warm_seconds, usd_text])
    headers = ["job", "state", "instance", "billed seconds", "kept warm", "US dollars"]
    print(tabulate(rows, headers=headers, disable_numparse=True))
    without = f", without {unpriced} whose price is not known" if unpriced else ""
    print(
        f"{total:.2f} US dollars in {len(rows)} jobs{without}: billed seconds and those kept warm × price "
        f"({'; '.join(sorted(sources)) or prices.source()}); what counts is AWS's bill"
    )


def _dockerfile(_: argparse.Namespace) -> None:
    from stages.cloud import account, images

    account.need_boto3()
    print(images.dockerfile(load().sagemaker), end="")


def _try(arguments: argparse.Namespace) -> None:
    from stages.cloud import trial

    stage_command.need(paths.PREPARED, "prepare")
    trial.try_container(params.load(), arguments.variant, load().sagemaker, arguments.process)


def _track(_: argparse.Namespace) -> None:
    from stages.cloud import tracking
    from stages.train.runs import planned_runs

    uri = load().mlflow_tracking_uri
    if uri is None:
        raise StageError("no MLflow server is named; set MLFLOW_TRACKING_URI (or mlflow_tracking_uri in compute.yaml)")
    stage_command.need(paths.PREPARED, "prepare")
    settings = params.load()
    tracking.log(planned_runs(settings, settings.trained_variants), uri, {})


COMMANDS = {
    "plan": _plan,
    "retry": _retry,
    "stop": _stop,
    "cost": _cost,
    "try": _try,
    "track": _track,
    "dockerfile": _dockerfile,
}


def _missing_runs(variants: list[str]) -> list[PlannedRun]:
    from stages.train import runs

    stage_command.need(paths.PREPARED, "prepare")
    settings = params.load()
    return runs.missing(settings, settings.chosen_variants(variants))


if __name__ == "__main__":
    stage_command.run(main)

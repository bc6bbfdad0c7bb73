"""Before `dvc repro`, which runs one stage after another: make all training jobs that it will wait for.

What a killed DVC left is cleared first.

`python -m stages.cloud.submit`. A stage is right without this step too: it makes the job that it does not find.
"""

import argparse

from stages import stale
from stages.cloud import settings
from stages.shared import params, paths, stage_command
from stages.train import dvc_lock


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.cloud.submit", description=f"{__doc__}")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--dry-run",
        action="store_true",
        help="say which jobs would be made, on what and at which price; change nothing",
    )
    choice.add_argument("--retry-failed", action="store_true", help="make jobs that failed again, as they are")
    choice.add_argument("--stop", action="store_true", help="stop every job of the project that runs")
    choice.add_argument("--cost", action="store_true", help="say what the jobs of the variants that are here cost")
    parser.add_argument("variant", nargs="*", help="of the protocol; all that DVC would train, if none is named")
    asked = parser.parse_args()
    dvc_lock.mend()
    if settings.backend() == "local":
        print("training runs on this machine (`backend` in compute.yaml, or COMPUTE_BACKEND): no jobs")
        return
    # The rest imports what a local user need not have.
    from stages.cloud import overview

    if asked.stop:
        overview.stop_all()
    elif asked.cost:
        overview.print_cost()
    elif asked.dry_run:
        stage_command.need(paths.PREPARED, "plan prepare")
        if stale.stale_stages("plan", "prepare"):
            print(
                "plan or prepare is not up to date (`dvc repro plan prepare`): what follows is for the settings and data of their last run"
            )
        overview.print_plan(_plans(asked.variant))
    else:
        stale.make("plan", "prepare")
        overview.submit(_plans(asked.variant), asked.retry_failed)


def _plans(variants: list[str]) -> dict[str, params.TrainPlan]:
    return {key: params.train_plan(key) for key in variants or stale.stale_variants("train")}


if __name__ == "__main__":
    stage_command.run(main)

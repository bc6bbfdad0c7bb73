"""Train every seed of one variant: `python -m stages.train cnn`."""

import argparse

from stages.shared import params, paths, stage_command
from stages.train.backend import train_seeds
from stages.train.variant import gather, summary


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m stages.train", description="Train every seed of one variant of params.yaml."
    )
    parser.add_argument("variant", help="one of the protocol's `variants` in params.yaml")
    key = parser.parse_args().variant
    plan = params.train_plan(key)
    stage_command.need(paths.PREPARED, "prepare")
    with stage_command.timed(f"train-{key}") as record, paths.whole_folder(paths.RUNS / key) as out:
        with paths.scratch_folder(f"train-{key}") as seeds:
            record |= train_seeds(key, plan, paths.PREPARED, seeds)
            metrics = gather(key, plan.run, plan.seeds, paths.PREPARED, seeds, out)
        print(summary(metrics))


if __name__ == "__main__":
    stage_command.run(main)

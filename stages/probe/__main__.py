"""Probe every seed of one trained variant: `python -m stages.probe cnn`."""

import argparse

from stages.probe.ahead import finished_seeds, probe_ahead
from stages.probe.variant import gather
from stages.shared import params, paths, run_records, stage_command


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m stages.probe", description="Probe every trained seed of one variant of params.yaml."
    )
    parser.add_argument("variant", help="one of the protocol's `variants` in params.yaml")
    key = parser.parse_args().variant
    plan = params.probe_plan(key)
    stage_command.need(paths.PREPARED, "prepare")
    stage_command.need(paths.RUNS / key, f"train@{key}")
    with stage_command.timed(f"probe-{key}") as record, paths.whole_folder(paths.PROBES / key) as out:
        probed = probe_ahead({key: plan}, paths.PREPARED, paths.RUNS)[key]
        seeds = finished_seeds(plan, paths.RUNS / key)
        gather(key, seeds, probed, out)
        record["core_seconds"] = round(sum(run_records.seconds(probed / f"seed_{seed}") for seed in seeds), 2)
    run_records.forget(paths.PROBED_SEEDS, key)
    run_records.forget(paths.FINISHED_SEEDS, key)  # not before: DVC keeps a training only after its stage has ended


if __name__ == "__main__":
    stage_command.run(main)

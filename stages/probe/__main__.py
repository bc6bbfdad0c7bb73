"""Probe every seed of one trained variant: `python -m stages.probe cnn`."""

import argparse

from stages import kept, params, paths, provenance
from stages.probe.ahead import finished_seeds, probe_ahead
from stages.probe.variant import gather


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.probe", description="Probe every trained seed of one variant of params.yaml.")
    parser.add_argument("variant", help="one of the protocol's `variants` in params.yaml")
    key = parser.parse_args().variant
    plan = params.probe_plan(key)
    provenance.need(paths.PREPARED, "prepare")
    provenance.need(paths.RUNS / key, f"train@{key}")
    with provenance.timed(f"probe-{key}") as record, paths.whole_folder(paths.PROBES / key) as out:
        probed = probe_ahead({key: plan}, paths.PREPARED, paths.RUNS)[key]
        seeds = finished_seeds(plan, paths.RUNS / key)
        gather(key, seeds, probed, out)
        record["core_seconds"] = round(sum(kept.seconds(probed / f"seed_{seed}") for seed in seeds), 2)
    kept.forget(paths.PROBED_SEEDS, key)
    kept.forget(paths.FINISHED_SEEDS, key)  # not before: DVC keeps a training only after its stage has ended


if __name__ == "__main__":
    provenance.run(main)

"""Probe every seed of one trained variant: `python -m stages.probe cnn`."""

import argparse

from stages import params, paths, provenance
from stages.probe.variant import probe_variant


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.probe", description="Probe every trained seed of one variant of params.yaml.")
    parser.add_argument("variant", help="one of the protocol's `variants` in params.yaml")
    key = parser.parse_args().variant
    plan = params.probe_plan(key)
    provenance.need(paths.PREPARED, "prepare")
    provenance.need(paths.RUNS / key, f"train@{key}")
    paths.forget_seeds(key)  # not before: DVC keeps a training only after its stage has ended
    with (
        provenance.timed(f"probe-{key}"),
        paths.whole_folder(paths.PROBES / key) as out,
        paths.scratch_folder(f"probe-{key}") as scratch,
    ):
        probe_variant(key, plan, paths.PREPARED, paths.RUNS / key, scratch, out)


if __name__ == "__main__":
    provenance.run(main)

"""Probe every seed of one trained variant: `python -m stages.probe cnn`."""

import argparse
import tempfile
from pathlib import Path

from stages import params, paths, provenance
from stages.probe.variant import probe_variant


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.probe", description="Probe every trained seed of one variant of params.yaml.")
    parser.add_argument("variant", help="one of the protocol's `variants` in params.yaml")
    key = parser.parse_args().variant
    plan = params.probe_plan(key)
    provenance.need(paths.PREPARED, "prepare")
    provenance.need(paths.RUNS / key, f"train@{key}")
    with (
        provenance.timed(f"probe-{key}"),
        paths.whole_folder(paths.PROBES / key) as out,
        tempfile.TemporaryDirectory(dir=paths.PARTIAL) as scratch,
    ):
        probe_variant(key, plan, paths.PREPARED, paths.RUNS / key, Path(scratch), out)


if __name__ == "__main__":
    provenance.run(main)

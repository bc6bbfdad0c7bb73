"""Probe every seed of one trained variant: `python -m stages.probe cnn`."""

import argparse
import tempfile
from pathlib import Path

from stages import params, paths, provenance


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.probe", description="Probe every trained seed of one variant of params.yaml.")
    parser.add_argument("variant", help="its key under `variants` in params.yaml")
    key = parser.parse_args().variant
    settings = params.load()
    run = settings.variant(key).run
    protocol = settings.active_protocol
    provenance.need(paths.PREPARED, "prepare")
    provenance.need(paths.RUNS / key, f"train@{key}")
    with provenance.timed(f"probe-{key}"), paths.whole_folder(paths.PROBES / key) as out:
        # torch is imported with stages.probe.variant: a variant that is left out does without.
        if key not in settings.active_variants:
            paths.write_json(out / "probe.json", {"variant": key, "skipped": True})
            print(f"probe {key}: protocol {settings.protocol!r} leaves this variant out")
            return
        from stages.probe.variant import probe_variant

        with tempfile.TemporaryDirectory(dir=paths.PARTIAL) as scratch:
            probe_variant(key, run, settings.seeds(key), protocol.probe_images, settings.probe, paths.PREPARED, paths.RUNS / key, Path(scratch), out)


if __name__ == "__main__":
    provenance.run(main)

"""Train every seed of one variant: `python -m stages.train cnn`."""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from stages import params, paths, provenance


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m stages.train", description="Train every seed of one variant of params.yaml.")
    parser.add_argument("variant", help="its key under `variants` in params.yaml")
    key = parser.parse_args().variant
    settings = params.load()
    run = settings.variant(key).run
    protocol, chosen = settings.active_protocol, settings.seeds(key)
    provenance.need(paths.PREPARED, "prepare")
    with provenance.timed(f"train-{key}", backend="local", device="cpu") as record, paths.whole_folder(paths.RUNS / key) as out:
        if key not in settings.active_variants:
            paths.write_json(out / "metrics.json", {"variant": key, "skipped": True})
            print(f"train {key}: protocol {settings.protocol!r} leaves this variant out")
            return
        # torch is imported here, so that a stage with nothing to train costs nothing.
        from stages.train.compute.local import train_seeds
        from stages.train.variant import gather

        with tempfile.TemporaryDirectory(dir=paths.PARTIAL) as seeds:
            train_seeds(key, run, protocol.epochs, chosen, paths.PREPARED, Path(seeds))
            metrics = gather(key, run, chosen, paths.PREPARED, Path(seeds), out)
        accuracies = [one["test_accuracy"] for one in metrics["runs"]]
        record["packages"] = provenance.packages()
        print(f"train {key}: test accuracy {np.mean(accuracies):.4f}, from {min(accuracies):.4f} to {max(accuracies):.4f} over {len(accuracies)} seeds")


if __name__ == "__main__":
    provenance.run(main)

"""Before `dvc repro`, which runs one stage after another: do on all cores at once what its train and probe stages will ask for.

`python -m stages.ahead`. The stages then find their seeds kept, and none has to import torch or to leave a core idle.
They are right without this, too, and no result depends on it.
"""

import argparse

from stages import params, paths, provenance, stale
from stages.aws import settings
from stages.probe.ahead import probe_ahead
from stages.train.compute.local import train_ahead

INPUTS = ("plan", "prepare")


def main() -> None:
    argparse.ArgumentParser(prog="python -m stages.ahead", description=f"{__doc__}").parse_args()
    if not _anything_to_do():
        return
    stale.make(*INPUTS)
    if settings.backend() == "local" and (variants := stale.stale_variants("train")):
        with provenance.timed("train-ahead"):
            train_ahead({key: params.train_plan(key) for key in variants}, paths.PREPARED)
    stale.make("train")
    if variants := stale.stale_variants("probe"):
        with provenance.timed("probe-ahead"):
            probe_ahead({key: params.probe_plan(key) for key in variants}, paths.PREPARED, paths.RUNS)


def _anything_to_do() -> bool:
    try:
        return any(stage.partition("@")[0] in {*INPUTS, "download", "train", "probe"} for stage in stale.stale_stages())
    except provenance.StageError:  # a dry run fails where a stage's input is still to be made
        return True


if __name__ == "__main__":
    provenance.run(main)

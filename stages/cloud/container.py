"""What runs inside a training job of SageMaker: `python -m stages.cloud.container`.

It trains as on this machine, and leaves the seeds' folders for the artifact. Only the standard library may be imported
before the image has the packages.
"""

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from stages.shared import instruction_set, paths, provenance

REASON_CHARACTERS = 1024  # of /opt/ml/output/failure; SageMaker cuts off the rest
REQUIREMENTS = "requirements.txt"


def main() -> None:
    signal.signal(signal.SIGTERM, _stopped)  # as process 1 it would else not be ended by the signal
    try:
        _install_missing(paths.ROOT / REQUIREMENTS)
        _train(_spec(paths.read_json(paths.CONTAINER / "input" / "config" / "hyperparameters.json")))
    except Exception as error:
        traceback.print_exc()
        expected = type(error).__name__ == "StageError"
        reason = str(error) if expected else traceback.format_exc().strip()
        failure = paths.CONTAINER / "output" / "failure"
        failure.parent.mkdir(parents=True, exist_ok=True)
        failure.write_text(reason[-REASON_CHARACTERS:], encoding="utf-8")
        sys.exit(1)


def _stopped(*_: Any) -> None:
    sys.exit("stopped; the seeds that are finished are kept among the checkpoints")


def _spec(hyperparameters: dict[str, str]) -> dict[str, Any]:
    """The job's specification, which comes in parts, since a hyperparameter may have 2,500 characters."""
    spec: dict[str, Any] = json.loads(
        "".join(hyperparameters[name] for name in sorted(hyperparameters) if name.startswith("job_"))
    )
    return spec


def _train(spec: dict[str, Any]) -> None:
    instruction_set.pin(spec["plan"]["machine"]["instruction_set"])
    from stages.shared.params import TrainPlan
    from stages.train.local import train_seeds

    variant = spec["variant"]
    plan = TrainPlan.model_validate_json(json.dumps(spec["plan"]))
    paths.FINISHED_SEEDS = paths.CONTAINER / "checkpoints"  # SageMaker keeps this folder over an interruption
    start = time.monotonic()
    out = paths.CONTAINER / "model"
    train_seeds(variant, plan, paths.CONTAINER / "input" / "data" / "prepared", out)
    seconds = round(time.monotonic() - start, 2)
    paths.write_json(
        out / "job.json", {"train_seconds": seconds, "packages": provenance.packages(), **provenance.machine()}
    )


def _install_missing(requirements: Path) -> None:
    """Install the pinned packages that the image lacks or has in another version. torch is the image's own."""
    lines = requirements.read_text(encoding="utf-8").split()
    missing = [line for line in lines if _version(line.split("==")[0]) != line.split("==")[1]]
    if missing:
        print("installing", *missing, flush=True)
        options = ["--quiet", "--no-deps", "--disable-pip-version-check", "--root-user-action=ignore"]
        subprocess.run([sys.executable, "-m", "pip", "install", *options, *missing], check=True)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


if __name__ == "__main__":
    os.environ.setdefault("TQDM_MININTERVAL", "30")  # a log has no use for a bar that moves
    main()

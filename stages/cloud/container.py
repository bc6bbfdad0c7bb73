"""What runs inside a training job of SageMaker: `python -m stages.cloud.container`.

It trains as on this machine, and leaves the runs' folders for the artifact. Only the standard library may be imported
before the packages that the image lacks are installed.
"""

import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
import traceback
from functools import partial
from typing import Any

from stages.cloud import job_metrics
from stages.shared import instruction_set, paths, provenance

REASON_CHARACTERS = 1024  # of /opt/ml/output/failure; SageMaker cuts off the rest
REQUIREMENTS = "requirements.txt"


class PackagesMissing(Exception):
    """The packages that the image lacks cannot be installed; the text says what to do."""


def main() -> None:
    signal.signal(signal.SIGTERM, _stop)  # process 1 would otherwise ignore the signal
    try:
        content = _hyperparameters()
        instruction_set.use(content["spec"]["instruction_set"])
        _install_missing_packages()
        _train(content)
    except Exception as error:
        traceback.print_exc()
        expected = type(error).__name__ in ("StageError", "PackagesMissing")
        reason = str(error) if expected else traceback.format_exc().strip()
        failure = paths.CONTAINER / "output" / "failure"
        failure.parent.mkdir(parents=True, exist_ok=True)
        failure.write_text(reason[-REASON_CHARACTERS:], encoding="utf-8")
        sys.exit(1)


def _stop(*_: Any) -> None:
    sys.exit("stopped; the runs that are finished are kept among the checkpoints")


def _hyperparameters() -> dict[str, Any]:
    """The runs to train, as stages.cloud.job.hyperparameters wrote them."""
    parts = paths.read_json(paths.CONTAINER / "input" / "config" / "hyperparameters.json")
    content: dict[str, Any] = json.loads("".join(parts[name] for name in sorted(parts) if name.startswith("job_")))
    return content


def _train(content: dict[str, Any]) -> None:
    """Train the runs that are not among the checkpoints, which SageMaker keeps over an interruption."""
    from stages.shared.run_records import PlannedRun, Store, missing_runs
    from stages.train import local
    from stages.train.run_spec import RunSpec

    spec = RunSpec.model_validate_json(json.dumps(content["spec"]))
    runs = [
        PlannedRun(content["variant"], int(seed), digest, spec.model_copy(update={"seed": int(seed)}))
        for seed, digest in content["digests"].items()
    ]
    checkpoints = Store(paths.CONTAINER / "checkpoints")
    missing = missing_runs(runs, paths.RUNS, lambda: checkpoints)
    print(f"{len(runs) - len(missing)} of {len(runs)} runs were finished before", flush=True)
    prepared = paths.CONTAINER / "input" / "data" / "prepared"
    finished = partial(job_metrics.place_and_print, root=paths.RUNS, store=checkpoints)
    run_seconds = local.train(missing, prepared, finished) if missing else []
    out = paths.CONTAINER / "model"
    shutil.copytree(paths.RUNS, out, dirs_exist_ok=True)
    record = {"run_seconds": run_seconds, "packages": provenance.packages(), **provenance.machine()}
    paths.write_json(out / "job.json", record)


def _install_missing_packages() -> None:
    """Install the pinned packages that the image lacks or has in another version. torch is the image's own."""
    pins = (paths.ROOT / REQUIREMENTS).read_text(encoding="utf-8").split()
    missing = [pin for pin in pins if installed_version(pin.split("==")[0]) != pin.split("==")[1]]
    if missing:
        print("installing", *missing, flush=True)
        options = ["--quiet", "--no-deps", "--disable-pip-version-check", "--root-user-action=ignore"]
        pip = subprocess.run(
            [sys.executable, "-m", "pip", "install", *options, *missing],
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        sys.stderr.write(pip.stderr)
        if pip.returncode:
            last = [line for line in pip.stderr.splitlines() if line.startswith("ERROR")][-1:]
            raise PackagesMissing(
                f"the image lacks {', '.join(missing)}, and pip cannot install them ({' '.join(last)[:300]}). "
                "The job needs a route to PyPI (of subnets: a NAT gateway), or an image that has these packages: "
                "`python -m stages.cloud dockerfile` prints its Dockerfile, and SAGEMAKER_IMAGE names it"
            )


def installed_version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


if __name__ == "__main__":
    os.environ.setdefault("TQDM_MININTERVAL", "30")  # a log has no use for a bar that moves
    main()

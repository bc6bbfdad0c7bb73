"""Try the container of a training job on this machine: the very command of a job, for one small run."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from stages.cloud import images
from stages.cloud.account import need_boto3
from stages.cloud.container import installed_version
from stages.cloud.job import COMMAND, DATA, Job, code_archive, hyperparameters, image_name, jobs_of, requirements
from stages.cloud.settings import SageMaker
from stages.shared import paths
from stages.shared.params import Params
from stages.shared.prepared_data import load_constants
from stages.shared.run_records import PlannedRun, Store, is_finished, own_net_files, place
from stages.shared.stage_command import StageError
from stages.train import local
from stages.train.length import training_epochs
from stages.train.runs import planned_runs

FOLDER = "try"  # below data/partial; stays until the next trial
TRAIN_IMAGES, VAL_IMAGES, EPOCHS = 1000, 200, 1
ML = "/opt/ml"  # what SageMaker calls the folder in a container
CODE = f"{ML}/input/data/code/code.tar.gz"  # in COMMAND


def try_container(settings: Params, variant: str | None, place_of_jobs: SageMaker, as_process: bool) -> None:
    """Train one small run as a job would, and the same run without a container, and compare every byte.

    variant: None: the first of the protocol. as_process: do not use Docker, even where it is there.
    Raises StageError if the container fails, or what it leaves is not the run that was asked for.
    """
    run = small_run(settings, variant or settings.chosen_protocol.variants[0])
    (job,) = jobs_of([run], place_of_jobs)
    root = paths.PARTIAL / FOLDER
    _remove(root)
    ml, here = root / "ml", root / "here"
    lay_out(job, ml)
    reason = "--process was given" if as_process else _docker_is_missing()
    epochs = training_epochs(run.spec.recipe, run.spec.train_size)
    command, environment, where = _as_process(ml) if reason else _in_docker(ml, run, place_of_jobs)
    print(
        f"try: variant {run.variant!r}, seed {run.seed}, on {run.spec.train_size} images, epochs: {epochs}\n"
        f"  where     {where}{f' ({reason})' if reason else ''}\n  /opt/ml   {ml}\n  command   {COMMAND}",
        flush=True,
    )
    start = time.monotonic()
    code = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=False).returncode
    seconds = time.monotonic() - start
    if not reason:
        _own(ml, place_of_jobs)
    if code:
        failure = ml / "output" / "failure"
        message = failure.read_text(encoding="utf-8") if failure.exists() else "it wrote no /opt/ml/output/failure"
        raise StageError(f"the container failed with exit code {code}: {message}\nits folder stays: {ml}")
    result = ml / "model" / run.folder
    if not is_finished(result, run.digest):
        raise StageError(f"the container ended, but {result} does not hold the run that was asked for")
    local.train([run], paths.PREPARED, partial(place, root=here, store=Store(root / "store")))
    different = [
        file.name
        for file in sorted((here / run.folder).iterdir())
        if file.read_bytes() != (result / file.name).read_bytes()
    ]
    same = "every byte is as trained here without a container"
    if different:
        same = f"{', '.join(different)} differ from those trained here: another build of torch, or another CPU?"
    print(f"try: done in {seconds:.1f} s; {same}\n  the run   {result}", flush=True)


def small_run(settings: Params, variant: str) -> PlannedRun:
    """The first seed of a variant, with few images, and one epoch unless the variant has a length of its own."""
    n_images = sum(load_constants(paths.PREPARED)["class_counts"]["train"])
    sizes = {"train_size": min(TRAIN_IMAGES, n_images // 2), "val_size": min(VAL_IMAGES, n_images // 4)}
    longer = settings.chosen_protocol.longer if variant in settings.longer_variants else None
    changes = sizes | {"epochs": EPOCHS, "longer": longer}
    protocol = settings.chosen_protocol.model_copy(update=changes)
    small = settings.model_copy(update={"protocols": {**settings.protocols, settings.protocol: protocol}})
    return planned_runs(small, settings.chosen_variants([variant]))[0]


def lay_out(job: Job, ml: Path) -> None:
    """Write the files that SageMaker puts into /opt/ml before a job begins."""
    for part in ("input/config", "input/data/code", "input/data/prepared", "model", "output", "checkpoints", "tmp"):
        (ml / part).mkdir(parents=True)
    paths.write_json(ml / "input" / "config" / "hyperparameters.json", hyperparameters(job))
    own_net = own_net_files(job.runs[0].spec.architecture.own_module)
    (ml / "input" / "data" / "code" / "code.tar.gz").write_bytes(code_archive(own_net))
    for file in sorted(file for pattern in DATA for file in paths.PREPARED.glob(pattern)):
        shutil.copy2(file, ml / "input" / "data" / "prepared")


def _docker_is_missing() -> str:
    """Why Docker cannot be used; "" where it can."""
    if shutil.which("docker") is None:
        return "there is no Docker here"
    docker_info = subprocess.run(
        ["docker", "info"], capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if docker_info.returncode == 0:
        return ""
    last = (docker_info.stderr.strip() or docker_info.stdout.strip() or "no reason was given").splitlines()[-1]
    return f"Docker does not answer: {last}"


def _as_process(ml: Path) -> tuple[list[str], dict[str, str], str]:
    """The command with `ml` in place of /opt/ml, and this environment's Python. It would install what is missing."""
    missing = [pin for pin in requirements() if installed_version(pin.split("==")[0]) != pin.split("==")[1]]
    if missing:
        raise StageError(
            f"without Docker the command runs in this environment, which lacks {', '.join(missing)}; "
            "`make venv` installs what requirements.lock pins"
        )
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "ML_ROOT": str(ml),
        "TMPDIR": str(ml / "tmp"),
        **{name: os.environ[name] for name in ("MAX_WORKERS", "LD_LIBRARY_PATH") if name in os.environ},
    }
    quoted = COMMAND.replace("$(mktemp -d)", '"$(mktemp -d)"').replace(CODE, shlex.quote(CODE.replace(ML, str(ml))))
    return ["/bin/bash", "-c", quoted], environment, "a process of this machine"


def _in_docker(ml: Path, run: PlannedRun, settings: SageMaker) -> tuple[list[str], dict[str, str], str]:
    need_boto3()
    image = images.training_image(image_name(settings), settings.instance_type)
    options = ["--rm", "--volume", f"{ml}:{ML}", "--shm-size", "1g"]
    if settings.network_isolation:
        options += ["--network", "none"]
    if run.spec.device == "cuda":
        options += ["--gpus", "all"]
    command = ["docker", "run", *options, "--entrypoint", "/bin/bash", image, "-c", COMMAND]
    return command, dict(os.environ), f"Docker, image {image}"


def _own(ml: Path, settings: SageMaker) -> None:
    """Give what the container, as root, has written to the user."""
    image = images.training_image(image_name(settings), settings.instance_type)
    owner = f"{os.getuid()}:{os.getgid()}"
    command = ["docker", "run", "--rm", "--volume", f"{ml}:{ML}", "--entrypoint", "chown", image, "-R", owner, ML]
    subprocess.run(command, capture_output=True, check=False)


def _remove(root: Path) -> None:
    try:
        if root.exists():
            shutil.rmtree(root)
    except PermissionError:
        raise StageError(
            f"{root} is left by a container that ran as root: remove it with `sudo rm -r {root}`"
        ) from None

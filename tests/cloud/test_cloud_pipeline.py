"""A whole pipeline in a clone whose training runs in jobs."""

import json
import os
import re
import signal
import tarfile
import time
from functools import partial
from io import BytesIO

import pytest
from pipeline_workspace import stages_in

pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")
pytest.importorskip("sagemaker.core.resources", reason="the extra `sagemaker` is not installed")
pytest.importorskip("moto.server", reason="moto is not installed")

from small_jobs import log_of, objects

from stages.shared import paths

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prepared")]

SECRET = "planted-" + "secret-7f3a9c"  # in two, so that this file does not hold it


def test_a_local_user_neither_installs_nor_imports_what_sagemaker_needs(workspace, tmp_path):
    names = ("boto3", "botocore", "sagemaker", "sagemaker_core")
    pinned = {line.split("==")[0] for line in paths.LOCK.read_text().splitlines()}
    assert not pinned & {name.replace("_", "-") for name in names}
    for name in names:
        record = f"open({str(tmp_path / 'imported')!r}, 'a').write({name!r})"
        (tmp_path / f"{name}.py").write_text(f"{record}; raise ModuleNotFoundError({name!r})")
    workspace.forget("cnn")
    assert "train" in workspace.repro("train", PYTHONPATH=str(tmp_path))
    for arguments in ("stages.cloud", "plan"), ("stages.tools.deploy", "package"):
        workspace.succeed("python", "-m", *arguments, PYTHONPATH=str(tmp_path))
    assert not (tmp_path / "imported").exists()


@pytest.fixture
def remote(layer, workspace):
    """A clone with no run, whose training runs in jobs, with secrets beside the code."""
    workspace.forget("cnn", "kernel_1", "fully_connected")
    with workspace.edited("compute.yaml") as settings:
        settings["sagemaker"]["poll_seconds"] = 0.2
    (workspace.folder / ".env").write_text(f"AWS_SECRET_ACCESS_KEY={SECRET}\n")
    (workspace.folder / "stages" / "cloud" / "credentials.json").write_text(SECRET)  # no dep of a stage lies here
    environment = layer.environment | {"AWS_SECRET_ACCESS_KEY": SECRET, "OMP_NUM_THREADS": "1"}
    workspace.succeed = partial(workspace.succeed, **environment)
    workspace.start = partial(workspace.start, **environment)
    return workspace


def test_training_in_jobs_ends_in_the_very_lock_file_of_local_training_and_no_secret_is_kept(remote, layer):
    lock = remote.read("dvc.lock")
    prepared = remote.folder / "data" / "prepared"
    prepared.rename(remote.folder / "aside")
    code, plan = remote.run("python", "-m", "stages.cloud", "plan")
    assert code == 1
    assert plan.strip().endswith("data/prepared is missing; `dvc repro prepare` makes it")
    (remote.folder / "aside").rename(prepared)
    plan = remote.succeed("python", "-m", "stages.cloud", "plan")
    assert len(re.findall(r"^wcb-.* to be made ", plan, re.MULTILINE)) == 3
    output = remote.succeed("dvc", "repro", "train")
    assert "train" in stages_in(output)
    assert len(layer.created) == 3
    assert remote.read("dvc.lock") == lock
    assert "To be paid: 0 jobs" in remote.succeed("python", "-m", "stages.cloud", "plan")
    cost = remote.succeed("python", "-m", "stages.cloud", "cost")
    assert "US dollars in 3 jobs" in cost
    secrets = (".env", "credentials.json")
    files = [file for file in remote.folder.rglob("*") if file.is_file() and file.name not in secrets]
    kept = {str(file): file.read_bytes() for file in files} | objects(layer)
    for name, content in list(kept.items()):
        if name.endswith(".tar.gz"):
            with tarfile.open(fileobj=BytesIO(content)) as archive:
                kept |= {f"{name}/{m.name}": archive.extractfile(m).read() for m in archive if m.isfile()}
    kept |= {name: "\n".join(log_of(layer, name)).encode() for name in layer.jobs}
    kept["states"] = json.dumps([job.state for job in layer.jobs.values()]).encode()
    kept["output"] = (plan + output + cost).encode()
    assert not [name for name, content in kept.items() if SECRET.encode() in content]


def test_an_interrupted_repro_says_how_to_stop_what_runs_and_the_next_one_attaches(remote, ready_made, layer):
    layer.runs = False
    process = remote.start("dvc", "repro", "train")
    deadline = time.monotonic() + 120
    while len(layer.created) < 3:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "interrupted\nThese jobs go on and are paid for" in output
    assert "`python -m stages.cloud stop` stops them" in output
    assert "Traceback" not in output
    for state in layer.jobs.values():
        state.thread.start()
    remote.succeed("dvc", "repro", "train")
    assert len(layer.created) == 3


def test_without_the_extra_the_message_says_what_to_install(remote):
    blocked = (
        "import sys; sys.modules['boto3'] = None; sys.argv = ['train', 'cnn'];"
        "import runpy; runpy.run_module('stages.train', run_name='__main__')"
    )
    code, output = remote.run("python", "-c", blocked)
    assert code == 1
    assert output.strip().endswith(
        "SageMaker needs packages that are not installed: `make sagemaker` installs them (local training does without)"
    )

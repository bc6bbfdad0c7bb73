"""`python -m stages.cloud try`: the command of a job on this machine, as a process, and as Docker would be told to."""

import json
import os
import shlex
import sys

import pytest

pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")
pytest.importorskip("sagemaker.core.resources", reason="the extra `sagemaker` is not installed")
pytest.importorskip("moto.server", reason="moto is not installed")

from small_jobs import command_line, compute
from small_model import small_settings

from stages.cloud import trial
from stages.shared import params, paths
from stages.shared.stage_command import StageError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prepared")]

# Stands in for Docker: it notes what it was told, and runs the command with the volume in place of /opt/ml.
DOCKER = f"""#!{sys.executable}
import json, os, subprocess, sys
arguments = sys.argv[1:]
with open(os.environ["DOCKER_NOTES"], "a") as notes:
    notes.write(json.dumps(arguments) + chr(10))
if arguments[0] == "info":
    sys.exit(int(os.environ.get("DOCKER_INFO", 0)))
if arguments[arguments.index("--entrypoint") + 1] == "chown":
    sys.exit(0)
ml = arguments[arguments.index("--volume") + 1].partition(":")[0]
entry, image, *rest = arguments[arguments.index("--entrypoint") + 1 :]
environment = {{"PATH": os.path.dirname(sys.executable) + ":/usr/bin:/bin", "ML_ROOT": ml}}
sys.exit(subprocess.run([entry, *(part.replace("/opt/ml", ml) for part in rest)], env=environment).returncode)
"""


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    small = small_settings({"cnn": {}, "cnn_2": {}}, (3, 4), channels=(2, 4))
    monkeypatch.setattr(params, "load", lambda: small)
    monkeypatch.setenv("MAX_WORKERS", "1")


@pytest.fixture
def docker(tmp_path, monkeypatch):
    """Returns a function that tells with which arguments Docker was called."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "docker").write_text(DOCKER)
    (tmp_path / "bin" / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("DOCKER_NOTES", str(tmp_path / "notes"))
    return lambda: [json.loads(line) for line in (tmp_path / "notes").read_text().splitlines()]


def test_a_process_trains_one_small_run_in_a_folder_like_opt_ml_and_it_is_the_same_as_here(monkeypatch, capfd):
    command_line(monkeypatch, "try", "--process")
    printed = capfd.readouterr().out
    ml = paths.PARTIAL / "try" / "ml"
    assert "try: variant 'cnn', seed 3, on 60 images, epochs: 3\n" in printed
    assert f"where     a process of this machine (--process was given)\n  /opt/ml   {ml}\n" in printed
    assert "exec python -m stages.cloud.container" in printed
    assert "every byte is as trained here without a container" in printed
    assert {file.name for file in (ml / "model" / "cnn" / "seed_3").iterdir()} >= {"metrics.json", "record.json"}
    assert {"hyperparameters.json"} == {file.name for file in (ml / "input" / "config").iterdir()}
    assert not (paths.RUNS / "cnn").exists(), "a trial is no result"


def test_a_folder_with_odd_letters_in_its_name_is_quoted(tmp_path):
    _, _, script = trial._as_process(tmp_path / "it's a [x] & more")[0]
    archive = shlex.split(script.partition("tar -xzf ")[2].partition(" && ")[0])
    assert archive == [str(tmp_path / "it's a [x] & more" / "input" / "data" / "code" / "code.tar.gz")]


def test_docker_is_given_the_image_the_folder_and_the_command_of_a_job(monkeypatch, capfd, docker):
    compute(network_isolation="true")
    command_line(monkeypatch, "try", "cnn_2")
    printed = capfd.readouterr().out
    assert "where     Docker, image image:1\n" in printed
    assert "variant 'cnn_2'" in printed
    assert "every byte is as trained here" in printed
    _, run, chown = docker()
    assert run[-4:-1] == ["/bin/bash", "image:1", "-c"]
    assert run[-1] == trial.COMMAND
    assert run[run.index("--volume") + 1] == f"{paths.PARTIAL / 'try' / 'ml'}:/opt/ml"
    assert run[run.index("--network") + 1] == "none"
    assert chown[-3:] == ["-R", f"{os.getuid()}:{os.getgid()}", "/opt/ml"]


def test_where_docker_does_not_answer_a_process_does_it_and_says_why(monkeypatch, capfd, docker):
    monkeypatch.setenv("DOCKER_INFO", "1")
    command_line(monkeypatch, "try")
    assert "a process of this machine (Docker does not answer: no reason was given)" in capfd.readouterr().out
    assert [call[0] for call in docker()] == ["info"]


def test_a_failure_in_the_container_is_told_in_its_own_words(monkeypatch):
    (paths.PREPARED / "test.safetensors").write_bytes(b"broken")
    with pytest.raises(StageError, match=r"(?s)container failed with exit code 1: .*Safetensor.*\nits folder stays"):
        command_line(monkeypatch, "try", "--process")


def test_another_result_than_here_is_said(monkeypatch, capfd):
    """As from an image with another build of torch."""
    real = trial.local.train

    def train(runs, prepared, finished):
        real(runs, prepared, finished)
        (paths.PARTIAL / "try" / "here" / runs[0].folder / "curves.csv").write_text("other")

    monkeypatch.setattr(trial.local, "train", train)
    command_line(monkeypatch, "try", "--process")
    assert "curves.csv differ from those trained here: another build of torch" in capfd.readouterr().out


def test_an_environment_that_lacks_packages_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(trial, "installed_version", lambda package: "0" if package == "numpy" else "")
    with pytest.raises(StageError, match=r"lacks .*numpy==.*; `make venv` installs what requirements.lock pins"):
        command_line(monkeypatch, "try", "--process")


def test_a_variant_that_is_not_there_is_named(monkeypatch):
    with pytest.raises(params.ParamsError, match="kernel_77"):
        command_line(monkeypatch, "try", "kernel_77")

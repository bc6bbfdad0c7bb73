"""Jobs that fail, are stopped, take too long or come back damaged: what is said, and which are made again."""

import re
import time

import pytest

pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")
pytest.importorskip("sagemaker.core.resources", reason="the extra `sagemaker` is not installed")
pytest.importorskip("moto.server", reason="moto is not installed")

from sagemaker_layer import BUCKET
from small_jobs import command_line, compute, failure_of, jobs, packed, runs, started, trained

from stages.cloud import __main__ as command
from stages.shared import paths
from stages.shared.stage_command import StageError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prepared")]


def test_a_job_that_fails_says_its_own_reason_and_is_not_paid_for_again_unless_asked(
    layer, tmp_path, monkeypatch, capsys
):
    for attempt in ("first", "second"):
        with pytest.raises(StageError) as error:
            trained(tmp_path / attempt, runs(train_size=1000))
        text = str(error.value)
        assert "1000 images to train and 31 to validate are more than the 121 that there are" in text
        assert "AlgorithmError" in text
        assert "group /aws/sagemaker/TrainingJobs" in text
        assert "StageError" in text, "the end of the log is shown"
        assert "`python -m stages.cloud retry`" in text
    assert len(layer.created) == 1
    layer.runs = False
    monkeypatch.setattr(command, "_missing_runs", lambda variants: runs(train_size=1000))
    command_line(monkeypatch, "retry")
    assert "1 jobs were made again" in capsys.readouterr().out
    assert layer.created[-1][1] == jobs(train_size=1000)[0].name(1)
    command_line(monkeypatch, "retry")  # it runs by now
    assert len(layer.created) == 2


def test_a_retry_makes_no_more_jobs_than_may_run_at_once(layer, monkeypatch, capsys):
    layer.runs = False
    compute(max_concurrent=3)
    planned = runs("a", "b", "c", seeds=(0,))
    started(*jobs("a", "b", "c", seeds=(0,)))
    for name in list(layer.jobs):
        layer.jobs[name].stop("Stopped")
    compute(max_concurrent=2)
    monkeypatch.setattr(command, "_missing_runs", lambda variants: planned)
    command_line(monkeypatch, "retry")
    printed = capsys.readouterr().out
    assert "2 jobs were made again" in printed
    assert "1 more have no room beside those that run (sagemaker.max_concurrent is 2)" in printed
    assert len(layer.created) == 3 + 2
    command_line(monkeypatch, "retry")
    assert "0 jobs were made again" in capsys.readouterr().out
    layer.jobs[layer.created[-1][1]].stop("Completed")
    command_line(monkeypatch, "retry")
    assert len(layer.created) == 3 + 3


def test_an_unforeseen_error_comes_back_with_its_traceback(tmp_path):
    (paths.PREPARED / "train.safetensors").write_bytes(b"broken")
    with pytest.raises(StageError, match=r"(?s)Traceback.*SafetensorError"):
        trained(tmp_path / "out", runs())


def test_a_job_stopped_midway_is_named_and_the_next_run_makes_another_attempt(layer):
    layer.runs = False
    (job,) = jobs()
    started(job)
    layer.client("sagemaker").stop_training_job(TrainingJobName=job.name())
    queue = started(job)
    assert list(queue.running) == [f"{job.name()}-r1"]
    layer.jobs[f"{job.name()}-r1"].stop("Stopped")
    assert list(queue.completed()) == []
    message = rf"job {job.name()}-r1 was stopped after 1 s, not by this command; `dvc repro` makes another attempt"
    assert re.search(message, str(queue.failures[0]))


def test_a_job_that_is_stopped_while_it_trains_ends_at_once(layer, monkeypatch):
    """Processes that train must not outlive the main one: the service kills that after two minutes, which cost."""
    monkeypatch.setenv("MAX_WORKERS", "1")
    (job,) = jobs(epochs=100_000)
    started(job)
    running = layer.jobs[job.name()]
    deadline = time.monotonic() + 120
    while not list((layer.folder / job.name() / "1" / "tmp").glob("*/data/partial/train/*")):
        assert time.monotonic() < deadline, "training never began"
        time.sleep(0.05)
    time.sleep(1)
    layer.client("sagemaker").stop_training_job(TrainingJobName=job.name())
    running.thread.join(30)
    assert running.state["TrainingJobStatus"] == "Stopped"


def test_a_job_that_takes_too_long_says_so_and_goes_on_once_it_may_run_longer(layer, tmp_path):
    compute(max_runtime_minutes=1)
    layer.seconds_a_minute = 3
    for attempt in ("first", "second"):
        with pytest.raises(StageError, match=r"took too long .* raise sagemaker.max_runtime_minutes \(it was 1\)"):
            trained(tmp_path / attempt, runs(epochs=100_000))
    assert len(layer.created) == 1
    compute(max_runtime_minutes=2)
    layer.runs = False
    (job,) = jobs(epochs=100_000)
    assert list(started(job).running) == [f"{job.name()}-r1"]


@pytest.mark.parametrize("change", [{"max_wait_minutes": 300}, {"spot": "false"}])
def test_a_job_that_spot_kept_waiting_says_so_and_goes_on_once_it_may_wait_longer_or_needs_not(layer, change):
    layer.runs = False
    (job,) = jobs()
    started(job)
    layer.jobs[job.name()].stop("MaxWaitTimeExceeded")
    compute(max_runtime_minutes=200)  # which was not what it lacked
    message = "took too long and was stopped after 1 s; raise sagemaker.max_wait_minutes (it was 240) in compute.yaml"
    assert message in failure_of(job)
    compute(**change)
    assert list(started(job).running) == [f"{job.name()}-r1"]


def test_a_failure_of_the_service_itself_is_attempted_again(ready_made, tmp_path):
    name = jobs()[0].name()
    ready_made.service_failures = {name: "InternalServerError: We encountered an internal error. Please try again."}
    record, _ = trained(tmp_path / "out", runs())
    assert record["jobs"] == [name, f"{name}-r1"]
    assert record["billable_seconds"] == 2, "what failed is paid for, too"


def test_an_expired_artifact_makes_the_job_again_and_the_plan_says_so(ready_made, tmp_path, monkeypatch, capsys):
    record, first = trained(tmp_path / "first", runs())
    (name,) = record["jobs"]
    monkeypatch.setattr(command, "_missing_runs", lambda variants: runs())
    command_line(monkeypatch, "plan")
    assert "To be paid: 0 jobs" in capsys.readouterr().out
    ready_made.client("s3").delete_object(Bucket=BUCKET, Key=f"what-convolution-buys/jobs/{name}/output/model.tar.gz")
    command_line(monkeypatch, "plan")
    assert re.search(rf"{name} +\d+ +artifact gone(.|\n)*To be paid: 1 jobs", capsys.readouterr().out)
    again, second = trained(tmp_path / "second", runs())
    assert second == first
    assert again["jobs"] == [name, f"{name}-r1"]
    assert "its artifact is gone" in capsys.readouterr().out


RUN = "./cnn/seed_0/"
HOSTILE = {
    "a file changed": {f"{RUN}metrics.json": b"{}"},
    "a file missing": {f"{RUN}metrics.json": None},
    "a file too many": {f"{RUN}x.py": b"x"},
    "a folder too many": {f"{RUN}x/y": b"x"},
    "another run": {f"{RUN}record.json": b'{"digest": "0", "files": {}}'},
    "a link inside": {f"{RUN}curves.csv": "metrics.json"},
}


@pytest.mark.parametrize("spoil", HOSTILE.values(), ids=HOSTILE)
def test_an_artifact_that_is_not_what_the_job_was_to_train_is_refused(layer, tmp_path, members, spoil):
    layer.artifact = lambda content: packed(members(content) | spoil)
    message = r"/output/model\.tar\.gz (cannot be unpacked|lacks seed 0 of variant 'cnn', or holds another)"
    with pytest.raises(StageError, match=message):
        trained(tmp_path / "out", runs(seeds=(0,)))
    assert not (tmp_path / "out").exists()

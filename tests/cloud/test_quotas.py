"""Quotas, throttling, and how many jobs run at once."""

import time

import pytest

pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")
pytest.importorskip("sagemaker.core.resources", reason="the extra `sagemaker` is not installed")
pytest.importorskip("moto.server", reason="moto is not installed")

from small_jobs import compute, jobs, runs, started, trained

from stages.cloud import account, job_service
from stages.shared.stage_command import StageError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prepared")]


def test_throttling_is_waited_out(ready_made, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")  # how often the SDK itself tries
    ready_made.throttled = 5
    trained(tmp_path / "out", runs(seeds=(0,)))
    assert "throttling" in capsys.readouterr().out


def test_throttling_is_waited_out_while_a_job_runs_until_the_deadline(layer, monkeypatch, capsys):
    layer.runs = False
    monkeypatch.setattr(account, "RETRIES", 0)
    (job,) = jobs()
    queue = started(job)
    layer.jobs[job.name()].stop("Stopped")
    layer.throttled_asks = 2
    assert list(queue.completed()) == []
    assert "was stopped" in str(queue.failures[0])
    assert "Rate exceeded" in capsys.readouterr().out
    compute(quota_minutes=0.01)
    queue = started(job)
    layer.throttled_asks = 1000
    with pytest.raises(StageError, match=r"Rate exceeded\nIn compute.yaml sagemaker.quota_minutes limits the wait"):
        list(queue.completed())


def test_a_quota_that_is_used_up_is_waited_for_until_the_deadline(ready_made, tmp_path):
    ready_made.runs = False
    compute(quota_minutes=0.005)
    started(*jobs("a"))
    ready_made.quota, ready_made.runs = 1, True
    message = (
        r"could not be made within 0.005 minutes: "
        r"the quota 'ml.c5.xlarge for spot training job usage' \(1 instances\) is used up"
    )
    with pytest.raises(StageError, match=message):
        trained(tmp_path / "out", runs("b"))
    ready_made.quota = 2
    assert len(trained(tmp_path / "out", runs("b"))[0]["jobs"]) == 1


def test_a_quota_of_zero_is_named_at_once(layer, tmp_path):
    layer.quota = 0
    message = (
        r"quota 'ml.c5.xlarge for spot training job usage' of account 123456789012 in eu-central-1 is 0: ask for more"
    )
    with pytest.raises(StageError, match=message):
        trained(tmp_path / "out", runs())


def test_no_more_jobs_run_at_once_than_allowed_and_all_are_made(ready_made, tmp_path):
    compute(max_concurrent=2)
    most, create = 0, ready_made._CreateTrainingJob

    def counted(arguments):
        nonlocal most
        answer = create(arguments)
        most = max(most, sum(job.state["TrainingJobStatus"] == "InProgress" for job in ready_made.jobs.values()))
        return answer

    ready_made._CreateTrainingJob = counted
    record, _ = trained(tmp_path / "out", runs("a", "b", "c", "d", seeds=(0,)))
    assert most == 2
    assert len(record["jobs"]) == 4


def test_jobs_of_an_earlier_command_count_among_those_that_run_at_once_and_are_attached_to(layer):
    layer.runs = False
    compute(max_concurrent=1)
    (first,), (second,) = jobs("a"), jobs("b")
    started(first)
    queue = started(second)
    assert (queue.waiting, queue.running) == ([second], {})
    assert started(first).running == {first.name(): first}, "what runs needs no room"
    layer.jobs[first.name()].stop("Stopped")
    assert started(second).running == {second.name(): second}


def test_twenty_jobs_are_made_within_seconds(layer):
    layer.runs = False
    compute(max_concurrent=20)
    start = time.monotonic()
    started(*jobs(*[f"variant_{i}" for i in range(20)]))
    assert len(layer.created) == 20
    assert layer.created[-1][0] - start < 20


def test_a_job_of_the_same_content_that_somebody_just_made_is_attached_to(layer, monkeypatch):
    layer.runs = False
    (job,) = jobs()
    started(job)
    monkeypatch.setattr(job_service, "describe", lambda name: None)  # as if it had been asked a moment before
    assert started(job).running == {job.name(): job}
    assert len(layer.created) == 1

"""The command `python -m stages.cloud`: stop, cost, and what an interruption says."""

import pytest

pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")
pytest.importorskip("sagemaker.core.resources", reason="the extra `sagemaker` is not installed")
pytest.importorskip("moto.server", reason="moto is not installed")

from small_jobs import command_line, jobs, runs, started, trained

from stages.cloud import training
from stages.shared.stage_command import StageError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prepared")]


def test_an_interrupted_training_says_how_to_stop_what_was_made(monkeypatch, tmp_path):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "pause", interrupt)
    message = (
        r"interrupted\nThese jobs go on and are paid for, at most 0\.204 US dollars an hour each \(.*\): wcb-cnn-\w+\n"
        r"`dvc repro` attaches to them, `python -m stages.cloud stop` stops them; none runs longer than 120 minutes"
    )
    with pytest.raises(StageError, match=message):
        trained(tmp_path / "out", runs())


def test_stopping_stops_the_jobs_of_the_project_alone_and_needs_no_role_and_their_cost_is_shown(
    layer, monkeypatch, capsys
):
    layer.runs = False
    first, second = jobs("a", "b")
    started(first, second)
    layer._CreateTrainingJob(layer.jobs[first.name()].state | {"TrainingJobName": "somebodys-wcb-job"})
    monkeypatch.delenv("SAGEMAKER_ROLE")
    command_line(monkeypatch, "stop")
    states = {name: job.state["TrainingJobStatus"] for name, job in layer.jobs.items()}
    assert states == {first.name(): "Stopped", second.name(): "Stopped", "somebodys-wcb-job": "InProgress"}
    assert "2 jobs were running" in capsys.readouterr().out
    for name in (first.name(), second.name()):
        layer.jobs[name].state["BillableTimeInSeconds"] = 1800
    command_line(monkeypatch, "cost")
    assert (
        "0.20 US dollars in 2 jobs: billed seconds and those kept warm × price (table of 2025-06, "
        in capsys.readouterr().out
    )  # 0.204


def test_without_a_command_the_help_is_shown(monkeypatch, capsys):
    command_line(monkeypatch)
    assert "show the jobs that are to be made and their price" in capsys.readouterr().out

"""Training in jobs over a stand-in for AWS: the files are those of local training, and nothing is paid for twice."""

import re

import pytest

pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")
pytest.importorskip("sagemaker.core.resources", reason="the extra `sagemaker` is not installed")
pytest.importorskip("moto.server", reason="moto is not installed")

from small_jobs import compute, jobs, log_of, runs, trained

from stages.cloud import training
from stages.shared import paths
from stages.shared.stage_command import StageError
from stages.train import local

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prepared")]


def test_the_files_are_those_of_local_training_and_a_finished_job_is_not_paid_for_again(layer, tmp_path):
    _, here = trained(tmp_path / "here", runs(), where=local)
    record, there = trained(tmp_path / "there", runs())
    assert there == here
    assert len(here) == 2 * 5
    (name,) = record["jobs"]
    tags = {"project": "what-convolution-buys", "variant": "cnn"}
    assert {tag["Key"]: tag["Value"] for tag in layer.jobs[name].tags} == tags
    billed = layer.jobs[name].state["BillableTimeInSeconds"]
    assert record["billable_seconds"] == billed
    assert record["usd"] == pytest.approx(billed / 3600 * 0.204, abs=1e-4)
    assert set(record["runs"]) == {"cnn"}
    assert trained(tmp_path / "again", runs()) == (record, here)
    assert len(layer.created) == 1


def test_a_job_for_each_seed_makes_the_same_files(ready_made, tmp_path):
    _, one_job = trained(tmp_path / "variant", runs())
    compute(jobs="seed", spot="false")
    record, one_each = trained(tmp_path / "seed", runs())
    assert one_each == one_job
    assert len(record["jobs"]) == 2
    assert len(ready_made.created) == 3
    assert not ready_made.jobs[record["jobs"][0]].state["EnableManagedSpotTraining"]


def test_all_jobs_are_made_at_once_and_each_is_fetched_as_it_ends_while_one_fails(ready_made):
    """Seed 2 of `a` alone is missing. `b` fails, and holds up neither `a` nor `c`."""
    planned = runs("a", seeds=(2,)) + runs("b") + runs("c")
    ready_made.service_failures = {jobs("b")[0].name(): "AlgorithmError: no"}
    fetched = []
    with pytest.raises(StageError, match=r"variant 'b', seeds 0, 1: job wcb-b-\w+ failed") as error:
        training.train(planned, paths.PREPARED, lambda run, folder: fetched.append((run.variant, run.seed)))
    assert sorted(fetched) == [("a", 2), ("c", 0), ("c", 1)]
    assert len(ready_made.created) == 3
    assert "wcb-a" not in str(error.value)


def test_a_spot_interruption_resumes_from_the_finished_runs(layer, tmp_path, monkeypatch):
    monkeypatch.setenv("MAX_WORKERS", "1")  # one run after another, so that some are to come when the first is finished
    planned = runs(seeds=(0, 1, 2, 3))
    _, here = trained(tmp_path / "here", planned, where=local)
    name = jobs(seeds=(0, 1, 2, 3))[0].name()
    layer.interrupt_at[name] = 1
    _, there = trained(tmp_path / "there", planned)
    assert there == here
    assert not layer.interrupt_at
    assert any(re.match(r"[1-3] of 4 runs were finished before", line) for line in log_of(layer, name))

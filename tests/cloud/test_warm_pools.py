"""Instances that are kept warm: which jobs take them, what they cost, and how they end."""

import pytest

pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")
pytest.importorskip("sagemaker.core.resources", reason="the extra `sagemaker` is not installed")
pytest.importorskip("moto.server", reason="moto is not installed")

from small_jobs import command_line, compute, jobs, runs, started, trained

from stages.cloud import __main__ as command
from stages.cloud import job_service, training, warm_pools
from stages.cloud.settings import load
from stages.shared import paths
from stages.shared.params import ParamsError
from stages.shared.stage_command import StageError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prepared")]


def pool(layer, name):
    return layer.jobs[name].state.get("WarmPoolStatus")


def test_the_next_job_takes_the_instance_that_waits_and_what_stays_is_said_with_its_price(ready_made, tmp_path, capsys):
    compute(spot="false", keep_alive_minutes=10, max_concurrent=1)
    record, _ = trained(tmp_path / "out", runs("a", "b", seeds=(0,)))
    first, second = record["jobs"]
    assert pool(ready_made, first)["Status"] == "Reused"
    assert pool(ready_made, first)["ReusedByJob"] == second
    assert pool(ready_made, second)["Status"] == "Available"
    kept = pool(ready_made, first)["ResourceRetainedBillableTimeInSeconds"]
    kept += pool(ready_made, second)["ResourceRetainedBillableTimeInSeconds"]
    assert record["warm_seconds"] == kept > 0
    assert record["usd"] == pytest.approx((record["billable_seconds"] + kept) / 3600 * 0.204, abs=1e-4)
    printed = capsys.readouterr().out
    assert f"2 jobs, 2 s billed and {kept} s kept warm on ml.c5.xlarge" in printed
    assert (
        "train: 1 instance stays warm for the next job, 10 minutes at most, and each is paid for at 0.204 US" in printed
    )
    assert "`python -m stages.cloud stop` ends that" in printed


def test_a_job_on_other_resources_does_not_take_it(ready_made, tmp_path):
    compute(spot="false", keep_alive_minutes=10)
    record, _ = trained(tmp_path / "a", runs("a", seeds=(0,)))
    compute(spot="false", keep_alive_minutes=10, volume_gb=20)
    trained(tmp_path / "b", runs("b", seeds=(0,)))
    assert pool(ready_made, record["jobs"][0])["Status"] == "Available"


def test_without_the_quota_the_training_names_it(ready_made, tmp_path, capsys):
    ready_made.pools.quota = 0
    compute(spot="false", keep_alive_minutes=10)
    record, _ = trained(tmp_path / "out", runs(seeds=(0,)))
    assert record["warm_seconds"] == 0
    assert "more of the quota 'ml.c5.xlarge for training warm pool usage'" in capsys.readouterr().out


def test_nothing_is_asked_for_where_no_instance_is_to_be_kept(layer):
    layer.runs = False
    started(*jobs())
    (job,) = layer.jobs.values()
    assert "KeepAlivePeriodInSeconds" not in job.state["ResourceConfig"]
    assert not job.state.get("Environment")
    assert warm_pools.what_may_stay(load().sagemaker) == ""


def test_keeping_an_instance_changes_no_name_and_packages_stay_on_it(layer):
    layer.runs = False
    name = jobs()[0].name()
    compute(spot="false", keep_alive_minutes=60)
    started(*jobs())
    state = layer.jobs[name].state
    assert state["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 3600
    assert state["Environment"] == {"PIP_CACHE_DIR": "/opt/ml/sagemaker/warmpoolcache/pip"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"keep_alive_minutes": 10},
            "sagemaker.keep_alive_minutes = 10: AWS keeps no spot instance warm; set it to 0, or sagemaker.spot to fal",
        ),
        ({"keep_alive_minutes": 61, "spot": "false"}, "sagemaker.keep_alive_minutes = 61: .*60"),
        ({"keep_alive_minutes": -1, "spot": "false"}, "sagemaker.keep_alive_minutes = -1"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(changes, message):
    compute(**changes)
    with pytest.raises(ParamsError, match=message):
        load()


def test_stop_waits_for_the_end_of_a_job_before_it_ends_its_instance(layer, monkeypatch, capsys):
    compute(spot="false", keep_alive_minutes=10)
    layer.runs = False
    started(*jobs())
    (job,) = layer.jobs.values()
    job.stop = lambda how: job.state.update(TrainingJobStatus="Stopping")
    monkeypatch.setattr(warm_pools, "pause", lambda _: job.state.update(TrainingJobStatus="Stopped"))
    command_line(monkeypatch, "stop")
    assert pool(layer, job.name)["Status"] == "Terminated"
    assert f"kept warm after job {job.name}: ended" in capsys.readouterr().out


def test_stop_ends_what_waits_and_what_begins_to_wait_once_its_job_has_stopped(layer, monkeypatch, capsys):
    compute(spot="false", keep_alive_minutes=10, max_concurrent=3)
    layer.runs = False
    names = [job.name() for job in jobs("a", "b")]
    started(*jobs("a", "b"))
    layer.jobs[names[0]].stop("Stopped")
    command_line(monkeypatch, "stop")
    printed = capsys.readouterr().out
    assert {name: pool(layer, name)["Status"] for name in names} == dict.fromkeys(names, "Terminated")
    assert [f"the instance that was kept warm after job {name}: ended" in printed for name in names] == [True, True]
    assert "1 jobs were running" in printed


def test_stop_goes_on_past_a_job_that_has_just_ended_and_waits_for_one_that_is_stopping(layer, monkeypatch, capsys):
    compute(spot="false", keep_alive_minutes=10, max_concurrent=3)
    layer.runs = False
    names = [job.name() for job in jobs("a", "b", "c")]
    started(*jobs("a", "b", "c"))
    listed = job_service.job_names

    def job_names(**filters):
        if filters.get("StatusEquals") == "Stopping":
            return [names[2]]
        running = [name for name in listed(**filters) if name != names[2]]
        layer.jobs[names[0]].stop("Completed")  # between the list and the request to stop
        return running

    waited_for = []
    monkeypatch.setattr(job_service, "job_names", job_names)
    monkeypatch.setattr(warm_pools, "end_all", lambda stopped, _: waited_for.extend(stopped) or [])
    command_line(monkeypatch, "stop")
    printed = capsys.readouterr().out
    assert f"job {names[0]}: had just ended" in printed
    assert f"job {names[1]}: asked to stop" in printed
    assert waited_for == names


def test_stop_passes_over_an_instance_that_a_job_has_just_taken(layer, monkeypatch, capsys):
    compute(spot="false", keep_alive_minutes=10)
    layer.runs = False
    names = [job.name() for job in jobs("a", "b")]
    started(*jobs("a", "b"))
    for name in names:
        layer.jobs[name].stop("Stopped")
    real = layer._UpdateTrainingJob

    def taken(arguments):
        if arguments["TrainingJobName"] == names[0]:
            pool(layer, names[0])["Status"] = "Reused"
        return real(arguments)

    layer._UpdateTrainingJob = taken
    command_line(monkeypatch, "stop")
    assert [pool(layer, name)["Status"] for name in names] == ["Reused", "Terminated"]
    printed = capsys.readouterr().out
    assert [f"after job {name}: ended" in printed for name in names] == [False, True]


def test_the_cost_counts_the_seconds_that_an_instance_waited(layer, monkeypatch, capsys):
    compute(spot="false", keep_alive_minutes=10)
    layer.runs = False
    started(*jobs())
    (job,) = layer.jobs.values()
    job.stop("Stopped")
    job.state["BillableTimeInSeconds"] = 600
    job.state["WarmPoolStatus"] = {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 1200}
    capsys.readouterr()
    command_line(monkeypatch, "cost")
    row = capsys.readouterr().out.splitlines()[3]
    assert row.split() == [job.name, "Stopped", "ml.c5.xlarge", "600", "1200", "0.1020"]


def test_the_plan_counts_them(layer, monkeypatch, capsys):
    """By hand: 90 + 10 s a job at 3.6 USD an hour are 0.10, twice; a pool of 30 minutes 1.80.

    At most 2 × (120 + 30) minutes, 18.00.
    """
    monkeypatch.setattr(command, "_missing_runs", lambda variants: runs("a", "b", seeds=(0,)))
    paths.write_json(paths.TIMINGS / "train.json", {"runs": {"a": 10, "b": 10}})
    compute(spot="false", keep_alive_minutes=30, max_concurrent=1, price_per_hour=3.6)
    command_line(monkeypatch, "plan")
    printed = capsys.readouterr().out
    assert (
        "To be paid: 2 jobs, about 0.20 US dollars, and 1.80 US dollars more if 1 instances stay warm for 30 minutes, "
        "never more than 18.00 (max_runtime_minutes and keep_alive_minutes, on demand)"
    ) in printed
    assert "With max_concurrent 1, 1 of 2 jobs start on a new instance and 1 on one that is warm" in printed


def test_a_failure_and_an_interruption_say_that_instances_may_wait(ready_made, tmp_path, monkeypatch):
    compute(spot="false", keep_alive_minutes=10)
    waits = "Instances of jobs that have ended wait up to 10 minutes for the next job, and are paid for; `python -m"
    ready_made.service_failures = {jobs("a")[0].name(): "AlgorithmError: no"}
    with pytest.raises(StageError, match=f"(?s)AlgorithmError: no.*{waits}"):
        trained(tmp_path / "out", runs("a"))

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "pause", interrupt)
    ready_made.runs = False
    with pytest.raises(StageError, match=rf"none runs longer than 120 minutes\. {waits}"):
        trained(tmp_path / "out", runs("b"))

"""Training on SageMaker, over a stand-in for AWS that runs each job.

The files are those of local training, nothing is paid twice, and each fault ends in one message.
"""

import json
import os
import re
import signal
import tarfile
import time
from functools import partial
from io import BytesIO
from types import SimpleNamespace

import pytest
from own_net import WHOLE, own_architecture, use_folder
from pipeline_workspace import stages_in
from small_data import write_prepared
from small_model import small_settings

pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")
pytest.importorskip("sagemaker.core.resources", reason="the extra `sagemaker` is not installed")
pytest.importorskip("moto.server", reason="moto is not installed")

from sagemaker_layer import ACCOUNT, BUCKET, ROLE
from small_jobs import command_line, compute, failure_of, jobs, log_of, objects, packed, runs, started, trained

from stages.cloud import __main__ as command
from stages.cloud import account, job_service, training
from stages.cloud.job import COMMAND, hyperparameters
from stages.cloud.settings import instance_has_gpu, load
from stages.shared import paths
from stages.shared.params import ParamsError
from stages.shared.stage_command import StageError
from stages.train import local
from stages.train.runs import planned_runs

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prepared")]

SECRET = "planted-" + "secret-7f3a9c"  # in two, so that this file does not hold it


# --- one job after another, or all at once ---


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


# --- jobs that fail ---


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
    said = rf"job {job.name()}-r1 was stopped after 1 s, not by this command; `dvc repro` makes another attempt"
    assert re.search(said, str(queue.failures[0]))


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
    said = "took too long and was stopped after 1 s; raise sagemaker.max_wait_minutes (it was 240) in compute.yaml"
    assert said in failure_of(job)
    compute(**change)
    assert list(started(job).running) == [f"{job.name()}-r1"]


def test_a_failure_of_the_service_itself_is_attempted_again(ready_made, tmp_path):
    name = jobs()[0].name()
    ready_made.service_failures = {name: "InternalServerError: We encountered an internal error. Please try again."}
    record, _ = trained(tmp_path / "out", runs())
    assert record["jobs"] == [name, f"{name}-r1"]
    assert record["billable_seconds"] == 2, "what failed is paid for, too"


def test_an_expired_artifact_makes_the_job_again(ready_made, tmp_path, capsys):
    record, first = trained(tmp_path / "first", runs())
    (name,) = record["jobs"]
    ready_made.client("s3").delete_object(Bucket=BUCKET, Key=f"what-convolution-buys/jobs/{name}/output/model.tar.gz")
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
    said = r"/output/model\.tar\.gz (cannot be unpacked|lacks seed 0 of variant 'cnn', or holds another)"
    with pytest.raises(StageError, match=said):
        trained(tmp_path / "out", runs(seeds=(0,)))
    assert not (tmp_path / "out").exists()


# --- quotas, throttling, and how many at once ---


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
    said = (
        r"could not be made within 0.005 minutes: "
        r"the quota 'ml.c5.xlarge for spot training job usage' \(1 instances\) is used up"
    )
    with pytest.raises(StageError, match=said):
        trained(tmp_path / "out", runs("b"))
    ready_made.quota = 2
    assert len(trained(tmp_path / "out", runs("b"))[0]["jobs"]) == 1


def test_a_quota_of_zero_is_named_at_once(layer, tmp_path):
    layer.quota = 0
    said = (
        r"quota 'ml.c5.xlarge for spot training job usage' of account 123456789012 in eu-central-1 is 0: ask for more"
    )
    with pytest.raises(StageError, match=said):
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


# --- what is sent, and under which name ---


def test_data_and_code_are_uploaded_once_and_nothing_but_them(layer):
    layer.runs = False
    (paths.PREPARED / "notes.txt").write_text(SECRET)
    started(*jobs("a", "b"))
    uploaded = objects(layer)
    names = {re.sub(r"[0-9a-f]{16}", "DIGEST", key.removeprefix("what-convolution-buys/")) for key in uploaded}
    data = {f"data/DIGEST/{name}" for name in ("constants.json", *(f"{s}.safetensors" for s in ("test", "train")))}
    assert names == {"code/DIGEST/code.tar.gz", "data/DIGEST.complete", *data}
    assert len(uploaded) == len(names)
    packed = next(content for key, content in uploaded.items() if key.endswith("code.tar.gz"))
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        sent = set(archive.getnames())
    assert all(name.endswith(".py") or name == "requirements.txt" for name in sent)
    assert {"stages/cloud/container.py", "stages/train/run.py", "stages/shared/params/architecture.py"} <= sent
    assert {name for name in sent if name.startswith("stages/cloud")} == {
        "stages/cloud/__init__.py",
        "stages/cloud/container.py",
    }


def test_a_users_own_net_travels_with_the_code_and_is_trained_there_as_here(layer, tmp_path, monkeypatch):
    use_folder(monkeypatch, tmp_path, whole=WHOLE, unused=WHOLE)
    planned = own_runs()
    _, here = trained(tmp_path / "here", planned, where=local)
    _, there = trained(tmp_path / "there", planned)
    assert there == here
    packed = next(content for key, content in objects(layer).items() if key.endswith("code.tar.gz"))
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        assert [name for name in archive.getnames() if name.startswith("modules")] == ["modules/whole.py"]


def own_runs():
    settings = small_settings({"mine": {}}, (0,))
    variant = settings.variants["mine"]
    run = variant.run.model_copy(update={"architecture": own_architecture("whole.py", "Whole", units=6)})
    return planned_runs(
        settings.model_copy(update={"variants": {"mine": variant.model_copy(update={"run": run})}}), ["mine"]
    )


def test_the_name_follows_from_whatever_changes_the_files_and_from_nothing_else(monkeypatch):
    def name(variant="cnn", **changes):
        return jobs(variant, **changes)[0].name()

    first = name()
    assert re.fullmatch(r"wcb-cnn-[0-9a-f]{12}", first)
    different = {first, name("cnn_2"), name(lr=0.5), name(seeds=(0,)), name(layout="permuted")}
    compute(instance_type="ml.m5.large")
    different.add(name())
    compute()
    monkeypatch.setenv("SAGEMAKER_IMAGE", "another:2")
    different.add(name())
    monkeypatch.setenv("SAGEMAKER_IMAGE", "image:1")
    write_prepared(paths.PREPARED, seed=1)
    different.add(name())
    write_prepared(paths.PREPARED)
    assert len(different) == 8
    compute(spot="false", max_concurrent=3, max_runtime_minutes=5, volume_gb=20)
    assert name() == first


def test_names_fit_the_service_whatever_the_variant_is_called():
    name = account.resource_name("a_" * 60, "0123456789abcdef", attempt=98)
    assert len(name) <= 63
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name)
    assert name.endswith("-0123456789ab-r98")


def test_the_command_and_every_hyperparameter_are_as_short_as_the_service_wants():
    assert len(COMMAND) <= 256
    (job,) = jobs(seeds=range(200))
    parts = hyperparameters(job)
    assert len(parts) > 1
    assert max(map(len, parts.values())) <= 2500
    digests = json.loads("".join(parts[name] for name in sorted(parts)))["digests"]
    assert digests == {str(run.seed): run.digest for run in job.runs}


def test_an_instance_with_a_gpu_trains_on_it():
    assert [runs(seeds=(0,))[0].spec.device] == ["cpu"]
    compute(instance_type="ml.g4dn.xlarge")
    assert [runs(seeds=(0,))[0].spec.device] == ["cuda"]
    assert instance_has_gpu("ml.p3.2xlarge")
    assert not instance_has_gpu("ml.c5.xlarge")


# --- what is checked before anything is sent ---


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"SAGEMAKER_BUCKET": None},
            r"the S3 bucket .* is not set; set SAGEMAKER_BUCKET .* for example SAGEMAKER_BUCKET=my-bucket",
        ),
        (
            {"SAGEMAKER_BUCKET": "not-there"},
            r"the bucket 'not-there' does not exist; `aws s3 mb s3://not-there --region eu-central-1` makes it, or set",
        ),
        ({"SAGEMAKER_BUCKET": "s3://a-bucket/x"}, r"'s3://a-bucket/x' is no name of a bucket"),
        (
            {"SAGEMAKER_ROLE": None},
            r"the IAM role .* is not set; set SAGEMAKER_ROLE .* for example SAGEMAKER_ROLE=arn:aws:iam::",
        ),
        ({"SAGEMAKER_ROLE": "SageMakerTraining"}, r"the role is 'SageMakerTraining'; SAGEMAKER_ROLE must be its ARN"),
        (
            {"SAGEMAKER_ROLE": ROLE.replace("123456789012", "210987654321")},
            r"belongs to account 210987654321, but the credentials are of account 123456789012",
        ),
        ({"AWS_REGION": None}, r"no AWS region is set; set AWS_REGION, for example AWS_REGION=eu-central-1"),
        (
            {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
            r"AWS credentials: Unable to locate credentials; set AWS_PROFILE",
        ),
        ({"AWS_SECRET_ACCESS_KEY": None}, r"AWS credentials: Partial credentials .* set AWS_PROFILE"),
        ({"AWS_PROFILE": "nobody"}, r"config profile \(nobody\) could not be found; set AWS_PROFILE to one of those"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, r"AWS cannot be reached: .*AWS_REGION=eu-central-1"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_is_missing_is_named_with_the_variable_that_sets_it(layer, monkeypatch, tmp_path, changes, said):
    for name, value in changes.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    with pytest.raises(StageError, match=said):
        trained(tmp_path / "out", runs())
    assert not layer.created
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    assert not objects(layer)


@pytest.mark.parametrize(
    ("operation", "code", "said"),
    [
        (
            "head_bucket",
            "301",
            r"the bucket 'a-bucket' is in another region than eu-central-1; set SAGEMAKER_BUCKET .*, or AWS_REGION",
        ),
        ("head_bucket", "403", "the bucket 'a-bucket' is not yours, or you have no right to it; set SAGEMAKER_BUCKET"),
        (
            "head_bucket",
            "400",
            "the region .eu-central-1. or the credentials are wrong; set SAGEMAKER_BUCKET .*, AWS_REGION or AWS_PROF",
        ),
        (
            "get_caller_identity",
            "ExpiredToken",
            "AWS refuses the credentials .*; sign in again with `aws sso login`, or set AWS_PROFILE",
        ),
        (
            "get_caller_identity",
            "AccessDenied",
            "AWS does not allow get_caller_identity: no; docs/sagemaker.md lists the rights that are needed",
        ),
    ],
    ids=lambda value: value if len(value) < 20 else "",
)
def test_what_aws_refuses_is_named_with_what_to_set(monkeypatch, operation, code, said):
    from botocore.exceptions import ClientError

    def refuse(**_):
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, operation)

    answers = {"get_caller_identity": lambda: {"Account": ACCOUNT}, operation: refuse}
    with monkeypatch.context() as patched:
        patched.setattr(account, "client", lambda _: SimpleNamespace(**answers))
        with pytest.raises(StageError, match=said):
            account.preflight(load().sagemaker)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"jobs": "epoch"}, "sagemaker.jobs = 'epoch'"),
        ({"max_concurrent": "0"}, "sagemaker.max_concurrent = 0"),
        ({"max_wait_minutes": "5"}, r"max_wait_minutes = 5: must not be less than max_runtime_minutes \(120\)"),
        ({"instance_type": "c5.xlarge"}, "sagemaker.instance_type = 'c5.xlarge'"),
    ],
)
def test_a_mistake_in_compute_yaml_is_named(change, said):
    compute(**change)
    with pytest.raises(ParamsError, match=said):
        load()


# --- the command ---


def test_an_interrupted_training_says_how_to_stop_what_was_made(monkeypatch, tmp_path):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "pause", interrupt)
    said = (
        r"interrupted\nThese jobs go on and are paid for, at most 0\.204 US dollars an hour each \(.*\): wcb-cnn-\w+\n"
        r"`dvc repro` attaches to them, `python -m stages.cloud stop` stops them; none runs longer than 120 minutes"
    )
    with pytest.raises(StageError, match=said):
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
    assert "0.20 US dollars in 2 jobs: billed seconds × price (table of 2025-06, " in capsys.readouterr().out  # 0.204


def test_without_a_command_the_help_is_shown(monkeypatch, capsys):
    command_line(monkeypatch)
    assert "show the jobs that are to be made and their price" in capsys.readouterr().out


# --- a whole pipeline in a clone ---


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_without_the_extra_the_message_says_what_to_install(remote):
    blocked = (
        "import sys; sys.modules['boto3'] = None; sys.argv = ['train', 'cnn'];"
        "import runpy; runpy.run_module('stages.train', run_name='__main__')"
    )
    code, said = remote.run("python", "-c", blocked)
    assert code == 1
    assert said.strip().endswith(
        "SageMaker needs packages that are not installed: `make sagemaker` installs them (local training does without)"
    )

"""Training on SageMaker, over a stand-in for AWS that runs each job: the files of local training, nothing paid twice, and each fault in one message."""

import json
import os
import re
import shutil
import signal
import tarfile
import time
from io import BytesIO
from types import SimpleNamespace

import pytest
import torch
from small_data import write_prepared

boto3 = pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")
pytest.importorskip("sagemaker.core.resources", reason="the extra `sagemaker` is not installed")
pytest.importorskip("moto.server", reason="moto is not installed")

from sagemaker_layer import ACCOUNT, BUCKET, REGION, ROLE, Layer
from test_pipeline import clone, finished, workspace  # noqa: F401 (fixtures)

from stages.cloud import account, ensure_job, job_inputs, job_queue, overview, prices, train
from stages.cloud.job import COMMAND, Place, hyperparameters, image_name, jobs_of
from stages.cloud.job_queue import ensure_all
from stages.cloud.job_service import wait
from stages.cloud.names import resource_name
from stages.cloud.settings import load
from stages.shared import params, paths
from stages.shared.params import ParamsError, TrainPlan
from stages.shared.stage_command import StageError
from stages.train import local

SETTINGS = params.load()
RUN = SETTINGS.variants["cnn"].run.model_copy(
    update={"architecture": SETTINGS.architecture.model_copy(update={"channels": (2, 4)})}
)
EPOCHS = 2
SECRET = "planted-" + "secret-7f3a9c"  # in two, so that this file does not hold it


@pytest.fixture
def layer(tmp_path):
    with Layer(tmp_path / "jobs") as running:
        yield running


@pytest.fixture
def prepared(tmp_path, monkeypatch, layer):
    """Small prepared data in a root of its own, and an environment that leads to the layer."""
    for name in ("PARTIAL", "FINISHED_SEEDS", "TIMINGS"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
        (tmp_path / name.lower()).mkdir()
    monkeypatch.setattr(paths, "COMPUTE", tmp_path / "compute.yaml")
    compute()
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in layer.environment.items():
        monkeypatch.setenv(name, value)
    forget_clients()
    write_prepared(tmp_path / "prepared")
    yield tmp_path / "prepared"
    forget_clients()


def forget_clients():
    for cached in (
        account.client,
        account.session,
        job_inputs.code_digest,
        job_inputs.data_digest,
        job_inputs.upload_code,
        job_inputs.upload_data,
    ):
        cached.cache_clear()


def compute(**changes):
    """compute.yaml as it is in the repository, with changes."""
    text = (paths.ROOT / "compute.yaml").read_text()
    for key, value in {"poll_seconds": 0.1, **changes}.items():
        text, count = re.subn(rf"^(  {key}:) [^#\n]*", rf"\1 {value} ", text, flags=re.MULTILINE)
        assert count == 1, key
    paths.COMPUTE.write_text(text)


def trained(prepared, out, seeds=(0, 1), run=RUN, where=train):
    out.mkdir()
    record = where.train_seeds("cnn", TrainPlan(run=run, epochs=EPOCHS, seeds=seeds), prepared, out)
    return record, {
        file.relative_to(out).as_posix(): file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()
    }


def place(prepared):
    settings = load().sagemaker
    return Place(account.preflight(settings), settings, prepared)


def jobs(prepared, variants=("cnn",), seeds=(0, 1), run=RUN):
    where = place(prepared)
    return where, [
        job for variant in variants for job in jobs_of(variant, TrainPlan(run=run, epochs=EPOCHS, seeds=seeds), where)
    ]


def objects(layer):
    s3 = layer.client("s3")
    keys = [
        found["Key"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        for found in page.get("Contents", [])
    ]
    return {key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}


def test_the_files_are_those_of_local_training_and_a_finished_job_is_not_paid_for_again(prepared, layer, tmp_path):
    _, here = trained(prepared, tmp_path / "here", where=local)
    record, there = trained(prepared, tmp_path / "there")
    assert there == here
    assert len(here) == 2 * 4
    state = layer.jobs[record["jobs"][0]].state
    assert layer.jobs[record["jobs"][0]].tags == [
        {"Key": "project", "Value": "what-convolution-buys"},
        {"Key": "variant", "Value": "cnn"},
    ]
    assert record["billable_seconds"] == state["BillableTimeInSeconds"]
    assert record["usd"] == pytest.approx(state["BillableTimeInSeconds"] / 3600 * 0.204, abs=1e-4)
    assert trained(prepared, tmp_path / "again") == (record, here)
    assert len(layer.created) == 1


def test_a_job_for_each_seed_makes_the_same_files(prepared, layer, tmp_path):
    _, here = trained(prepared, tmp_path / "here", where=local)
    compute(jobs="seed", spot="false")
    record, there = trained(prepared, tmp_path / "there")
    assert there == here
    assert len(record["jobs"]) == len(layer.created) == 2
    state = layer.jobs[record["jobs"][0]].state
    assert state["TrainingTimeInSeconds"] == state["BillableTimeInSeconds"]


def test_a_spot_interruption_resumes_from_the_finished_seed(prepared, layer, tmp_path, monkeypatch):
    monkeypatch.setenv(
        "MAX_WORKERS", "1"
    )  # the seeds one after another, so that some are still to come when the first is finished
    seeds = (0, 1, 2, 3)
    _, here = trained(prepared, tmp_path / "here", seeds, where=local)
    _, (job,) = jobs(prepared, seeds=seeds)
    layer.interrupt_at[job.name()] = 1
    _, there = trained(prepared, tmp_path / "there", seeds)
    assert there == here
    assert not layer.interrupt_at
    log = layer.client("logs").get_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamName=f"{job.name()}/algo-1-1"
    )["events"]
    assert any("finished before" in event["message"] for event in log)


def test_a_job_that_fails_says_its_own_reason_and_is_not_paid_for_again_unless_asked(prepared, layer, tmp_path):
    too_large = RUN.model_copy(update={"sample": RUN.sample.model_copy(update={"train_size": 1000})})
    for attempt in ("first", "second"):
        with pytest.raises(StageError) as said:
            trained(prepared, tmp_path / attempt, run=too_large)
        text = str(said.value)
        assert "sample.train_size is 1000, but the prepared train split has 90 images" in text
        assert "AlgorithmError" in text
        assert "group /aws/sagemaker/TrainingJobs" in text
        assert "StageError" in text, "the end of the log is shown"
        assert "--retry-failed" in text
    assert len(layer.created) == 1
    where, wanted = jobs(prepared, run=too_large)
    names, failures = ensure_all(wanted, where, retry_failed=True)
    assert list(names.values()) == [wanted[0].name(1)]
    assert not failures
    layer.wait()


def test_an_unforeseen_error_comes_back_with_its_traceback(prepared, layer, tmp_path):
    (prepared / "train.safetensors").write_bytes(b"broken")
    with pytest.raises(StageError, match=r"(?s)Traceback.*SafetensorError"):
        trained(prepared, tmp_path / "out")


def test_a_job_stopped_midway_is_named_and_the_next_run_makes_another_attempt(prepared, layer, tmp_path):
    where, (job,) = jobs(prepared)
    layer.runs = False
    ensure_all([job], where)
    layer.client("sagemaker").stop_training_job(TrainingJobName=job.name())
    names, _ = ensure_all([job], where)
    assert names[job] == f"{job.name()}-r1"
    layer.jobs[names[job]].stop("Stopped")
    with pytest.raises(
        StageError,
        match=rf"job {job.name()}-r1 was stopped after 1 s, not by this command; `dvc repro` makes another attempt",
    ):
        train._finished(job, names[job], where)


def test_a_job_that_is_stopped_while_it_trains_ends_at_once(prepared, layer, monkeypatch):
    """Its processes that train must not outlive the one that is told to end: the service kills that after two minutes, which are paid for."""
    monkeypatch.setenv("MAX_WORKERS", "1")
    long = RUN.model_copy(update={"recipe": RUN.recipe.model_copy(update={"epochs": 100_000})})
    where, (job,) = jobs(prepared, run=long)
    ensure_all([job], where)
    running, kept = layer.jobs[job.name()], layer.folder / job.name() / "1" / "checkpoints"
    deadline = time.monotonic() + 120
    while not list(kept.glob("*/.seed_0")):
        assert time.monotonic() < deadline, "training never began"
        time.sleep(0.05)
    time.sleep(1)
    layer.client("sagemaker").stop_training_job(TrainingJobName=job.name())
    running.thread.join(30)
    assert running.state["TrainingJobStatus"] == "Stopped"


def test_a_job_that_takes_too_long_says_so_and_goes_on_once_it_may_run_longer(prepared, layer, tmp_path):
    long = RUN.model_copy(update={"recipe": RUN.recipe.model_copy(update={"epochs": 100_000})})
    compute(max_runtime_minutes=1)
    layer.seconds_a_minute = 3
    for attempt in ("first", "second"):
        with pytest.raises(StageError, match=r"took too long .* raise sagemaker.max_runtime_minutes \(it was 1\)"):
            trained(prepared, tmp_path / attempt, run=long)
    assert len(layer.created) == 1
    compute(max_runtime_minutes=2)
    layer.runs = False
    where, (job,) = jobs(prepared, run=long)
    names, _ = ensure_all([job], where)
    assert names[job] == f"{job.name()}-r1"


@pytest.mark.parametrize("change", [{"max_wait_minutes": 300}, {"spot": "false"}])
def test_a_job_that_spot_kept_waiting_says_so_and_goes_on_once_it_may_wait_longer_or_needs_not(prepared, layer, change):
    layer.runs = False
    where, (job,) = jobs(prepared)
    ensure_all([job], where)
    layer.jobs[job.name()].stop("MaxWaitTimeExceeded")
    compute(max_runtime_minutes=200)  # which was not what it lacked
    _, (failed,) = ensure_all([job], place(prepared))
    assert (
        "took too long and was stopped after 1 s; raise sagemaker.max_wait_minutes (it was 240) in compute.yaml"
        in str(failed)
    )
    compute(**change)
    assert ensure_all([job], place(prepared))[0] == {job: f"{job.name()}-r1"}


def test_a_failure_of_the_service_itself_is_attempted_again(prepared, layer, tmp_path):
    _, (job,) = jobs(prepared)
    layer.service_failures = {job.name(): "InternalServerError: We encountered an internal error. Please try again."}
    record, _ = trained(prepared, tmp_path / "out")
    assert record["jobs"] == [job.name(), f"{job.name()}-r1"]
    assert record["billable_seconds"] == 1 + layer.jobs[f"{job.name()}-r1"].state["BillableTimeInSeconds"], (
        "what failed is paid for, too"
    )


def test_an_expired_artifact_makes_the_job_again(prepared, layer, tmp_path, capsys):
    record, first = trained(prepared, tmp_path / "first")
    layer.client("s3").delete_object(
        Bucket=BUCKET, Key=f"what-convolution-buys/jobs/{record['jobs'][0]}/output/model.tar.gz"
    )
    again, second = trained(prepared, tmp_path / "second")
    assert second == first
    assert again["jobs"] == [record["jobs"][0], f"{record['jobs'][0]}-r1"]
    assert "its artifact is gone" in capsys.readouterr().out


def test_throttling_is_waited_out(prepared, layer, monkeypatch, capsys):
    layer.runs = False
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")  # how often the SDK itself tries
    layer.throttled = 5
    where, wanted = jobs(prepared)
    names, _ = ensure_all(wanted, where)
    assert list(names.values()) == [wanted[0].name()]
    assert "throttling" in capsys.readouterr().out


def test_throttling_is_waited_out_while_a_job_runs_until_the_deadline(prepared, layer, monkeypatch, capsys):
    layer.runs = False
    monkeypatch.setattr(account, "RETRIES", 0)
    where, (job,) = jobs(prepared)
    ensure_all([job], where)
    layer.jobs[job.name()].stop("Stopped")
    layer.throttled_asks = 2
    assert wait(job.name(), where.settings)["TrainingJobStatus"] == "Stopped"
    assert capsys.readouterr().out.count("Rate exceeded; asking again") == 2
    layer.throttled_asks = 1000
    with pytest.raises(
        StageError,
        match=r"Rate exceeded\nThe job wcb-.* goes on and is paid for: `dvc repro` attaches to it, `.*--stop` stops it",
    ):
        wait(job.name(), where.settings.model_copy(update={"quota_minutes": 0.001}))


def test_a_quota_that_is_used_up_is_waited_for_until_the_deadline(prepared, layer):
    layer.runs = False
    where, (first, second) = jobs(prepared, variants=("a", "b"))
    ensure_all([first], where)
    layer.quota = 1
    compute(quota_minutes=0.005)
    where = place(prepared)
    with pytest.raises(
        StageError,
        match=r"could not be made within 0.005 minutes: the quota 'ml.c5.xlarge for spot training job usage' \(1 instances\) is used up",
    ):
        ensure_all([second], where)
    layer.quota = 2
    assert ensure_all([second], where)[0] == {second: second.name()}


def test_a_quota_of_zero_is_named_at_once(prepared, layer):
    layer.quota = 0
    where, wanted = jobs(prepared)
    with pytest.raises(
        StageError,
        match=r"the quota 'ml.c5.xlarge for spot training job usage' of account 123456789012 in eu-central-1 is 0: ask for more",
    ):
        ensure_all(wanted, where)


def test_no_more_jobs_run_at_once_than_allowed_and_all_are_made(prepared, layer):
    compute(max_concurrent=2)
    where, wanted = jobs(prepared, variants=("a", "b", "c", "d"), seeds=(0,))
    most, make = 0, layer._CreateTrainingJob

    def counted(asked):
        nonlocal most
        made = make(asked)
        most = max(most, sum(job.state["TrainingJobStatus"] == "InProgress" for job in layer.jobs.values()))
        return made

    layer._CreateTrainingJob = counted
    names, _ = ensure_all(wanted, where)
    layer.wait()
    assert most == 2
    assert {layer.jobs[name].state["TrainingJobStatus"] for name in names.values()} == {"Completed"}


def test_jobs_of_an_earlier_command_count_among_those_that_run_at_once(prepared, layer, monkeypatch):
    layer.runs = False
    compute(max_concurrent=1)
    where, (first, second) = jobs(prepared, variants=("a", "b"))
    ensure_all([first], where)
    monkeypatch.setattr(job_queue, "pause", lambda _: layer.jobs[first.name()].stop("Stopped"))
    assert first.name() in layer.jobs
    ensure_all([second], where)
    assert layer.jobs[first.name()].state["TrainingJobStatus"] == "Stopped"
    assert ensure_all([second], where)[0] == {second: second.name()}, (
        "what runs is attached to, whether or not there is room for another"
    )


def test_twenty_variants_are_submitted_within_seconds(prepared, layer):
    layer.runs = False
    compute(max_concurrent=20)
    start = time.monotonic()
    where, wanted = jobs(prepared, variants=[f"variant_{i}" for i in range(20)])
    ensure_all(wanted, where)
    seconds = layer.created[-1][0] - start
    print(f"20 jobs in {seconds:.2f} s")
    assert len(layer.created) == 20
    assert seconds < 20


def test_a_job_of_the_same_content_that_somebody_just_made_is_attached_to(prepared, layer, monkeypatch):
    layer.runs = False
    where, (job,) = jobs(prepared)
    ensure_all([job], where)
    monkeypatch.setattr(ensure_job, "describe", lambda name: None)  # as if it had been asked a moment before
    assert ensure_all([job], where)[0] == {job: job.name()}
    assert len(layer.created) == 1


def test_data_and_code_are_uploaded_once_and_nothing_but_them(prepared, layer, tmp_path):
    layer.runs = False
    (prepared / "notes.txt").write_text(SECRET)
    where, wanted = jobs(prepared, variants=("a", "b"))
    ensure_all(wanted, where)
    names = sorted(
        re.sub(r"[0-9a-f]{16}", "DIGEST", key.removeprefix("what-convolution-buys/")) for key in objects(layer)
    )
    assert names == [
        "code/DIGEST/code.tar.gz", "data/DIGEST.complete", "data/DIGEST/constants.json", "data/DIGEST/test.safetensors",
        "data/DIGEST/train.safetensors", "data/DIGEST/val.safetensors",
    ]  # fmt: skip
    packed = next(content for key, content in objects(layer).items() if key.endswith("code.tar.gz"))
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        assert all(name.endswith(".py") or name == "requirements.txt" for name in archive.getnames())
        assert "stages/cloud/container.py" in archive.getnames()
        assert not any("aws" in name or "sagemaker" in name for name in archive.getnames())


def test_the_name_follows_from_whatever_changes_the_files_and_from_nothing_else(prepared, layer, monkeypatch):
    def name(variant="cnn", run=RUN, seeds=(0, 1)):
        return jobs(prepared, (variant,), seeds, run)[1][0].name()

    first = name()
    assert re.fullmatch(r"wcb-cnn-[0-9a-f]{12}", first)
    other = RUN.model_copy(update={"recipe": RUN.recipe.model_copy(update={"lr": 0.5})})
    different = {first, name("cnn_2"), name(run=other), name(seeds=(0,))}
    compute(instance_type="ml.m5.large")
    different.add(name())
    compute(image="another:2")
    os.environ.pop("SAGEMAKER_IMAGE")
    different.add(name())
    os.environ["SAGEMAKER_IMAGE"] = "image:1"
    write_prepared(prepared, seed=1)
    job_inputs.data_digest.cache_clear()
    compute()
    different.add(name())
    write_prepared(prepared)
    job_inputs.data_digest.cache_clear()
    code = job_inputs.code_of_stage()
    monkeypatch.setattr(job_inputs, "code_of_stage", lambda: code[1:])
    job_inputs.code_digest.cache_clear()
    different.add(name())
    monkeypatch.setattr(job_inputs, "code_of_stage", lambda: code)
    job_inputs.code_digest.cache_clear()
    assert len(different) == 8
    compute(spot="false", max_concurrent=3, max_runtime_minutes=5, volume_gb=20)
    assert name() == first


def test_names_fit_the_service_whatever_the_variant_is_called():
    name = resource_name("a_" * 60, "0123456789abcdef", attempt=98)
    assert len(name) <= 63
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name)
    assert name.endswith("-0123456789ab-r98")


def test_the_command_and_every_hyperparameter_are_as_short_as_the_service_wants(prepared, layer):
    assert len(COMMAND) <= 256
    _, (job,) = jobs(prepared, seeds=tuple(range(2000)))
    parts = hyperparameters(job)
    assert len(parts) > 1
    assert max(map(len, parts.values())) <= 2500
    assert json.loads("".join(parts[name] for name in sorted(parts)))["plan"]["seeds"] == list(range(2000))


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
def test_what_is_missing_is_named_with_the_variable_that_sets_it(prepared, layer, monkeypatch, tmp_path, changes, said):
    for name, value in changes.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    with pytest.raises(StageError, match=said):
        trained(prepared, tmp_path / "out")
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
            "the region .eu-central-1. or the credentials are wrong; set SAGEMAKER_BUCKET .*, AWS_REGION or AWS_PROFILE",
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
def test_what_aws_refuses_is_named_with_what_to_set(prepared, monkeypatch, operation, code, said):
    from botocore.exceptions import ClientError

    def refuse(**_):
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, operation)

    answers = {"get_caller_identity": lambda: {"Account": ACCOUNT}, operation: refuse}
    with monkeypatch.context() as patched:
        patched.setattr(account, "client", lambda _: SimpleNamespace(**answers))
        with pytest.raises(StageError, match=said):
            account.preflight(load().sagemaker)


def test_awss_image_for_this_version_of_torch_is_found(prepared):
    settings = load().sagemaker.model_copy(update={"image": None})
    version = ".".join(torch.__version__.split(".")[:2])
    image = ensure_job._image(image_name(settings), settings.instance_type)
    assert re.fullmatch(rf"\d{{12}}\.dkr\.ecr\.{REGION}\.amazonaws\.com/pytorch:{version}-cpu-[a-z0-9-]+", image)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"jobs": "epoch"}, "sagemaker.jobs = 'epoch'"),
        ({"max_concurrent": "0"}, "sagemaker.max_concurrent = 0"),
        ({"max_wait_minutes": "5"}, r"max_wait_minutes = 5: must not be less than max_runtime_minutes \(120\)"),
        ({"instance_type": "c5.xlarge"}, "sagemaker.instance_type = 'c5.xlarge'"),
    ],
)
def test_a_mistake_in_compute_yaml_is_named(prepared, change, said):
    compute(**change)
    with pytest.raises(ParamsError, match=said):
        load()


def test_an_instance_without_a_known_price_is_refused_before_anything_is_made_unless_the_price_is_given(
    prepared, layer, tmp_path
):
    compute(instance_type="ml.z9.large")
    with pytest.raises(StageError, match=r"no price is known for ml.z9.large .* set sagemaker.price_per_hour"):
        trained(prepared, tmp_path / "out")
    assert prices.usd_per_hour("ml.z9.large", 0.5) == 0.5


def test_a_dry_run_says_both_ways_prices_and_changes_nothing(prepared, layer, monkeypatch, tmp_path, capsys):
    """By hand: 100 s on two cores for three seeds are 200/3 s a seed on a core, and ml.c5.xlarge trains two at once.

    One job: 90 + 2 × 66.7 = 223.3 s. A job a seed: 3 × (90 + 66.7) = 470 s. At 0.204 USD an hour, of which spot asks 40 %.
    """
    plan = TrainPlan(run=RUN, epochs=EPOCHS, seeds=(0, 1, 2))
    monkeypatch.setattr(paths, "PREPARED", prepared)
    monkeypatch.setattr(paths, "PLAN", tmp_path / "plan")
    paths.write_json(paths.plan("train", "a"), plan.model_dump(mode="json"))
    paths.write_json(paths.TIMINGS / "train-a.json", {"stage": "train-a", "seconds": 100.0, "cores": 2})
    overview.print_plan({"a": plan, "b": plan})
    said = capsys.readouterr().out
    assert re.search(r"wcb-a-[0-9a-f]{12} +3 +to be made +223 +0\.0051\n", said)
    assert re.search(r"wcb-b-[0-9a-f]{12} +3 +to be made +unknown +unknown\n", said)
    limit = r"never more than 0\.82 "  # two jobs of 120 minutes on demand
    assert re.search(r"To be paid: 2 jobs, about 0\.01 US dollars \(1 were never timed here\), " + limit, said)
    assert re.search(r"All of it anew with `jobs: variant`: 2 jobs, about 0\.01 US dollars", said)
    assert re.search(
        r"All of it anew with `jobs: seed`: 6 jobs, about 0\.01 US dollars \(3 were never timed here\), never more than 2\.45 ",
        said,
    )
    assert f"Prices: {prices.AS_OF}; spot at 40% of them\nNothing was changed\n" in said
    assert (layer.created, objects(layer)) == ([], {})
    assert overview._price(overview._jobs({"a": plan}, place(prepared)), load().sagemaker).startswith(
        "1 jobs, about 0.01 US dollars, "
    )
    compute(jobs="seed", spot="false")
    overview.print_plan({"a": plan})
    assert "To be paid: 3 jobs, about 0.03 US dollars, " in capsys.readouterr().out  # 470 / 3600 × 0.204


def test_an_interrupted_submission_says_how_to_stop_what_was_made(prepared, layer, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(paths, "PREPARED", prepared)
    monkeypatch.setattr(overview, "ensure_all", interrupt)
    with pytest.raises(
        StageError, match=r"what was made goes on and is paid for: `python -m stages.cloud.submit --stop` stops all"
    ):
        overview.submit({"a": TrainPlan(run=RUN, epochs=EPOCHS, seeds=(0,))}, False)


def test_stopping_stops_the_jobs_of_the_project_alone_and_needs_no_role(prepared, layer, monkeypatch, capsys):
    layer.runs = False
    where, wanted = jobs(prepared, variants=("a", "b"))
    ensure_all(wanted, where)
    asked = dict(layer.jobs[wanted[0].name()].state) | {"TrainingJobName": "somebodys-wcb-job"}
    layer._CreateTrainingJob(asked)
    monkeypatch.delenv("SAGEMAKER_ROLE")
    overview.stop_all()
    assert {name: job.state["TrainingJobStatus"] for name, job in layer.jobs.items()} == {
        wanted[0].name(): "Stopped", wanted[1].name(): "Stopped", "somebodys-wcb-job": "InProgress",
    }  # fmt: skip
    assert "2 jobs were running" in capsys.readouterr().out


@pytest.mark.slow
def test_a_local_user_neither_installs_nor_imports_what_sagemaker_needs(workspace, tmp_path):
    names = ("boto3", "botocore", "sagemaker", "sagemaker_core")
    pinned = {line.split("==")[0] for line in paths.LOCK.read_text().splitlines()}
    assert not pinned & {name.replace("_", "-") for name in names}
    for name in names:
        (tmp_path / f"{name}.py").write_text(
            f"open({str(tmp_path / 'imported')!r}, 'a').write({name!r}); raise ModuleNotFoundError({name!r})"
        )
    workspace.lose("train@cnn")
    assert workspace.repro("train@cnn", PYTHONPATH=str(tmp_path)) == {"train@cnn"}
    for command in ("stages.cloud.submit",), ("stages.tools.deploy", "package"):
        code, said = workspace.run("python", "-m", *command, PYTHONPATH=str(tmp_path))
        assert code == 0, said
    assert not (tmp_path / "imported").exists()


# A whole pipeline in a clone, as in test_pipeline.


@pytest.fixture
def remote(layer, tmp_path):
    """A fresh clone whose training runs in jobs."""
    fresh = clone(tmp_path / "clone")
    with fresh.edited("compute.yaml") as settings:
        settings["sagemaker"]["poll_seconds"] = 0.2
    (fresh.folder / ".env").write_text(f"AWS_SECRET_ACCESS_KEY={SECRET}\n")
    (fresh.folder / "stages" / "train" / "compute" / "credentials.json").write_text(SECRET)
    fresh.environment = layer.environment | {"AWS_SECRET_ACCESS_KEY": SECRET, "OMP_NUM_THREADS": "1"}
    return fresh


@pytest.mark.slow
def test_the_whole_pipeline_ends_in_the_very_lock_file_of_a_local_run_and_no_secret_is_kept(
    remote, layer, finished, tmp_path
):
    code, dry = remote.run("python", "-m", "stages.cloud.submit", "--dry-run", **remote.environment)
    assert code == 1
    assert dry.strip().endswith("data/prepared is missing; `dvc repro plan prepare` makes it")
    code, said = remote.run("python", "-m", "stages.cloud.submit", **remote.environment)
    assert code == 0, said
    assert "3 of 3 jobs run or are finished" in said
    code, dry = remote.run("python", "-m", "stages.cloud.submit", "--dry-run", **remote.environment)
    assert code == 0, dry
    assert len(re.findall(r"^wcb-", dry, re.MULTILINE)) == 3
    code, output = remote.run("dvc", "repro", **remote.environment)
    assert code == 0, output
    assert len(layer.created) == 3
    assert remote.read("dvc.lock") == finished[0].read("dvc.lock")
    code, again = remote.run("python", "-m", "stages.cloud.submit", **remote.environment)
    assert code == 0
    assert "0 of 0 jobs" in again
    code, cost = remote.run("python", "-m", "stages.cloud.submit", "--cost", **remote.environment)
    assert code == 0
    assert "US dollars in 3 jobs" in cost
    for text in (said, dry, output, cost):
        assert SECRET not in text
    mine = [
        file for file in remote.folder.rglob("*") if file.is_file() and file.name not in (".env", "credentials.json")
    ]
    for name, content in {**{str(file): file.read_bytes() for file in mine}, **objects(layer)}.items():
        assert SECRET.encode() not in content, name
        if name.endswith(".tar.gz"):
            with tarfile.open(fileobj=BytesIO(content)) as archive:
                assert not any(
                    SECRET.encode() in archive.extractfile(member).read() for member in archive if member.isfile()
                ), name
    assert SECRET not in json.dumps([job.state for job in layer.jobs.values()])
    for stream in layer.client("logs").describe_log_streams(logGroupName="/aws/sagemaker/TrainingJobs")["logStreams"]:
        events = layer.client("logs").get_log_events(
            logGroupName="/aws/sagemaker/TrainingJobs", logStreamName=stream["logStreamName"]
        )["events"]
        assert SECRET not in str(events)


@pytest.mark.slow
def test_an_interrupted_repro_says_how_to_stop_what_runs_and_the_next_one_attaches(remote, layer):
    code, said = remote.run("dvc", "repro", "plan", "prepare", **remote.environment)
    assert code == 0, said
    layer.runs = False
    process = remote.start("dvc", "repro", "train@cnn", **remote.environment)
    deadline = time.monotonic() + 120
    while not layer.created:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert (
        "interrupted; the jobs of 'cnn' go on and are paid for: `python -m stages.cloud.submit --stop` stops them"
        in output
    )
    assert "Traceback" not in output
    assert not (remote.folder / "data" / "runs" / "cnn").exists()
    layer.jobs[layer.created[0][1]].thread.start()
    code, said = remote.run("dvc", "repro", "train@cnn", **remote.environment)
    assert code == 0, said
    assert len(layer.created) == 1


@pytest.mark.slow
def test_without_the_extra_the_message_says_what_to_install(remote):
    assert REGION in remote.environment.values()
    code, said = remote.run("dvc", "repro", "plan", "prepare", **remote.environment)
    assert code == 0, said
    blocked = "import sys; sys.modules['boto3'] = None; sys.argv = ['train', 'cnn']; import runpy; runpy.run_module('stages.train', run_name='__main__')"
    code, said = remote.run("python", "-c", blocked, **remote.environment)
    assert code == 1
    assert (
        said.strip()
        == "SageMaker needs packages that are not installed: `make sagemaker` installs them (local training does without)"
    )


@pytest.mark.slow
def test_a_job_is_needed_for_what_dvc_would_train_and_not_for_what_it_has_in_its_cache(workspace):
    ask = ("python", "-c", "from stages.stale import stale_variants; print(stale_variants('train'))")
    shutil.rmtree(workspace.folder / "data" / "runs" / "cnn")
    assert workspace.run(*ask) == (0, "[]\n")
    workspace.lose("train@kernel_1")
    assert workspace.run(*ask) == (0, "['kernel_1']\n")

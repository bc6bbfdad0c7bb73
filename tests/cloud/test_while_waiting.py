"""Faults while a command waits for its jobs: each is one message, and says what goes on, costs, and what to do."""

import json
import os
import signal
import threading
import time

import pytest

pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")
pytest.importorskip("sagemaker.core.resources", reason="the extra `sagemaker` is not installed")
pytest.importorskip("moto.server", reason="moto is not installed")

from botocore import exceptions as boto
from small_jobs import compute, jobs, packed, runs, trained

from stages.cloud import account, container
from stages.shared.stage_command import StageError

pytestmark = pytest.mark.usefixtures("prepared")

GOES_ON = (
    r"\nThese jobs go on and are paid for, at most 0\.204 US dollars an hour each \(table of 2025-06, .*\): "
    r"wcb-cnn-\w+( \(if it was made\))?\n`dvc repro` attaches to them, `python -m stages\.cloud stop` stops them"
)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """The SDK tries a request once."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(account, "RETRIES", 0)


def refused(status, code, text="no"):
    body = json.dumps({"__type": code, "message": text}).encode()
    return status, [("Content-Type", "application/x-amz-json-1.1")], body


def s3_refused(status, code):
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
    return status, [("Content-Type", "application/xml")], body


def answers(layer, operation, answer, times=10**9, after=0):
    """Give this answer to the next requests for an operation (or to an S3 request that begins so), after some."""
    left, before = times, after

    def intercept(name):
        nonlocal left, before
        if not name.startswith(operation) or left == 0:
            return None
        if before:
            before -= 1
            return None
        left -= 1
        return answer

    layer.intercept = intercept


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "ExpiredTokenException",
            "AWS refuses the credentials .*; sign in again with `aws sso login`, or set",
        ),
        ("AccessDeniedException", "AWS does not allow DescribeTrainingJob: no; docs/sagemaker.md lists the rights"),
    ],
)
@pytest.mark.parametrize("after", [1, 2])
def test_credentials_that_expire_while_a_job_runs_end_with_what_goes_on_and_costs(
    layer, tmp_path, code, message, after
):
    """The first question finds no such job; the SDK asks the second one as soon as the job is made."""
    layer.runs = False
    answers(layer, "DescribeTrainingJob", refused("400 Bad Request", code), after=after)
    with pytest.raises(StageError, match=f"(?s)^{message}.*{GOES_ON}") as error:
        trained(tmp_path / "out", runs())
    assert ("(if it was made)" in str(error.value)) == (after == 1)
    assert len(layer.created) == 1


@pytest.mark.parametrize(
    "operation", ["DescribeTrainingJob", "CreateTrainingJob", "ListTrainingJobs", "PUT", "HEAD /a-bucket/"]
)
def test_a_fault_of_aws_is_tried_again_and_passes(ready_made, tmp_path, capsys, operation):
    is_s3 = operation.isupper() or "/" in operation
    answer = s3_refused("500 Internal Server Error", "InternalError") if is_s3 else None
    answers(ready_made, operation, answer or refused("500 Internal Server Error", "InternalFailure"), times=2)
    trained(tmp_path / "out", runs(seeds=(0,)))
    assert "waiting: AWS has a fault of its own at" in capsys.readouterr().out
    assert len(ready_made.created) == 1


def test_a_fault_of_aws_that_stays_ends_at_the_deadline_with_what_goes_on(layer, tmp_path):
    layer.runs = False
    compute(quota_minutes=0.01)
    answers(layer, "DescribeTrainingJob", refused("500 Internal Server Error", "InternalFailure"), after=2)
    with pytest.raises(StageError, match=rf"(?s)AWS gives no answer: AWS has a fault of its own.*{GOES_ON}"):
        trained(tmp_path / "out", runs())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_command_ends_it_with_what_goes_on(layer, tmp_path, number):
    layer.runs = False
    before = signal.getsignal(number)

    def end():
        while not layer.created:
            time.sleep(0.05)
        time.sleep(1)
        os.kill(os.getpid(), number)

    signal.signal(number, signal.SIG_DFL)
    threading.Thread(target=end, daemon=True).start()
    try:
        with pytest.raises(StageError, match=f"^ended by {number.name}{GOES_ON}"):
            trained(tmp_path / "out", runs())
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_data_that_s3_does_not_take_are_one_message(layer, tmp_path):
    answers(layer, "PUT", s3_refused("403 Forbidden", "AccessDenied"))
    with pytest.raises(StageError, match=r"^AWS does not allow PutObject: .*\n\nno job is known to run on; `dvc"):
        trained(tmp_path / "out", runs())
    assert not layer.created


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_an_artifact_that_s3_does_not_give_is_one_message(ready_made, tmp_path, method):
    name = jobs(seeds=(0,))[0].name()
    key = f"{method} /a-bucket/what-convolution-buys/jobs/{name}"
    answers(ready_made, key, s3_refused("403 Forbidden", "AccessDenied"))
    message = (
        r"AWS does not allow .*\nThe job has ended and costs nothing more; its results stay at s3://a-bucket/.*tar.gz"
    )
    with pytest.raises(StageError, match=message):
        trained(tmp_path / "out", runs(seeds=(0,)))


def test_a_download_that_is_cut_short_is_tried_again_until_the_deadline(ready_made, tmp_path, capsys):
    name = jobs(seeds=(0,))[0].name()
    cut = ("200 OK", [("Content-Length", "100000"), ("ETag", '"x"')], b"half")
    key = f"GET /a-bucket/what-convolution-buys/jobs/{name}"
    answers(ready_made, key, cut, times=5)  # s3transfer tries five times by itself
    trained(tmp_path / "out", runs(seeds=(0,)))
    assert "waiting: what AWS sends was cut short" in capsys.readouterr().out
    compute(quota_minutes=0)
    answers(ready_made, key, cut)
    with pytest.raises(StageError, match=r"cut short.*\nThe job has ended and costs nothing more"):
        trained(tmp_path / "again", runs(seeds=(0,)))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ({"./job.json": None}, "lacks a whole job.json, which every job of this project writes; delete that object"),
        ({"./job.json": b"{}"}, "lacks a whole job.json"),
        ({"./job.json": b"[1"}, "lacks a whole job.json"),
        ({"./job.json": b'{"run_seconds": ["x"], "packages": {"torch": "2"}}'}, "lacks a whole job.json"),
    ],
)
def test_an_artifact_without_a_whole_record_is_refused_and_nothing_is_taken(layer, tmp_path, members, spoil, message):
    layer.artifact = lambda content: packed(members(content) | spoil)
    with pytest.raises(StageError, match=rf"model\.tar\.gz {message}"):
        trained(tmp_path / "out", runs(seeds=(0,)))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (b"{}", r"cannot be read \(KeyError"),
        (b"[]", r"cannot be read \(TypeError"),
        (b'{"test_accuracy": "high", "test_loss": 1}', "has a test_accuracy of 'high', which is no fraction"),
        (b'{"test_accuracy": 1.5, "test_loss": 1}', "has a test_accuracy of 1.5"),
        (b'{"test_accuracy": 0.5, "test_loss": NaN}', "has a test_loss of nan, which is no finite number"),
    ],
)
def test_a_run_with_odd_metrics_is_refused(layer, tmp_path, members, metrics, message):
    import hashlib

    def artifact(content):
        whole = members(content)
        record = json.loads(whole["./cnn/seed_0/record.json"])
        record["files"]["metrics.json"] = hashlib.sha256(metrics).hexdigest()
        new = {"./cnn/seed_0/metrics.json": metrics, "./cnn/seed_0/record.json": json.dumps(record).encode()}
        return packed(whole | new)

    layer.artifact = artifact
    with pytest.raises(StageError, match=rf"metrics.json of seed 0 of variant 'cnn' {message}"):
        trained(tmp_path / "out", runs(seeds=(0,)))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            boto.SSLError(endpoint_url="https://x", error="[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"),
            StageError,
            "is not trusted: .*set AWS_CA_BUNDLE to its file",
        ),
        (boto.SSLError(endpoint_url="https://x", error="EOF occurred"), account.Unavailable, "broke off"),
        (boto.ReadTimeoutError(endpoint_url="https://x"), account.Unavailable, "AWS cannot be reached: .*AWS_REGION="),
        (boto.EndpointConnectionError(endpoint_url="https://x"), account.Unavailable, "AWS cannot be reached"),
        (boto.ConnectionClosedError(endpoint_url="https://x"), account.Unavailable, "AWS cannot be reached"),
        (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), account.Unavailable, "cut short"),
        (boto.ParamValidationError(report="odd"), StageError, "boto3 cannot send what AWS is asked: .*odd"),
    ],
)
def test_what_fails_on_the_way_is_told_apart_by_whether_it_may_pass(error, kind, message):
    with pytest.raises(kind, match=message) as raised, account.aws_errors_in_words():
        raise error
    assert type(raised.value) is kind


def test_without_a_route_to_pypi_the_job_says_so_in_its_failure(tmp_path, monkeypatch):
    (tmp_path / "requirements.txt").write_text("a-package-of-nobody==1.0\n")
    monkeypatch.setattr(container.paths, "ROOT", tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    message = r"the image lacks a-package-of-nobody==1.0, and pip cannot install them \(ERROR: .*needs a route to PyPI"
    with pytest.raises(container.PackagesMissing, match=message):
        container._install_missing_packages()

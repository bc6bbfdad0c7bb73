"""Account, bucket, role and settings are checked before anything is sent."""

from types import SimpleNamespace

import pytest

pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")
pytest.importorskip("sagemaker.core.resources", reason="the extra `sagemaker` is not installed")
pytest.importorskip("moto.server", reason="moto is not installed")

from sagemaker_layer import ACCOUNT, ROLE
from small_jobs import compute, objects, runs, trained

from stages.cloud import account
from stages.cloud.settings import load
from stages.shared.params import ParamsError
from stages.shared.stage_command import StageError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prepared")]


@pytest.mark.parametrize(
    ("changes", "message"),
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
def test_what_is_missing_is_named_with_the_variable_that_sets_it(layer, monkeypatch, tmp_path, changes, message):
    for name, value in changes.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    with pytest.raises(StageError, match=message):
        trained(tmp_path / "out", runs())
    assert not layer.created
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    assert not objects(layer)


@pytest.mark.parametrize(
    ("operation", "code", "message"),
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
def test_what_aws_refuses_is_named_with_what_to_set(monkeypatch, operation, code, message):
    from botocore.exceptions import ClientError

    def refuse(**_):
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, operation)

    answers = {"get_caller_identity": lambda: {"Account": ACCOUNT}, operation: refuse}
    with monkeypatch.context() as patched:
        patched.setattr(account, "client", lambda _: SimpleNamespace(**answers))
        with pytest.raises(StageError, match=message):
            account.preflight(load().sagemaker)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"jobs": "epoch"}, "sagemaker.jobs = 'epoch'"),
        ({"max_concurrent": "0"}, "sagemaker.max_concurrent = 0"),
        ({"max_wait_minutes": "5"}, r"max_wait_minutes = 5: must not be less than max_runtime_minutes \(120\)"),
        ({"instance_type": "c5.xlarge"}, "sagemaker.instance_type = 'c5.xlarge'"),
    ],
)
def test_a_mistake_in_compute_yaml_is_named(change, message):
    compute(**change)
    with pytest.raises(ParamsError, match=message):
        load()


def test_without_the_sdk_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(StageError, match="SageMaker needs packages that are not installed: `make sagemaker` installs"):
        account.need_boto3()

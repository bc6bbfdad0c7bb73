"""What organisations ask for: a VPC, keys, isolation, encryption; sent as set, and checked before anything is sent."""

import pytest

pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")
pytest.importorskip("sagemaker.core.resources", reason="the extra `sagemaker` is not installed")
pytest.importorskip("moto.server", reason="moto is not installed")

import botocore.session
from botocore.validate import validate_parameters
from sagemaker_layer import BUCKET
from small_jobs import compute, jobs, objects, started

from stages.cloud import service_model
from stages.cloud.settings import load
from stages.shared.stage_command import StageError

pytestmark = pytest.mark.usefixtures("prepared")

KEY = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def test_network_keys_and_encryption_are_sent_as_they_are_set_and_change_no_name(layer):
    layer.runs = False
    (job,) = jobs()
    compute(
        subnets="[subnet-1, subnet-2]",
        security_groups="[sg-1]",
        volume_kms_key=KEY,
        output_kms_key=KEY,
        network_isolation="true",
        encrypt_between_containers="true",
        tags="{project: x, cost-centre: '42'}",
    )
    started(*jobs())
    state = layer.jobs[job.name()].state
    assert state["VpcConfig"] == {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1", "subnet-2"]}
    assert state["ResourceConfig"]["VolumeKmsKeyId"] == KEY
    assert state["OutputDataConfig"]["KmsKeyId"] == KEY
    assert state["EnableNetworkIsolation"] is True
    assert state["EnableInterContainerTrafficEncryption"] is True
    tags = {tag["Key"]: tag["Value"] for tag in layer.jobs[job.name()].tags}
    assert tags == {"project": "x", "cost-centre": "42", "variant": "cnn"}
    uploaded = objects(layer)
    heads = [layer.client("s3").head_object(Bucket=BUCKET, Key=key) for key in uploaded]
    assert len(heads) > 3
    assert {(head["ServerSideEncryption"], head["SSEKMSKeyId"]) for head in heads} == {("aws:kms", KEY)}


def test_nothing_of_it_is_sent_where_nothing_is_set(layer):
    layer.runs = False
    started(*jobs())
    (job,) = layer.jobs.values()
    assert "VpcConfig" not in job.state
    assert "VolumeKmsKeyId" not in job.state["ResourceConfig"]
    assert "KmsKeyId" not in job.state["OutputDataConfig"]
    assert job.state["EnableNetworkIsolation"] is False


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subnets": "[subnet-1]"}, "subnets and sagemaker.security_groups in compute.yaml go together"),
        ({"security_groups": "[sg-1]"}, "go together"),
        ({"subnets": "[net-1]", "security_groups": "[sg-1]"}, "'net-1' in sagemaker.subnets is no id such as subnet-"),
        ({"subnets": "[subnet-1]", "security_groups": "[sg_1]"}, "'sg_1' in sagemaker.security_groups is no id"),
        (
            {"subnets": "[subnet-1]", "security_groups": "[sg-1, sg-2, sg-3, sg-4, sg-5, sg-6]"},
            "sagemaker.security_groups has 6 entries; AWS takes 5",
        ),
        ({"volume_kms_key": "'my key'"}, "sagemaker.volume_kms_key = 'my key' is no id and no ARN of a key"),
        ({"output_kms_key": "'key?'"}, "sagemaker.output_kms_key = 'key\\?' is no id"),
        ({"volume_kms_key": KEY, "instance_type": "ml.g4dn.xlarge"}, "ml.g4dn.xlarge has a disk of its own"),
    ],
)
def test_what_aws_would_refuse_is_named_before_anything_is_sent(layer, changes, message):
    compute(**changes)
    with pytest.raises(StageError, match=f"(?s){message}.*nothing was sent"):
        started(*jobs())
    assert (layer.created, objects(layer)) == ([], {})


def test_isolation_asks_for_an_image_that_has_all_packages(layer, monkeypatch):
    monkeypatch.delenv("SAGEMAKER_IMAGE")
    compute(network_isolation="true")
    with pytest.raises(StageError, match=r"`python -m stages.cloud dockerfile` prints its Dockerfile\), and set"):
        started(*jobs())


def test_a_serverless_endpoint_takes_neither_subnets_nor_isolation():
    compute(subnets="[subnet-1]", security_groups="[sg-1]")
    with pytest.raises(StageError, match="a serverless endpoint takes no subnets and no network isolation; keep"):
        service_model.check_hosting(None, load().sagemaker)
    service_model.check_hosting("ml.m5.large", load().sagemaker)
    with pytest.raises(
        StageError, match=r"'m5.large' is no instance that SageMaker serves on, .*ml.m5.large, .*--inst"
    ):
        service_model.check_hosting("m5.large", load().sagemaker)


def test_own_disks_are_told_by_the_name():
    with_disk = ("m5d", "c6gd", "g4dn", "g5", "g6e", "p4d", "p5")
    assert all(service_model.has_own_disk(f"ml.{family}.xlarge") for family in with_disk)
    assert not any(service_model.has_own_disk(f"ml.{family}.xlarge") for family in ("m5", "c5", "c6i", "p3", "t3"))


def test_the_request_keeps_to_the_service_model_of_aws(layer):
    """The layer takes what botocore sends, and botocore checks no patterns; lengths and members it does check."""
    layer.runs = False
    compute(subnets="[subnet-1]", security_groups="[sg-1]", volume_kms_key=KEY, output_kms_key=KEY)
    started(*jobs())
    (job,) = layer.jobs.values()
    shape = (
        botocore.session.get_session().get_service_model("sagemaker").operation_model("CreateTrainingJob").input_shape
    )
    sent = {key: value for key, value in job.state.items() if key in shape.members}
    validate_parameters(sent | {"TrainingJobName": job.name}, shape)

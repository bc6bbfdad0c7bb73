"""Endpoints made and tried, and what is said where that fails."""

import json
import sys
import tarfile
import time

import pytest
from endpoints import BUCKET, INSTANCE, NOTHING, NUMBER, REGION, ROLE, SECRET, create, interrupt, ours, there
from safetensors.numpy import load_file
from small_model import packaged

from stages.cloud import account, images
from stages.shared.prepared_data import load_constants
from stages.shared.stage_command import StageError
from stages.tools.deploy import endpoint, handler, inventory
from stages.tools.deploy.package import digest, unpacked

pytestmark = pytest.mark.slow


def test_create_makes_a_serverless_endpoint_that_answers_as_in_training(aws, archive, data, capsys):
    aws.coming = ["Creating", "Creating", "InService"]
    create(archive)
    printed = capsys.readouterr().out
    (name,), configs, models, keys = there()
    assert (configs, models, keys) == ([name], [name], [f"what-convolution-buys/models/{name}/model.tar.gz"])
    assert name.startswith("wcb-cnn-")
    assert len(name) <= 63

    sagemaker = account.client("sagemaker")
    variant = sagemaker.describe_endpoint_config(EndpointConfigName=name)["ProductionVariants"][0]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 3072, "MaxConcurrency": 1}
    assert "InstanceType" not in variant
    model = sagemaker.describe_model(ModelName=name)
    assert model["PrimaryContainer"]["Image"] == images.serving_image("ml.m5.large")
    assert model["PrimaryContainer"]["Environment"]["BASH_ENV"] == "/opt/ml/model/serve.sh"
    assert model["ExecutionRoleArn"] == ROLE
    for kind in ("endpoint", "endpoint-config", "model"):
        tags = sagemaker.list_tags(ResourceArn=f"arn:aws:sagemaker:{REGION}:{NUMBER}:{kind}/{name}")["Tags"]
        assert tags == [{"Key": "project", "Value": "what-convolution-buys"}]
    body = account.client("s3").get_object(Bucket=BUCKET, Key=keys[0])["Body"].read()
    assert body == archive.read_bytes()

    label = load_constants(data / "prepared")["classes"][
        load_file(data / "runs/cnn/seed_1/predictions.safetensors")["predicted"][0]
    ]
    assert f"answer to the first test image: {label} (probability " in printed
    assert f"AWS account {NUMBER}, region {REGION}" in printed
    assert printed.count("Creating") == 1
    # 3 GB at 0.00002 USD a second.
    assert "about 0.00006 USD for each second of answering, nothing while idle" in printed
    assert f"python -m stages.tools.deploy delete {name}" in printed
    assert SECRET not in printed


def test_create_with_an_instance_type_says_what_it_costs_idle(aws, archive, capsys):
    create(archive, INSTANCE)
    variant = account.client("sagemaker").describe_endpoint_config(EndpointConfigName=there()[0][0])[
        "ProductionVariants"
    ][0]
    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.m5.large", 1)
    assert "ServerlessConfig" not in variant
    # 0.115 USD × 730 hours
    assert "about 0.115 USD an hour, 84 USD a month, also while idle" in capsys.readouterr().out


def test_create_again_takes_what_is_there_and_another_hosting_has_a_name_of_its_own(aws, archive):
    create(archive)
    before = there()
    create(archive)
    assert there() == before
    create(archive, INSTANCE)
    assert len(set(there()[0])) == 2


def test_a_dry_run_makes_nothing_and_says_the_price(aws, archive, capsys):
    create(archive, dry_run=True)
    assert there() == NOTHING
    printed = capsys.readouterr().out
    assert "nothing was made (--dry-run)" in printed
    assert "USD" in printed


def test_an_endpoint_that_fails_ends_in_one_message_with_the_reason_the_log_and_what_is_left(aws, archive):
    aws.coming, aws.reason = ["Creating", "Failed"], "The container did not pass the ping health check."
    with pytest.raises(StageError) as failure:
        create(archive, INSTANCE)
    name = there()[0][0]
    message = str(failure.value)
    assert (
        f"the endpoint {name} did not come up (Failed): The container did not pass the ping health check.\n" in message
    )
    assert f"aws logs tail /aws/sagemaker/Endpoints/{name}" in message
    assert (
        "the model, the endpoint config, the endpoint; an endpoint that is up costs about 0.115 USD an hour" in message
    )
    inventory.delete([name], False, ours(), 1)
    assert there() == NOTHING


def test_an_endpoint_that_never_comes_up_is_given_up_in_time_and_can_be_deleted_when_it_has(aws, archive):
    aws.coming = ["Creating"]
    create(archive, dry_run=True)  # loads what takes seconds to load
    start = time.monotonic()
    with pytest.raises(StageError, match=r"is still Creating after 0\.001 minutes; it may yet come up") as failure:
        create(archive, minutes=0.001)
    assert time.monotonic() - start < 5
    name = there()[0][0]
    assert f"delete {name}" in str(failure.value)
    with pytest.raises(StageError, match=r"is still Creating after 0\.001 minutes, and may cost; run .* again"):
        inventory.delete([name], False, ours(), 0.001)
    aws.states[name] = ["Creating", "Creating", "InService"]
    inventory.delete([name], False, ours(), 1)
    assert there() == NOTHING


def test_an_endpoint_whose_creation_got_no_answer_is_named_and_taken_up_again(aws, archive, monkeypatch):
    from botocore.exceptions import EndpointConnectionError

    sagemaker, ask = account.client("sagemaker"), endpoint.ask
    create_endpoint = sagemaker.create_endpoint

    def without_an_answer(**arguments):
        create_endpoint(**arguments)
        raise EndpointConnectionError(endpoint_url="https://aws")

    monkeypatch.setattr(sagemaker, "create_endpoint", without_an_answer)
    with pytest.raises(StageError, match="the endpoint config, perhaps the endpoint; an endpoint that is up costs"):
        create(archive)
    monkeypatch.setattr(sagemaker, "create_endpoint", create_endpoint)
    not_yet_seen = [None]

    def ask_too_early(call, **arguments):
        if call.__name__ == "describe_endpoint" and not_yet_seen:
            return not_yet_seen.pop()
        return ask(call, **arguments)

    monkeypatch.setattr(endpoint, "ask", ask_too_early)
    create(archive)
    assert not not_yet_seen
    assert len(there()[0]) == 1


def test_an_interrupted_create_says_what_is_left(aws, archive, monkeypatch):
    aws.coming = ["Creating"]

    monkeypatch.setattr(endpoint, "pause", interrupt)
    with pytest.raises(
        StageError,
        match=r"(?s)^interrupted\nleft on AWS: .*the endpoint; an endpoint that is up costs .*deploy delete wcb-cnn-",
    ):
        create(archive)


@pytest.mark.parametrize("body", ["no JSON", "[]", '{"error": "it is broken"}'])
def test_an_endpoint_that_answers_nonsense_is_not_called_good(aws, archive, body):
    aws.answer = lambda *_: body
    with pytest.raises(StageError, match=r"is up, but answers b'.*'(?s:.*)stages\.tools\.deploy delete"):
        create(archive)


def test_an_endpoint_that_answers_otherwise_than_this_machine_is_not_called_good(aws, archive, data):
    with unpacked(archive) as folder:
        classes = handler.model_fn(folder).classes
    right = classes[load_file(data / "runs/cnn/seed_1/predictions.safetensors")["predicted"][0]]
    wrong = next(name for name in classes if name != right)
    aws.answer = lambda *_: json.dumps({"label": wrong, "probabilities": dict.fromkeys(classes, 0.5)})
    with pytest.raises(StageError, match="answers otherwise than this machine"):
        create(archive)


FAULTS = {
    "no credentials": ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "set AWS_PROFILE"),
    "a profile that is not there": ({"AWS_PROFILE": "nobody"}, "set AWS_PROFILE"),
    "no region": ({"AWS_REGION": None}, "set AWS_REGION, for example"),
    "no role": ({"SAGEMAKER_ROLE": None}, "set SAGEMAKER_ROLE"),
    "a role by its name": ({"SAGEMAKER_ROLE": "SageMakerRole"}, "must be its ARN"),
    "a role of another account": (
        {"SAGEMAKER_ROLE": ROLE.replace(NUMBER, "999999999999")},
        "belongs to account 999999999999",
    ),
    "no bucket": ({"SAGEMAKER_BUCKET": None}, "set SAGEMAKER_BUCKET"),
    "a bucket that is not there": ({"SAGEMAKER_BUCKET": "nobodys-bucket"}, "does not exist"),
}


@pytest.mark.parametrize("command", ["create", "list", "delete"])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_missing_is_named_before_anything_is_sent_and_only_create_needs_a_role(
    aws, archive, monkeypatch, fault, command
):
    changes, message = FAULTS[fault]
    for name, value in changes.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    commands = {
        "create": lambda: create(archive),
        "list": lambda: inventory.print_all(ours()),
        "delete": lambda: inventory.delete([], True, ours(), 1),
    }
    if "role" in fault and command != "create":
        return commands[command]()
    with pytest.raises(StageError) as refusal:
        commands[command]()
    assert message in str(refusal.value)
    assert SECRET not in str(refusal.value)


def test_without_boto3_the_message_says_how_to_get_it(aws, archive, monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(StageError, match="packages that are not installed"):
        create(archive)


def test_a_package_of_an_earlier_version_is_not_sent(aws, archive, tmp_path):
    """It has another server, or none."""
    old = tmp_path / "model.tar.gz"
    with tarfile.open(archive) as tar, tarfile.open(old, "w:gz") as shorter:
        for member in tar.getmembers():
            if member.name != "serve.sh":
                shorter.addfile(member, tar.extractfile(member))
    with pytest.raises(StageError, match=r"holds no serve\.sh, .*tools\.deploy package` makes it anew"):
        create(old)
    assert there() == NOTHING


def test_the_name_depends_on_the_package_the_image_and_the_hosting(aws, archive, data, tmp_path, capsys):
    other = packaged(data, tmp_path, seed=0)
    assert digest(other) != digest(archive)
    for arguments in ((archive,), (other,), (archive, INSTANCE)):
        create(*arguments, dry_run=True)
    create(archive, dry_run=True, image="123456789012.dkr.ecr.eu-central-1.amazonaws.com/mine:1")
    names = [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("endpoint wcb-")]
    assert len(set(names)) == 4

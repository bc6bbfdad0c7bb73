"""Endpoints made, tried, listed and removed, over moto and a layer that answers, fails and refuses as AWS does."""

import contextlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request

import pytest
from safetensors.numpy import load_file
from small_model import packaged

from stages.cloud import account, images
from stages.cloud import settings as aws_settings
from stages.shared import paths, stage_command
from stages.shared.prepared_data import load_constants
from stages.shared.stage_command import StageError
from stages.tools.deploy import __main__ as deploy
from stages.tools.deploy import endpoint, handler, inventory
from stages.tools.deploy.hosting import Hosting
from stages.tools.deploy.package import digest, unpacked

pytestmark = pytest.mark.slow

moto_server = pytest.importorskip("moto.server", reason="moto is not installed: `make sagemaker` installs it")

REGION, BUCKET, NUMBER = "eu-central-1", "bucket-of-mine", "123456789012"
ROLE = f"arn:aws:iam::{NUMBER}:role/SageMakerRole"
SECRET = "SECRET-THAT-NOBODY-MAY-SEE"
SERVERLESS, INSTANCE = Hosting(None, 3072), Hosting("ml.m5.large", 3072)


@pytest.fixture(scope="module")
def server():
    running = moto_server.ThreadedMotoServer(port=0)
    running.start()
    yield "http://{}:{}".format(*running.get_host_and_port())
    running.stop()


@pytest.fixture
def aws(server, monkeypatch, tmp_path):
    """An empty account with the bucket, the variables that a user sets, and moto corrected where AWS is otherwise."""
    import boto3

    for name in [name for name in os.environ if name.startswith(("AWS_", "SAGEMAKER_"))]:
        monkeypatch.delenv(name)
    ours = {
        "AWS_ENDPOINT_URL": server,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }
    nowhere = {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in {**ours, **nowhere, "SAGEMAKER_ROLE": ROLE, "SAGEMAKER_BUCKET": BUCKET}.items():
        monkeypatch.setenv(name, value)
    urllib.request.urlopen(urllib.request.Request(f"{server}/moto-api/reset", method="POST")).close()
    boto3.client("s3", region_name=REGION).create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    forget()
    yield Layer(monkeypatch)
    forget()


CACHES = (account.client, account.session)


def forget():
    for cache in CACHES:
        cache.cache_clear()


class Layer:
    """What AWS does and moto does not: states that follow each other, no name twice, an answer by the package."""

    def __init__(self, monkeypatch):
        from moto.sagemaker.models import SageMakerModelBackend as Backend
        from moto.sagemakerruntime.responses import SageMakerRuntimeResponse as Runtime

        self.monkeypatch, self.backend = monkeypatch, Backend
        self.states = {}  # endpoint → what is left of the states that it goes through; the last one stays
        self.coming = ["InService"]  # of the next endpoint
        self.reason = None
        self.answer = answer_by_the_package
        for kind, names in (("model", "_models"), ("endpoint_config", "endpoint_configs"), ("endpoint", "endpoints")):
            monkeypatch.setattr(Backend, f"create_{kind}", self._once(getattr(Backend, f"create_{kind}"), kind, names))
        monkeypatch.setattr(Backend, "describe_endpoint", self._describe(Backend.describe_endpoint))
        monkeypatch.setattr(Backend, "delete_endpoint", self._delete(Backend.delete_endpoint))
        monkeypatch.setattr(Runtime, "invoke_endpoint", lambda request: self._invoke(request))

    def refuse(self, method, code, text):
        from moto.core.exceptions import JsonRESTError

        def refused(*_, **__):
            raise JsonRESTError(code, text)

        self.monkeypatch.setattr(self.backend, method, refused)

    def _once(self, real, kind, names):
        def create(backend, **arguments):
            name = arguments[f"{kind}_name"]
            if name in getattr(backend, names):
                raise invalid(f"Cannot create already existing {kind} {name}")
            if kind == "endpoint":
                self.states[name] = list(self.coming)
            return real(backend, **arguments)

        return create

    def _describe(self, real):
        def describe(backend, name):
            found = real(backend, name)
            states = self.states[name]
            state = states.pop(0) if len(states) > 1 else states[0]
            reason = {"FailureReason": self.reason} if state == "Failed" and self.reason else {}
            return {**found, "EndpointStatus": state, **reason}

        return describe

    def _delete(self, real):
        def delete(backend, name):
            if name in self.states and self.states[name][0] in ("Creating", "Updating"):
                raise invalid("Cannot update in-progress endpoint")
            return real(backend, name)

        return delete

    def _invoke(self, request):
        """By the way from the endpoint over its config and model to the archive in S3."""
        from moto.sagemaker.models import sagemaker_backends

        backend = sagemaker_backends[NUMBER][REGION]
        config = backend.endpoint_configs[backend.endpoints[request.path.split("/")[2]].endpoint_config_name]
        url = backend._models[config.production_variants[0]["ModelName"]].primary_container["ModelDataUrl"]
        body = request.body if isinstance(request.body, bytes) else request.body.encode()
        return 200, {"Content-Type": "application/json"}, self.answer(url, body)


def invalid(text):
    from moto.sagemaker.exceptions import ValidationError

    return ValidationError(message=text)


def answer_by_the_package(url, body):
    """By the archive that the model names in S3, and nothing that this machine has beside it."""
    from moto.s3.models import s3_backends

    bucket, key = url.removeprefix("s3://").split("/", 1)
    content = s3_backends[NUMBER]["aws"].get_object(bucket, key).value
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            tar.extractall(folder, filter="data")
        return handler.answer(handler.model_fn(folder), body, "application/json", "application/json").body.decode()


def create(archive, hosting=SERVERLESS, minutes=1.0, dry_run=False, image=None):
    endpoint.create(archive, hosting, image, ours(), minutes, dry_run)


def ours():
    return aws_settings.load().sagemaker.model_copy(update={"poll_seconds": 0.01})


def there():
    """Names of the endpoints, configs and models, and keys in the bucket."""
    sagemaker = account.client("sagemaker")
    objects = account.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return (
        [one["EndpointName"] for one in sagemaker.list_endpoints()["Endpoints"]],
        [one["EndpointConfigName"] for one in sagemaker.list_endpoint_configs()["EndpointConfigs"]],
        [one["ModelName"] for one in sagemaker.list_models()["Models"]],
        [one["Key"] for one in objects],
    )


NOTHING = ([], [], [], [])


def test_create_makes_a_serverless_endpoint_that_answers_as_in_training(aws, archive, data, capsys):
    aws.coming = ["Creating", "Creating", "InService"]
    create(archive)
    said = capsys.readouterr().out
    (name,), configs, models, keys = there()
    assert (configs, models, keys) == ([name], [name], [f"what-convolution-buys/models/{name}/model.tar.gz"])
    assert name.startswith("wcb-cnn-")
    assert len(name) <= 63

    sagemaker = account.client("sagemaker")
    variant = sagemaker.describe_endpoint_config(EndpointConfigName=name)["ProductionVariants"][0]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 3072, "MaxConcurrency": 1}
    assert "InstanceType" not in variant
    model = sagemaker.describe_model(ModelName=name)
    assert model["PrimaryContainer"]["Image"] == images.serving_image(REGION)
    assert model["ExecutionRoleArn"] == ROLE
    for kind in ("endpoint", "endpoint-config", "model"):
        tags = sagemaker.list_tags(ResourceArn=f"arn:aws:sagemaker:{REGION}:{NUMBER}:{kind}/{name}")["Tags"]
        assert tags == [{"Key": "project", "Value": "what-convolution-buys"}]
    body = account.client("s3").get_object(Bucket=BUCKET, Key=keys[0])["Body"].read()
    assert body == archive.read_bytes()

    label = load_constants(data / "prepared")["classes"][
        load_file(data / "runs/cnn/seed_1/predictions.safetensors")["predicted"][0]
    ]
    assert f"answer to the first test image: {label} (probability " in said
    assert f"AWS account {NUMBER}, region {REGION}" in said
    assert said.count("Creating") == 1
    # 3 GB at 0.00002 USD a second.
    assert "about 0.00006 USD for each second of answering, nothing while idle" in said
    assert f"python -m stages.tools.deploy delete {name}" in said
    assert SECRET not in said


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
    said = capsys.readouterr().out
    assert "nothing was made (--dry-run)" in said
    assert "USD" in said


def test_list_shows_everything_with_its_price_and_delete_removes_it_and_nothing_of_others(aws, archive, capsys):
    sagemaker = account.client("sagemaker")
    sagemaker.create_model(ModelName="wcb-theirs", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "image"})
    account.client("s3").put_object(Bucket=BUCKET, Key="what-convolution-buys/data/x", Body=b"")
    create(archive)
    create(archive, INSTANCE)
    names = sorted(there()[0])
    capsys.readouterr()
    inventory.print_all(ours())
    said = capsys.readouterr().out
    assert all(name in said for name in names)
    assert "serverless, 3072 MB" in said
    assert "ml.m5.large" in said
    assert "2 endpoints of this project in this region" in said
    assert "theirs" not in said

    inventory.delete([names[0]], False, ours(), 1)
    assert there()[0] == [names[1]]
    inventory.delete([], True, ours(), 1)
    assert there() == ([], [], ["wcb-theirs"], ["what-convolution-buys/data/x"])
    capsys.readouterr()
    inventory.print_all(ours())
    inventory.delete([], True, ours(), 1)
    assert capsys.readouterr().out.count("nothing of this project is there") == 2


def test_delete_refuses_a_name_that_is_not_there_before_it_removes_anything(aws, archive):
    create(archive)
    name = there()[0][0]
    with pytest.raises(StageError, match=f"there is no wcb-other .there is: {name}.; nothing was deleted"):
        inventory.delete([name, "wcb-other"], False, ours(), 1)
    assert there()[0] == [name]


def test_what_a_failed_creation_left_is_listed_and_deleted(aws, archive, capsys):
    aws.refuse("create_endpoint", "ResourceLimitExceeded", "The account-level service limit is 0")
    with pytest.raises(StageError) as refusal:
        create(archive)
    endpoints, (name,), _, _ = there()
    assert endpoints == []
    said = str(refusal.value)
    assert "AWS refuses CreateEndpoint (ResourceLimitExceeded): The account-level service limit is 0" in said
    assert (
        f"left on AWS: s3://{BUCKET}/what-convolution-buys/models/{name}/model.tar.gz, the model, the endpoint config\n"
        in said
    )
    assert f"python -m stages.tools.deploy delete {name}" in said
    capsys.readouterr()
    inventory.print_all(ours())
    assert "none; the rest is not charged but for the storage" in capsys.readouterr().out
    inventory.delete([name], False, ours(), 1)
    assert there() == NOTHING


def test_an_endpoint_that_fails_ends_in_one_message_with_the_reason_the_log_and_what_is_left(aws, archive):
    aws.coming, aws.reason = ["Creating", "Failed"], "The container did not pass the ping health check."
    with pytest.raises(StageError) as failure:
        create(archive, INSTANCE)
    name = there()[0][0]
    said = str(failure.value)
    assert f"the endpoint {name} did not come up (Failed): The container did not pass the ping health check.\n" in said
    assert f"aws logs tail /aws/sagemaker/Endpoints/{name}" in said
    assert "the model, the endpoint config, the endpoint; an endpoint that is up costs about 0.115 USD an hour" in said
    inventory.delete([name], False, ours(), 1)
    assert there() == NOTHING


def test_an_endpoint_that_never_comes_up_is_given_up_in_time_and_can_be_deleted_when_it_has(aws, archive):
    aws.coming = ["Creating"]
    start = time.monotonic()
    with pytest.raises(StageError, match=r"is still Creating after 0\.001 minutes; it may yet come up") as failure:
        create(archive, minutes=0.001)
    assert time.monotonic() - start < 5
    name = there()[0][0]
    assert f"delete {name}" in str(failure.value)
    with pytest.raises(StageError, match=r"is still Creating after 0\.001 minutes, and may cost; say .* again"):
        inventory.delete([name], False, ours(), 0.001)
    aws.states[name] = ["Creating", "Creating", "InService"]
    inventory.delete([name], False, ours(), 1)
    assert there() == NOTHING


def test_an_interrupted_create_says_what_is_left(aws, archive, monkeypatch):
    aws.coming = ["Creating"]

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(endpoint, "pause", interrupt)
    with pytest.raises(
        StageError,
        match=r"(?s)^interrupted\nleft on AWS: .*the endpoint; an endpoint that is up costs .*deploy delete wcb-cnn-",
    ):
        create(archive)


def test_an_interrupted_delete_says_what_may_still_cost(aws, archive, monkeypatch):
    aws.coming = ["Creating"]
    with pytest.raises(StageError):
        create(archive, minutes=0.001)
    name = there()[0][0]

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(inventory, "pause", interrupt)
    with pytest.raises(
        StageError,
        match=rf"^interrupted; {name} may still be there and cost: `python -m stages.tools.deploy list` shows what is$",
    ):
        inventory.delete([name], False, ours(), 1)


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
    changes, said = FAULTS[fault]
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
    assert said in str(refusal.value)
    assert SECRET not in str(refusal.value)


def test_without_boto3_the_message_says_how_to_get_it(aws, archive, monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(StageError, match="packages that are not installed"):
        create(archive)


def test_the_name_depends_on_the_package_the_image_and_the_hosting(aws, archive, data, tmp_path, capsys):
    other = packaged(data, tmp_path, seed=0)
    assert digest(other) != digest(archive)
    for arguments in ((archive,), (other,), (archive, INSTANCE)):
        create(*arguments, dry_run=True)
    create(archive, dry_run=True, image="123456789012.dkr.ecr.eu-central-1.amazonaws.com/mine:1")
    names = [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("endpoint wcb-")]
    assert len(set(names)) == 4


@pytest.mark.slow
def test_the_commands_from_create_to_an_empty_list(aws, archive, monkeypatch, capsys):
    command = [sys.executable, "-m", "stages.tools.deploy", "create", "--package", str(archive)]
    made = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, check=True)
    assert SECRET not in made.stdout + made.stderr
    name = there()[0][0]
    assert f"endpoint {name}: InService" in made.stdout

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["deploy", *arguments])
        with contextlib.suppress(SystemExit):
            stage_command.run(deploy.main)
        printed = capsys.readouterr()
        assert SECRET not in printed.out + printed.err
        return printed.out + printed.err

    assert name in run("list")
    assert f"deleted {name}" in run("delete", name)
    assert "nothing of this project is there" in run("list")
    assert "one of the arguments NAME --all is required" in run("delete")
    monkeypatch.setattr(sys, "argv", ["deploy", "create", "--package", "/nowhere/model.tar.gz"])
    with pytest.raises(SystemExit, match="is missing"):
        stage_command.run(deploy.main)


def test_the_commands_that_look_and_delete_load_no_torch():
    code = "import sys; from stages.tools.deploy import __main__, inventory; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT, check=False).returncode == 0

"""Endpoints over moto and a layer that answers, fails and refuses as AWS does."""

import io
import tarfile
import tempfile

from stages.cloud import account
from stages.cloud import settings as aws_settings
from stages.tools.deploy import endpoint, handler
from stages.tools.deploy.hosting import Hosting

REGION, BUCKET, NUMBER = "eu-central-1", "bucket-of-mine", "123456789012"
ROLE = f"arn:aws:iam::{NUMBER}:role/SageMakerRole"
SECRET = "SECRET-THAT-NOBODY-MAY-SEE"
SERVERLESS, INSTANCE = Hosting(None, 3072), Hosting("ml.m5.large", 3072)


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

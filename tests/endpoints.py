"""Endpoints over moto and a layer that answers, fails and refuses as AWS does."""

import io
import json
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


def interrupt(_):
    """Takes the place of a pause, in which the user presses Ctrl-C."""
    raise KeyboardInterrupt


class Layer:
    """What AWS does and moto does not: states that follow each other, no name twice, an answer by the package."""

    def __init__(self, monkeypatch):
        from moto.sagemaker.models import SageMakerModelBackend as Backend
        from moto.sagemaker.responses import SageMakerResponse as Response
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
        self.jobs = {}  # batch transform job → its states, as those of endpoints
        self.job_states = ["InProgress", "Completed"]  # of the next job
        self.answers_job = True  # False: a job leaves no answers
        monkeypatch.setattr(Backend, "create_transform_job", self._transform(Backend.create_transform_job))
        monkeypatch.setattr(Backend, "describe_transform_job", self._describe_transform(Backend.describe_transform_job))
        self.registered = []  # requests to register a model; moto keeps no model card
        monkeypatch.setattr(Response, "create_model_package", self._register(Response.create_model_package))
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
            return {**real(backend, name), **self._next(self.states[name], "EndpointStatus")}

        return describe

    def _next(self, states, key):
        """The next of these states, of which the last one stays, and why it is Failed."""
        state = states.pop(0) if len(states) > 1 else states[0]
        reason = {"FailureReason": self.reason} if state == "Failed" and self.reason else {}
        return {key: state, **reason}

    def _transform(self, real):
        """Each object below the prefix is one request; its answer has its name and .out, as AWS documents it."""

        def create(backend, transform_job_name, model_name, **arguments):
            from moto.s3.models import s3_backends

            if transform_job_name in self.jobs:
                raise invalid(f"Job name must be unique, and {transform_job_name} already exists")
            self.jobs[transform_job_name] = list(self.job_states)
            url = backend._models[model_name].primary_container["ModelDataUrl"]
            source, target = arguments["transform_input"], arguments["transform_output"]["S3OutputPath"]
            bucket, prefix = source["DataSource"]["S3DataSource"]["S3Uri"].removeprefix("s3://").split("/", 1)
            s3 = s3_backends[NUMBER]["aws"]
            for key in [key for key in s3.buckets[bucket].keys if key.startswith(prefix) and self.answers_job]:
                answer = self.answer(url, s3.get_object(bucket, key).value, source["ContentType"])
                place = target.removeprefix(f"s3://{bucket}/")
                s3.put_object(bucket, f"{place}/{key.removeprefix(prefix)}.out", answer.encode())
            return real(backend, transform_job_name=transform_job_name, model_name=model_name, **arguments)

        return create

    def _register(self, real):
        def create(response):
            self.registered.append(json.loads(response.body))
            return real(response)

        return create

    def _describe_transform(self, real):
        def describe(backend, transform_job_name):
            described = real(backend, transform_job_name)
            return {**described, **self._next(self.jobs[transform_job_name], "TransformJobStatus")}

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


def answer_by_the_package(url, body, kind="application/json"):
    """By the archive that the model names in S3, and nothing that this machine has beside it."""
    from moto.s3.models import s3_backends

    bucket, key = url.removeprefix("s3://").split("/", 1)
    content = s3_backends[NUMBER]["aws"].get_object(bucket, key).value
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            tar.extractall(folder, filter="data")
        return handler.answer(handler.model_fn(folder), body, kind, "application/json").body.decode()


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

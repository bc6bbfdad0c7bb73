"""Training jobs over moto's server: each runs its own entry point as a process, with SageMaker's folders.

moto keeps S3, STS and the logs. What it lacks of training jobs is here: what AWS refuses, states, artifacts, logs,
stops, spot interruptions, quotas, throttling and billable seconds.
"""

import json
import math
import os
import re
import threading
import time
import urllib.request

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from sagemaker_job import ACCOUNT, REGION, Job
from sagemaker_pools import WarmPools
from werkzeug.serving import make_server

ROLE = f"arn:aws:iam::{ACCOUNT}:role/SageMakerTraining"
BUCKET = "a-bucket"
NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
CREDENTIALS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": REGION}


class Refused(Exception):
    """What AWS answers in place of a result."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Layer:
    """A server on a free port; `environment` leads boto3 to it. The attributes below inject faults."""

    def __init__(self, folder):
        self.folder, self.jobs, self.created, self.lock = folder, {}, [], threading.RLock()
        self.pools = WarmPools(self.jobs)
        self.throttled = 0  # how many of the next requests to make a job are refused
        self.throttled_asks = 0  # how many of the next questions about a job are refused
        self.quota = math.inf  # jobs at once
        self.runs = True  # False: jobs are made, but stay as they are
        self.artifact = None  # content of a job → its artifact's bytes: jobs end after a moment, and nothing trains
        self.interrupt_at = {}  # name → finished runs at which spot takes the instance away, once
        self.seconds_a_minute = 60.0  # lower: a maximal runtime passes sooner
        self.intercept = lambda operation: None  # "PUT", "GetObject", … → (status, headers, body) in place of an answer
        self.price_list = None  # what AWS's price list holds, as its entries; None: the user has no right to it
        self.service_failures = {}  # name → reason with which the service itself lets the job fail
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.environment = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "COMPUTE_BACKEND": "sagemaker",
            "SAGEMAKER_ROLE": ROLE,
            "SAGEMAKER_BUCKET": BUCKET,
            "SAGEMAKER_IMAGE": "image:1",
        }

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.client("logs").create_log_group(logGroupName="/aws/sagemaker/TrainingJobs")
        return self

    def __exit__(self, *_):
        for job in list(self.jobs.values()):
            job.kill()
        self.wait()
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/moto-api/reset", method="POST"), timeout=10).close()
        self.server.shutdown()
        self.server.server_close()

    def client(self, service, region=REGION):
        return boto3.client(service, endpoint_url=self.url, **{**CREDENTIALS, "region_name": region})

    def wait(self):
        """Until no job runs."""
        for job in list(self.jobs.values()):
            if job.thread.is_alive():
                job.thread.join(120)

    def _answer(self, environ, start_response):
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        service, _, operation_name = target.partition(".")
        operation = (
            getattr(self, f"_{operation_name}", None) if service in ("SageMaker", "AWSPriceListService") else None
        )
        name = target.partition(".")[2] or f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        if (answer := self.intercept(name)) is not None:
            status, headers, body = answer
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response(status, headers)
            return [body]
        if operation is None:
            return self.moto(environ, start_response)
        arguments = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) or b"{}")
        try:
            with self.lock:
                self.pools.look()
                status, content = "200 OK", operation(arguments)
        except Refused as refusal:
            status, content = "400 Bad Request", {"__type": refusal.code, "message": str(refusal)}
        start_response(status, [("Content-Type", "application/x-amz-json-1.1")])
        return [json.dumps(content).encode()]

    def _CreateTrainingJob(self, arguments):
        if self.throttled > 0:
            self.throttled -= 1
            raise Refused("ThrottlingException", "Rate exceeded")
        name = arguments["TrainingJobName"]
        for wrong, message in _mistakes(arguments):
            if wrong:
                raise Refused("ValidationException", f"1 validation error detected: {message}")
        if name in self.jobs:
            text = f"Job name must be unique within an AWS account and region, and {name} already exists"
            raise Refused("ResourceInUse", text)
        running = sum(job.state["TrainingJobStatus"] in ("InProgress", "Stopping") for job in self.jobs.values())
        if running >= self.quota:
            spot = "spot " if arguments.get("EnableManagedSpotTraining") else ""
            kind = f"{arguments['ResourceConfig']['InstanceType']} for {spot}training job usage"
            raise Refused(
                "ResourceLimitExceeded",
                f"The account-level service limit '{kind}' is {self.quota} Instances, with current utilization of "
                f"{running} Instances and a request delta of 1 Instances. "
                "Please use AWS Service Quotas to request an increase for this quota.",
            )
        self.jobs[name] = Job(self, arguments)
        self.pools.begin(self.jobs[name])
        self.created.append((time.monotonic(), name))
        if self.runs:
            self.jobs[name].thread.start()
        return {"TrainingJobArn": self.jobs[name].state["TrainingJobArn"]}

    def _DescribeTrainingJob(self, arguments):
        if self.throttled_asks > 0:
            self.throttled_asks -= 1
            raise Refused("ThrottlingException", "Rate exceeded")
        return self._job(arguments["TrainingJobName"]).state

    def _StopTrainingJob(self, arguments):
        job = self._job(arguments["TrainingJobName"])
        if job.state["TrainingJobStatus"] != "InProgress":
            raise Refused(
                "ValidationException",
                "The request was rejected because the training job is in status " + job.state["TrainingJobStatus"],
            )
        job.stop("Stopped")
        return {}

    def _ListTrainingJobs(self, arguments):
        matching = [job.state for name, job in self.jobs.items() if arguments.get("NameContains", "") in name]
        matching = [state for state in matching if arguments.get("StatusEquals") in (None, state["TrainingJobStatus"])]
        pool = arguments.get("WarmPoolStatusEquals")
        matching = [state for state in matching if pool in (None, state.get("WarmPoolStatus", {}).get("Status"))]
        keys = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingJobStatus")
        return {"TrainingJobSummaries": [{key: state[key] for key in keys} for state in matching]}

    def _UpdateTrainingJob(self, arguments):
        job = self._job(arguments["TrainingJobName"])
        if not self.pools.is_waiting(job.name):
            raise Refused("ValidationException", "The warm pool of the training job is not available to be updated")
        self.pools.keep(job.name, arguments["ResourceConfig"]["KeepAlivePeriodInSeconds"])
        return {"TrainingJobArn": job.state["TrainingJobArn"]}

    def _GetProducts(self, arguments):
        if self.price_list is None:
            raise Refused("AccessDeniedException", "User is not authorized to perform: pricing:GetProducts")
        holds = {"TERM_MATCH": str.__eq__, "CONTAINS": str.__contains__}
        matching = [
            entry
            for entry in self.price_list
            if entry["product"]["attributes"]["servicecode"] == arguments["ServiceCode"]
            and all(
                holds[one["Type"]](entry["product"]["attributes"][one["Field"]], one["Value"])
                for one in arguments["Filters"]
            )
        ]
        return {"FormatVersion": arguments["FormatVersion"], "PriceList": [json.dumps(entry) for entry in matching]}

    def _job(self, name):
        if name not in self.jobs:
            raise Refused("ValidationException", "Requested resource not found.")
        return self.jobs[name]


def _mistakes(arguments):
    """What AWS's own model of the request does not allow, as far as it bears on us."""
    stopping, spot = arguments["StoppingCondition"], arguments.get("EnableManagedSpotTraining", False)
    waiting = stopping.get("MaxWaitTimeInSeconds")
    algorithm = arguments["AlgorithmSpecification"]
    values = arguments.get("HyperParameters", {}).values()
    yield (
        not NAME.fullmatch(arguments["TrainingJobName"]),
        "trainingJobName must satisfy ^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
    )
    yield (
        any(len(argument) > 256 for argument in algorithm.get("ContainerArguments", [])),
        "containerArguments must have length at most 256",
    )
    yield (
        any(not isinstance(value, str) or len(value) > 2500 for value in values),
        "hyperParameters must be strings of length at most 2500",
    )
    yield not arguments["RoleArn"].startswith("arn:aws"), "roleArn must be an ARN"
    yield (
        spot and (waiting is None or waiting < stopping["MaxRuntimeInSeconds"]),
        "MaxWaitTimeInSeconds must be at least MaxRuntimeInSeconds",
    )
    keep = arguments["ResourceConfig"].get("KeepAlivePeriodInSeconds", 0)
    yield keep > 3600, "KeepAlivePeriodInSeconds must be at most 3600"
    yield spot and keep > 0, "KeepAlivePeriodInSeconds is not for managed spot training"
    yield not spot and waiting is not None, "MaxWaitTimeInSeconds is only for managed spot training"

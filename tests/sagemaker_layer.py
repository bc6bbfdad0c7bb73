"""Training jobs over moto's server: each runs its own entry point as a process, with SageMaker's folders.

moto keeps S3, STS and the logs. What it lacks of training jobs is here: what AWS refuses, states, artifacts, logs,
stops, spot interruptions, quotas, throttling and billable seconds.
"""

import contextlib
import io
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import urllib.request
from pathlib import Path

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

REGION = "eu-central-1"
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/SageMakerTraining"
BUCKET = "a-bucket"
NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
SPOT_SHARE = 0.25  # of the seconds that spot bills
MOMENT = 0.2  # seconds that a job takes which trains nothing
GRACE_SECONDS = 120  # from SIGTERM to SIGKILL
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
        self.throttled = 0  # how many of the next requests to make a job are refused
        self.throttled_asks = 0  # how many of the next questions about a job are refused
        self.quota = math.inf  # jobs at once
        self.runs = True  # False: jobs are made, but stay as they are
        self.artifact = None  # content of a job → its artifact's bytes: jobs end after a moment, and nothing trains
        self.interrupt_at = {}  # name → finished runs at which spot takes the instance away, once
        self.seconds_a_minute = 60.0  # lower: a maximal runtime passes sooner
        self.intercept = lambda operation: None  # "PUT", "GetObject", … → (status, headers, body) in place of an answer
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
        operation = getattr(self, f"_{target.partition('.')[2]}", None) if target.startswith("SageMaker.") else None
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
        found = [job.state for name, job in self.jobs.items() if arguments.get("NameContains", "") in name]
        found = [state for state in found if arguments.get("StatusEquals") in (None, state["TrainingJobStatus"])]
        keys = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingJobStatus")
        return {"TrainingJobSummaries": [{key: state[key] for key in keys} for state in found]}

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
    yield not spot and waiting is not None, "MaxWaitTimeInSeconds is only for managed spot training"


class Job:
    """One job. `state` is what DescribeTrainingJob answers."""

    def __init__(self, layer, arguments):
        self.layer, self.name, self.process, self.ending = layer, arguments["TrainingJobName"], None, None
        self.kill_at = math.inf
        self.thread = threading.Thread(target=self._live, daemon=True)
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/{self.name}"
        now = time.time()
        self.state = {
            **{key: value for key, value in arguments.items() if key != "Tags"},
            "TrainingJobArn": arn,
            "CreationTime": now,
            "LastModifiedTime": now,
            "ModelArtifacts": {"S3ModelArtifacts": ""},
            "TrainingJobStatus": "InProgress",
            "SecondaryStatus": "Starting",
        }
        self.tags = arguments.get("Tags", [])

    def stop(self, how):
        """SIGTERM to the entry point alone, as a container's end begins; SIGKILL follows if that does not end it."""
        self.ending, self.kill_at = how, time.monotonic() + GRACE_SECONDS
        self.state |= {"TrainingJobStatus": "Stopping", "SecondaryStatus": "Stopping"}
        if not self.layer.runs:
            self.state |= {
                "TrainingJobStatus": "Stopped",
                "SecondaryStatus": how,
                "TrainingTimeInSeconds": 1,
                "BillableTimeInSeconds": 1,
            }
        if self.process is not None:
            self.process.terminate()

    def kill(self):
        self.ending = self.ending or "Stopped"
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def _live(self):
        seconds, code, attempt = 0.0, None, 0
        if self.name in self.layer.service_failures:
            time.sleep(MOMENT)
            self.state |= {"FailureReason": self.layer.service_failures[self.name]} | _end("Failed", "Failed", 1)
            return
        if self.layer.artifact:
            time.sleep(MOMENT)
            parameters = self.state["HyperParameters"]
            self._save_artifact(self.layer.artifact(json.loads("".join(parameters[key] for key in sorted(parameters)))))
            self.state |= _end("Completed", "Completed", 1)
            return
        while code is None:  # again after an interruption
            attempt += 1
            ml = self.layer.folder / self.name / str(attempt)
            self._prepare(ml)
            self.state["SecondaryStatus"] = "Training"
            start = time.monotonic()
            code = self._run(ml, start)
            seconds += time.monotonic() - start
            self._save_folder(ml / "checkpoints", self.state["CheckpointConfig"]["S3Uri"])
            if code is None:
                self.state["SecondaryStatus"] = "Interrupted"
        self.state["SecondaryStatus"] = "Uploading"
        self._log(ml)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            archive.add(ml / "model", arcname=".")
        self._save_artifact(packed.getvalue())
        whole = max(1, math.ceil(seconds))
        billable = max(1, math.ceil(whole * SPOT_SHARE)) if self.state.get("EnableManagedSpotTraining") else whole
        if self.ending:
            ended = _end("Stopped", self.ending, whole, billable)
        elif code == 0:
            ended = _end("Completed", "Completed", whole, billable)
        else:
            reason = (ml / "output" / "failure").read_text() if (ml / "output" / "failure").exists() else ""
            ended = _end("Failed", "Failed", whole, billable) | {
                "FailureReason": f"AlgorithmError: {reason[:1024]}, exit code: {code}"
            }
        shutil.rmtree(self.layer.folder / self.name)
        self.state |= ended

    def _prepare(self, ml):
        for part in ("input/config", "model", "output", "checkpoints", "tmp"):
            (ml / part).mkdir(parents=True)
        (ml / "input" / "config" / "hyperparameters.json").write_text(json.dumps(self.state["HyperParameters"]))
        for channel in self.state["InputDataConfig"]:
            self._load_folder(
                channel["DataSource"]["S3DataSource"]["S3Uri"], ml / "input" / "data" / channel["ChannelName"]
            )
        self._load_folder(self.state["CheckpointConfig"]["S3Uri"], ml / "checkpoints")

    def _run(self, ml, start):
        """The entry point's exit code; None where spot interrupted it."""
        algorithm = self.state["AlgorithmSpecification"]
        command = [*algorithm["ContainerEntrypoint"], *algorithm["ContainerArguments"]]
        # A container knows nothing of the user's environment.
        environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "TMPDIR": str(ml / "tmp"),
            "OMP_NUM_THREADS": "1",
        }
        environment |= {
            name: os.environ[name] for name in ("MAX_WORKERS",) if name in os.environ
        }  # for an instance with fewer cores
        with (ml / "log").open("wb") as log:
            self.process = subprocess.Popen(
                _within(ml, command, environment),
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            if self.ending:
                self.kill()
            limit = self.state["StoppingCondition"]["MaxRuntimeInSeconds"] / 60 * self.layer.seconds_a_minute
            while self.process.poll() is None:
                finished = len(list((ml / "checkpoints").glob("*/[!.]*")))
                if finished >= self.layer.interrupt_at.get(self.name, math.inf):
                    del self.layer.interrupt_at[self.name]
                    os.killpg(self.process.pid, signal.SIGKILL)
                    self.process.wait()
                    return None
                if time.monotonic() - start > limit and not self.ending:
                    self.stop("MaxRuntimeExceeded")
                if time.monotonic() > self.kill_at:
                    self.kill()
                time.sleep(0.02)
        return self.process.returncode

    def _load_folder(self, uri, folder):
        """A prefix is one of strings, not of folders, as on AWS."""
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        s3 = self.layer.client("s3")
        folder.mkdir(parents=True, exist_ok=True)
        for key in [found["Key"] for found in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]:
            target = folder / key.removeprefix(prefix).lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, key, str(target))

    def _save_folder(self, folder, uri):
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            self.layer.client("s3").upload_file(str(file), bucket, f"{prefix}/{file.relative_to(folder).as_posix()}")

    def _save_artifact(self, content):
        uri = f"{self.state['OutputDataConfig']['S3OutputPath']}/{self.name}/output/model.tar.gz"
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        self.layer.client("s3").put_object(Bucket=bucket, Key=key, Body=content)
        self.state["ModelArtifacts"] = {"S3ModelArtifacts": uri}

    def _log(self, ml):
        lines = [
            line for line in (ml / "log").read_text(errors="replace").replace("\r", "\n").splitlines() if line.strip()
        ]
        logs, where = (
            self.layer.client("logs"),
            {"logGroupName": "/aws/sagemaker/TrainingJobs", "logStreamName": f"{self.name}/algo-1-1"},
        )
        logs.create_log_stream(**where)
        now = int(time.time() * 1000)
        if lines:
            logs.put_log_events(**where, logEvents=[{"timestamp": now, "message": line} for line in lines])


def _end(status, secondary, seconds, billable=None):
    return {
        "TrainingJobStatus": status,
        "SecondaryStatus": secondary,
        "TrainingTimeInSeconds": seconds,
        "BillableTimeInSeconds": billable or seconds,
    }


def _mounts():
    """Whether this process may give a child a /opt/ml of its own."""
    if Path(sys.executable).resolve().is_relative_to("/opt"):
        return False  # it would be hidden
    probe = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs none /opt"]
    try:
        return subprocess.run(probe, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


MOUNTS = _mounts()


def _within(ml, command, environment):
    """The command with `ml` as /opt/ml: the very command where mounting is allowed, else with that path replaced."""
    if MOUNTS:
        return [
            "unshare",
            "--mount",
            "sh",
            "-c",
            f'mount -t tmpfs none /opt && mkdir /opt/ml && mount --bind "{ml}" /opt/ml && exec "$@"',
            "sh",
            *command,
        ]
    environment["ML_ROOT"] = str(ml)
    return [part.replace("/opt/ml", str(ml)) for part in command]

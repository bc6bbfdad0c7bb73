"""One training job of the stand-in for AWS: a process in SageMaker's folders, its states, artifact, log and seconds."""

import contextlib
import io
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

REGION = "eu-central-1"
ACCOUNT = "123456789012"
SPOT_SHARE = 0.25  # of the seconds that spot bills
MOMENT = 0.2  # seconds that a job takes which trains nothing
GRACE_SECONDS = 120  # from SIGTERM to SIGKILL


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
        for key in [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]:
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

"""Warm pools of the stand-in for AWS: an instance stays after a job, and a job that matches takes it.

What must match, and when a pool begins, is reused and ends, is as AWS documents it.
"""

import math
import time

ENDED = ("Completed", "Failed", "Stopped")


class WarmPools:
    """Looks at the jobs whenever AWS is asked something: time passes between requests alone."""

    def __init__(self, jobs):
        self.jobs, self.quota = jobs, math.inf  # of instances that wait
        self.since = {}  # name of a job → when its instance began to wait

    def look(self):
        """Let instances begin to wait after jobs that have ended, and end those that have waited long enough."""
        for name, job in self.jobs.items():
            pool = job.state.get("WarmPoolStatus", {})
            if pool.get("Status") == "InUse" and job.state["TrainingJobStatus"] in ENDED:
                if len(self._waiting()) < self.quota:
                    self.since[name] = time.monotonic()
                    pool["Status"] = "Available"
                else:
                    pool["Status"] = "Terminated"
            if pool.get("Status") == "Available":
                seconds = time.monotonic() - self.since[name]
                pool["ResourceRetainedBillableTimeInSeconds"] = math.ceil(seconds)
                if seconds > job.state["ResourceConfig"]["KeepAlivePeriodInSeconds"]:
                    pool["Status"] = "Terminated"

    def begin(self, job):
        """A new job: it takes an instance that waits and matches."""
        matching = [name for name in self._waiting() if _place(self.jobs[name].state) == _place(job.state)]
        if matching:
            pool = self.jobs[matching[0]].state["WarmPoolStatus"]
            pool |= {"Status": "Reused", "ReusedByJob": job.name}
        if job.state["ResourceConfig"].get("KeepAlivePeriodInSeconds"):
            job.state["WarmPoolStatus"] = {"Status": "InUse"}

    def keep(self, name, seconds):
        self.jobs[name].state["ResourceConfig"]["KeepAlivePeriodInSeconds"] = seconds
        if not seconds:
            self.jobs[name].state["WarmPoolStatus"]["Status"] = "Terminated"

    def is_waiting(self, name):
        return name in self._waiting()

    def _waiting(self):
        return [
            name for name, job in self.jobs.items() if job.state.get("WarmPoolStatus", {}).get("Status") == "Available"
        ]


def _place(state):
    """All that must be the same for a job to take the instance of another."""
    resources = state["ResourceConfig"]
    return (
        state["RoleArn"],
        [resources.get(key) for key in ("InstanceCount", "InstanceType", "VolumeKmsKeyId", "VolumeSizeInGB")],
        state.get("VpcConfig"),
        state.get("EnableInterContainerTrafficEncryption"),
        state.get("EnableNetworkIsolation"),
    )

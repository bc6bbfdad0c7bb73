"""The stand-in for AWS, small prepared data and an environment that leads to it, artifacts that nothing trained.

The packages of the extra `sagemaker` are imported in the fixtures, since some tests do without them.
"""

import json

import pytest
import torch
from small_data import write_prepared

from stages.shared import paths
from stages.train import local


@pytest.fixture
def layer(tmp_path):
    from sagemaker_layer import Layer

    with Layer(tmp_path / "jobs") as running:
        yield running


@pytest.fixture
def prepared(request, tmp_path, monkeypatch):
    """Small prepared data in a root of its own, and an environment that leads to the layer."""
    from small_jobs import compute, forget

    if "remote" in request.fixturenames or "workspace" in request.fixturenames:
        return None
    layer = request.getfixturevalue("layer")
    for name in ("PARTIAL", "TIMINGS", "RUNS", "PREPARED"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    monkeypatch.setattr(paths, "COMPUTE", tmp_path / "compute.yaml")
    monkeypatch.setenv("RUN_STORE", str(tmp_path / "store"))
    compute()
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in layer.environment.items():
        monkeypatch.setenv(name, value)
    write_prepared(paths.PREPARED)
    forget()
    return paths.PREPARED


@pytest.fixture(scope="module")
def one_run(tmp_path_factory):
    """Name → bytes of the files that one run leaves, trained here."""
    from small_jobs import runs, trained

    root = tmp_path_factory.mktemp("one_run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMPUTE_BACKEND", "sagemaker")
        for name in ("PREPARED", "PARTIAL"):
            patch.setattr(paths, name, root / name.lower())
        write_prepared(paths.PREPARED)
        files = trained(root / "out", runs(seeds=(0,)), where=local)[1]
    return {name.removeprefix("cnn/seed_0/"): content for name, content in files.items()}


@pytest.fixture
def members(one_run):
    """A function of what a job was asked for: name → bytes in its artifact, where every run has the files of one."""
    job_record = {"run_seconds": [1], "packages": {"torch": torch.__version__}, "cpu": "", "cores": 1, "python": ""}

    def members_of(content):
        members = {"./job.json": json.dumps(job_record).encode()}
        for seed, digest in content["digests"].items():
            record = json.loads(one_run["record.json"]) | {"digest": digest}
            files = one_run | {"record.json": json.dumps(record).encode()}
            members |= {f"./{content['variant']}/seed_{seed}/{name}": data for name, data in files.items()}
        return members

    return members_of


@pytest.fixture
def ready_made(layer, members):
    """Jobs whose artifact is there after a moment: nothing trains in them."""
    from small_jobs import packed

    layer.artifact = lambda content: packed(members(content))
    return layer

"""A small repository with invented results, which DVC tracks as the pipeline's; models, served here and on AWS."""

import contextlib
import os
import shutil
import subprocess
import urllib.request

import fake_results
import numpy as np
import pytest
from endpoints import BUCKET, REGION, ROLE, SECRET, Layer, forget
from safetensors.numpy import save_file
from served import serving
from small_model import packaged, write_trained

from stages.shared import paths
from stages.tools.deploy import handler, http_protocol, server
from stages.tools.deploy.package import unpacked

STAGES = """
stages:
  prepare:
    cmd: "true"
    params: [data, protocol, protocols]
    outs: [data/prepared]
  train:
    cmd: "true"
    deps: [data/prepared, stages/train]
    params: [architecture, protocol, protocols, recipe, sample, variants]
    outs: [data/runs]
  probe:
    cmd: "true"
    deps: [data/prepared, data/runs]
    params: [probe]
    outs: [data/probes]
"""
WHO = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]


class Project:
    """A repository with three seeds of the variants cnn and kernel_5."""

    def __init__(self, root):
        self.root = root

    def write(self, change=None, images=None, **choices):
        """Write settings, and data as a run would leave it. images: of the test set, with their margin."""
        shutil.rmtree(self.root / "data", ignore_errors=True)

        def small(raw):
            fake_results.only(raw, "cnn", "kernel_5")
            fake_results.seeds(3)(raw)
            if change:
                change(raw)

        fake_results.make_root(self.root, fake_results.settings(small), n_test=40, **choices)
        if images is not None:
            arrays = {"images": images, "labels": np.arange(40) % 10}
            save_file(arrays, self.root / "data/prepared/test.safetensors")

    def track(self, *stages):
        """Give what is there to DVC, as if these stages (all of them, if none is named) had just run."""
        from dvc.repo import Repo

        with contextlib.chdir(self.root), Repo() as repo:
            for stage in stages or ("prepare", "train", "probe"):
                repo.commit(stage, force=True)

    def git(self, *arguments):
        command = ["git", *WHO, *arguments]
        return subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, tag):
        self.git("add", "-A")
        self.git("commit", "-qm", tag, "--allow-empty")
        self.git("tag", tag)

    def edit_lock(self, old, new):
        text = paths.DVC_LOCK.read_text()
        assert old in text
        paths.DVC_LOCK.write_text(text.replace(old, new))


@pytest.fixture(scope="session")
def first_project(tmp_path_factory):
    """Its one commit has the tag `first`. Copy it, do not change it."""
    from dvc.repo import Repo

    root = tmp_path_factory.mktemp("project")
    project = Project(root)
    project.git("init", "-q", "-b", "main")
    Repo.init(str(root)).close()
    (root / "dvc.yaml").write_text(STAGES)
    (root / ".gitignore").write_text("data/\n")
    (root / "stages/train").mkdir(parents=True)
    (root / "stages/train/recipe.py").write_text("lr = 1\n")
    project.write()
    project.track()
    project.commit("first")
    return project


@pytest.fixture
def project(first_project, tmp_path, monkeypatch):
    shutil.copytree(first_project.root, tmp_path / "project", symlinks=True)
    fake_results.reroot(monkeypatch, tmp_path / "project")
    monkeypatch.setattr(paths, "REPORT_SOURCES", fake_results.REPOSITORY / "report")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    return Project(tmp_path / "project")


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A folder with prepared data and trained runs."""
    return write_trained(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def archive(data, tmp_path_factory):
    """The package of one of these runs."""
    return packaged(data, tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def classifier(archive):
    with unpacked(archive) as folder:
        return handler.model_fn(folder)


@pytest.fixture(scope="module")
def port(classifier):
    with serving(classifier) as port:
        yield port


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(server, "BODY_SECONDS", 0.4)
    monkeypatch.setattr(http_protocol, "EXCHANGE_SECONDS", 0.8)
    monkeypatch.setattr(server, "LINGER_SECONDS", 0.1)


@pytest.fixture(scope="module")
def moto_url():
    moto_server = pytest.importorskip("moto.server", reason="moto is not installed: `make sagemaker` installs it")
    running = moto_server.ThreadedMotoServer(port=0)
    running.start()
    yield "http://{}:{}".format(*running.get_host_and_port())
    running.stop()


@pytest.fixture
def aws(moto_url, monkeypatch, tmp_path):
    """An empty account with the bucket, the variables that a user sets, and moto corrected where AWS is otherwise."""
    import boto3

    for name in [name for name in os.environ if name.startswith(("AWS_", "SAGEMAKER_"))]:
        monkeypatch.delenv(name)
    ours = {
        "AWS_ENDPOINT_URL": moto_url,
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
    urllib.request.urlopen(urllib.request.Request(f"{moto_url}/moto-api/reset", method="POST")).close()
    boto3.client("s3", region_name=REGION).create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    forget()
    yield Layer(monkeypatch)
    forget()

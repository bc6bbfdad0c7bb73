"""What a job is sent, and the name that follows from its content."""

import json
import re
import tarfile
from io import BytesIO

import pytest
from own_net import WHOLE, own_architecture, use_folder
from small_data import write_prepared
from small_model import small_settings

pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")
pytest.importorskip("sagemaker.core.resources", reason="the extra `sagemaker` is not installed")
pytest.importorskip("moto.server", reason="moto is not installed")

from small_jobs import compute, jobs, objects, runs, started, trained

from stages.cloud import account
from stages.cloud.job import COMMAND, hyperparameters
from stages.cloud.settings import instance_has_gpu
from stages.shared import paths
from stages.train import local
from stages.train.runs import planned_runs

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prepared")]

SECRET = "planted-" + "secret-7f3a9c"  # in two, so that this file does not hold it


def test_data_and_code_are_uploaded_once_and_nothing_but_them(layer):
    layer.runs = False
    (paths.PREPARED / "notes.txt").write_text(SECRET)
    started(*jobs("a", "b"))
    uploaded = objects(layer)
    names = {re.sub(r"[0-9a-f]{16}", "DIGEST", key.removeprefix("what-convolution-buys/")) for key in uploaded}
    data = {f"data/DIGEST/{name}" for name in ("constants.json", *(f"{s}.safetensors" for s in ("test", "train")))}
    assert names == {"code/DIGEST/code.tar.gz", "data/DIGEST.complete", *data}
    assert len(uploaded) == len(names)
    packed = next(content for key, content in uploaded.items() if key.endswith("code.tar.gz"))
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        sent = set(archive.getnames())
    assert all(name.endswith(".py") or name == "requirements.txt" for name in sent)
    assert {"stages/cloud/container.py", "stages/train/run.py", "stages/shared/params/architecture.py"} <= sent
    assert {name for name in sent if name.startswith("stages/cloud")} == {
        "stages/cloud/__init__.py",
        "stages/cloud/container.py",
        "stages/cloud/job_metrics.py",
    }


def test_a_users_own_net_travels_with_the_code_and_is_trained_there_as_here(layer, tmp_path, monkeypatch):
    use_folder(monkeypatch, tmp_path, whole=WHOLE, unused=WHOLE)
    planned = own_runs()
    _, here = trained(tmp_path / "here", planned, where=local)
    _, there = trained(tmp_path / "there", planned)
    assert there == here
    packed = next(content for key, content in objects(layer).items() if key.endswith("code.tar.gz"))
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        assert [name for name in archive.getnames() if name.startswith("modules")] == ["modules/whole.py"]


def own_runs():
    settings = small_settings({"mine": {}}, (0,))
    variant = settings.variants["mine"]
    run = variant.run.model_copy(update={"architecture": own_architecture("whole.py", "Whole", units=6)})
    return planned_runs(
        settings.model_copy(update={"variants": {"mine": variant.model_copy(update={"run": run})}}), ["mine"]
    )


def test_the_name_follows_from_whatever_changes_the_files_and_from_nothing_else(monkeypatch):
    def name(variant="cnn", **changes):
        return jobs(variant, **changes)[0].name()

    first = name()
    assert re.fullmatch(r"wcb-cnn-[0-9a-f]{12}", first)
    different = {first, name("cnn_2"), name(lr=0.5), name(seeds=(0,)), name(layout="permuted")}
    compute(instance_type="ml.m5.large")
    different.add(name())
    compute()
    monkeypatch.setenv("SAGEMAKER_IMAGE", "another:2")
    different.add(name())
    monkeypatch.setenv("SAGEMAKER_IMAGE", "image:1")
    write_prepared(paths.PREPARED, seed=1)
    different.add(name())
    write_prepared(paths.PREPARED)
    assert len(different) == 8
    compute(spot="false", max_concurrent=3, max_runtime_minutes=5, volume_gb=20)
    assert name() == first


def test_names_fit_the_service_whatever_the_variant_is_called():
    name = account.resource_name("a_" * 60, "0123456789abcdef", attempt=98)
    assert len(name) <= 63
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name)
    assert name.endswith("-0123456789ab-r98")


def test_the_command_and_every_hyperparameter_are_as_short_as_the_service_wants():
    assert len(COMMAND) <= 256
    (job,) = jobs(seeds=range(200))
    parts = hyperparameters(job)
    assert len(parts) > 1
    assert max(map(len, parts.values())) <= 2500
    digests = json.loads("".join(parts[name] for name in sorted(parts)))["digests"]
    assert digests == {str(run.seed): run.digest for run in job.runs}


def test_an_instance_with_a_gpu_trains_on_it():
    assert [runs(seeds=(0,))[0].spec.device] == ["cpu"]
    compute(instance_type="ml.g4dn.xlarge")
    assert [runs(seeds=(0,))[0].spec.device] == ["cuda"]
    assert instance_has_gpu("ml.p3.2xlarge")
    assert not instance_has_gpu("ml.c5.xlarge")

"""AWS's images have the account, the domain and the tag that the SDK knows, in every region that it knows."""

import re

import pytest
import torch

pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")
pytest.importorskip("sagemaker.core.image_uris", reason="the extra `sagemaker` is not installed")

import botocore.session
from sagemaker.core import image_uris

from stages.cloud import images
from stages.cloud import settings as aws_settings
from stages.cloud.job import image_name, requirements
from stages.shared import paths
from stages.shared.stage_command import StageError


def registries(versions):
    """Region → the accounts of AWS's images there, over these versions, as the SDK's own table has them."""
    regions = sorted({region for version in versions for region in version["registries"]})
    return {region: {version["registries"].get(region) for version in versions} for region in regions}


TORCH = ".".join(torch.__version__.split(".")[:2])
TRAINING = registries([image_uris.config_for_framework("pytorch-amzn2023")["training"]["versions"][TORCH]])
PARTITIONS = botocore.session.get_session().get_data("endpoints")["partitions"]  # the SDK does not ask them
ADDRESS = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.([a-z0-9.-]+)/([a-z0-9-]+):(.+)")


@pytest.fixture(autouse=True)
def nothing_remembered():
    images.training_image.cache_clear()
    yield
    images.training_image.cache_clear()


@pytest.mark.parametrize("region", TRAINING)
@pytest.mark.parametrize("purpose", ["train", "serve"])
def test_the_image_is_found_in_every_region_that_the_sdk_knows(monkeypatch, region, purpose):
    monkeypatch.setenv("AWS_REGION", region)
    if purpose == "serve":
        name = images.serving_image("ml.m5.large")
    else:
        name = images.training_image(
            image_name(aws_settings.load().sagemaker.model_copy(update={"image": None})), "ml.c5.xlarge"
        )
    account, where, domain, repository, tag = ADDRESS.fullmatch(name).groups()
    assert account in TRAINING[region]
    assert (where, repository) == (region, "pytorch")
    assert [domain] == [one["dnsSuffix"] for one in PARTITIONS if re.fullmatch(one["regionRegex"], region)]
    assert tag.startswith(f"{TORCH}-cpu-")


def test_a_region_that_the_sdk_does_not_know_is_named(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "xx-nowhere-1")
    with pytest.raises(StageError, match=rf"knows no training image of AWS for PyTorch {TORCH} in xx-nowhere-1; set"):
        images.training_image(f"pytorch {TORCH}", "ml.c5.4xlarge")
    with pytest.raises(StageError, match=r"in xx-nowhere-1; set SAGEMAKER_IMAGE \(of deploy: --image\) to one"):
        images.serving_image("ml.m5.large")


def test_no_address_of_an_image_is_typed_in():
    typed = re.compile(r"\d{12}\.dkr\.ecr|\.amazonaws\.com[./]|(?<!\d)(?!123456789012)\d{12}(?!\d)")
    for file in sorted((paths.ROOT / "stages").rglob("*.py")):
        assert not typed.search(file.read_text()), f"{file} has an account or a domain of AWS in it"


def test_a_gpu_is_served_by_the_image_for_gpus(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert f":{TORCH}-cu" in images.serving_image("ml.g4dn.xlarge")


def test_the_dockerfile_installs_every_package_of_the_lock_that_training_needs(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-south-1")
    text = images.dockerfile(aws_settings.load().sagemaker)
    images.training_image.cache_clear()
    assert text.startswith("FROM 692866216735.dkr.ecr.eu-south-1.amazonaws.com/pytorch:")
    assert [line.strip(" \\") for line in text.splitlines()[2:]] == requirements()

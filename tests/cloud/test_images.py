"""AWS's images have the account, the domain and the tag that the SDK knows, in every region that it knows."""

import re

import pytest
import torch

pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")
pytest.importorskip("sagemaker.core.image_uris", reason="the extra `sagemaker` is not installed")

from sagemaker.core import image_uris

from stages.cloud import images
from stages.cloud import settings as aws_settings
from stages.cloud.job import image_name, requirements
from stages.shared.stage_command import StageError


def registries(versions):
    """Region → the accounts of AWS's images there, over these versions, as the SDK's own table has them."""
    regions = sorted({region for version in versions for region in version["registries"]})
    return {region: {version["registries"].get(region) for version in versions} for region in regions}


TORCH = ".".join(torch.__version__.split(".")[:2])
SERVING = registries(image_uris.config_for_framework("ray-serve")["versions"].values())
TRAINING = registries([image_uris.config_for_framework("pytorch-amzn2023")["training"]["versions"][TORCH]])
ADDRESS = re.compile(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.([a-z0-9.-]+)/([a-z0-9-]+):(.+)")


@pytest.mark.parametrize("region", SERVING)
def test_the_image_that_serves_is_found_in_every_region_that_the_sdk_knows(region):
    account, where, domain, repository, tag = ADDRESS.fullmatch(images.serving_image(region)).groups()
    assert account in SERVING[region]
    assert (where, repository) == (region, "ray")
    assert re.fullmatch(r"serve-ml-sagemaker-cpu-v1(\.\d+)?", tag)
    assert domain == ("amazonaws.com.cn" if region.startswith("cn-") else domain)
    assert (
        domain == "amazonaws.com" or not re.match(r"(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-\d", region) or "gov" in region
    )


@pytest.mark.parametrize("region", TRAINING)
def test_the_image_that_trains_is_found_in_every_region_that_the_sdk_knows(monkeypatch, region):
    monkeypatch.setenv("AWS_REGION", region)
    images.training_image.cache_clear()
    name = image_name(aws_settings.load().sagemaker.model_copy(update={"image": None}))
    account, where, _, repository, tag = ADDRESS.fullmatch(images.training_image(name, "ml.c5.xlarge")).groups()
    images.training_image.cache_clear()
    assert account in TRAINING[region]
    assert (where, repository) == (region, "pytorch")
    assert tag.startswith(f"{TORCH}-cpu-")


def test_the_newest_version_of_a_region_is_taken(monkeypatch):
    """eu-west-1 has more than one version; the newest has the highest number, not the last place in the alphabet."""
    known = image_uris.config_for_framework("ray-serve")["versions"]
    newest = max((v for v in known if "eu-west-1" in known[v]["registries"]), key=lambda v: [*map(int, v.split("."))])
    assert images.serving_image("eu-west-1").endswith(f"-v{newest}")


def test_a_region_that_the_sdk_does_not_know_is_named(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "xx-nowhere-1")
    with pytest.raises(StageError, match=rf"knows no training image of AWS for PyTorch {TORCH} in xx-nowhere-1; set"):
        images.training_image(f"pytorch {TORCH}", "ml.c5.4xlarge")
    with pytest.raises(StageError, match=r"knows no image of AWS for Ray Serve in xx-nowhere-1; give --image"):
        images.serving_image("xx-nowhere-1")


def test_the_dockerfile_installs_every_package_of_the_lock_that_training_needs(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-south-1")
    images.training_image.cache_clear()
    text = images.dockerfile(aws_settings.load().sagemaker)
    images.training_image.cache_clear()
    assert text.startswith("FROM 692866216735.dkr.ecr.eu-south-1.amazonaws.com/pytorch:")
    assert [line.strip(" \\") for line in text.splitlines()[2:]] == requirements()

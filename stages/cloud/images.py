"""AWS's own container images: the SDK is asked for their account, domain and tag in a region; none is typed in."""

from contextlib import suppress
from functools import cache

from stages.cloud.account import region
from stages.cloud.job import AWS_IMAGE, requirements, torch_version
from stages.cloud.settings import SageMaker
from stages.shared.stage_command import StageError

TRAINING = ("pytorch-amzn2023", "pytorch")  # as the SDK calls AWS's images of PyTorch: from 2.11 on, and before


@cache
def training_image(name: str, instance_type: str) -> str:
    """The address of an image in the region. name: of image_name; AWS's own image is named by the version of torch."""
    from sagemaker.core import image_uris

    if not name.startswith(AWS_IMAGE):
        return name
    version = name.removeprefix(AWS_IMAGE)
    for framework in TRAINING:
        with suppress(ValueError):
            return str(
                image_uris.retrieve(
                    framework, region(), version=version, instance_type=instance_type, image_scope="training"
                )
            )
    raise StageError(
        f"this version of sagemaker-core knows no training image of AWS for PyTorch {version} in {region()}; "
        "set SAGEMAKER_IMAGE (of deploy: --image) to one of your own, or AWS_REGION to another region"
    )


def serving_image(instance_type: str) -> str:
    """The image that serves: AWS's own of this version of torch, as for training, whatever compute.yaml names for that.

    AWS's images for serving are older (torch 2.6), write to the container's root, or start Ray, which needs /dev/shm.
    """
    return training_image(AWS_IMAGE + torch_version(), instance_type)


def dockerfile(settings: SageMaker) -> str:
    """A Dockerfile of AWS's image with every package that training needs, so that a job installs nothing."""
    image = training_image(AWS_IMAGE + torch_version(), settings.instance_type)
    pins = " \\\n    ".join(requirements())
    return f"FROM {image}\nRUN python -m pip install --no-cache-dir --no-deps \\\n    {pins}\n"

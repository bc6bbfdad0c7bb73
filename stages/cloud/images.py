"""AWS's own container images: the SDK is asked for their account, domain and tag in a region; none is typed in."""

from contextlib import suppress
from functools import cache

from packaging.version import Version

from stages.cloud.account import region
from stages.cloud.job import AWS_IMAGE, image_name, requirements
from stages.cloud.settings import SageMaker
from stages.shared.stage_command import StageError

TRAINING = ("pytorch-amzn2023", "pytorch")  # as the SDK calls AWS's images of PyTorch: from 2.11 on, and before
SERVING = "ray-serve"


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
        "set SAGEMAKER_IMAGE to one of your own, or AWS_REGION to another region"
    )


@cache
def serving_image(in_region: str) -> str:
    """The address of AWS's newest image for Ray Serve on CPUs that the SDK knows in this region."""
    from sagemaker.core import image_uris

    versions = image_uris.config_for_framework(SERVING)["versions"]
    for version in sorted(versions, key=Version, reverse=True):
        with suppress(ValueError):
            return str(
                image_uris.retrieve(
                    SERVING, in_region, version=version, instance_type="ml.m5.large", image_scope="inference"
                )
            )
    raise StageError(f"this version of sagemaker-core knows no image of AWS for Ray Serve in {in_region}; give --image")


def dockerfile(settings: SageMaker) -> str:
    """A Dockerfile of AWS's image with every package that training needs, so that a job installs nothing."""
    image = training_image(image_name(settings.model_copy(update={"image": None})), settings.instance_type)
    pins = " \\\n    ".join(requirements())
    return f"FROM {image}\nRUN python -m pip install --no-cache-dir --no-deps \\\n    {pins}\n"

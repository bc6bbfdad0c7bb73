"""A package in the bucket and the model on SageMaker that is made of it, for an endpoint or a batch."""

from pathlib import Path
from typing import Any

from stages.cloud.account import Account, client, object_exists
from stages.cloud.job import encryption
from stages.cloud.settings import SageMaker
from stages.tools.deploy.service import START, archive_key, ask

ENVIRONMENT = {  # of the container
    "BASH_ENV": f"/opt/ml/model/{START}",  # bash reads it before the image's own script
    "OPT_OUT_TRACKING": "true",  # the image would start a Python of its own for AWS's statistics
}


def upload_package(name: str, archive: Path, account: Account, settings: SageMaker) -> str:
    """Put the package into the bucket if it is not there. Returns its address."""
    key = archive_key(settings, name)
    url = f"s3://{account.bucket}/{key}"
    if not object_exists(url):
        client("s3").put_object(Bucket=account.bucket, Key=key, Body=archive.read_bytes(), **encryption(settings))
    return url


def make_model(
    name: str, archive: Path, image: str, account: Account, settings: SageMaker, left: list[str] | None = None
) -> None:
    """Make the model if it is not there. `left` gains in words what is there."""
    left = [] if left is None else left
    url = upload_package(name, archive, account, settings)
    left.append(url)
    sagemaker = client("sagemaker")
    if ask(sagemaker.describe_model, ModelName=name) is None:
        network: dict[str, Any] = {"EnableNetworkIsolation": settings.network_isolation}
        if settings.subnets:
            network["VpcConfig"] = {"Subnets": settings.subnets, "SecurityGroupIds": settings.security_groups}
        sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=account.role,
            PrimaryContainer=container(image, url),
            Tags=tags(settings),
            **network,
        )
    left.append("the model")


def container(image: str, url: str) -> dict[str, Any]:
    """url: of the package."""
    return {"Image": image, "ModelDataUrl": url, "Environment": ENVIRONMENT}


def tags(settings: SageMaker) -> list[dict[str, str]]:
    return [{"Key": tag, "Value": value} for tag, value in settings.tags.items()]

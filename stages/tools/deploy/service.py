"""SageMaker's answers about endpoints, and where their packages lie. No torch, so that list and delete start fast."""

import random
import time
from collections.abc import Callable
from typing import Any

from stages.cloud.account import error_code
from stages.cloud.settings import SageMaker

ARCHIVE = "model.tar.gz"  # the package of a model
START = "serve.sh"  # in the package: what the container's bash reads before it starts
UNDER_WAY = ("Creating", "Updating", "SystemUpdating", "RollingBack")


def pause(seconds: float) -> None:
    """Not in step with others who poll."""
    time.sleep(seconds * random.uniform(0.9, 1.1))


def ask(call: Callable[..., dict[str, Any]], **arguments: Any) -> dict[str, Any] | None:
    """What SageMaker answers; None if what is asked for does not exist."""
    from botocore.exceptions import ClientError

    try:
        return call(**arguments)
    except ClientError as error:
        if error_code(error) != "ValidationException" or "Could not find" not in str(
            error
        ):  # the code alone stands for many mistakes
            raise
        return None


def batch_folder(settings: SageMaker, name: str) -> str:
    """Where in the bucket the images and answers of that batch lie."""
    return f"{settings.prefix}/batch/{name}/"


def archive_key(settings: SageMaker, name: str) -> str:
    """Where in the bucket the package of that name lies."""
    return f"{archives_prefix(settings)}{name}/{ARCHIVE}"


def archives_prefix(settings: SageMaker) -> str:
    return f"{settings.prefix}/models/"

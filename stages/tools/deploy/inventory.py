"""What the project has on SageMaker to answer requests, what it costs, and how it goes away."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from stages.cloud import interruptions
from stages.cloud.account import PREFIX, Account, aws_errors_in_words, client, preflight
from stages.cloud.settings import SageMaker
from stages.shared.stage_command import StageError
from stages.tools.deploy.hosting import Hosting
from stages.tools.deploy.service import UNDER_WAY, archive_key, archives_prefix, ask, batch_folder, pause

NAME = re.compile(rf"{PREFIX}-.+-[0-9a-f]{{12}}(-r\d+)?")  # of all that `create` and `batch` make


@dataclass
class Deployment:
    """What exists under one name. status: of the endpoint, "" where there is none. parts: all else, in words."""

    status: str = ""
    created: str = ""
    hosting: Hosting | None = None
    parts: list[str] = field(default_factory=list)


def print_all(settings: SageMaker) -> None:
    """Print every endpoint of the project with its price, and what is left of others."""
    with aws_errors_in_words():
        deployments = _deployments(preflight(settings, with_role=False), settings)
    for name, one in deployments.items():
        nothing_runs = "none; the rest is not charged but for the storage"
        print(f"{name}\n  endpoint  {f'{one.status}, since {one.created}' if one.status else nothing_runs}")
        if one.hosting is not None:
            print(f"  hosting   {one.hosting}")
        if one.status and one.hosting is not None:
            print(f"  price     {one.hosting.price}")
        print(f"  beside it {', '.join(one.parts) or 'nothing'}\n  python -m stages.tools.deploy delete {name}")
    running = sum(bool(one.status) for one in deployments.values())
    print(
        f"{running} {'endpoint' if running == 1 else 'endpoints'} of this project in this region"
        if deployments
        else "nothing of this project is there"
    )


def delete(names: list[str], everything: bool, settings: SageMaker, minutes: float) -> None:
    """Remove all that is there under the names, or all that `create` ever made; waits until the endpoints are gone.

    Raises StageError, before anything is removed, for a name under which there is nothing.
    """
    with aws_errors_in_words():
        account = preflight(settings, with_role=False)
        there = _deployments(account, settings)
        unknown = [name for name in names if name not in there]
        if unknown:
            raise StageError(
                f"there is no {', '.join(unknown)} (there is: {', '.join(there) or 'nothing'}); nothing was deleted"
            )
        for name in there if everything else names:
            try:
                with interruptions.ending_signals():
                    _delete(name, account, settings, minutes)
            except KeyboardInterrupt as interruption:
                raise StageError(
                    f"{interruptions.reason(interruption)}; {name} may still be there and cost: "
                    "`python -m stages.tools.deploy list` shows what is"
                ) from None
    if everything and not there:
        print("nothing of this project is there")


def _deployments(account: Account, settings: SageMaker) -> dict[str, Deployment]:
    sagemaker = client("sagemaker")
    deployments: dict[str, Deployment] = {}
    for one in _listed("list_endpoints", "Endpoints"):
        entry = deployments.setdefault(one["EndpointName"], Deployment())
        entry.status, entry.created = one["EndpointStatus"], f"{one['CreationTime']:%Y-%m-%d %H:%M %Z}"
    for one in _listed("list_endpoint_configs", "EndpointConfigs"):
        entry = deployments.setdefault(one["EndpointConfigName"], Deployment())
        entry.hosting = Hosting.of(
            sagemaker.describe_endpoint_config(EndpointConfigName=one["EndpointConfigName"])["ProductionVariants"][0]
        )
        entry.parts.append("endpoint config")
    for one in _listed("list_models", "Models"):
        deployments.setdefault(one["ModelName"], Deployment()).parts.append("model")
    for page in (
        client("s3").get_paginator("list_objects_v2").paginate(Bucket=account.bucket, Prefix=archives_prefix(settings))
    ):
        for one in page.get("Contents", []):
            name = one["Key"].removeprefix(archives_prefix(settings)).split("/")[0]
            deployments.setdefault(name, Deployment()).parts.append(f"s3://{account.bucket}/{one['Key']}")
    return {name: deployments[name] for name in sorted(deployments) if NAME.fullmatch(name)}


def _listed(call: str, answer: str) -> Iterator[dict[str, Any]]:
    for page in client("sagemaker").get_paginator(call).paginate(NameContains=PREFIX):
        yield from page[answer]


def _delete(name: str, account: Account, settings: SageMaker, minutes: float) -> None:
    sagemaker = client("sagemaker")
    end = time.monotonic() + 60 * minutes
    delete_requested = False
    while (endpoint := ask(sagemaker.describe_endpoint, EndpointName=name)) is not None:
        is_starting = endpoint["EndpointStatus"] in UNDER_WAY  # AWS refuses to delete it then
        if not delete_requested and not is_starting:
            sagemaker.delete_endpoint(EndpointName=name)
            delete_requested = True
            continue
        if time.monotonic() > end:
            raise StageError(
                f"the endpoint {name} is still {endpoint['EndpointStatus']} after {minutes:g} minutes, and may cost; "
                f"run `python -m stages.tools.deploy delete {name}` again (it goes on where it stopped)"
            )
        pause(settings.poll_seconds)
    if ask(sagemaker.describe_endpoint_config, EndpointConfigName=name) is not None:
        sagemaker.delete_endpoint_config(EndpointConfigName=name)
    if ask(sagemaker.describe_model, ModelName=name) is not None:
        sagemaker.delete_model(ModelName=name)
    client("s3").delete_object(Bucket=account.bucket, Key=archive_key(settings, name))
    images = f"{batch_folder(settings, name)}images/"
    for page in client("s3").get_paginator("list_objects_v2").paginate(Bucket=account.bucket, Prefix=images):
        for one in page.get("Contents", []):
            client("s3").delete_object(Bucket=account.bucket, Key=one["Key"])
    print(f"deleted {name}: endpoint, endpoint config, model and archive", flush=True)

"""An endpoint on SageMaker, from the package to a first answer.

Through boto3 alone: the SDK's EndpointConfig.create cannot make a serverless one (it sends MemorySizeInMb).
"""

import hashlib
import json
import time
from pathlib import Path

from stages.cloud import images, interruptions, service_model
from stages.cloud.account import Account, aws_errors_in_words, client, preflight, resource_name
from stages.cloud.settings import SageMaker
from stages.shared.stage_command import StageError
from stages.tools.deploy import handler
from stages.tools.deploy.aws_model import make_model, tags
from stages.tools.deploy.hosting import CPU_INSTANCE, Hosting
from stages.tools.deploy.package import EXAMPLE, check_starts, digest, unpacked
from stages.tools.deploy.service import UNDER_WAY, ask, pause

PERHAPS = "perhaps the endpoint"
SERVER_FAULT = 500  # the least HTTP status that leaves open what was done


def create(
    archive: Path, hosting: Hosting, image: str | None, settings: SageMaker, minutes: float, dry_run: bool
) -> None:
    """Make a model, an endpoint config and an endpoint, wait at most `minutes` for it, and send it the example.

    What exists already for the same package on the same hosting is used. Prints what stays and what it costs.
    Raises StageError that names what is left and how to remove it.
    """
    with unpacked(archive) as folder:
        check_starts(folder)
        classifier = handler.model_fn(folder)
        example = (folder / EXAMPLE).read_bytes()
    sha256 = digest(archive)
    service_model.check_hosting(hosting.instance_type, settings)
    account = preflight(settings)
    image = image or images.serving_image(hosting.instance_type or CPU_INSTANCE)
    name = resource_name(
        classifier.description["variant"],
        hashlib.sha256(f"{sha256} {image} {account.role} {hosting}".encode()).hexdigest(),
    )
    print(
        f"endpoint {name}\n  model     {classifier.description}\n  image     {image}\n"
        f"  hosting   {hosting}\n  price     {hosting.price}",
        flush=True,
    )
    if dry_run:
        print("nothing was made (--dry-run)")
        return
    left: list[str] = []
    try:
        with interruptions.ending_signals(), aws_errors_in_words():
            _make(name, archive, hosting, image, account, settings, left)
            wait(name, settings.poll_seconds, minutes)
            _try(name, classifier, example)
    except StageError as error:
        raise StageError(f"{error}\n{_what_is_left(name, left, hosting)}") from None
    except KeyboardInterrupt as interruption:
        raise StageError(f"{interruptions.reason(interruption)}\n{_what_is_left(name, left, hosting)}") from None
    print(f"The endpoint stays until you delete it, at {hosting.price}:\n  python -m stages.tools.deploy delete {name}")


def wait(name: str, poll_seconds: float, minutes: float) -> None:
    """Until the endpoint answers. Raises StageError if it fails, vanishes or takes longer than `minutes`."""
    end = time.monotonic() + 60 * minutes
    shown = None
    while True:
        endpoint = ask(client("sagemaker").describe_endpoint, EndpointName=name)
        status = endpoint["EndpointStatus"] if endpoint else "gone"
        if status != shown:
            print(f"endpoint {name}: {status}", flush=True)
            shown = status
        if status == "InService":
            return
        if status not in UNDER_WAY:
            reason = (endpoint or {}).get("FailureReason", "no reason is given")
            raise StageError(f"the endpoint {name} did not come up ({status}): {reason}\n{_where_the_log_is(name)}")
        if time.monotonic() > end:
            raise StageError(
                f"the endpoint {name} is still {status} after {minutes:g} minutes; it may yet come up\n"
                f"{_where_the_log_is(name)}"
            )
        pause(poll_seconds)


def _make(
    name: str, archive: Path, hosting: Hosting, image: str, account: Account, settings: SageMaker, left: list[str]
) -> None:
    """Make what is not there yet; `left` gains what is there."""
    from botocore.exceptions import ClientError

    make_model(name, archive, image, account, settings, left)
    sagemaker = client("sagemaker")
    if ask(sagemaker.describe_endpoint_config, EndpointConfigName=name) is None:
        disk_key = settings.volume_kms_key if hosting.instance_type else None
        sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[hosting.production_variant(name)],
            Tags=tags(settings),
            **({"KmsKeyId": disk_key} if disk_key else {}),
        )
    left.append("the endpoint config")
    if ask(sagemaker.describe_endpoint, EndpointName=name) is None:
        left.append(PERHAPS)  # until AWS has answered
        try:
            sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name, Tags=tags(settings))
        except ClientError as error:
            was_made = "already existing" in str(error)  # by an earlier try, whose answer was lost
            if not was_made and error.response["ResponseMetadata"]["HTTPStatusCode"] < SERVER_FAULT:
                left.remove(PERHAPS)
            if not was_made:
                raise
        left.remove(PERHAPS)
    left.append("the endpoint")


def _try(name: str, classifier: handler.Classifier, example: bytes) -> None:
    """Send the endpoint the example and print its answer. Raises StageError if this machine answers otherwise."""
    kind = "application/json"
    runtime = client("sagemaker-runtime")
    reply = runtime.invoke_endpoint(EndpointName=name, ContentType=kind, Accept=kind, Body=example)
    body = reply["Body"].read()
    here = json.loads(handler.answer(classifier, example, kind, kind).body)
    try:
        there = json.loads(body)
        label, probability = there["label"], there["probabilities"][there["label"]]
    except (ValueError, TypeError, KeyError):
        raise StageError(f"the endpoint {name} is up, but answers {body[:200]!r}\n{_where_the_log_is(name)}") from None
    print(
        f"answer to the first test image: {label} (probability {probability:.3f}; "
        f"on this machine {here['label']}, {here['probabilities'][label]:.3f})"
    )
    if label != here["label"]:
        raise StageError(
            f"the endpoint {name} is up, but answers otherwise than this machine; is its image another's? (--image)"
        )


def _where_the_log_is(name: str) -> str:
    return f"its log: aws logs tail /aws/sagemaker/Endpoints/{name} --since 1h"


def _what_is_left(name: str, left: list[str], hosting: Hosting) -> str:
    if not left:
        return "nothing was made"
    price = f"; an endpoint that is up costs {hosting.price}" if {"the endpoint", PERHAPS} & set(left) else ""
    return f"left on AWS: {', '.join(left)}{price}\n  python -m stages.tools.deploy delete {name}    removes all of it"

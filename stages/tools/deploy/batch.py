"""Label a folder of images on SageMaker by a batch transform job: an instance runs until all are labelled, and ends."""

import csv
import hashlib
import json
import time
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

from stages.cloud import images, interruptions, prices, service_model
from stages.cloud.account import (
    Account,
    Unavailable,
    aws_errors_in_words,
    client,
    object_exists,
    preflight,
    resource_name,
)
from stages.cloud.job import encryption
from stages.cloud.price_list import TRANSFORM
from stages.cloud.settings import SageMaker
from stages.shared.stage_command import StageError
from stages.tools.deploy import handler
from stages.tools.deploy.aws_model import make_model, tags
from stages.tools.deploy.package import check_starts, digest, unpacked
from stages.tools.deploy.service import archive_key, ask, batch_folder, pause

KIND = "image/png"
STOP = "aws sagemaker stop-transform-job --transform-job-name"  # and the name
MEGABYTES = 4  # that a request may have; the handler takes a little less
START_SECONDS = 240  # that are assumed to be paid before the first image
IMAGES_A_SECOND = 20  # that are assumed


def label(
    folder: Path,
    out: Path,
    archive: Path,
    instance_type: str,
    image: str | None,
    settings: SageMaker,
    minutes: float,
    dry_run: bool,
) -> None:
    """Send the PNGs of a folder to a job, wait at most `minutes` for it, and write their labels to `out`, a CSV.

    A job that runs or has ended for the same images and the same package is used. Raises StageError, before anything
    is sent, for a file that is no image of this model.
    """
    if out.is_dir():
        raise StageError(f"--out {out} is a folder; name a file in it, such as {out / 'labels.csv'}")
    with unpacked(archive) as package:
        check_starts(package)
        classifier = handler.model_fn(package)
    files = _checked(folder, classifier)
    service_model.check_transform(instance_type, settings)
    account = preflight(settings)
    image = image or images.serving_image(instance_type)
    content = [[file.name, digest(file)] for file in files]
    whole = json.dumps([digest(archive), image, account.role, instance_type, content])
    price = prices.price(instance_type, usage=TRANSFORM)
    usd = price.of(START_SECONDS + len(files) / IMAGES_A_SECOND)
    title = f"batch-{classifier.description['variant']}"
    sha256 = hashlib.sha256(whole.encode()).hexdigest()
    print(
        f"batch of {len(files)} images from {folder}\n  model     {classifier.description}\n  image     {image}\n"
        f"  hosting   {instance_type}, from the job's start to its end\n"
        f"  price     about {prices.in_words(usd)} in all ({price.source})",
        flush=True,
    )
    if dry_run:
        print("nothing was made (--dry-run)")
        return
    with aws_errors_in_words():
        name, status = _attempt(title, sha256, files, account, settings)
        try:
            with interruptions.ending_signals():
                if status is None:
                    _start(name, archive, files, instance_type, image, account, settings)
                _wait(name, settings.poll_seconds, minutes)
                answers = _answers(name, files, account, settings)
        except KeyboardInterrupt as interruption:
            raise StageError(
                f"{interruptions.reason(interruption)}; the job {name} goes on and costs until it ends; run the same "
                f"command again to fetch its labels, or `{STOP} {name}`"
            ) from None
        for attempt in count():  # an earlier one may have failed and left its own
            earlier = resource_name(title, sha256, attempt)
            _clean_up(earlier, files, account, settings)
            if earlier == name:
                break
    _write(out, classifier.classes, answers)
    print(f"{out}: the labels of {len(answers)} images")


def _checked(folder: Path, classifier: handler.Classifier) -> list[Path]:
    """The folder's PNGs, in the order of their names."""
    files = sorted(file for file in folder.glob("*") if file.suffix.lower() == ".png" and file.is_file())
    if not files:
        raise StageError(f"{folder} has no file *.png; name a folder of images")
    wrong = []
    for file in files:
        try:
            picture = handler.input_fn(file.read_bytes(), KIND)
            if picture.shape != classifier.image:
                raise handler.Refused(400, "the image is {}×{} with {} channel(s)".format(*picture.shape))
        except handler.Refused as refusal:
            wrong.append(f"{file.name}: {refusal}")
    if wrong:
        height, width, channels = classifier.image
        raise StageError(
            "\n".join(wrong[:10])
            + f"\n{len(wrong)} of {len(files)} files are no images of this model, which takes PNGs of {height}×{width} "
            f"with {channels} channel(s); nothing was sent"
        )
    return files


def _attempt(
    title: str, sha256: str, files: list[Path], account: Account, settings: SageMaker
) -> tuple[str, str | None]:
    """The name of a job that can be used, and its status; None for a name that is free.

    No name can be used twice, so that a job that failed, or whose answers are gone, has a successor of another name.
    """
    for attempt in count():
        name = resource_name(title, sha256, attempt)
        transform = ask(client("sagemaker").describe_transform_job, TransformJobName=name)
        status = transform["TransformJobStatus"] if transform else None
        whole = status == "Completed" and all(
            object_exists(_answer_url(name, file, account, settings)) for file in files
        )
        if status in (None, "InProgress") or whole:
            return name, status
    raise AssertionError("there is always another number")


def _start(
    name: str,
    archive: Path,
    files: list[Path],
    instance_type: str,
    image: str,
    account: Account,
    settings: SageMaker,
) -> None:
    for file in files:
        client("s3").upload_file(
            str(file), account.bucket, _image_key(name, file, settings), ExtraArgs=encryption(settings)
        )
    make_model(name, archive, image, account, settings)
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{account.bucket}/{batch_folder(settings, name)}images/"}
    output: dict[str, Any] = {
        "S3OutputPath": f"s3://{account.bucket}/{batch_folder(settings, name)}answers",
        "Accept": "application/json",
    }
    resources: dict[str, Any] = {"InstanceType": instance_type, "InstanceCount": 1}
    if settings.output_kms_key:
        output["KmsKeyId"] = settings.output_kms_key
    if settings.volume_kms_key:
        resources["VolumeKmsKeyId"] = settings.volume_kms_key
    client("sagemaker").create_transform_job(
        TransformJobName=name,
        ModelName=name,
        MaxPayloadInMB=MEGABYTES,
        BatchStrategy="SingleRecord",
        TransformInput={"DataSource": {"S3DataSource": source}, "ContentType": KIND, "SplitType": "None"},
        TransformOutput=output,
        TransformResources=resources,
        Tags=tags(settings),
    )


def _wait(name: str, poll_seconds: float, minutes: float) -> None:
    end = time.monotonic() + 60 * minutes
    shown = None
    while True:
        try:
            with aws_errors_in_words():
                transform = ask(client("sagemaker").describe_transform_job, TransformJobName=name) or {}
        except StageError as error:
            if isinstance(error, Unavailable) and time.monotonic() <= end:
                print(f"job {name}: {error}; asked again", flush=True)
                pause(poll_seconds)
                continue
            raise StageError(
                f"{error}\nthe job {name} may go on and cost; run the same command again to wait on, or `{STOP} {name}`"
            ) from None
        status = transform.get("TransformJobStatus", "gone")
        if status != shown:
            print(f"job {name}: {status}", flush=True)
            shown = status
        if status == "Completed":
            return
        if status not in ("InProgress", "Stopping"):
            raise StageError(
                f"the job {name} has ended without all labels ({status}): "
                f"{transform.get('FailureReason', 'no reason is given')}\n"
                f"its log: aws logs tail /aws/sagemaker/TransformJobs --log-stream-name-prefix {name} --since 1d\n"
                "run the same command again to send the images to a new job"
            )
        if time.monotonic() > end:
            raise StageError(
                f"the job {name} is still {status} after {minutes:g} minutes, and costs until it ends; run the same "
                f"command again to wait on, or `{STOP} {name}`"
            )
        pause(poll_seconds)


def _answers(name: str, files: Iterable[Path], account: Account, settings: SageMaker) -> dict[str, handler.Prediction]:
    """Name of the file → what was answered. Raises StageError if an answer is missing or is none."""
    answers = {}
    for file in files:
        url = _answer_url(name, file, account, settings)
        if not object_exists(url):
            raise StageError(f"the job {name} has left no answer for {file.name} ({url})")
        key = url.removeprefix(f"s3://{account.bucket}/")
        body = client("s3").get_object(Bucket=account.bucket, Key=key)["Body"].read()
        try:
            answers[file.name] = handler.Prediction(**json.loads(body))
        except (ValueError, TypeError):
            raise StageError(f"the job {name} has answered {body[:200]!r} for {file.name}") from None
    return answers


def _clean_up(name: str, files: Iterable[Path], account: Account, settings: SageMaker) -> None:
    """Remove what the job needed. Its answers stay, so that they can be fetched again."""
    if ask(client("sagemaker").describe_model, ModelName=name) is not None:
        client("sagemaker").delete_model(ModelName=name)
    for key in (archive_key(settings, name), *(_image_key(name, file, settings) for file in files)):
        client("s3").delete_object(Bucket=account.bucket, Key=key)


def _write(out: Path, classes: list[str], answers: dict[str, handler.Prediction]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f"{out.name}.partial")
    with partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "label", *classes])
        for name, answer in answers.items():
            table.writerow([name, answer.label, *(answer.probabilities[one] for one in classes)])
    partial.replace(out)


def _image_key(name: str, file: Path, settings: SageMaker) -> str:
    return f"{batch_folder(settings, name)}images/{file.name}"


def _answer_url(name: str, file: Path, account: Account, settings: SageMaker) -> str:
    return f"s3://{account.bucket}/{batch_folder(settings, name)}answers/{file.name}.out"

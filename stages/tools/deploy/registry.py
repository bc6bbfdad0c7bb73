"""Register a package in SageMaker's model registry, with its accuracies and their interval in a model card."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

from stages.cloud import images, service_model
from stages.cloud.account import PREFIX, Account, aws_errors_in_words, client, object_exists, preflight, resource_name
from stages.cloud.job import encryption
from stages.cloud.settings import SageMaker
from stages.shared import params, paths
from stages.shared.inference.intervals import Estimate, estimate
from stages.shared.stage_command import StageError
from stages.tools.deploy import handler
from stages.tools.deploy.aws_model import container, tags
from stages.tools.deploy.choose import choose
from stages.tools.deploy.hosting import CPU_INSTANCE
from stages.tools.deploy.package import check_starts, digest, unpacked
from stages.tools.deploy.service import ARCHIVE

GROUP = re.compile(rf"{PREFIX}-[a-zA-Z0-9](-*[a-zA-Z0-9]){{0,58}}")


def register(archive: Path, group: str | None, settings: SageMaker, dry_run: bool) -> None:
    """Make a version of the group, and the group if there is none; a version of the same content is used.

    group: None takes one that is named by the dataset. Raises StageError if the package is not of a run in data/runs.
    """
    with unpacked(archive) as folder:
        check_starts(folder)
        description = json.loads((folder / handler.MODEL).read_text(encoding="utf-8"))["description"]
        weights = digest(folder / handler.WEIGHTS)
    group = group or f"{PREFIX}-{_slug(description['dataset'])}"
    if not GROUP.fullmatch(group) or len(group) > 63:
        raise StageError(f"--group {group!r}: it must begin with {PREFIX}-, and have at most 63 of a-z, A-Z, 0-9 and -")
    numbers = _accuracies(description["variant"], description["seed"], weights)
    service_model.check_hosting(CPU_INSTANCE, settings)
    account = preflight(settings, with_role=False)
    image = images.serving_image(CPU_INSTANCE)
    content = f"registered {digest(archive)} {image} {json.dumps(numbers)}"
    name = resource_name(description["variant"], hashlib.sha256(content.encode()).hexdigest())
    folder_url = f"s3://{account.bucket}/{settings.prefix}/registry/{name}"
    print(f"model {name}\n  model     {description}\n  image     {image}\n  group     {group}", flush=True)
    for metric in numbers:
        print(f"  {metric['name']}: {metric['value']:.4f} ({metric['notes']})")
    if dry_run:
        print("nothing was made (--dry-run)")
        return
    with aws_errors_in_words():
        _make_group(group, settings)
        package_arn = _version(group, f"{folder_url}/{ARCHIVE}")
        if package_arn is None:
            _upload(f"{folder_url}/{ARCHIVE}", archive.read_bytes(), account, settings)
            _upload(f"{folder_url}/statistics.json", _statistics(numbers), account, settings)
            request = _request(group, description, numbers, image, folder_url)
            package_arn = client("sagemaker").create_model_package(**request)["ModelPackageArn"]
    print(f"registered, and waiting for approval: {package_arn}")


def _accuracies(variant: str, seed: int, weights: str) -> list[dict[str, Any]]:
    """Metrics as a model card has them. weights: SHA-256 of the package's; they must be those of the run."""
    settings = params.load()
    choice = choose(settings, paths.RUNS, variant, seed)
    runs = {key: paths.RUNS / variant / f"seed_{key}" for key in settings.seeds(variant)}
    if digest(runs[seed] / "weights.safetensors") != weights:
        raise StageError(
            f"the package's weights are not those of variant {variant!r}, seed {seed}, in data/runs, whose accuracies "
            "the registry would show; `python -m stages.tools.deploy package` packs it anew"
        )
    metrics = {
        key: paths.read_json(run / "metrics.json") for key, run in runs.items() if (run / "metrics.json").exists()
    }
    accuracies = {key: one["test_accuracy"] for key, one in metrics.items() if "diverged" not in one}
    n_images = load_file(runs[seed] / "predictions.safetensors")["predicted"].size
    confidence = settings.inference.confidence
    over_seeds = estimate(accuracies.values(), confidence, n_images).within(0, 1)
    this_one = f"of the registered run, seed {seed}"
    return [
        _metric("test accuracy", accuracies[seed], f"{this_one}, on {n_images} images"),
        _metric("val accuracy", choice.val_accuracy, f"{this_one}, by which it was chosen"),
        *_with_interval("mean test accuracy", over_seeds, confidence),
    ]


def _with_interval(name: str, over_seeds: Estimate, confidence: float) -> list[dict[str, Any]]:
    if over_seeds.n < 2:
        return [_metric(name, over_seeds.mean, "one seed, so that there is no interval")]
    what = f"of the {confidence:.0%} t interval of that mean"
    return [
        _metric(name, over_seeds.mean, f"over {over_seeds.n} seeds, SD {over_seeds.sd:.4f}"),
        _metric(f"{name}, low", over_seeds.low, f"lower end {what}"),
        _metric(f"{name}, high", over_seeds.high, f"upper end {what}"),
    ]


def _metric(name: str, value: float, notes: str) -> dict[str, Any]:
    return {"name": name, "type": "number", "value": value, "notes": notes}


def _statistics(numbers: list[dict[str, Any]]) -> bytes:
    """As SageMaker's Model Monitor writes the metrics of a classifier, so that its console shows them."""
    accuracy = {"value": numbers[0]["value"]}
    return json.dumps({"multiclass_classification_metrics": {"accuracy": accuracy}, "metrics": numbers}).encode()


def _request(
    group: str, description: dict[str, Any], numbers: list[dict[str, Any]], image: str, folder_url: str
) -> dict[str, Any]:
    card = {
        "model_overview": {"model_creator": "what-convolution-buys", "model_artifact": [f"{folder_url}/{ARCHIVE}"]},
        "evaluation_details": [
            {
                "name": f"Test images of {description['dataset']}"[:63],
                "evaluation_observation": "Each run is scored once, after its last epoch. Test images choose nothing.",
                "metric_groups": [{"name": "accuracy", "metric_data": numbers}],
            }
        ],
    }
    statistics = {"ContentType": "application/json", "S3Uri": f"{folder_url}/statistics.json"}
    return {
        "ModelPackageGroupName": group,
        "ModelPackageDescription": f"{description['variant']}, seed {description['seed']}, {description['dataset']}",
        "InferenceSpecification": {
            "Containers": [container(image, f"{folder_url}/{ARCHIVE}")],
            "SupportedContentTypes": list(handler.READERS),
            "SupportedResponseMIMETypes": ["application/json"],
            "SupportedRealtimeInferenceInstanceTypes": [CPU_INSTANCE],
            "SupportedTransformInstanceTypes": [CPU_INSTANCE],
        },
        "ModelMetrics": {"ModelQuality": {"Statistics": statistics}},
        "ModelCard": {"ModelCardContent": json.dumps(card), "ModelCardStatus": "Draft"},
        "ModelApprovalStatus": "PendingManualApproval",
    }


def _make_group(group: str, settings: SageMaker) -> None:
    """AWS lets only the group carry tags, not its versions."""
    pages = client("sagemaker").get_paginator("list_model_package_groups").paginate(NameContains=group)
    names = {one["ModelPackageGroupName"] for page in pages for one in page["ModelPackageGroupSummaryList"]}
    if group not in names:
        client("sagemaker").create_model_package_group(ModelPackageGroupName=group, Tags=tags(settings))


def _version(group: str, archive_url: str) -> str | None:
    """The ARN of the group's version that has this package; None if there is none."""
    for page in client("sagemaker").get_paginator("list_model_packages").paginate(ModelPackageGroupName=group):
        for one in page["ModelPackageSummaryList"]:
            arn = str(one["ModelPackageArn"])
            package = client("sagemaker").describe_model_package(ModelPackageName=arn)
            if package["InferenceSpecification"]["Containers"][0].get("ModelDataUrl") == archive_url:
                return arn
    return None


def _upload(url: str, body: bytes, account: Account, settings: SageMaker) -> None:
    if not object_exists(url):
        key = url.removeprefix(f"s3://{account.bucket}/")
        client("s3").put_object(Bucket=account.bucket, Key=key, Body=body, **encryption(settings))


def _slug(title: str) -> str:
    return re.sub(r"[^a-zA-Z0-9]+", "-", title).strip("-").lower()[:50].strip("-")

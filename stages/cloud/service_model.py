"""What AWS allows in a request, from the service models that botocore ships: checked before anything is sent.

A newer boto3 knows more types of instances; `make sagemaker` installs the one that the project pins.
"""

import difflib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from stages.cloud.account import need_boto3
from stages.cloud.settings import SageMaker
from stages.shared.stage_command import StageError

TRAINING, HOSTING = "TrainingInstanceType", "ProductionVariantInstanceType"  # names of shapes in the model
TRANSFORM = "TransformInstanceType"
OTHER_CHIPS = {"trn": "Trainium", "inf": "Inferentia", "dl": "Gaudi"}
OWN_TAGS = 1  # that the code adds to those of compute.yaml: variant
TAG = re.compile(r"[\w .:/=+\-@]*")  # the model's pattern has \p{L} and \p{N}, which Python lacks; \w is the same


def check_training(settings: SageMaker) -> None:
    """Raises StageError with every setting of compute.yaml that CreateTrainingJob would refuse."""
    need_boto3()
    isolated = []
    if settings.network_isolation and settings.image is None:
        isolated.append(
            "sagemaker.network_isolation is true, and AWS's image lacks packages that a job would install; "
            "make an image with them (`python -m stages.cloud dockerfile` prints its Dockerfile), "
            "and set SAGEMAKER_IMAGE"
        )
    _raise(
        [
            *_wrong_instance(settings.instance_type, TRAINING),
            *_wrong_tags(settings.tags),
            *_wrong_network(settings),
            *_wrong_keys(settings, settings.instance_type),
            *isolated,
        ]
    )


def check_hosting(instance_type: str | None, settings: SageMaker) -> None:
    """Raises StageError for what CreateEndpointConfig would refuse. instance_type: None where it is serverless."""
    need_boto3()
    wrong = [] if instance_type is None else _wrong_instance(instance_type, HOSTING)
    if instance_type is None and (settings.subnets or settings.network_isolation):
        wrong = [
            "a serverless endpoint takes no subnets and no network isolation; "
            "keep an instance running (--instance), or change sagemaker.subnets and sagemaker.network_isolation "
            "in compute.yaml"
        ]
    _raise(
        [
            *wrong,
            *_wrong_tags(settings.tags),
            *_wrong_network(settings),
            *_wrong_keys(settings, instance_type or ""),
        ]
    )


def check_transform(instance_type: str, settings: SageMaker) -> None:
    """Raises StageError for what CreateTransformJob would refuse."""
    need_boto3()
    _raise(
        [
            *_wrong_instance(instance_type, TRANSFORM),
            *_wrong_tags(settings.tags),
            *_wrong_network(settings),
            *_wrong_keys(settings, instance_type),
        ]
    )


def other_processor(instance_type: str) -> str:
    """The processor that no image of this project runs on, in words; "" for x86, with an NVIDIA GPU or without.

    The letters after a family's number say the processor: c7g and m6gd are ARM, c6i and g4dn are not.
    """
    family = instance_type.removeprefix("ml.").partition(".")[0]
    named = re.match(r"([a-z]+)\d+([a-z]*)(-gb)?", family)
    if named is None:
        return ""
    letters, options, grace = named.groups()
    if letters in OTHER_CHIPS:
        return f"AWS's {OTHER_CHIPS[letters]} chips" if letters != "dl" else "Gaudi chips"
    return "ARM processors" if "g" in options or grace else ""


@cache
def _shape(name: str) -> Any:
    import botocore.session

    return botocore.session.get_session().get_service_model("sagemaker").shape_for(name)


def _wrong_instance(instance_type: str, shape: str) -> Iterator[str]:
    what, setting = ("trains", "sagemaker.instance_type in compute.yaml")
    if shape != TRAINING:
        what, setting = "serves", "--instance"
    if processor := other_processor(instance_type):
        yield (
            f"{instance_type} has {processor}, and this project's images are for x86 and NVIDIA's GPUs; "
            f"set {setting} to another type, such as {'ml.c5.xlarge' if shape == TRAINING else 'ml.m5.large'}"
        )
        return
    known = _shape(shape).enum
    if instance_type not in known:
        near = ", ".join(difflib.get_close_matches(instance_type, known, n=3, cutoff=0.6))
        yield (
            f"{instance_type!r} is no instance that SageMaker {what} on, as far as the installed boto3 knows"
            f"{f' (similar: {near})' if near else ''}; set {setting}"
        )


def _wrong_tags(tags: dict[str, str]) -> Iterator[str]:
    where = "change sagemaker.tags in compute.yaml"
    most = _shape("TagList").metadata["max"] - OWN_TAGS
    if len(tags) > most:
        yield f"{len(tags)} tags are more than the {most} that fit beside the project's own; {where}"
    for key, value in tags.items():
        for text, kind in ((key, "TagKey"), (value, "TagValue")):
            limits, part = _shape(kind).metadata, "key" if kind == "TagKey" else "value"
            if not limits["min"] <= len(text) <= limits["max"]:
                lengths = f"{limits['min']} to {limits['max']}"
                yield f"the {part} {text!r} of a tag has {len(text)} characters, and {lengths} are allowed; {where}"
            if not TAG.fullmatch(text):
                yield f"the {part} {text!r} of a tag has other signs than letters, digits and ' _.:/=+-@'; {where}"
        if key.lower().startswith("aws:"):
            yield f"the key {key!r} of a tag begins with 'aws:', which AWS keeps for itself; {where}"
        if key == "variant":
            yield f"the tag 'variant' is set by the project itself; {where}"


def _wrong_network(settings: SageMaker) -> Iterator[str]:
    lists = (
        ("subnets", settings.subnets, "Subnets", "SubnetId", "subnet-"),
        ("security_groups", settings.security_groups, "VpcSecurityGroupIds", "SecurityGroupId", "sg-"),
    )
    if bool(settings.subnets) != bool(settings.security_groups):
        yield "sagemaker.subnets and sagemaker.security_groups in compute.yaml go together: set both or none"
    for key, names, many, one, prefix in lists:
        limits = _shape(one).metadata
        if len(names) > _shape(many).metadata["max"]:
            yield f"sagemaker.{key} has {len(names)} entries; AWS takes {_shape(many).metadata['max']}"
        for name in names:
            matches = name.startswith(prefix) and re.fullmatch(limits["pattern"], name) and len(name) <= limits["max"]
            if not matches:
                yield f"{name!r} in sagemaker.{key} is no id such as {prefix}0a1b2c3d"


def _wrong_keys(settings: SageMaker, instance_type: str) -> Iterator[str]:
    for setting in ("volume_kms_key", "output_kms_key"):
        key = getattr(settings, setting)
        if key is not None and not (key and re.fullmatch(_shape("KmsKeyId").metadata["pattern"], key)):
            yield f"sagemaker.{setting} = {key!r} is no id and no ARN of a key, such as arn:aws:kms:…:key/…"
    if settings.volume_kms_key is not None and has_own_disk(instance_type):
        yield (
            f"{instance_type} has a disk of its own, which AWS encrypts itself: with it, AWS refuses "
            "sagemaker.volume_kms_key; set it to null, or choose another type"
        )


def has_own_disk(instance_type: str) -> bool:
    """Whether instances of the type come with NVMe disks: a d after the number (m5d), and GPUs since g4 and p4."""
    named = re.match(r"ml\.([a-z]+)(\d+)([a-z]*)", instance_type)
    if named is None:
        return False
    letters, generation, options = named.groups()
    return "d" in options or (letters in ("g", "p") and int(generation) >= 4)


def _raise(mistakes: list[str]) -> None:
    if mistakes:
        raise StageError("\n".join(mistakes) + "\nnothing was sent")

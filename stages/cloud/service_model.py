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
OTHER_CHIPS = {"trn": "Trainium", "inf": "Inferentia", "dl": "Gaudi"}
OWN_TAGS = 1  # that the code adds to those of compute.yaml: variant
TAG = re.compile(r"[\w .:/=+\-@]*")  # the model's pattern has \p{L} and \p{N}, which Python lacks; \w is the same


def check_training(settings: SageMaker) -> None:
    """Raises StageError with every setting of compute.yaml that CreateTrainingJob would refuse."""
    need_boto3()
    _raise([*_wrong_instance(settings.instance_type, TRAINING), *_wrong_tags(settings.tags)])


def check_hosting(instance_type: str | None, settings: SageMaker) -> None:
    """Raises StageError for what CreateEndpointConfig would refuse. instance_type: None where it is serverless."""
    need_boto3()
    wrong = [] if instance_type is None else _wrong_instance(instance_type, HOSTING)
    _raise([*wrong, *_wrong_tags(settings.tags)])


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
    if shape == HOSTING:
        what, setting = "serves", "--instance"
    if processor := other_processor(instance_type):
        yield (
            f"{instance_type} has {processor}, and this project's images are for x86 and NVIDIA's GPUs; "
            f"set {setting} to another type, such as {'ml.m5.large' if shape == HOSTING else 'ml.c5.xlarge'}"
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


def _raise(mistakes: list[str]) -> None:
    if mistakes:
        raise StageError("\n".join(mistakes) + "\nnothing was sent")

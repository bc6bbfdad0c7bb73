"""Answer one request, here and in SageMaker's container alike: model_fn, input_fn, predict_fn, output_fn.

It travels inside the package, and so imports nothing else of ours than the architectures and their settings.
"""

import hashlib
import io
import json
import struct
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn

from stages.shared import paths
from stages.shared.architectures.build import logits_of, trained
from stages.shared.params import Architecture, ParamsError

MODEL = "model.json"  # in the package, beside the weights
WEIGHTS = "weights.safetensors"

MAX_BYTES = 4_000_000  # of a request: what a serverless endpoint takes
MAX_PIXELS = 2**20  # of a PNG, looked at before it is unpacked
WHITE = 255
PNG = b"\x89PNG\r\n\x1a\n"
MODES = {"L": "8-bit greyscale", "RGB": "8-bit RGB"}


class Refused(Exception):
    """A request that cannot be answered. status: the HTTP code, 4xx. Its text is the reason, for the one who asked."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Classifier:
    """A trained net and what is done to an image before it.

    image: (height, width, channels) as published. margin: rows of zeros above and below, columns on either side.
    order: (H·W,), the order of the canvas's pixels, or None where they stay where they are.
    description: variant, seed, dataset, val_accuracy.
    """

    net: nn.Module
    image: tuple[int, int, int]
    margin: tuple[int, int]
    order: npt.NDArray[np.int64] | None
    classes: list[str]
    description: dict[str, Any]


class Prediction(NamedTuple):
    label: str
    probabilities: dict[str, float]


class Reply(NamedTuple):
    status: int
    body: bytes
    content_type: str = "application/json"


def answer(classifier: Classifier, body: bytes, content_type: str | None, accept: str | None) -> Reply:
    """The four functions in their order, for one request; a reason and a code of 4xx where it cannot be answered."""
    try:
        if len(body) > MAX_BYTES:
            raise Refused(413, f"the request has {len(body)} bytes; at most {MAX_BYTES} are read")
        return Reply(200, output_fn(predict_fn(input_fn(body, content_type), classifier), accept))
    except Refused as refusal:
        return Reply(refusal.status, json.dumps({"error": str(refusal)}, ensure_ascii=False).encode())


def model_fn(folder: str | Path) -> Classifier:
    """The classifier that an unpacked package holds.

    A user's own net is that of the code which runs, never one from the package: a package that somebody else made runs
    nothing here. Raises ParamsError if it is not the file that the model was packed with.
    """
    folder = Path(folder)
    card = json.loads((folder / MODEL).read_text(encoding="utf-8"))
    _check_own_net(card.get("own_net", {}))
    # One thread: as in training, so that the bits agree, and quickest for one small image.
    torch.set_num_threads(1)
    try:
        architecture = Architecture.model_validate_json(json.dumps(card["architecture"]))
    except ValueError:
        raise ParamsError(
            "the package is of another version of this project; `python -m stages.tools.deploy package` makes it anew"
        ) from None
    net = trained(architecture, tuple(card["canvas"]), len(card["classes"]), folder / WEIGHTS)
    order = None if card["order"] is None else np.array(card["order"], dtype=np.int64)
    channels, rows, columns = card["canvas"]
    above, beside = card["margin"]
    return Classifier(
        net,
        (rows - 2 * above, columns - 2 * beside, channels),
        (above, beside),
        order,
        card["classes"],
        card["description"],
    )


def _check_own_net(digests: dict[str, str]) -> None:
    """digests: name, from the root of the code on → SHA-256, of the files of a user's own net."""
    for name, wanted in digests.items():
        file = paths.MODULES.parent / name
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != wanted:
            raise ParamsError(f"{name} is not the file that this model was packed with; bring that back, or pack anew")


def input_fn(body: bytes, content_type: str | None) -> npt.NDArray[np.uint8]:
    """The image of a request, (height, width, channels). Raises Refused."""
    kind = _kind(content_type)
    if kind not in READERS:
        raise Refused(415, f"the Content-Type is {kind or 'missing'}; it must be one of {', '.join(READERS)}")
    image = READERS[kind](body)
    return image[:, :, np.newaxis] if image.ndim == 2 else image


def predict_fn(image: npt.NDArray[np.uint8], classifier: Classifier) -> Prediction:
    """image: (height, width, channels), as published: the margin and the layout are added here. Raises Refused."""
    if image.shape != classifier.image:
        raise Refused(400, f"the image is {_shown(image.shape)}; this model takes {_shown(classifier.image)}")
    above, beside = classifier.margin
    canvas = np.pad(image.transpose(2, 0, 1), ((0, 0), (above, above), (beside, beside)))
    if classifier.order is not None:
        canvas = np.take(canvas.reshape(len(canvas), -1), classifier.order, axis=1).reshape(canvas.shape)
    with torch.inference_mode():
        logits = logits_of(classifier.net, torch.from_numpy(canvas[np.newaxis]))[0]
    probabilities = torch.softmax(logits.double(), 0).tolist()
    return Prediction(
        classifier.classes[int(logits.argmax())], dict(zip(classifier.classes, probabilities, strict=True))
    )


def output_fn(prediction: Prediction, accept: str | None) -> bytes:
    """The label and the probability of every class, as JSON. Raises Refused if the one who asks takes no JSON."""
    wanted = [_kind(choice) for choice in (accept or "*/*").split(",")]
    if not set(wanted) & {"*/*", "application/*", "application/json"}:
        raise Refused(406, f"Accept is {', '.join(wanted)}; the answer is application/json")
    return json.dumps(prediction._asdict(), ensure_ascii=False).encode()


def _read_json(body: bytes) -> npt.NDArray[np.uint8]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is not JSON: {error}") from None
    if not isinstance(content, dict) or set(content) != {"pixels"}:
        raise Refused(
            400, 'the JSON must be {"pixels": rows}, each row a list of whole numbers, or of [red, green, blue]'
        )
    try:
        pixels = np.array(content["pixels"], dtype=object)
    except ValueError:  # nested too deep
        pixels = np.empty(0, dtype=object)
    if (
        pixels.ndim not in (2, 3) or pixels.size == 0 or {type(value) for value in pixels.flat} != {int}
    ):  # True is no pixel
        raise Refused(400, "pixels must be rows of equal length, of whole numbers or of [red, green, blue]")
    low, high = min(pixels.flat), max(pixels.flat)
    if low < 0 or high > WHITE:
        raise Refused(400, f"pixels must lie in 0 to {WHITE}; one does not")
    return pixels.astype(np.uint8)


def _read_png(body: bytes) -> npt.NDArray[np.uint8]:
    if body[:8] != PNG or len(body) < 24:
        raise Refused(400, "the body is not a PNG file")
    width, height = struct.unpack(">II", body[16:24])
    if width * height > MAX_PIXELS:
        raise Refused(413, f"the PNG is {height}×{width}; at most {MAX_PIXELS} pixels are unpacked")
    try:
        with Image.open(io.BytesIO(body), formats=["PNG"]) as picture:
            if picture.mode not in MODES:
                allowed = ", ".join(f"{mode} ({name})" for mode, name in MODES.items())
                raise Refused(400, f"the PNG has mode {picture.mode}; it must be one of {allowed}")
            if picture.size != (width, height):
                raise Refused(400, "the PNG gives two sizes")
            return np.array(picture)
    except Refused:
        raise
    except (
        Exception
    ) as error:  # a damaged file makes Pillow raise what it does not document: SyntaxError, struct.error, zlib.error, …
        raise Refused(400, f"the PNG is damaged: {type(error).__name__}") from None


READERS = {"application/json": _read_json, "image/png": _read_png}


def _kind(header: str | None) -> str:
    """The media type of a header, without its parameters; "" where there is none."""
    if not header or not header.strip():
        return ""
    message = Message()
    message["Content-Type"] = header.strip()
    return message.get_content_type() if "/" in header else header.strip().lower()


def _shown(shape: tuple[int, ...]) -> str:
    height, width, channels = shape
    return f"{height}×{width} with {channels} {'channel' if channels == 1 else 'channels'}"

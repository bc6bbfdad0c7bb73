"""Every image is answered as in training, and what is no image of the model is refused with a reason."""

import json
import zlib

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from served import GOOD, JSON, pixels, png, published_images, request, serving
from small_data import TRAIN
from small_model import SAMPLES, packaged, small_settings

from stages.shared.architectures.build import build, logits_of, trained
from stages.shared.prepared_data import load_constants
from stages.tools.deploy import handler
from stages.tools.deploy.package import unpacked
from stages.train.data import load_splits
from stages.train.run_spec import RunSpec

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("variant", SAMPLES)
def test_every_test_image_is_answered_as_in_training_as_json_and_as_png(data, tmp_path, variant):
    classes = load_constants(data / "prepared")["classes"]
    offline = load_file(data / "runs" / variant / "seed_1" / "predictions.safetensors")["predicted"]
    probabilities = offline_probabilities(data, variant, seed=1)
    with unpacked(packaged(data, tmp_path, variant)) as folder:
        classifier = handler.model_fn(folder)
    with serving(classifier) as port:
        for image, predicted, expected in zip(published_images(data), offline, probabilities, strict=True):
            status, answer = request(port, body=json.dumps({"pixels": image.tolist()}))
            assert (status, answer["label"]) == (200, classes[predicted])
            assert list(answer["probabilities"].values()) == pytest.approx(expected, abs=1e-6)
            assert list(answer["probabilities"]) == classes
            assert request(port, body=png(image), headers={"Content-Type": "image/png"}) == (200, answer)


def offline_probabilities(data, variant, seed):
    """By the stages' own way: the prepared test split, in the sample's layout."""
    constants, run = load_constants(data / "prepared"), small_settings().variants[variant].run
    weights = data / "runs" / variant / f"seed_{seed}" / "weights.safetensors"
    net = trained(run.architecture, tuple(constants["shape"]), 3, weights)
    spec = RunSpec.of(small_settings(), variant, seed, "cpu", TRAIN)
    with torch.inference_mode():
        return torch.softmax(logits_of(net, load_splits(data / "prepared", spec)["test"].images), 1).numpy()


def test_a_colour_image_is_rows_of_red_green_blue(tmp_path):
    """By hand: a net that reads the pixel at row 0, column 1 alone, whose classes are its three channels.

    One column of margin on either side and no row: on the canvas of 2×5 the pixel is the third of its channel's ten.
    """
    architecture = (
        small_settings()
        .variants["cnn"]
        .run.architecture.model_copy(update={"connectivity": "fully_connected", "channels": ()})
    )
    net = build(architecture, (3, 2, 5), 3, [0.0] * 3, [1 / 255] * 3, torch.Generator())
    with torch.no_grad():
        net.head.weight.zero_()
        net.head.bias.zero_()
        for channel in range(3):
            net.head.weight[channel, channel * 10 + 2] = 1
    classifier = handler.Classifier(net.eval(), (2, 3, 3), (0, 1), None, ["red", "green", "blue"], {})
    image = np.zeros((2, 3, 3), dtype=np.uint8)
    image[0, 1] = [1, 3, 2]
    expected = np.exp([1, 3, 2]) / np.exp([1, 3, 2]).sum()
    for body, kind in (
        (json.dumps({"pixels": image.tolist()}).encode(), "application/json"),
        (png(image), "image/png"),
    ):
        reply = handler.answer(classifier, body, kind, "application/json")
        assert json.loads(reply.body)["label"] == "green"
        assert list(json.loads(reply.body)["probabilities"].values()) == pytest.approx(expected)


REFUSED = {
    "nothing": (b"", JSON, 400, "not JSON"),
    "half of a JSON": (b'{"pixels": [[1, 2', JSON, 400, "not JSON"),
    "bytes that are no text": (b"\xff\xfe\x00\xd8", JSON, 400, "not JSON"),
    "a list": (json.dumps(GOOD), JSON, 400, "must be"),
    "another key": (json.dumps({"pixels": GOOD, "seed": 1}), JSON, 400, "must be"),
    "text for pixels": (pixels("0" * 36), JSON, 400, "rows of equal length"),
    "a number for pixels": (pixels(3), JSON, 400, "rows of equal length"),
    "no rows": (pixels([]), JSON, 400, "rows of equal length"),
    "empty rows": (pixels([[], []]), JSON, 400, "rows of equal length"),
    "one row shorter": (pixels([[7] * 6] * 5 + [[7] * 5]), JSON, 400, "rows of equal length"),
    "a fraction": (pixels([[7.0] * 6] * 6), JSON, 400, "whole numbers"),
    "true": (pixels([[True] * 6] * 6), JSON, 400, "whole numbers"),
    "null": (pixels([[None] * 6] * 6), JSON, 400, "whole numbers"),
    "NaN": (b'{"pixels": [[NaN]]}', JSON, 400, "whole numbers"),
    "numbers as text": (pixels([["7"] * 6] * 6), JSON, 400, "whole numbers"),
    "a negative pixel": (pixels([[-1] + [7] * 5] + [[7] * 6] * 5), JSON, 400, "0 to 255"),
    "a pixel of 256": (pixels([[256] + [7] * 5] + [[7] * 6] * 5), JSON, 400, "0 to 255"),
    "a pixel beyond 64 bits": (pixels([[10**30] * 6] * 6), JSON, 400, "0 to 255"),
    "a number of 5000 digits": (b'{"pixels": [[' + b"9" * 5000 + b"]]}", JSON, 400, "not JSON"),
    "brackets without end": (b"[" * 100_000, JSON, 400, "not JSON"),
    "70 brackets": (pixels(eval("[" * 70 + "1" + "]" * 70)), JSON, 400, "rows of equal length"),
    "an image on its canvas": (
        pixels([[7] * 8] * 8),
        JSON,
        400,
        "the image is 8×8 with 1 channel; this model takes 6×6 with 1 channel",
    ),
    "a colour image": (
        pixels([[[1, 2, 3]] * 6] * 6),
        JSON,
        400,
        "6×6 with 3 channels; this model takes 6×6 with 1 channel",
    ),
    "no Content-Type": (pixels(GOOD), {}, 415, "Content-Type is missing"),
    "a form": (pixels(GOOD), {"Content-Type": "application/x-www-form-urlencoded"}, 415, "application/json, image/png"),
    "a JPEG": (b"\xff\xd8\xff\xe0", {"Content-Type": "image/jpeg"}, 415, "image/jpeg"),
    "no PNG": (b"GIF89a" + b"\0" * 30, {"Content-Type": "image/png"}, 400, "not a PNG"),
    "the beginning of a PNG": (png(np.zeros((6, 6), np.uint8))[:40], {"Content-Type": "image/png"}, 400, "damaged"),
    "a PNG of another size": (png(np.zeros((7, 6), np.uint8)), {"Content-Type": "image/png"}, 400, "7×6"),
    "a PNG in colour": (png(np.zeros((6, 6, 3), np.uint8)), {"Content-Type": "image/png"}, 400, "with 3 channels"),
    "a PNG of 16 bits": (png(np.zeros((6, 6), np.uint16)), {"Content-Type": "image/png"}, 400, "mode I;16"),
    "a PNG with transparency": (png(np.zeros((6, 6, 4), np.uint8)), {"Content-Type": "image/png"}, 400, "mode RGBA"),
    "an Accept that is no JSON": (pixels(GOOD), JSON | {"Accept": "text/csv"}, 406, "text/csv"),
}


@pytest.mark.parametrize(("body", "headers", "status", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_answered_is_refused_with_a_reason(port, body, headers, status, reason):
    got, answer = request(port, body=body, headers=headers)
    assert (got, list(answer)) == (status, ["error"])
    assert reason in answer["error"]
    assert request(port, body=pixels(GOOD))[0] == 200


def test_a_png_that_would_unpack_to_gigabytes_is_not_unpacked(port):
    def chunk(kind, content):
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    side = (30_000).to_bytes(4, "big")
    bomb = (
        handler.PNG
        + chunk(b"IHDR", side + side + b"\x08\0\0\0\0")
        + chunk(b"IDAT", zlib.compress(b"\0" * 10_000_000))
        + chunk(b"IEND", b"")
    )
    assert request(port, body=bomb, headers={"Content-Type": "image/png"})[0] == 413
    # A second header chunk that says otherwise than the first.
    small = (6).to_bytes(4, "big")
    bomb = bomb[:8] + chunk(b"IHDR", small + small + b"\x08\0\0\0\0") + bomb[8:]
    assert request(port, body=bomb, headers={"Content-Type": "image/png"})[0] == 400


@pytest.mark.parametrize(
    "accept", ["application/json", "*/*", "text/html, application/json;q=0.9", "application/*", ""]
)
def test_who_takes_json_among_others_is_answered(port, accept):
    assert request(port, body=pixels(GOOD), headers=JSON | {"Accept": accept})[0] == 200


def test_parameters_of_the_content_type_do_not_matter(port):
    assert request(port, body=pixels(GOOD), headers={"Content-Type": "Application/JSON; charset=utf-8"})[0] == 200

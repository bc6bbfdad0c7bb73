"""The best model is chosen on val, packaged to the byte, answers as in training, and refuses what it cannot answer."""

import collections
import contextlib
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
import types
import zlib

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from own_net import WHOLE, own_architecture, use_folder
from PIL import Image
from safetensors.numpy import load_file
from small_data import TRAIN
from small_model import SAMPLES, packaged, small_settings

from stages.shared import paths
from stages.shared.architectures.build import build, logits_of, save_weights, trained
from stages.shared.params import ParamsError
from stages.shared.prepared_data import load_constants
from stages.shared.stage_command import StageError
from stages.tools.deploy import handler, server
from stages.tools.deploy.choose import Choice, choose
from stages.tools.deploy.package import digest, package, unpacked
from stages.train.data import load_splits
from stages.train.run_spec import RunSpec

pytestmark = pytest.mark.slow

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def classifier(archive):
    with unpacked(archive) as folder:
        return handler.model_fn(folder)


@contextlib.contextmanager
def serving(classifier):
    """The port of a server that answers while the block lasts."""
    with server.listening_socket("127.0.0.1", 0) as listening:
        running = server.http_server(classifier)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            running.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def port(classifier):
    with serving(classifier) as port:
        yield port


def request(port, method="POST", path="/invocations", body=b"", headers=JSON):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read() or b"null")
    finally:
        connection.close()


def sent(port, data, pause=0.0):
    """What comes back for these bytes, until the other side closes; `pause` seconds between the pieces of a list."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        for piece in data if isinstance(data, list) else [data]:
            with contextlib.suppress(ConnectionError):
                connection.sendall(piece)
                time.sleep(pause)
        back = b""
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65536):
                back += piece
        return back


def published_images(data):
    test = load_file(data / "prepared" / "test.safetensors")
    return test["images"][:, 0, 1:-1, 1:-1]  # without their margin of one pixel


def predicted_label(data):
    """The class that training predicts for the first test image."""
    predicted = load_file(data / "runs" / "cnn" / "seed_1" / "predictions.safetensors")["predicted"]
    return load_constants(data / "prepared")["classes"][predicted[0]]


def png(image, **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", **options)
    return file.getvalue()


# --- which model ---


def results(tmp_path, **variants):
    """Settings and data/runs of variants, each given as {seed: (val accuracy, val loss, test accuracy)}."""
    names = ("val_accuracy", "val_loss", "test_accuracy")
    for variant, runs in variants.items():
        for seed, values in runs.items():
            metrics = {"diverged": 1} if values is None else dict(zip(names, values, strict=True))
            paths.write_json(tmp_path / variant / f"seed_{seed}" / "metrics.json", {"seed": seed, **metrics})
    return small_settings({key: {} for key in variants}, seeds=range(4)), tmp_path


def test_the_variant_has_the_best_mean_on_val_and_the_seed_is_its_best_whatever_the_test_images_say(tmp_path):
    choice = choose(
        *results(
            tmp_path,
            lucky={0: (0.95, 0.1, 0.99), 1: (0.60, 0.9, 0.99)},  # mean 0.775
            steady={0: (0.80, 0.5, 0.1), 1: (0.82, 0.5, 0.1), 2: (0.81, 0.5, 0.2)},  # mean 0.81
            worse={0: (0.79, 0.1, 0.9)},
        )
    )
    assert (choice.variant, choice.seed, choice.val_accuracy, choice.n_variants) == ("steady", 1, 0.82, 3)
    assert choice.mean_val_accuracy == pytest.approx(0.81)


def test_the_loss_parts_equal_accuracies_and_the_name_equal_losses(tmp_path):
    choice = choose(
        *results(tmp_path, a={0: (0.8, 0.5, 0)}, b={0: (0.8, 0.4, 0), 1: (0.8, 0.4, 0)}, c={3: (0.8, 0.4, 0)})
    )
    assert (choice.variant, choice.seed) == ("b", 0)


def test_variant_and_seed_can_be_fixed(tmp_path):
    folders = results(tmp_path, a={0: (0.9, 0, 0), 1: (0.8, 0, 0)}, b={0: (0.5, 0, 0), 1: (0.6, 0, 0), 2: (0.1, 0, 0)})

    def chosen(**fixed):
        choice = choose(*folders, **fixed)
        return choice.variant, choice.seed

    assert chosen(variant="b") == ("b", 1)
    assert chosen(seed=1) == ("a", 1)
    assert chosen(seed=2) == ("b", 2)
    with pytest.raises(StageError, match=r"'c' has no trained model \(have: a, b\)"):
        chosen(variant="c")
    with pytest.raises(StageError, match=r"'b' has no trained model of seed 7 \(have: 0, 1, 2\)"):
        chosen(variant="b", seed=7)
    with pytest.raises(StageError, match="no variant was trained with seed 7"):
        chosen(seed=7)


def test_what_the_protocol_does_not_have_is_not_chosen_and_what_is_not_trained_is_named(tmp_path):
    settings, runs = results(tmp_path, trained={0: (0.5, 0, 0)}, waiting={})
    results(tmp_path, deleted={0: (0.99, 0, 0)}, trained={99: (0.99, 0, 0)})  # a variant and a seed of other settings
    choice = choose(settings, runs)
    assert (choice.variant, choice.seed, choice.without_model) == ("trained", 0, ["waiting"])
    assert "not trained yet or diverged: waiting" in str(choice)
    with pytest.raises(StageError, match="no trained model is in data/runs; `dvc repro train`"):
        choose(settings, tmp_path / "elsewhere")


def test_a_run_that_diverged_is_never_chosen(tmp_path):
    folders = results(tmp_path, lost={0: None, 1: None}, partly={0: None, 1: (0.5, 0, 0)}, worse={0: (0.4, 0, 0)})
    choice = choose(*folders)
    assert (choice.variant, choice.seed, choice.n_variants, choice.without_model) == ("partly", 1, 2, ["lost"])
    with pytest.raises(
        StageError, match=r"'lost' has no trained model \(have: partly, worse\); .*every run.* diverged"
    ):
        choose(*folders, variant="lost")
    with pytest.raises(StageError, match=r"'partly' has no trained model of seed 0 \(have: 1\)"):
        choose(*folders, variant="partly", seed=0)


# --- the package ---


def test_packaging_twice_gives_the_same_bytes_and_another_seed_does_not(data, tmp_path):
    first = packaged(data, tmp_path / "a")
    os.utime(data / "runs" / "cnn" / "seed_1" / "weights.safetensors", (1, 1))
    time.sleep(1.1)  # gzip's clock counts whole seconds
    assert packaged(data, tmp_path / "b").read_bytes() == first.read_bytes()
    assert digest(packaged(data, tmp_path / "c", seed=0)) != digest(first)
    with tarfile.open(first) as tar:
        entries = tar.getmembers()
    assert {(entry.mtime, entry.uid, entry.gid, entry.uname, entry.mode) for entry in entries} == {(0, 0, 0, "", 0o644)}
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)


def test_an_unpacked_package_answers_by_itself_and_holds_no_file_that_the_handler_does_not_load(
    archive, data, tmp_path
):
    with tarfile.open(archive) as tar:
        names = set(tar.getnames())
        tar.extractall(tmp_path, filter="data")
    program = (
        "import json, sys; from stages.tools.deploy import handler; folder = sys.argv[1];"
        "body = open(folder + '/example.json', 'rb').read();"
        "reply = handler.answer(handler.model_fn(folder), body, 'application/json', None);"
        "files = [module.__file__ for name, module in sys.modules.items() if name.split('.')[0] == 'stages'];"
        "print(json.dumps([json.loads(reply.body)['label'], files]))"
    )
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PIPELINE_ROOT")}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    label, files = json.loads(done.stdout)
    assert label == predicted_label(data)
    loaded = {os.path.relpath(file, tmp_path) for file in files}
    assert {name for name in names if name.startswith("stages/")} == loaded | {"stages/tools/deploy/ray_serve.py"}
    others = {"config.yaml", "code/requirements.txt", "example.json", "model.json", "weights.safetensors"}
    assert {name for name in names if not name.startswith("stages/")} == others


@pytest.fixture
def of_own_net(monkeypatch, tmp_path, data):
    """The package of a user's own net, without training."""
    use_folder(monkeypatch, tmp_path, whole=WHOLE)
    architecture = own_architecture("whole.py", "Whole", units=6)
    net = build(architecture, (1, 8, 8), 3, [0.5], [0.3], torch.Generator().manual_seed(0))
    (tmp_path / "runs" / "mine" / "seed_0").mkdir(parents=True)
    save_weights(net, tmp_path / "runs" / "mine" / "seed_0" / "weights.safetensors")
    run = small_settings().variants["cnn"].run.model_copy(update={"architecture": architecture})
    (tmp_path / "out").mkdir()
    package(Choice("mine", 0, run, 0.5, 0.5, 1, []), data / "prepared", tmp_path / "runs", tmp_path / "out")
    return tmp_path / "out" / "model.tar.gz"


def test_the_package_of_an_own_net_holds_its_file_and_answers_by_itself(of_own_net, tmp_path):
    root = tmp_path / "unpacked"
    with tarfile.open(of_own_net) as tar:
        assert [name for name in tar.getnames() if name.startswith("modules")] == ["modules/whole.py"]
        tar.extractall(root, filter="data")
    program = "from stages.tools.deploy import handler; print(handler.model_fn('.').net[1][0])"
    environment = {key: value for key, value in os.environ.items() if key != "PIPELINE_ROOT"} | {"PYTHONPATH": "."}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Whole(")


def test_no_code_of_a_package_runs_here_and_another_file_of_that_name_is_refused(of_own_net):
    with unpacked(of_own_net) as folder:
        (folder / "modules" / "whole.py").write_text("raise AssertionError('it runs')\n")
        assert handler.model_fn(folder).description["variant"] == "mine"
        (paths.MODULES / "whole.py").write_text(WHOLE + "# edited\n")
        with pytest.raises(ParamsError, match=r"modules/whole\.py is not the file that this model was packed with"):
            handler.model_fn(folder)


def test_the_serving_image_is_told_of_a_module_that_is_in_the_package_and_of_pinned_packages(archive):
    with unpacked(archive) as folder:
        config = (folder / "config.yaml").read_text()
        assert "import_path: stages.tools.deploy.ray_serve:app" in config
        assert (folder / "stages/tools/deploy/ray_serve.py").exists()
        lock = paths.LOCK.read_text().splitlines()
        lines = (folder / "code" / "requirements.txt").read_text().splitlines()
    assert {line.split("==")[0] for line in lines} == {"jaxtyping", "ruamel-yaml"}
    assert set(lines) <= set(lock)


def test_weights_that_are_not_those_of_the_settings_are_refused(data, tmp_path):
    choice = choose(small_settings(channels=(4, 9)), data / "runs", "cnn")
    with pytest.raises(
        StageError, match=r"weights are not those of params.yaml, .*; run `dvc repro train` \(.*features"
    ):
        package(choice, data / "prepared", data / "runs", tmp_path)


def test_a_net_that_is_trained_on_floats_is_not_served(data, tmp_path):
    constants = load_constants(data / "prepared") | {"pixel_range": [-1.5, 7]}
    paths.write_json(tmp_path / "prepared" / "constants.json", constants)
    choice = choose(small_settings(), data / "runs", "cnn")
    with pytest.raises(StageError, match="its pixels are floats, and the server takes images of 8 bits; save"):
        package(choice, tmp_path / "prepared", data / "runs", tmp_path)


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08\x00"])
def test_a_damaged_package_is_refused(tmp_path, content):
    (tmp_path / "model.tar.gz").write_bytes(content)
    with pytest.raises(StageError, match="is damaged"), unpacked(tmp_path / "model.tar.gz"):
        pass


def test_a_missing_package_and_one_of_another_project_are_refused(tmp_path):
    with (
        pytest.raises(StageError, match=r"is missing; `python -m stages.tools.deploy package` makes it"),
        unpacked(tmp_path / "model.tar.gz"),
    ):
        pass
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as tar:
        tar.add(__file__, "other.py")
    with pytest.raises(StageError, match=r"holds no model\.json"), unpacked(tmp_path / "model.tar.gz"):
        pass


# --- what is answered ---


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


def test_ray_serve_answers_with_the_same_function(archive, data, monkeypatch):
    """Against a stand-in for the package that only the serving image has."""
    import asyncio

    serve = types.SimpleNamespace(deployment=lambda cls: setattr(cls, "bind", classmethod(lambda c: c())) or cls)
    monkeypatch.setitem(sys.modules, "ray", types.SimpleNamespace(serve=serve))
    with unpacked(archive) as folder:
        monkeypatch.setattr(handler, "model_fn", lambda _, real=handler.model_fn: real(folder))
        from stages.tools.deploy import ray_serve
    monkeypatch.delitem(sys.modules, "stages.tools.deploy.ray_serve")

    async def body():
        return json.dumps({"pixels": published_images(data)[0].tolist()}).encode()

    for headers, status in (({"content-type": "application/json"}, 200), ({}, 415)):
        reply = asyncio.run(ray_serve.app(types.SimpleNamespace(body=body, headers=headers)))
        assert (reply.status_code, reply.media_type) == (status, "application/json")
        assert ("label" in json.loads(reply.body)) == (status == 200)


# --- what is refused ---

GOOD = [[7] * 6] * 6


def pixels(value):
    return json.dumps({"pixels": value})


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


HEAD = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
NEXT = b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
RAW = {
    "no request": (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
    "no version at all": (b"GET /ping HTTP\r\n\r\n", 400),
    "four words": (b"GET /ping now HTTP/1.1\r\n\r\n", 400),
    "a line of 500000": (b"GET /" + b"a" * 500_000 + b" HTTP/1.1\r\n\r\n", 400),
    "a header of 500000": (b"GET /ping HTTP/1.1\r\nHost: a\r\nA: " + b"b" * 500_000 + b"\r\n\r\n", 400),
    "100000 headers": (b"GET /ping HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 100_000 + b"\r\n", 400),
    "no host": (b"GET /ping HTTP/1.1\r\n\r\n", 400),
    "a junk line before the headers": (b"GET /ping HTTP/1.1\r\njunk\r\nHost: a\r\n\r\n", 400),
    "a folded line before the headers": (b"GET /ping HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    "an unknown method": (b"BREW /invocations HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "GET where POST belongs": (b"GET /invocations HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "POST where GET belongs": (b"POST /ping HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 405),
    "another address": (b"GET /etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 404),
    "no length": (HEAD + b"\r\n{}", 411),
    "pieces": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 411),
    "pieces and a length": (HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
    "pieces after a space": (HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    "pieces of another kind": (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 400),
    "two lengths": (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
    "a negative length": (HEAD + b"Content-Length: -1\r\n\r\n{}", 400),
    "a length in words": (HEAD + b"Content-Length: two\r\n\r\n{}", 400),
    "a length in other digits": (HEAD + "Content-Length: ²\r\n\r\n{}".encode("latin-1"), 400),
    "a length of 5 MB": (HEAD + b"Content-Length: 5000000\r\n\r\n", 413),
    "a length of 5000 digits": (HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
    "too large, if it may": (HEAD + b"Expect: 100-continue\r\nContent-Length: 5000000\r\n\r\n", 413),
}


@pytest.mark.parametrize(("raw", "status"), RAW.values(), ids=RAW)
def test_what_is_no_request_is_refused_and_what_follows_it_is_not_read(port, raw, status):
    back = sent(port, raw + NEXT)
    assert back.startswith(b"HTTP/1.1 %d " % status), back
    assert back.count(b"HTTP/1.1") == 1
    assert b"connection: close" in back.lower()


def test_a_body_that_nobody_wants_is_read_as_a_body_and_never_as_a_request(port):
    """The inner request would be refused with 404, the next one is answered."""
    inner = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    back = sent(port, b"GET /ping HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner + NEXT)
    assert re.findall(rb"HTTP/1.1 (\d+)", back) == [b"200", b"200"]
    back = sent(port, b"POST /ping HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner + NEXT)
    assert re.findall(rb"HTTP/1.1 (\d+)", back) == [b"405"]


def test_five_megabytes_that_are_sent_all_the_same_are_refused_by_an_answer(port):
    back = sent(port, HEAD + b"Content-Length: 5000000\r\n\r\n" + b" " * 5_000_000)
    assert back.startswith(b"HTTP/1.1 413 ")
    assert "at most 4000000 are read" in json.loads(back.partition(b"\r\n\r\n")[2])["error"]


def test_who_asks_first_is_told_to_go_on(port):
    body = pixels(GOOD).encode()
    back = sent(
        port, HEAD + b"Connection: close\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    assert re.match(rb"HTTP/1.1 100 Continue\r\n.*HTTP/1.1 200 OK", back, re.DOTALL)


def test_one_connection_takes_several_requests(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for _ in range(2):
        connection.request("GET", "/ping")
        reply = connection.getresponse()
        assert (reply.status, json.loads(reply.read())["variant"]) == (200, "cnn")
        connection.request("POST", "/invocations", pixels(GOOD), JSON)
        assert json.loads(connection.getresponse().read())["label"] in ("row", "column", "diagonal")
    connection.close()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(server, "BODY_SECONDS", 0.4)
    monkeypatch.setattr(server, "EXCHANGE_SECONDS", 0.8)
    monkeypatch.setattr(server, "LINGER_SECONDS", 0.1)


@pytest.mark.usefixtures("impatient")
def test_a_body_that_stops_or_drips_is_given_up(port):
    start = time.monotonic()
    assert sent(port, HEAD + b"Content-Length: 50\r\n\r\n{").startswith(b"HTTP/1.1 408 ")
    # Whole in the end, if each byte had its own time.
    assert sent(port, [HEAD + b"Content-Length: 12\r\n\r\n", *[b" "] * 12], pause=0.1).startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - start < 5


@pytest.mark.usefixtures("impatient")
def test_headers_that_stop_or_drip_and_a_silent_connection_are_given_up(port):
    start = time.monotonic()
    drip = [b"GET /ping HTTP/1.1\r\n", *[b"A: b\r\n"] * 20, b"\r\n"]
    for data in (b"GET /ping HTTP/1.1\r\nA: ", drip, b""):
        assert sent(port, data, pause=0.1) == b""
    assert time.monotonic() - start < 6


def test_who_leaves_within_a_body_harms_nobody(port, capsys):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(HEAD + b"Content-Length: 50\r\n\r\n{}")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert request(port, body=pixels(GOOD))[0] == 200
    assert capsys.readouterr().err == ""


def test_one_connection_too_many_is_refused_until_another_ends(classifier, monkeypatch):
    monkeypatch.setattr(server, "CONNECTIONS", 3)
    with serving(classifier) as port:
        with contextlib.ExitStack() as others:
            for _ in range(2):
                others.enter_context(socket.create_connection(("127.0.0.1", port)))
            assert sent(port, NEXT).startswith(b"HTTP/1.1 503 ")
        time.sleep(0.2)
        assert sent(port, NEXT).startswith(b"HTTP/1.1 200 ")


# --- the fuzz ---

FUZZED = []  # of each request, the status (None: the connection was closed without a word) and the seconds
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=7) | st.dictionaries(st.sampled_from(["pixels", "", "a"]), inner, max_size=2)
    ),
    max_leaves=40,
)
MATRICES = st.lists(
    st.lists(st.integers(-1, 256) | st.sampled_from([None, 1.5, "1", True]), min_size=5, max_size=7),
    min_size=5,
    max_size=7,
)
TYPES = st.sampled_from(
    [
        "application/json",
        "image/png",
        "text/plain",
        "",
        "/",
        "application/json;charset",
        "image/png, application/json",
        "\xe9/\xff",
    ]
)
FUZZ = settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def answered(port, body, headers):
    """Refused or answered, soon, and the server is alive."""
    start = time.monotonic()
    status, answer = request(port, body=body, headers=headers)
    assert status == 200 or 400 <= status < 500, (status, body, headers)
    assert ("label" in answer) == (status == 200)
    assert status == 200 or answer["error"]
    record(status, start)


def record(status, start):
    seconds = time.monotonic() - start
    assert seconds < 5
    FUZZED.append((status, seconds))


@FUZZ
@given(
    content=st.one_of(JSONS, MATRICES.map(lambda rows: {"pixels": rows}), JSONS.map(lambda value: {"pixels": value})),
    cut=st.integers(0, 8),
)
def test_fuzz_json(port, content, cut):
    body = json.dumps(content).encode()
    answered(port, body[: len(body) - cut], JSON)


@FUZZ
@given(
    image=st.sampled_from([np.zeros((6, 6), np.uint8), np.zeros((6, 6, 3), np.uint8), np.zeros((900, 3), np.uint8)]),
    flips=st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=3),
    cut=st.integers(0, 60),
    tail=st.binary(max_size=20),
)
def test_fuzz_png(port, image, flips, cut, tail):
    body = bytearray(png(image))
    for place, value in flips:
        body[place % len(body)] = value
    answered(port, bytes(body[: len(body) - cut]) + tail, {"Content-Type": "image/png"})


@FUZZ
@given(body=st.binary(max_size=200), kind=TYPES, accept=TYPES)
def test_fuzz_headers(port, body, kind, accept):
    answered(port, body, {"Content-Type": kind.encode("latin-1"), "Accept": accept.encode("latin-1")})


LINES = st.sampled_from(
    [
        b"POST /invocations HTTP/1.1\r\nHost: a",
        b"GET /ping HTTP/1.1\r\nHost: a",
        b"GET /ping",
        b"PUT / HTTP/1.1",
        b"POST //[ HTTP/1.1",
        b"POST /invocations?x=[ HTTP/1.0",
        b"\0",
        b"",
    ]
)
HEADER_LINES = [
    *(
        b"Content-Length: 2",
        b"Content-Length: 99",
        b"Content-Length: x",
        b"Content-Length:",
        b"Transfer-Encoding: gzip",
    ),
    *(b"Expect: 100-continue", b"Content-Type: application/json", b"Content-Type: image/png", b": ", b" folded"),
    *(b"no colon", b"Connection: keep-alive", b"Accept: \xff\0"),
]
HEADERS = st.lists(st.sampled_from(HEADER_LINES) | st.binary(max_size=12), max_size=5)


@pytest.mark.usefixtures("impatient")
@settings(FUZZ, max_examples=120)
@given(
    line=LINES | st.binary(max_size=30),
    headers=HEADERS,
    body=st.sampled_from([b"", b"{}", b"\x89PNG\r\n\x1a\n"]) | st.binary(max_size=40),
)
def test_fuzz_raw(port, line, headers, body):
    start = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(b"\r\n".join([line, b"Connection: close", *headers, b"", body]))
        back = b""
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65536):
                back += piece
    statuses = [int(part[:3]) for part in back.split(b"HTTP/1.1 ")[1:]]
    assert all(status in (100, 200) or 400 <= status < 500 for status in statuses), back
    assert bool(back) == bool(statuses)
    record(statuses[-1] if statuses else None, start)


def test_after_the_fuzz_the_server_answers_as_before(port, classifier, data):
    body = pixels(published_images(data)[0].tolist()).encode()
    assert request(port, body=body)[1] == json.loads(handler.answer(classifier, body, "application/json", None).body)
    counts = collections.Counter(status for status, _ in FUZZED)
    if len(FUZZED) >= 4 * FUZZ.max_examples:  # all of the fuzz ran in this process
        longest = max(seconds for _, seconds in FUZZED)
        print(f"fuzz: {len(FUZZED)} requests, by status {dict(counts)}, the longest {longest:.2f} s")
        assert len(FUZZED) - counts[200] >= 200


# --- start and end ---


def test_the_end_waits_for_what_is_being_answered_and_not_for_who_says_nothing(classifier, monkeypatch):
    begun = threading.Event()

    def slow(*arguments):
        begun.set()
        time.sleep(0.5)
        return handler.answer(*arguments)

    monkeypatch.setattr(server, "answer", slow)
    replies = []
    with serving(classifier) as port:
        silent = socket.create_connection(("127.0.0.1", port))
        asking = threading.Thread(target=lambda: replies.append(request(port, body=pixels(GOOD))))
        asking.start()
        assert begun.wait(10)
        start = time.monotonic()
    seconds = time.monotonic() - start
    asking.join()
    silent.close()
    assert replies[0][0] == 200
    assert seconds < 5


def test_a_port_that_is_taken_is_named(port):
    with (
        pytest.raises(StageError, match=f"port {port} of 127.0.0.1 cannot be had .*--port"),
        server.listening_socket("127.0.0.1", port),
    ):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_serve_is_a_command_that_ctrl_c_ends(archive, data, ending):
    command = [sys.executable, "-m", "stages.tools.deploy", "serve", "--package", str(archive), "--port", "0"]
    with subprocess.Popen(
        command, cwd=paths.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert "'variant': 'cnn'" in process.stdout.readline()
        port = int(process.stdout.readline().split("/ping")[0].rsplit(":", 1)[1])
        assert request(port, "GET", "/ping", headers={})[0] == 200
        assert request(port, body=pixels(published_images(data)[0].tolist()))[0] == 200
        process.send_signal(ending)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "serve: ended\n")
    assert "Traceback" not in err

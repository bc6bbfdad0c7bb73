"""A model that is served over HTTP, requests to it, and images to send."""

import contextlib
import http.client
import io
import json
import socket
import threading
import time

from PIL import Image
from safetensors.numpy import load_file

from stages.shared.prepared_data import load_constants
from stages.tools.deploy import local_server, server

JSON = {"Content-Type": "application/json"}
GOOD = [[7] * 6] * 6  # pixels of an image that the model takes


@contextlib.contextmanager
def serving(classifier):
    """The port of a server that answers while the block lasts."""
    with local_server.listening_socket("127.0.0.1", 0) as listening:
        running = server.http_server(classifier)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            running.should_exit = True
            thread.join()


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


def pixels(value):
    return json.dumps({"pixels": value})

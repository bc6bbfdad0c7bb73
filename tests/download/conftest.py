"""Servers with faults, and the download's folders in a temporary place."""

import http.server
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest

from stages.download import http as http_source
from stages.shared import paths


@pytest.fixture(autouse=True)
def _no_pause_and_no_folder_of_the_user(monkeypatch):
    monkeypatch.setattr(http_source, "PAUSE_SECONDS", 0)
    monkeypatch.delenv("DATASET_FOLDER", raising=False)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The stage's folders, in a temporary place."""
    for name in ("USER", "DOWNLOADS", "RAW", "PARTIAL"):
        monkeypatch.setattr(paths, name, tmp_path / "data" / name.lower())
    monkeypatch.setattr(paths, "DATA", tmp_path / "data")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    paths.USER.mkdir(parents=True)
    return tmp_path


@pytest.fixture
def serve():
    """A function that starts a Server with these arguments; all of them end with the test."""
    with ExitStack() as stack:
        yield lambda *arguments, **keywords: stack.enter_context(_serving(*arguments, **keywords))


class Server:
    """Serves files on 127.0.0.1, with the faults that a test chooses, and records the requests.

    cut: bytes of the body after which the first `cuts` answers break off. ranges: whether Range is obeyed.
    announce: whether Content-Length is sent.
    """

    def __init__(self, files, cut=None, cuts=10**9, ranges=True, announce=True, delay=0.0):
        self.files, self.cut, self.cuts = files, cut, cuts
        self.ranges, self.announce, self.delay = ranges, announce, delay
        self.requests = []  # (name, Range header)
        self.sent = 0
        self.address = ""

    def answer(self, handler):
        name, byte_range = handler.path.lstrip("/"), handler.headers.get("Range")
        self.requests.append((name, byte_range))
        time.sleep(self.delay)
        if name not in self.files:
            return handler.send_error(404)
        body, start = self.files[name], 0
        if byte_range and self.ranges:
            start = int(byte_range.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                handler.send_response(416)
                handler.send_header("Content-Length", "0")
                return handler.end_headers()
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            handler.send_response(200)
        if self.announce:
            handler.send_header("Content-Length", str(len(body) - start))
        handler.end_headers()
        piece = body[start:]
        if self.cut is not None and self.cuts > 0:
            self.cuts -= 1
            piece = piece[: self.cut]
        self.sent += len(piece)  # first: the client may be done before this thread goes on
        handler.wfile.write(piece)


@contextmanager
def _serving(*arguments, **keywords):
    server = Server(*arguments, **keywords)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            server.answer(self)

        def log_message(self, *_):
            pass

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    server.address = f"http://127.0.0.1:{listener.server_port}"
    try:
        yield server
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()

"""The handler over HTTP on this machine, by the addresses that SageMaker uses: GET /ping and POST /invocations."""

import contextlib
import io
import json
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stages.shared.stage_command import StageError
from stages.tools.deploy.handler import MAX_BYTES, Classifier, Reply, answer

REQUEST_SECONDS = 10.0  # from the first wait for a request to the last byte of its body
ANSWER_SECONDS = 5.0  # for the other side to take an answer
LINGER_SECONDS = 1.0  # what a refused request still sends is read so long, so that the refusal arrives
METHODS = {"/ping": "GET", "/invocations": "POST"}
# What http.server calls the server's lack, and is the request's mistake.
CODES = {501: 405, 505: 400}


def serve(classifier: Classifier, host: str, port: int) -> None:
    """Answer until Ctrl-C or SIGTERM; what is being answered then is answered. Raises StageError if the port is taken."""
    with open_server(classifier, host, port) as server:
        where = "http://{}:{}".format(*server.server_address[:2])
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        print(f"serve: {where}/ping and {where}/invocations; Ctrl-C ends it", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    print("serve: ended")


@contextmanager
def open_server(classifier: Classifier, host: str, port: int) -> Iterator["Server"]:
    """A bound server, for serve_forever; port 0 takes a free one. Raises StageError if the port cannot be had."""
    try:
        server = Server((host, port), classifier)
    except OSError as error:
        raise StageError(
            f"port {port} of {host} cannot be had ({error.strerror}); choose another with --port"
        ) from None
    try:
        yield server
    finally:
        server.end()


class Server(ThreadingHTTPServer):
    daemon_threads = False  # the end waits for those that answer
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], classifier: Classifier) -> None:
        self.classifier = classifier
        self.connections: set[socket.socket] = set()
        super().__init__(address, Requests)

    def end(self) -> None:
        """Read nothing more, and wait for what is being answered."""
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):  # the other side went away: nothing to say
            super().handle_error(request, client_address)


class Requests(BaseHTTPRequestHandler):
    """One connection. What it refuses unread ends the connection, so that a body is never taken for the next request."""

    disable_nagle_algorithm = (
        True  # an answer's head and body are two writes, and the second would wait for an acknowledgement
    )
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "classifier", ""
    default_request_version = "HTTP/1.0"  # of a line that names none: the answer still has a status
    server: Server

    def setup(self) -> None:
        super().setup()
        self.clock = _Clock(self.connection)
        self.rfile = io.BufferedReader(self.clock)

    def handle_one_request(self) -> None:
        self.clock.start(REQUEST_SECONDS)
        super().handle_one_request()

    def do_GET(self) -> None:
        if self._is_at("GET"):
            self._send(Reply(200, json.dumps(self.server.classifier.about, ensure_ascii=False).encode()))

    def do_POST(self) -> None:
        if not self._is_at("POST"):
            return
        length = self._length()
        if length is None:
            return
        try:
            body = self.rfile.read(length)
        except TimeoutError:
            return self.send_error(
                408, f"the body of {length} bytes did not arrive within {REQUEST_SECONDS:.0f} seconds"
            )
        if len(body) < length:
            return self.send_error(400, f"the body ended after {len(body)} of {length} bytes")
        self._send(answer(self.server.classifier, body, self.headers.get("Content-Type"), self.headers.get("Accept")))

    def handle_expect_100(self) -> bool:
        """Say no before the body is sent."""
        return self._length() is not None and super().handle_expect_100()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse as JSON, and end the connection; http.server calls this too."""
        self.close_connection = True
        reason = message or self.responses.get(code, ("refused",))[0]
        self._send(Reply(CODES.get(code, code), json.dumps({"error": reason}).encode()))
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.clock.start(LINGER_SECONDS)
            while self.rfile.read1(2**16):
                pass

    def _is_at(self, method: str) -> bool:
        """Whether the request's address takes this method; if not, it is refused."""
        path = self.path.partition("?")[0]
        if path not in METHODS:
            self.send_error(404, f"there is no {path[:100]}; there are {' and '.join(METHODS)}")
        elif METHODS[path] != method:
            self.send_error(405, f"{path} takes {METHODS[path]}, not {method}")
        return METHODS.get(path) == method

    def _length(self) -> int | None:
        """Bytes of the body; None if the request was refused."""
        given = set(self.headers.get_all("Content-Length", []))
        text = next(iter(given), "")
        if "Transfer-Encoding" in self.headers or not given:
            self.send_error(411, "the request must have a Content-Length, and no Transfer-Encoding")
        elif len(given) > 1 or not (text.isascii() and text.isdecimal()):
            self.send_error(400, "Content-Length must be one whole number")
        elif len(text) > len(str(MAX_BYTES)) or int(text) > MAX_BYTES:
            self.send_error(413, f"the request has {text[:20]} bytes; at most {MAX_BYTES} are read")
        else:
            return int(text)
        return None

    def _send(self, reply: Reply) -> None:
        self.connection.settimeout(ANSWER_SECONDS)
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        if reply.status == 405:
            self.send_header(
                "Allow", METHODS.get(self.path.partition("?")[0], "GET, POST") if hasattr(self, "path") else "GET, POST"
            )
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)


class _Clock(io.RawIOBase):
    """What a socket receives, until a time that does not move with each byte."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def start(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises TimeoutError."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.connection.settimeout(left)
        return self.connection.recv_into(buffer)

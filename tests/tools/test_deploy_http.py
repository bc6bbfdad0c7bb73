"""What is no request is refused, nobody hides one request in another, and nobody keeps the server waiting."""

import contextlib
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from served import GOOD, JSON, pixels, published_images, request, sent, serving

from stages.shared import paths
from stages.shared.stage_command import StageError
from stages.tools.deploy import handler, local_server, server

pytestmark = pytest.mark.slow


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
    "pieces and a length": (HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
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


def test_a_body_in_pieces_is_read_as_one_with_a_length_is(port):
    body = pixels(GOOD).encode()
    pieces = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:])) + b"0\r\n\r\n"
    back = sent(port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + NEXT)
    assert re.findall(rb"HTTP/1.1 (\d+)", back) == [b"200", b"200"]
    assert json.loads(re.search(rb'\{"label.*?\}\}', back)[0]) == request(port, body=body)[1]
    megabyte = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    back = sent(port, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + 4 * megabyte + b"0\r\n\r\n" + NEXT)
    assert re.findall(rb"HTTP/1.1 (\d+)", back) == [b"413"]


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
        pytest.raises(StageError, match=f"port {port} of 127.0.0.1 cannot be used .*--port"),
        local_server.listening_socket("127.0.0.1", port),
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

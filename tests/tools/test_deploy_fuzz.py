"""Requests drawn at random are answered or refused, soon, and the server lives on."""

import collections
import contextlib
import json
import socket
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served import JSON, pixels, png, published_images, request

from stages.tools.deploy import handler

pytestmark = pytest.mark.slow


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

"""Downloads over HTTP from servers that break off, lie or are silent."""

import gzip
import hashlib
import socket
import time

import pytest
from small_published import IMAGES, PACKED, TRAIN_IMAGES, as_idx, names_in

from stages.download import http as http_source
from stages.download.published import SourceFailed, WrongFile

BODY = PACKED[IMAGES.name]


def fetch(server, folder):
    http_source.fetch(f"{server.address}/{IMAGES.name}", IMAGES, folder / IMAGES.name)


# What lies there before, how the server is, the bytes that are requested, and how many are sent.
PARTS = {
    "nothing": (None, {}, [None], len(BODY)),
    "the beginning": (BODY[:1000], {}, ["bytes=1000-"], len(BODY) - 1000),
    "the beginning, of a server without ranges": (BODY[:1000], {"ranges": False}, ["bytes=1000-"], len(BODY)),
    "the whole file": (BODY, {}, [f"bytes={len(BODY)}-"], 0),
    "another file": (b"x" * 1000, {}, ["bytes=1000-", None], 2 * len(BODY) - 1000),
}


@pytest.mark.parametrize(("part", "faults", "byte_ranges", "sent"), PARTS.values(), ids=PARTS)
def test_a_file_comes_whole_and_only_what_is_missing_is_sent(serve, tmp_path, capsys, part, faults, byte_ranges, sent):
    if part is not None:
        (tmp_path / f"{IMAGES.name}.part").write_bytes(part)
    server = serve(PACKED, **faults)
    fetch(server, tmp_path)
    assert server.requests == [(IMAGES.name, byte_range) for byte_range in byte_ranges]
    assert server.sent == sent
    assert (tmp_path / IMAGES.name).read_bytes() == BODY
    assert names_in(tmp_path) == [IMAGES.name], "no part is left"
    assert ("starting it again" in capsys.readouterr().out) == (len(byte_ranges) == 2)


def test_a_transfer_that_breaks_off_goes_on_by_itself(serve, tmp_path, capsys):
    server = serve(PACKED, cut=700, cuts=1)
    fetch(server, tmp_path)
    assert [byte_range for _, byte_range in server.requests] == [None, "bytes=700-"]
    assert server.sent == len(BODY)
    assert f"broke off after 700 of {len(BODY)} bytes" in capsys.readouterr().out


def test_what_came_before_the_last_break_is_kept_for_the_next_run(serve, tmp_path):
    with pytest.raises(SourceFailed, match="broke off after 1500 of"):
        fetch(serve(PACKED, cut=500), tmp_path)
    assert names_in(tmp_path) == [f"{IMAGES.name}.part"]
    server = serve(PACKED)
    fetch(server, tmp_path)
    assert server.requests == [(IMAGES.name, "bytes=1500-")]
    assert (tmp_path / IMAGES.name).read_bytes() == BODY


OTHER = as_idx(TRAIN_IMAGES[::-1])
DIGESTS = rf"{IMAGES.name}.*expected sha256 {IMAGES.digest}.*found {hashlib.sha256(OTHER).hexdigest()}"
REFUSED = {
    "other bytes": ({IMAGES.name: gzip.compress(OTHER)}, {}, WrongFile, DIGESTS),
    "a truncated answer of unknown length": (PACKED, {"cut": 900, "announce": False}, WrongFile, "off after 900 bytes"),
    "a log-in page": ({IMAGES.name: b"<!DOCTYPE html><title>Log in</title>"}, {}, WrongFile, "looks like a web page"),
    "no such file": ({}, {}, SourceFailed, "answered 404 Not Found"),
}


@pytest.mark.parametrize(("files", "faults", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_answer_is_refused_with_its_reason_and_nothing_is_kept(serve, tmp_path, files, faults, error, message):
    server = serve(files, **faults)
    with pytest.raises(error, match=f"(?s){message}") as caught:
        fetch(server, tmp_path)
    assert error is SourceFailed or server.address in str(caught.value)
    assert names_in(tmp_path) == []


def test_a_machine_without_a_network_goes_on_at_once(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    start = time.monotonic()
    with pytest.raises(SourceFailed, match=r"^no answer \(.*[Cc]onnection refused\)"):
        http_source.fetch(f"http://127.0.0.1:{port}/{IMAGES.name}", IMAGES, tmp_path / IMAGES.name)
    assert time.monotonic() - start < 2


def test_a_silent_server_is_given_up_after_the_set_seconds(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(http_source, "ANSWER_SECONDS", 0.2)
    server = serve(PACKED, delay=0.6)
    with pytest.raises(SourceFailed, match=r"nothing within 0\.2 s"):
        fetch(server, tmp_path)

"""Downloads over HTTP from servers that break off, lie or are silent."""

import gzip
import hashlib
import socket
import time

import pytest
from small_published import IMAGES, PACKED, TRAIN_IMAGES, as_idx, names_in

from stages.download import http as http_source
from stages.download.published import SourceFailed, WrongFile


def fetch(server, folder):
    http_source.fetch(f"{server.address}/{IMAGES.name}", IMAGES, folder / IMAGES.name)


def test_a_file_comes_whole_and_leaves_no_part(serve, tmp_path):
    server = serve(PACKED)
    fetch(server, tmp_path)
    assert (tmp_path / IMAGES.name).read_bytes() == PACKED[IMAGES.name]
    assert names_in(tmp_path) == [IMAGES.name]


def test_a_resumed_download_asks_only_for_the_rest(serve, tmp_path):
    body = PACKED[IMAGES.name]
    (tmp_path / f"{IMAGES.name}.part").write_bytes(body[:1000])
    server = serve(PACKED)
    fetch(server, tmp_path)
    assert server.requests == [(IMAGES.name, "bytes=1000-")]
    assert server.sent == len(body) - 1000
    assert (tmp_path / IMAGES.name).read_bytes() == body


def test_a_transfer_that_breaks_off_goes_on_by_itself(serve, tmp_path, capsys):
    server = serve(PACKED, cut=700, cuts=1)
    fetch(server, tmp_path)
    assert [byte_range for _, byte_range in server.requests] == [None, "bytes=700-"]
    assert server.sent == len(PACKED[IMAGES.name])
    assert f"broke off after 700 of {len(PACKED[IMAGES.name])} bytes" in capsys.readouterr().out


def test_what_came_before_the_last_break_is_kept_for_the_next_run(serve, tmp_path):
    target = tmp_path / IMAGES.name
    server = serve(PACKED, cut=500)
    with pytest.raises(SourceFailed, match="broke off after 1500 of"):
        fetch(server, tmp_path)
    assert names_in(tmp_path) == [f"{IMAGES.name}.part"]
    server = serve(PACKED)
    fetch(server, tmp_path)
    assert server.requests == [(IMAGES.name, "bytes=1500-")]
    assert target.read_bytes() == PACKED[IMAGES.name]


def test_a_server_without_ranges_makes_it_start_clean(serve, tmp_path):
    (tmp_path / f"{IMAGES.name}.part").write_bytes(PACKED[IMAGES.name][:1000])
    server = serve(PACKED, ranges=False)
    fetch(server, tmp_path)
    assert (tmp_path / IMAGES.name).read_bytes() == PACKED[IMAGES.name]


def test_a_part_of_another_file_is_noticed_and_fetched_anew(serve, tmp_path, capsys):
    (tmp_path / f"{IMAGES.name}.part").write_bytes(b"x" * 1000)
    server = serve(PACKED)
    fetch(server, tmp_path)
    assert [byte_range for _, byte_range in server.requests] == ["bytes=1000-", None]
    assert (tmp_path / IMAGES.name).read_bytes() == PACKED[IMAGES.name]
    assert "starting it again" in capsys.readouterr().out


def test_a_part_that_was_already_whole_is_not_fetched_again(serve, tmp_path):
    (tmp_path / f"{IMAGES.name}.part").write_bytes(PACKED[IMAGES.name])
    server = serve(PACKED)
    fetch(server, tmp_path)
    assert server.sent == 0
    assert names_in(tmp_path) == [IMAGES.name]


def test_a_corrupt_file_is_refused_with_both_digests_and_nothing_is_kept(serve, tmp_path):
    wrong = as_idx(TRAIN_IMAGES[::-1])
    server = serve({IMAGES.name: gzip.compress(wrong)})
    with pytest.raises(WrongFile) as caught:
        fetch(server, tmp_path)
    for part in (
        IMAGES.name,
        f"expected sha256 {IMAGES.digest}",
        f"found {hashlib.sha256(wrong).hexdigest()}",
        server.address,
    ):
        assert part in str(caught.value)
    assert names_in(tmp_path) == []


def test_a_truncated_answer_of_unknown_length_is_refused(serve, tmp_path):
    server = serve(PACKED, cut=900, announce=False)
    with pytest.raises(WrongFile, match=r"breaks off after 900 bytes"):
        fetch(server, tmp_path)
    assert names_in(tmp_path) == []


def test_a_log_in_page_in_place_of_the_file_is_called_one(serve, tmp_path):
    server = serve({IMAGES.name: b"<!DOCTYPE html><title>Log in</title>"})
    with pytest.raises(WrongFile, match="looks like a web page"):
        fetch(server, tmp_path)


def test_a_missing_file_on_the_server_gives_its_status(serve, tmp_path):
    server = serve({})
    with pytest.raises(SourceFailed, match="answered 404 Not Found"):
        fetch(server, tmp_path)


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

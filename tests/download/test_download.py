"""The download stage against real faults: servers that break off, lie or are silent, packages, folders and .npz files that are wrong."""

import gzip
import hashlib
import http.server
import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from stages.download import cifar, datasets, debian, digits, idx, npz
from stages.download import http as http_source
from stages.download.catalogue import CATALOGUE, Dataset
from stages.download.obtain import obtain
from stages.download.raw import write_raw
from stages.download.sources import Source, from_folder, from_mirror, mirrors, sources
from stages.download.verify import PublishedFile, SourceFailed, WrongFile, verify
from stages.shared import params, paths
from stages.shared.stage_command import StageError

TRAIN_IMAGES = np.random.default_rng(0).integers(0, 256, (40, 20, 30), dtype=np.uint8)
TRAIN_LABELS = np.arange(40, dtype=np.uint8) % 4
NAMES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]


def as_idx(array):
    return bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape) + array.tobytes()


CONTENT = dict(zip(NAMES, map(as_idx, (TRAIN_IMAGES, TRAIN_LABELS, TRAIN_IMAGES[:8], TRAIN_LABELS[:8])), strict=True))
PACKED = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in CONTENT.items()}
FILES = tuple(
    PublishedFile(f"{name}.gz", "sha256", hashlib.sha256(content).hexdigest(), "content")
    for name, content in CONTENT.items()
)
IMAGES = FILES[0]
SMALL = Dataset("Small", "FashionMNIST", "dataset-small", FILES, idx.reader(["a", "b", "c", "d"]))


class Server:
    """Serves bytes by name on 127.0.0.1, as faultily as told, and notes what was asked.

    cut: bytes of the body after which the first `cuts` answers break off. ranges: whether Range is honoured.
    announce: whether Content-Length is sent.
    """

    def __init__(self, files, cut=None, cuts=10**9, ranges=True, announce=True, delay=0.0):
        self.files, self.cut, self.cuts, self.ranges, self.announce, self.delay = (
            files,
            cut,
            cuts,
            ranges,
            announce,
            delay,
        )
        self.asked = []  # (name, Range header)
        self.sent = 0
        self.address = ""

    def answer(self, handler):
        name, wanted = handler.path.lstrip("/"), handler.headers.get("Range")
        self.asked.append((name, wanted))
        time.sleep(self.delay)
        if name not in self.files:
            return handler.send_error(404)
        body, start = self.files[name], 0
        if wanted and self.ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
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
        handler.wfile.write(piece)
        self.sent += len(piece)


@contextmanager
def serving(*arguments, **keywords):
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


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(http_source, "PAUSE_SECONDS", 0)
    monkeypatch.delenv("DATASET_FOLDER", raising=False)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The stage's folders, in a place of their own."""
    for name in ("USER", "DOWNLOADS", "RAW", "PARTIAL"):
        monkeypatch.setattr(paths, name, tmp_path / "data" / name.lower())
    monkeypatch.setattr(paths, "DATA", tmp_path / "data")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    paths.USER.mkdir(parents=True)
    return tmp_path


def names_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def put(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


# --- over HTTP


def test_a_file_comes_whole_and_leaves_no_part(tmp_path):
    with serving(PACKED) as server:
        http_source.fetch(f"{server.address}/{IMAGES.name}", IMAGES, tmp_path / IMAGES.name)
    assert (tmp_path / IMAGES.name).read_bytes() == PACKED[IMAGES.name]
    assert names_in(tmp_path) == [IMAGES.name]


def test_a_resumed_download_asks_only_for_the_rest(tmp_path):
    body = PACKED[IMAGES.name]
    (tmp_path / f"{IMAGES.name}.part").write_bytes(body[:1000])
    with serving(PACKED) as server:
        http_source.fetch(f"{server.address}/{IMAGES.name}", IMAGES, tmp_path / IMAGES.name)
    assert server.asked == [(IMAGES.name, "bytes=1000-")]
    assert server.sent == len(body) - 1000
    assert (tmp_path / IMAGES.name).read_bytes() == body


def test_a_transfer_that_breaks_off_goes_on_by_itself(tmp_path, capsys):
    with serving(PACKED, cut=700, cuts=1) as server:
        http_source.fetch(f"{server.address}/{IMAGES.name}", IMAGES, tmp_path / IMAGES.name)
    assert [wanted for _, wanted in server.asked] == [None, "bytes=700-"]
    assert server.sent == len(PACKED[IMAGES.name])
    assert f"broke off after 700 of {len(PACKED[IMAGES.name])} bytes" in capsys.readouterr().out


def test_what_came_before_the_last_break_is_kept_for_the_next_run(tmp_path):
    target = tmp_path / IMAGES.name
    with serving(PACKED, cut=500) as server, pytest.raises(SourceFailed, match="broke off after 1500 of"):
        http_source.fetch(f"{server.address}/{IMAGES.name}", IMAGES, target)
    assert names_in(tmp_path) == [f"{IMAGES.name}.part"]
    with serving(PACKED) as server:
        http_source.fetch(f"{server.address}/{IMAGES.name}", IMAGES, target)
    assert server.asked == [(IMAGES.name, "bytes=1500-")]
    assert target.read_bytes() == PACKED[IMAGES.name]


def test_a_server_without_ranges_makes_it_start_clean(tmp_path):
    (tmp_path / f"{IMAGES.name}.part").write_bytes(PACKED[IMAGES.name][:1000])
    with serving(PACKED, ranges=False) as server:
        http_source.fetch(f"{server.address}/{IMAGES.name}", IMAGES, tmp_path / IMAGES.name)
    assert (tmp_path / IMAGES.name).read_bytes() == PACKED[IMAGES.name]


def test_a_part_of_another_file_is_noticed_and_fetched_anew(tmp_path, capsys):
    (tmp_path / f"{IMAGES.name}.part").write_bytes(b"x" * 1000)
    with serving(PACKED) as server:
        http_source.fetch(f"{server.address}/{IMAGES.name}", IMAGES, tmp_path / IMAGES.name)
    assert [wanted for _, wanted in server.asked] == ["bytes=1000-", None]
    assert (tmp_path / IMAGES.name).read_bytes() == PACKED[IMAGES.name]
    assert "starting it again" in capsys.readouterr().out


def test_a_part_that_was_already_whole_is_not_fetched_again(tmp_path):
    (tmp_path / f"{IMAGES.name}.part").write_bytes(PACKED[IMAGES.name])
    with serving(PACKED) as server:
        http_source.fetch(f"{server.address}/{IMAGES.name}", IMAGES, tmp_path / IMAGES.name)
    assert server.sent == 0
    assert names_in(tmp_path) == [IMAGES.name]


def test_a_corrupt_file_is_refused_with_both_digests_and_nothing_is_kept(tmp_path):
    wrong = as_idx(TRAIN_IMAGES[::-1])
    with serving({IMAGES.name: gzip.compress(wrong)}) as server, pytest.raises(WrongFile) as caught:
        http_source.fetch(f"{server.address}/{IMAGES.name}", IMAGES, tmp_path / IMAGES.name)
    for part in (
        IMAGES.name,
        f"expected sha256 {IMAGES.digest}",
        f"found {hashlib.sha256(wrong).hexdigest()}",
        server.address,
    ):
        assert part in str(caught.value)
    assert names_in(tmp_path) == []


def test_a_truncated_answer_of_unknown_length_is_refused(tmp_path):
    with (
        serving(PACKED, cut=900, announce=False) as server,
        pytest.raises(WrongFile, match=r"breaks off after 900 bytes"),
    ):
        http_source.fetch(f"{server.address}/{IMAGES.name}", IMAGES, tmp_path / IMAGES.name)
    assert names_in(tmp_path) == []


def test_a_log_in_page_in_place_of_the_file_is_called_one(tmp_path):
    with (
        serving({IMAGES.name: b"<!DOCTYPE html><title>Log in</title>"}) as server,
        pytest.raises(WrongFile, match="looks like a web page"),
    ):
        http_source.fetch(f"{server.address}/{IMAGES.name}", IMAGES, tmp_path / IMAGES.name)


def test_a_missing_file_on_the_server_gives_its_status(tmp_path):
    with serving({}) as server, pytest.raises(SourceFailed, match="answered 404 Not Found"):
        http_source.fetch(f"{server.address}/{IMAGES.name}", IMAGES, tmp_path / IMAGES.name)


def test_a_machine_without_a_network_goes_on_at_once(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    start = time.monotonic()
    with pytest.raises(SourceFailed, match=r"^no answer \(.*[Cc]onnection refused\)"):
        http_source.fetch(f"http://127.0.0.1:{port}/{IMAGES.name}", IMAGES, tmp_path / IMAGES.name)
    assert time.monotonic() - start < 2


def test_a_silent_server_is_given_up_after_the_set_seconds(tmp_path, monkeypatch):
    monkeypatch.setattr(http_source, "ANSWER_SECONDS", 0.2)
    with serving(PACKED, delay=0.6) as server, pytest.raises(SourceFailed, match=r"nothing within 0\.2 s"):
        http_source.fetch(f"{server.address}/{IMAGES.name}", IMAGES, tmp_path / IMAGES.name)


# --- from one source to the next


def failing(name, reason):
    def fetch(files, folder):
        raise SourceFailed(reason)

    return Source(name, fetch)


def test_the_next_source_is_asked_only_for_what_the_first_did_not_give(tmp_path, capsys):
    first = {name: PACKED[name] for name in list(PACKED)[:2]}
    with serving(first) as one, serving(PACKED) as two:
        mirrors = [
            Source(f"mirror {n}", lambda files, folder, s=s: from_mirror(s.address, files, folder))
            for n, s in ((1, one), (2, two))
        ]
        found, source = obtain("Small", FILES, tmp_path, mirrors)
    assert [name for name, _ in two.asked] == [file.name for file in FILES[2:]]
    assert list(found) == [file.name for file in FILES]
    assert source == "mirror 1; mirror 2"
    assert "mirror 1 does not serve" in capsys.readouterr().out


def test_a_second_run_uses_the_verified_files_and_remembers_their_source(tmp_path):
    put(tmp_path / "mine", PACKED)
    source = Source("my disk", lambda files, folder: from_folder(tmp_path / "mine", files, folder))
    obtain("Small", FILES, tmp_path / "kept", [source])
    found, served = obtain("Small", FILES, tmp_path / "kept", [failing("nobody", "must not be asked")])
    assert served == "my disk"
    assert {name: path.read_bytes() for name, path in found.items()} == PACKED


SPOILT = {"cut": lambda b: b[:-40], "damaged": lambda b: b[:500] + bytes(4) + b[504:], "empty": lambda b: b""}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_spoilt_file_in_the_cache_is_removed_and_fetched_again(tmp_path, spoil, capsys):
    put(tmp_path, PACKED | {IMAGES.name: spoil(PACKED[IMAGES.name])})
    with serving(PACKED) as server:
        obtain(
            "Small",
            FILES,
            tmp_path,
            [Source("mirror", lambda files, folder: from_mirror(server.address, files, folder))],
        )
    assert server.asked == [(IMAGES.name, None)]
    assert (tmp_path / IMAGES.name).read_bytes() == PACKED[IMAGES.name]
    assert f"removing it from {tmp_path}" in capsys.readouterr().out


def test_a_spoilt_file_in_the_cache_is_not_used_when_no_source_serves(tmp_path):
    put(tmp_path, PACKED | {IMAGES.name: PACKED[IMAGES.name][:-40]})
    with pytest.raises(StageError, match=f"missing: {IMAGES.name}\n"):
        obtain("Small", FILES, tmp_path, [failing("mirror", "no answer")])
    assert not (tmp_path / IMAGES.name).exists()


def test_when_all_sources_fail_one_message_has_each_reason_and_what_to_do(tmp_path):
    put(tmp_path, {FILES[1].name: PACKED[FILES[1].name]})
    with pytest.raises(StageError) as caught:
        obtain("Small", FILES, tmp_path, [failing("mirror A", "no answer"), failing("the attic", "dusty")])
    message = str(caught.value)
    for part in (
        "mirror A: no answer",
        "the attic: dusty",
        IMAGES.name,
        "  1. ",
        "DATASET_FOLDER",
        "data.dataset: digits",
    ):
        assert part in message
    assert FILES[1].name not in message, "it is there, so it is not missing"


def test_sources_stand_in_order_and_a_named_folder_before_them(monkeypatch, root):
    monkeypatch.setattr("stages.download.sources.mirrors", lambda name: ["http://a/", "http://b/"])
    order = [
        "torchvision's mirror http://a/",
        "torchvision's mirror http://b/",
        "Debian's package dataset-small",
        "the folder data/user/",
    ]
    assert [source.name for source in sources(SMALL)] == order
    monkeypatch.setenv("DATASET_FOLDER", "/somewhere")
    assert [source.name for source in sources(SMALL)] == ["the folder /somewhere (DATASET_FOLDER)", *order[:3]]


# --- from a folder of the user's


@pytest.mark.parametrize("packed", [True, False, None], ids=["packed", "unpacked", "unpacked under the name .gz"])
def test_a_folder_may_hold_the_files_packed_or_not(tmp_path, packed):
    content = {True: PACKED, False: CONTENT, None: {f"{name}.gz": content for name, content in CONTENT.items()}}[packed]
    mine = put(tmp_path / "mine", content)
    found, _ = obtain(
        "Small", FILES, tmp_path / "kept", [Source("mine", lambda files, folder: from_folder(mine, files, folder))]
    )
    arrays, classes = SMALL.read(found)
    np.testing.assert_array_equal(arrays["train_images"][..., 0], TRAIN_IMAGES)
    np.testing.assert_array_equal(arrays["test_labels"], TRAIN_LABELS[:8])
    assert classes == ["a", "b", "c", "d"]


def test_a_wrong_file_in_the_users_folder_is_refused_and_left_there(tmp_path):
    mine = put(tmp_path / "mine", PACKED | {IMAGES.name: PACKED[IMAGES.name][:-9]})
    (tmp_path / "kept").mkdir()
    with pytest.raises(SourceFailed, match=f"{IMAGES.name} breaks off after"):
        from_folder(mine, FILES, tmp_path / "kept")
    assert (mine / IMAGES.name).read_bytes() == PACKED[IMAGES.name][:-9]
    assert names_in(tmp_path / "kept") == sorted(set(PACKED) - {IMAGES.name}), "the sound ones are taken"


def test_a_folder_that_lacks_files_or_is_not_there_is_said_to(tmp_path):
    with pytest.raises(SourceFailed, match=r"it has no train-images-idx3-ubyte\.gz or train-images-idx3-ubyte"):
        from_folder(put(tmp_path / "empty", {}), FILES, tmp_path)
    with pytest.raises(SourceFailed, match="no such folder"):
        from_folder(tmp_path / "absent", FILES, tmp_path)


# --- from Debian's package


def ar(members):
    out = b"!<arch>\n"
    for name, content in members.items():
        out += (
            f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
            + content
            + b"\n" * (len(content) % 2)
        )
    return out


def tar(files, mode="w:xz"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return buffer.getvalue()


def deb(path, files):
    control = tar(
        {"./control": b"Package: dataset-small\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n"}
    )
    path.write_bytes(ar({"debian-binary": b"2.0\n", "control.tar.xz": control, "data.tar.xz": tar(files)}))
    return path


IN_PACKAGE = {f"./usr/share/datasets/small/{name}": content for name, content in PACKED.items()}


@pytest.fixture
def tool(request, monkeypatch):
    """Whether dpkg-deb is there to be used; "python" hides it."""
    which = shutil.which
    if request.param == "dpkg-deb" and not which("dpkg-deb"):
        pytest.skip("this machine has no dpkg-deb")
    monkeypatch.setattr(
        debian.shutil, "which", lambda name: None if name == "dpkg-deb" and request.param == "python" else which(name)
    )


@pytest.mark.parametrize("tool", ["dpkg-deb", "python"], indirect=True)
@pytest.mark.usefixtures("tool")
class TestPackage:
    def test_gives_its_files_and_nothing_else(self, tmp_path):
        package = deb(tmp_path / "small.deb", IN_PACKAGE | {"./usr/share/doc/README": b"read me"})
        (tmp_path / "kept").mkdir()
        debian.take(package, FILES, tmp_path / "kept")
        assert {name: (tmp_path / "kept" / name).read_bytes() for name in names_in(tmp_path / "kept")} == PACKED

    def test_cannot_write_outside_the_folder(self, tmp_path):
        away = {f"../../{name}": content for name, content in PACKED.items()} | {
            "/tmp/../evil": b"evil",
            "./link": "/etc",
        }
        kept = put(tmp_path / "a" / "b" / "kept", {})
        package = deb(kept.parent / "small.deb", away)
        debian.take(package, FILES, kept)
        assert names_in(tmp_path) == sorted(
            ["a/b/small.deb", "a/b/small.tar", *(f"a/b/kept/{name}" for name in PACKED)]
        )

    def test_with_a_link_in_place_of_a_file_is_refused(self, tmp_path):
        package = deb(tmp_path / "small.deb", IN_PACKAGE | {f"./usr/share/datasets/small/{IMAGES.name}": "/etc/passwd"})
        (tmp_path / "kept").mkdir()
        with pytest.raises(SourceFailed, match=f"has no {IMAGES.name}"):
            debian.take(package, FILES, tmp_path / "kept")

    def test_with_wrong_bytes_is_refused_and_leaves_nothing(self, tmp_path):
        package = deb(
            tmp_path / "small.deb", IN_PACKAGE | {f"./usr/share/datasets/small/{IMAGES.name}": gzip.compress(b"other")}
        )
        (tmp_path / "kept").mkdir()
        with pytest.raises(WrongFile, match=f"expected sha256 {IMAGES.digest}"):
            debian.take(package, FILES, tmp_path / "kept")
        assert names_in(tmp_path / "kept") == []

    @pytest.mark.parametrize(
        "spoil",
        [lambda b: b[: len(b) // 2], lambda b: b"<html>", lambda b: b[:-400] + bytes(400)],
        ids=["cut", "page", "damaged"],
    )
    def test_that_is_not_whole_is_refused(self, tmp_path, spoil):
        package = deb(tmp_path / "small.deb", IN_PACKAGE)
        package.write_bytes(spoil(package.read_bytes()))
        (tmp_path / "kept").mkdir()
        with pytest.raises(SourceFailed, match=r"small\.deb"):
            debian.take(package, FILES, tmp_path / "kept")
        assert names_in(tmp_path / "kept") == []


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """A function that puts a stand-in apt-get, a shell script, before the real one; it notes its arguments in apt.calls."""

    def install(script):
        program = put(tmp_path / "bin", {}) / "apt-get"
        program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/apt.calls\ncase "$*" in\n{script}\nesac\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        (tmp_path / "kept").mkdir()
        return deb(tmp_path / "small.deb", IN_PACKAGE)

    return install


def test_apt_get_download_is_run_and_its_package_read(tmp_path, apt):
    apt(f"*'download dataset-small') cp {tmp_path}/small.deb dataset-small_1_all.deb;;")
    debian.fetch("dataset-small", FILES, tmp_path / "kept")
    assert names_in(tmp_path / "kept") == sorted(PACKED)
    assert len((tmp_path / "apt.calls").read_text().splitlines()) == 1


def test_missing_package_lists_are_fetched_into_a_folder_that_needs_no_root(tmp_path, apt, capsys):
    apt(f"""*Dir::State::lists=/*update) ;;
    *Dir::State::lists=/*'download dataset-small') cp {tmp_path}/small.deb dataset-small_1_all.deb;;
    *) echo 'E: Unable to locate package dataset-small'; exit 100;;""")
    debian.fetch("dataset-small", FILES, tmp_path / "kept")
    assert names_in(tmp_path / "kept") == sorted(PACKED)
    assert "Unable to locate package dataset-small; trying with fresh package lists" in capsys.readouterr().out


def test_apts_own_reason_is_given_when_it_fails(tmp_path, apt):
    apt("*) echo 'Reading package lists...'; echo 'E: Failed to fetch it  Temporary failure' >&2; exit 100;;")
    with pytest.raises(SourceFailed, match="apt-get: Failed to fetch it  Temporary failure"):
        debian.fetch("dataset-small", FILES, tmp_path / "kept")
    assert names_in(tmp_path / "kept") == []


def test_a_machine_without_apt_get_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceFailed, match="no apt-get on this machine"):
        debian.fetch("dataset-small", FILES, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt-get")
def test_debians_real_package_has_the_published_bytes(tmp_path):
    try:
        debian.fetch("dataset-fashion-mnist", CATALOGUE["fashion_mnist"].files, tmp_path)
    except WrongFile:
        raise
    except SourceFailed as error:
        pytest.skip(f"Debian cannot be reached: {error}")
    arrays, classes = CATALOGUE["fashion_mnist"].read({path.name: path for path in tmp_path.iterdir()})
    assert arrays["train_images"].shape == (60000, 28, 28, 1)
    assert np.bincount(arrays["test_labels"]).tolist() == [1000] * 10
    assert len(classes) == 10


# --- formats


def test_idx_files_with_a_wrong_magic_number_or_length_are_refused(tmp_path):
    file = tmp_path / "labels"
    file.write_bytes(as_idx(TRAIN_LABELS))
    np.testing.assert_array_equal(idx.read_idx(file, 1), TRAIN_LABELS)
    with pytest.raises(
        StageError, match="labels is no IDX file of 3 dimensions: it starts with 00000801, not 00000803"
    ):
        idx.read_idx(file, 3)
    file.write_bytes(as_idx(TRAIN_LABELS)[:-1])
    with pytest.raises(StageError, match="should have 40 bytes after its header"):
        idx.read_idx(file, 1)


def test_cifar_records_are_read_as_rows_of_pixels_with_the_fine_label(tmp_path):
    def record(coarse, fine, red, green, blue):
        return (
            bytes([coarse, fine])
            + bytes([red]) * 1024
            + bytes([green]) * 31
            + bytes([99])
            + bytes([green]) * 992
            + bytes([blue]) * 1024
        )

    names = {"cifar-100-binary/fine_label_names.txt": b"apple\nbaby\n\n"}
    train = record(9, 1, 10, 20, 30) + record(8, 0, 11, 21, 31)
    parts = {"cifar-100-binary/train.bin": train, "cifar-100-binary/test.bin": record(7, 1, 1, 2, 3)}
    archive = put(tmp_path / "in", {}) / cifar.CIFAR100.archive
    archive.write_bytes(tar(parts | names | {"../evil": b"evil"}, "w:gz"))
    arrays, classes = CATALOGUE["cifar100"].read({archive.name: archive})
    assert classes == ["apple", "baby"]
    assert arrays["train_labels"].tolist() == [1, 0]
    assert arrays["train_images"].shape == (2, 32, 32, 3)
    assert arrays["train_images"][1, 0, 0].tolist() == [11, 21, 31]
    assert arrays["test_images"][0, 0, 31].tolist() == [1, 99, 3], "the 32nd green pixel ends the first row"
    assert names_in(tmp_path) == [f"in/{archive.name}"], "nothing is unpacked to disk"


def test_a_cifar_archive_that_is_incomplete_is_refused(tmp_path):
    archive = tmp_path / cifar.CIFAR10.archive
    archive.write_bytes(tar({"cifar-10-batches-bin/data_batch_1.bin": bytes(3073)}, "w:gz"))
    with pytest.raises(StageError, match=r"data_batch_2\.bin is not in the CIFAR archive"):
        CATALOGUE["cifar10"].read({archive.name: archive})
    with pytest.raises(StageError, match="no whole number of records of 3073 bytes"):
        cifar.records(bytes(3072), 1)


def test_digits_are_scikit_learns_with_black_at_0_and_white_at_255():
    raw, source = digits.load()
    images, labels = raw.arrays["train_images"], raw.arrays["train_labels"]
    assert images.shape == (1797, 8, 8, 1)
    assert images.dtype == np.uint8
    assert images[0, 0, :, 0].tolist() == [0, 0, 80, 207, 143, 16, 0, 0], "0 0 5 13 9 1 0 0 of 16"
    assert images.max() == 255
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert source.startswith("scikit-learn 1.")


def test_the_catalogue_agrees_with_torchvision():
    from torchvision import datasets as theirs

    for key in ("mnist", "kmnist"):
        listed = [(file.name, file.digest) for file in CATALOGUE[key].files]
        assert listed == [tuple(pair) for pair in getattr(theirs, CATALOGUE[key].torchvision).resources]
    assert [file.name for file in CATALOGUE["fashion_mnist"].files] == [
        name for name, _ in theirs.FashionMNIST.resources
    ]
    assert CATALOGUE["fashion_mnist"].read.__closure__[0].cell_contents == theirs.FashionMNIST.classes
    assert mirrors("MNIST") == theirs.MNIST.mirrors
    assert mirrors("CIFAR100") == ["https://www.cs.toronto.edu/~kriz/"]
    assert set(CATALOGUE) == set(params.DATASETS) - {"digits", "npz"}


def test_digests_of_the_packed_file_hold_for_the_packed_file_alone(tmp_path):
    packed = PublishedFile("a.gz", "md5", hashlib.md5(gzip.compress(b"a", mtime=1)).hexdigest(), "packed")
    verify(packed, put(tmp_path, {"a.gz": gzip.compress(b"a", mtime=1)}) / "a.gz")
    with pytest.raises(WrongFile):
        verify(packed, put(tmp_path, {"a.gz": gzip.compress(b"a", mtime=2)}) / "a.gz")


# --- a user's own .npz

GREY = np.arange(6 * 5 * 4, dtype=np.uint8).reshape(6, 5, 4)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def saved(folder, **arrays):
    np.savez(folder / "mine.npz", **arrays)
    return folder / "mine.npz"


@pytest.mark.parametrize(
    ("images", "shape"),
    [
        (GREY, (6, 5, 4, 1)),
        (GREY[:, :1], (6, 1, 4, 1)),
        (np.zeros((6, 5, 4, 3), np.uint8), (6, 5, 4, 3)),
        (GREY[:, :1, :1], (6, 1, 1, 1)),
    ],
    ids=["grey", "height 1", "colour", "one pixel"],
)
def test_images_of_any_size_and_colour_are_taken(tmp_path, images, shape):
    raw, source = npz.load(saved(tmp_path, images=images, labels=LABELS.astype(np.uint8)))
    assert raw.arrays["train_images"].shape == shape
    np.testing.assert_array_equal(raw.arrays["train_images"].ravel(), images.ravel())
    assert raw.arrays["train_labels"].dtype == np.int64
    assert raw.classes == ["0", "1", "2"]
    assert (raw.title, source) == ("mine", "data/user/mine.npz")
    assert raw.sha256 == {"mine.npz": hashlib.sha256((tmp_path / "mine.npz").read_bytes()).hexdigest()}


def test_a_test_set_and_names_of_classes_are_taken_too(tmp_path):
    test = {"test_images": GREY[:2], "test_labels": LABELS[:2]}
    raw, _ = npz.load(saved(tmp_path, images=GREY, labels=LABELS, classes=np.array(["x", "y", "z"]), **test))
    assert raw.classes == ["x", "y", "z"]
    assert raw.arrays["test_images"].shape == (2, 5, 4, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": GREY / 255}, "images is float64; it should be uint8"),
        ({"images": GREY.astype(np.int32)}, "images is int32; it should be uint8"),
        ({"images": GREY[0]}, r"images has shape \(5, 4\); it should be \(N, H, W\)"),
        (
            {"images": np.zeros((6, 3, 32, 32), np.uint8)},
            r"32 channels; 1 to 4 are allowed; channels stand last: images\.transpose",
        ),
        ({"images": np.zeros((6, 9, 9, 0), np.uint8)}, "0 channels; 1 to 4"),
        ({"images": GREY[:0], "labels": LABELS[:0]}, "images is empty"),
        ({"images": GREY[:, :0]}, r"images is empty: its shape is \(6, 0, 4\)"),
        ({"images": np.array([None] * 6)}, "holds Python objects"),
        ({"images": None}, "has no array images; it has labels"),
        ({"labels": None}, "has no array labels; it has images"),
        ({"labels": LABELS / 1}, "labels is float64; it should be whole numbers"),
        ({"labels": LABELS[:5]}, r"labels has shape \(5,\); with 6 images it should be \(6,\)"),
        ({"labels": LABELS[:, None]}, r"labels has shape \(6, 1\)"),
        ({"labels": LABELS - 1}, "labels has the label -1; labels count from 0"),
        ({"labels": LABELS + 1}, "every number from 0 to 3; no image has 0"),
        ({"labels": LABELS * 3}, "every number from 0 to 6; no image has 1, 2, 4, 5"),
        ({"labels": LABELS * 10**12}, "no image has 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …"),
        ({"labels": LABELS.astype(np.uint64) + np.uint64(2**63)}, "labels are whole numbers"),
        ({"labels": LABELS * 0}, "one class; at least two"),
        ({"classes": np.array(["x", "y"])}, "labels go up to 2, but classes has 2 names"),
        ({"classes": np.array(["x", "y", "z", "w"])}, "every number from 0 to 3; no image has 3"),
        ({"classes": np.array(["x", "y", "x"])}, "3 different, non-empty names"),
        ({"classes": np.array(["x", "y", " "])}, "3 different, non-empty names"),
        ({"classes": np.array([1, 2, 3])}, "classes is int64"),
        ({"classes": np.array(["x", "y", "z"], dtype=object)}, "holds Python objects"),
        ({"test_images": GREY}, "test_images and test_labels go together"),
        (
            {"test_images": GREY[:, 1:], "test_labels": LABELS},
            r"images are \(5, 4, 1\) each and test_images \(4, 4, 1\)",
        ),
        ({"test_images": GREY, "test_labels": LABELS + 1}, "test_labels has the label 3"),
        ({"test_images": GREY, "test_labels": LABELS[1:]}, r"test_labels has shape \(5,\)"),
        (
            {"test_image": GREY, "test_labels": LABELS},
            "unknown array 'test_image'; allowed are images, labels, test_images",
        ),
    ],
)
def test_each_fault_of_an_npz_has_its_own_message(tmp_path, change, message):
    arrays = {name: array for name, array in ({"images": GREY, "labels": LABELS} | change).items() if array is not None}
    with pytest.raises(StageError, match=message) as caught:
        npz.load(saved(tmp_path, **arrays))
    assert str(caught.value).startswith("data/user/mine.npz: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda whole: whole[: len(whole) // 2], "not a whole .npz|is no .npz at all"),
        (lambda whole: whole[:60] + bytes(40) + whole[100:], "not a whole .npz"),
        (lambda whole: b"", "not a whole .npz"),
        (lambda whole: b"hello, world", "is no .npz at all"),
    ],
    ids=["cut", "damaged", "empty", "text"],
)
def test_a_file_that_is_no_whole_npz_is_refused(tmp_path, content, message):
    path = saved(tmp_path, images=GREY, labels=LABELS)
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(StageError, match=message):
        npz.load(path)


def test_a_bare_array_and_an_absent_file_are_told_apart(tmp_path):
    with (tmp_path / "bare.npz").open("wb") as out:
        np.save(out, GREY)
    with pytest.raises(StageError, match="one bare array"):
        npz.load(tmp_path / "bare.npz")
    with pytest.raises(StageError, match=r"data/user/absent\.npz is not there .*; in data/user/ there is bare\.npz"):
        npz.load(tmp_path / "absent.npz")


# --- the stage


def settings(**changes):
    return params.Data.model_validate(
        {"dataset": "fashion_mnist", "file": None, "test_fraction": 0.2, "seed": 0} | changes
    )


def test_two_sources_end_in_the_same_bytes(root, monkeypatch, tmp_path):
    monkeypatch.setitem(CATALOGUE, "fashion_mnist", SMALL)
    written = []
    for number, content in enumerate((PACKED, CONTENT)):
        monkeypatch.setenv("DATASET_FOLDER", str(put(tmp_path / f"source{number}", content)))
        monkeypatch.setattr(paths, "DOWNLOADS", tmp_path / f"downloads{number}")
        raw, source = datasets.load(settings())
        assert f"source{number}" in source
        with paths.whole_folder(paths.RAW) as out:
            write_raw(out, "fashion_mnist", raw)
        written.append({name: (paths.RAW / name).read_bytes() for name in names_in(paths.RAW)})
    assert written[0] == written[1]
    assert set(written[0]) == {"dataset.json", "images.safetensors"}
    description = paths.read_json(paths.RAW / "dataset.json")
    assert (description["title"], description["height"], description["width"], description["channels"]) == (
        "Small",
        20,
        30,
        1,
    )
    assert description["sha256"]["train-images-idx3-ubyte"] == IMAGES.digest
    np.testing.assert_array_equal(load_file(paths.RAW / "images.safetensors")["train_images"][..., 0], TRAIN_IMAGES)


def test_a_folder_that_cannot_be_written_is_one_message(root, monkeypatch):
    paths.DOWNLOADS.write_text("a file where the folder should be")
    with pytest.raises(StageError, match=r"^download: .*downloads.*: "):
        datasets.load(settings())


def run_stage(root, *arguments):
    shutil.copy(Path(__file__).parents[2] / "params.yaml", root)
    edited = (
        (root / "params.yaml")
        .read_text()
        .replace("dataset: fashion_mnist", "dataset: npz")
        .replace("file: null", "file: mine.npz")
    )
    (root / "params.yaml").write_text(edited)
    command = [sys.executable, "-m", "stages.download", *arguments]
    cwd = Path(__file__).parents[2]
    return subprocess.run(
        command, cwd=cwd, env=os.environ | {"PIPELINE_ROOT": str(root)}, capture_output=True, text=True, check=False
    )


def test_a_refused_dataset_ends_the_stage_with_one_message_and_leaves_nothing(tmp_path):
    saved(put(tmp_path / "data" / "user", {}), images=np.zeros((6, 28, 28)), labels=LABELS)
    result = run_stage(tmp_path)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "data/user/mine.npz: images is float64" in result.stderr
    assert names_in(tmp_path) == ["data/user/mine.npz", "params.yaml"]


def test_the_stage_writes_a_users_images_and_records_their_source(tmp_path):
    saved(put(tmp_path / "data" / "user", {}), images=np.zeros((6, 28, 28), np.uint8), labels=LABELS)
    result = run_stage(tmp_path)
    assert result.returncode == 0, result.stderr
    assert "6 train images" in result.stdout
    assert paths.read_json(tmp_path / "data" / "timings" / "download.json")["source"] == "data/user/mine.npz"
    assert names_in(tmp_path / "data" / "raw") == ["dataset.json", "images.safetensors"]


def test_help_names_the_sources(tmp_path):
    result = run_stage(tmp_path, "--help")
    assert result.returncode == 0
    assert "DATASET_FOLDER" in result.stdout

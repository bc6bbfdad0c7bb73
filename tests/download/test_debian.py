"""Debian packages: apt-get by a script, packages that are damaged or write elsewhere, and the real package."""

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_published import FILES, IMAGES, PACKED, names_in, put, tar

from stages.download import debian
from stages.download.datasets import PUBLISHED
from stages.download.published import SourceFailed, WrongFile

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="this machine has no dpkg-deb")


def deb(path, files):
    """Written by hand: dpkg-deb --build makes no package with files outside its folder."""
    control = b"Package: dataset-small\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n"
    members = {"debian-binary": b"2.0\n", "control.tar.xz": tar({"./control": control}), "data.tar.xz": tar(files)}
    package = b"!<arch>\n"
    for name, content in members.items():
        package += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        package += content + b"\n" * (len(content) % 2)
    path.write_bytes(package)
    return path


FOLDER = "./usr/share/datasets/small"
IN_PACKAGE = {f"{FOLDER}/{name}": content for name, content in PACKED.items()}


@pytest.fixture
def kept(tmp_path):
    """The folder that files are taken to, two folders deep, so that a way out of it would stay in tmp_path."""
    return put(tmp_path / "a" / "kept", {})


def test_a_package_gives_its_files_and_nothing_else(tmp_path, kept):
    debian.take(deb(tmp_path / "small.deb", IN_PACKAGE | {"./usr/share/doc/README": b"read me"}), FILES, kept)
    assert {name: (kept / name).read_bytes() for name in names_in(kept)} == PACKED


@pytest.mark.parametrize(
    "way_out",
    [{"../../evil": b"evil"}, {"/tmp/../evil": b"evil"}, {"./way": "..", "./way/evil": b"evil"}],
    ids=["above", "absolute", "through a link"],
)
def test_a_package_that_would_write_outside_its_folder_is_refused_and_writes_nothing(tmp_path, kept, way_out):
    with pytest.raises(SourceFailed, match=r"small\.deb cannot be unpacked"):
        debian.take(deb(tmp_path / "small.deb", way_out | IN_PACKAGE), FILES, kept)
    assert names_in(tmp_path) == ["small.deb"]
    assert not any(Path(folder, "evil").exists() for folder in ("/", "/tmp"))


# Members of the package that are other ones, what becomes of its bytes, and the reason that is given.
REFUSED = {
    "a link": ({f"{FOLDER}/{IMAGES.name}": "/etc/passwd"}, bytes, f"has no {IMAGES.name}"),
    "other bytes": ({f"{FOLDER}/{IMAGES.name}": gzip.compress(b"x")}, bytes, f"expected sha256 {IMAGES.digest}"),
    "cut": ({}, lambda content: content[: len(content) // 2], r"small\.deb"),
    "a page": ({}, lambda _: b"<html>", r"small\.deb"),
    "damaged": ({}, lambda content: content[:-400] + bytes(400), r"small\.deb"),
}


@pytest.mark.parametrize(("members", "spoil", "message"), REFUSED.values(), ids=REFUSED)
def test_a_package_with_another_file_or_that_is_not_whole_is_refused(tmp_path, kept, members, spoil, message):
    package = deb(tmp_path / "small.deb", IN_PACKAGE | members)
    package.write_bytes(spoil(package.read_bytes()))
    with pytest.raises(SourceFailed, match=message):
        debian.take(package, FILES, kept)
    assert names_in(kept) == []


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """A function that puts a shell script in the place of apt-get; the script records its arguments in apt.calls."""

    def install(script):
        program = put(tmp_path / "bin", {}) / "apt-get"
        program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/apt.calls\ncase "$*" in\n{script}\nesac\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return deb(tmp_path / "small.deb", IN_PACKAGE)

    return install


def test_apt_get_download_is_run_and_its_package_read(tmp_path, kept, apt):
    apt(f"*'download dataset-small') cp {tmp_path}/small.deb dataset-small_1_all.deb;;")
    debian.fetch("dataset-small", FILES, kept)
    assert names_in(kept) == sorted(PACKED)
    assert len((tmp_path / "apt.calls").read_text().splitlines()) == 1


def test_missing_package_lists_are_fetched_into_a_folder_that_needs_no_root(tmp_path, kept, apt, capsys):
    apt(f"""*Dir::State::lists=/*update) ;;
    *Dir::State::lists=/*'download dataset-small') cp {tmp_path}/small.deb dataset-small_1_all.deb;;
    *) echo 'E: Unable to locate package dataset-small'; exit 100;;""")
    debian.fetch("dataset-small", FILES, kept)
    assert names_in(kept) == sorted(PACKED)
    assert "Unable to locate package dataset-small; trying with fresh package lists" in capsys.readouterr().out


def test_apts_own_reason_is_given_when_it_fails(tmp_path, kept, apt):
    apt("*) echo 'Reading package lists...'; echo 'E: Failed to fetch it  Temporary failure' >&2; exit 100;;")
    with pytest.raises(SourceFailed, match="apt-get: Failed to fetch it  Temporary failure"):
        debian.fetch("dataset-small", FILES, kept)
    assert names_in(kept) == []


def test_a_machine_without_apt_get_gets_that_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceFailed, match="no apt-get on this machine"):
        debian.fetch("dataset-small", FILES, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt-get")
def test_debians_real_package_has_the_published_bytes(tmp_path):
    try:
        debian.fetch("dataset-fashion-mnist", PUBLISHED["fashion_mnist"].files, tmp_path)
    except WrongFile:
        raise
    except SourceFailed as error:
        pytest.skip(f"Debian cannot be reached: {error}")
    arrays, classes = PUBLISHED["fashion_mnist"].read({path.name: path for path in tmp_path.iterdir()})
    assert arrays["train_images"].shape == (60000, 28, 28, 1)
    assert np.bincount(arrays["test_labels"]).tolist() == [1000] * 10
    assert len(classes) == 10

"""Datasets in archives that are made to write elsewhere or to run code; Debian packages are in test_debian.py."""

import os
import tarfile
import zipfile

import numpy as np
import pytest
from hostile_archives import OUTSIDE, WAYS, hostile, member, nothing_outside, packed

from stages.download import npz
from stages.download.formats import CIFAR10, read_cifar
from stages.shared.stage_command import StageError


@pytest.mark.parametrize("way", WAYS)
def test_a_cifar_archive_is_read_by_name_and_writes_nothing(way, tmp_path):
    archive = packed(tmp_path / CIFAR10.name, hostile(tmp_path)[way])
    with pytest.raises(StageError, match="is not in the CIFAR archive"):
        read_cifar({CIFAR10.name: archive}, CIFAR10)
    assert [path.name for path in tmp_path.iterdir()] == [archive.name]


def test_a_cifar_member_that_is_a_link_is_not_followed(tmp_path):
    entries = [
        member(name, b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        for name in (*CIFAR10.train, *CIFAR10.test, CIFAR10.class_names)
    ]
    with pytest.raises(StageError):
        read_cifar({CIFAR10.name: packed(tmp_path / CIFAR10.name, entries)}, CIFAR10)


class Payload:
    def __reduce__(self):
        return os.mkdir, (OUTSIDE,)


def test_an_npz_runs_no_code_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "mine.npz", images=np.array([Payload()], dtype=object), labels=np.zeros(1, int))
    with zipfile.ZipFile(tmp_path / "mine.npz", "a") as archive:
        archive.writestr(f"../{OUTSIDE}.npy", b"x")
    with pytest.raises(StageError):
        npz.load(tmp_path / "mine.npz", "unit")
    assert nothing_outside(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.npz"]

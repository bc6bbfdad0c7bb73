"""Archives that were made to write elsewhere, in every place that unpacks one; the Debian package's are in test_download.py."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from stages.cloud import training
from stages.download import cifar, npz
from stages.shared import params, paths, stage_command
from stages.tools.deploy.package import unpacked

OUTSIDE = "owned"  # the name that no archive may bring to life outside of its own folder


def member(name, content=b"x", **changes):
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    for field, value in changes.items():
        setattr(entry, field, value)
    return entry, content if entry.isreg() else b""


def hostile(folder):
    """Each way out of the folder that a tar archive knows."""
    return {
        "above": [member(f"../{OUTSIDE}")],
        "absolute": [member(f"{folder / OUTSIDE}")],
        "through a link": [member("way", b"", type=tarfile.SYMTYPE, linkname=".."), member(f"way/{OUTSIDE}")],
        "a link to a file": [member("model.json", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")],
        "a hard link": [member("model.json", b"", type=tarfile.LNKTYPE, linkname="/etc/passwd")],
        "a device": [member("model.json", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=3)],
    }


WAYS = sorted(hostile(Path("/")))


def packed(path, entries):
    with tarfile.open(path, "w:gz") as archive:
        for entry, content in entries:
            archive.addfile(entry, io.BytesIO(content))
    return path


def nothing_outside(folder):
    """Nobody wrote above the folders of this test, nor beside its archive."""
    return not [
        path for path in (*folder.parent.rglob(OUTSIDE), Path("/", OUTSIDE), Path("/tmp", OUTSIDE)) if path.exists()
    ]


@pytest.mark.parametrize("way", WAYS)
def test_a_package_cannot_write_outside_its_folder(way, tmp_path):
    archive = packed(tmp_path / "model.tar.gz", hostile(tmp_path)[way])
    with pytest.raises(stage_command.StageError, match=r"model\.tar\.gz (is damaged|holds no)"), unpacked(archive):
        pytest.fail("it was unpacked")
    assert nothing_outside(tmp_path)


@pytest.fixture
def fetch(tmp_path, monkeypatch):
    """A function that unpacks an artifact of these bytes, as of a finished job of seed 0."""
    pytest.importorskip("boto3")
    from stages.cloud import job

    settings = params.load()
    made = job.Job(
        "cnn", params.TrainPlan(run=settings.variants["cnn"].run, epochs=1, seeds=(0,)), whole=True, digest="0"
    )
    found = {"TrainingJobName": "job", "ModelArtifacts": {"S3ModelArtifacts": "s3://bucket/made.tar.gz"}}
    monkeypatch.setattr(paths, "PARTIAL", tmp_path / "partial")

    def call(content):
        client = type(
            "Client", (), {"download_file": lambda self, bucket, key, target: Path(target).write_bytes(content)}
        )
        monkeypatch.setattr(training, "client", lambda _: client())
        training._fetch(made, found, tmp_path / "out")

    return call


@pytest.mark.parametrize("way", WAYS)
def test_the_artifact_of_a_job_cannot_write_outside_its_folder(way, tmp_path, fetch):
    archive = packed(tmp_path / "made.tar.gz", [*hostile(tmp_path)[way], member("job.json", b"{}")])
    with pytest.raises(stage_command.StageError, match=r"s3://bucket/made\.tar\.gz (cannot be unpacked|lacks seed 0)"):
        fetch(archive.read_bytes())
    assert nothing_outside(tmp_path)
    assert not list((tmp_path / "partial").iterdir())


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08half", b"no archive"])
def test_an_artifact_that_is_broken_off_is_one_message(content, fetch):
    with pytest.raises(
        stage_command.StageError, match=r"s3://bucket/made\.tar\.gz cannot be unpacked \(.*\); delete that object"
    ):
        fetch(content)


@pytest.mark.parametrize("way", WAYS)
def test_a_cifar_archive_is_read_by_name_and_writes_nothing(way, tmp_path):
    archive = packed(tmp_path / cifar.CIFAR10.archive, hostile(tmp_path)[way])
    with pytest.raises(stage_command.StageError, match="is not in the CIFAR archive"):
        cifar.reader(cifar.CIFAR10)({cifar.CIFAR10.archive: archive})
    assert [path.name for path in tmp_path.iterdir()] == [archive.name]


def test_a_cifar_member_that_is_a_link_is_not_followed(tmp_path):
    entries = [
        member(name, b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")
        for name in (*cifar.CIFAR10.train, *cifar.CIFAR10.test, cifar.CIFAR10.names)
    ]
    with pytest.raises(stage_command.StageError):
        cifar.reader(cifar.CIFAR10)({cifar.CIFAR10.archive: packed(tmp_path / cifar.CIFAR10.archive, entries)})


class Payload:
    def __reduce__(self):
        return os.mkdir, (OUTSIDE,)


def test_an_npz_runs_no_code_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "mine.npz", images=np.array([Payload()], dtype=object), labels=np.zeros(1, int))
    with zipfile.ZipFile(tmp_path / "mine.npz", "a") as archive:
        archive.writestr(f"../{OUTSIDE}.npy", b"x")
    with pytest.raises(stage_command.StageError):
        npz.load(tmp_path / "mine.npz")
    assert nothing_outside(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.npz"]

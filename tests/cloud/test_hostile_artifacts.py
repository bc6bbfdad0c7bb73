"""The artifact of a training job cannot write outside its folder."""

from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")

from hostile_archives import WAYS, hostile, member, nothing_outside, packed

from stages.cloud import artifact
from stages.cloud.job import Job
from stages.cloud.settings import load
from stages.shared import paths, stage_command
from stages.shared.run_records import PlannedRun


@pytest.fixture
def fetch(tmp_path, monkeypatch):
    """A function that fetches an artifact of these bytes, of a finished job of seed 0, and takes no run from it."""
    monkeypatch.setattr(paths, "PARTIAL", tmp_path / "partial")
    job = Job("cnn", (PlannedRun("cnn", 0, "0", None),), digest="0")
    description = {"TrainingJobName": "job", "ModelArtifacts": {"S3ModelArtifacts": "s3://bucket/made.tar.gz"}}

    def call(content):
        def download_file(bucket, key, target):
            Path(target).write_bytes(content)

        monkeypatch.setattr(artifact, "client", lambda _: SimpleNamespace(download_file=download_file))
        artifact.fetch(job, description, finished=None, settings=load().sagemaker)

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

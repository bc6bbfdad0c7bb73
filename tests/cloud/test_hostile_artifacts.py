"""The artifact of a training job cannot write outside its folder."""

from pathlib import Path

import pytest
from hostile_archives import WAYS, hostile, member, nothing_outside, packed

from stages.cloud import training
from stages.shared import params, paths, stage_command


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

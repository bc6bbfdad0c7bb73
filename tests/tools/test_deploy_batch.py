"""A folder of images is labelled by a job on SageMaker, once for the same images, and what it needed goes."""

import csv
import re
import sys

import pytest
from endpoints import BUCKET, REGION, interrupt, ours, there
from safetensors.numpy import load_file
from served import png, published_images

from stages.cloud import account
from stages.shared import stage_command
from stages.shared.prepared_data import load_constants
from stages.shared.stage_command import StageError
from stages.tools.deploy import __main__ as deploy
from stages.tools.deploy import batch, inventory

pytestmark = pytest.mark.slow

FOLDER = "what-convolution-buys/batch"


@pytest.fixture
def folder(data, tmp_path):
    """Four test images as PNGs, and a file that is none."""
    folder = tmp_path / "images"
    folder.mkdir()
    for i, image in enumerate(published_images(data)[:4]):
        (folder / f"image {i}.png").write_bytes(png(image))
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture
def label(archive, folder, tmp_path):
    def run(dry_run=False, minutes=1.0, instance="ml.m5.large", settings=None):
        out = tmp_path / "labels.csv"
        batch.label(folder, out, archive, instance, None, settings or ours(), minutes, dry_run)
        return out

    return run


def rows(out):
    return list(csv.DictReader(out.read_text().splitlines()))


def jobs():
    jobs = account.client("sagemaker").list_transform_jobs()["TransformJobSummaries"]
    return sorted(one["TransformJobName"] for one in jobs)


def keys():
    objects = account.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return sorted(one["Key"] for one in objects)


def test_the_labels_are_those_of_training_and_what_the_job_needed_is_removed(aws, label, data, capsys):
    out = label()
    classes = load_constants(data / "prepared")["classes"]
    predicted = load_file(data / "runs/cnn/seed_1/predictions.safetensors")["predicted"][:4]
    table = rows(out)
    assert [row["file"] for row in table] == [f"image {i}.png" for i in range(4)]
    assert [row["label"] for row in table] == [classes[i] for i in predicted]
    assert all(sum(float(row[one]) for one in classes) == pytest.approx(1) for row in table)
    (name,) = jobs()
    assert name.startswith("wcb-batch-cnn-")
    assert there()[2] == []
    assert keys() == [f"{FOLDER}/{name}/answers/image {i}.png.out" for i in range(4)]
    printed = capsys.readouterr().out
    assert "batch of 4 images" in printed
    # 240 seconds to start and 4 images at 20 a second, at 0.115 USD an hour
    assert "about 0.01 US dollars in all (table of 2025-06" in printed
    assert printed.count("InProgress") == 1


def test_the_request_is_what_the_user_set(aws, label):
    key = "arn:aws:kms:eu-central-1:123456789012:key/a"
    label(settings=ours().model_copy(update={"output_kms_key": key, "network_isolation": True}))
    job = account.client("sagemaker").describe_transform_job(TransformJobName=jobs()[0])
    assert job["TransformResources"] == {"InstanceType": "ml.m5.large", "InstanceCount": 1}
    assert job["TransformOutput"]["KmsKeyId"] == key
    assert job["TransformInput"]["ContentType"] == "image/png"
    assert job["MaxPayloadInMB"] * 2**20 >= 4_000_000
    assert REGION in job["TransformJobArn"]


def test_a_dry_run_says_the_price_and_sends_nothing(aws, label, capsys):
    out = label(dry_run=True)
    assert not out.exists()
    assert (jobs(), keys()) == ([], [])
    assert "US dollars in all" in capsys.readouterr().out


def test_the_same_again_fetches_the_labels_and_makes_no_second_job(aws, label):
    first = label().read_bytes()
    assert label().read_bytes() == first
    assert len(jobs()) == 1


def test_other_images_and_answers_that_are_gone_make_another_job(aws, label, folder):
    label()
    for key in keys():
        account.client("s3").delete_object(Bucket=BUCKET, Key=key)
    label()
    assert jobs() == sorted([jobs()[0], f"{jobs()[0]}-r1"])
    (folder / "image 3.png").unlink()
    label()
    assert len(jobs()) == 3


def test_a_file_that_is_no_image_of_the_model_is_named_before_anything_is_sent(aws, label, folder, data):
    (folder / "broken.png").write_bytes(b"GIF89a")
    (folder / "large.png").write_bytes(png(published_images(data)[0].repeat(2, axis=0)))
    with pytest.raises(StageError) as refusal:
        label()
    message = str(refusal.value)
    assert "broken.png: the body is not a PNG file" in message
    assert "large.png: the image is 12×6 with 1 channel(s)" in message
    assert "2 of 6 files are no images of this model, which takes PNGs of 6×6 with 1 channel(s); nothing was" in message
    assert (jobs(), keys()) == ([], [])


def test_a_folder_without_images_and_an_instance_that_is_none_are_refused(aws, label, folder):
    with pytest.raises(StageError, match=r"no instance that SageMaker serves on.*; set --instance"):
        label(instance="ml.m5.tiny")
    for file in folder.glob("*.png"):
        file.unlink()
    with pytest.raises(StageError, match=r"has no file \*\.png; name a folder of images"):
        label()


def test_a_job_that_fails_is_told_with_its_reason_and_its_log_and_another_one_is_made(aws, label):
    aws.job_states, aws.reason = ["InProgress", "Failed"], "ModelError: 500"
    with pytest.raises(StageError, match=r"has ended without all labels \(Failed\): ModelError: 500\nits log: aws"):
        label()
    aws.job_states = ["Completed"]
    assert len(rows(label())) == 4
    assert len(jobs()) == 2
    assert not [key for key in keys() if "/answers/" not in key], "what the first one needed is removed too"


def test_a_folder_in_place_of_the_table_is_refused_before_anything_is_sent(aws, label, tmp_path):
    (tmp_path / "labels.csv").mkdir()
    with pytest.raises(StageError, match=r"--out .*labels\.csv is a folder; name a file in it"):
        label()
    assert jobs() == []


def test_what_a_second_attempt_left_is_listed_and_deleted(aws, label):
    aws.job_states = ["InProgress", "Failed"]
    for _ in range(2):
        with pytest.raises(StageError, match="has ended without all labels"):
            label()
    names = jobs()
    assert names[1] == f"{names[0]}-r1"
    inventory.delete([], True, ours(), 1)
    assert not [key for key in keys() if "/answers/" not in key]


def test_a_job_that_goes_on_is_waited_for_and_taken_up_again(aws, label):
    aws.job_states = ["InProgress"]
    with pytest.raises(StageError, match=r"is still InProgress after 0\.0001 minutes, and costs until it ends"):
        label(minutes=0.0001)
    aws.jobs[jobs()[0]] = ["InProgress", "Completed"]
    assert len(rows(label())) == 4
    assert len(jobs()) == 1


def failing(monkeypatch, error):
    """While the job runs, the second question about it fails once with this error."""
    real, asked = batch.ask, []

    def ask(call, **arguments):
        asked.append(call)
        if len(asked) == 2:
            raise error
        return real(call, **arguments)

    monkeypatch.setattr(batch, "ask", ask)


def test_a_wait_goes_on_when_aws_does_not_answer_once(aws, label, monkeypatch, capsys):
    from botocore.exceptions import EndpointConnectionError

    failing(monkeypatch, EndpointConnectionError(endpoint_url="https://aws"))
    assert len(rows(label())) == 4
    assert re.search(r"job wcb-batch-\S+: AWS cannot be reached.*; asked again\n", capsys.readouterr().out)


def test_credentials_that_end_while_a_job_runs_are_told_with_what_goes_on(aws, label, monkeypatch):
    from botocore.exceptions import ClientError

    answer = {"Error": {"Code": "ExpiredTokenException", "Message": "expired"}}
    failing(monkeypatch, ClientError(answer, "DescribeTransformJob"))
    with pytest.raises(StageError, match=r"(?s)refuses the credentials.*may go on and cost; run .* stop-transform-job"):
        label()


def test_an_interrupted_wait_says_that_the_job_goes_on(aws, label, monkeypatch):
    monkeypatch.setattr(batch, "pause", interrupt)
    aws.job_states = ["InProgress"]
    with pytest.raises(StageError, match=r"^interrupted; the job wcb-batch-cnn-\w+ goes on and costs .*stop"):
        label()


@pytest.mark.parametrize("answer", ["no JSON", '{"error": "it is broken"}', None])
def test_an_answer_that_is_missing_or_none_writes_no_table(aws, label, tmp_path, answer):
    aws.answers_job, aws.answer = answer is not None, lambda *_: answer
    with pytest.raises(StageError, match=r"has (answered b'|left no answer for image 0\.png)"):
        label()
    assert not list(tmp_path.glob("labels.csv*"))


def test_the_command(aws, archive, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["deploy", "batch", str(folder), "--package", str(archive), "--dry-run"]
    monkeypatch.setattr(sys, "argv", command)
    stage_command.run(deploy.main)
    assert "batch of 4 images" in capsys.readouterr().out

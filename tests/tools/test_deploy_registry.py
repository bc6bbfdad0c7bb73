"""A package is registered once for the same content, with the accuracies of its run and of its variant's seeds."""

import json
import shutil
import sys

import pytest
from endpoints import BUCKET, NUMBER, REGION, ours
from small_model import small_settings

from stages.cloud import account, images
from stages.shared import params, paths, stage_command
from stages.shared.stage_command import StageError
from stages.tools.deploy import __main__ as deploy
from stages.tools.deploy import registry

pytestmark = pytest.mark.slow


@pytest.fixture
def runs(data, tmp_path, monkeypatch):
    """Two runs, with test accuracies of 0.8 and 0.9; the package is of seed 1."""
    shutil.copytree(data / "runs", tmp_path / "runs")
    for seed, accuracy in ((0, 0.8), (1, 0.9)):
        file = tmp_path / "runs" / "cnn" / f"seed_{seed}" / "metrics.json"
        paths.write_json(file, paths.read_json(file) | {"test_accuracy": accuracy})
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    settings = small_settings()
    monkeypatch.setattr(params, "load", lambda: settings)
    return tmp_path / "runs"


def versions(group):
    return account.client("sagemaker").list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]


def keys():
    objects = account.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return sorted(one["Key"].rpartition("/")[2] for one in objects)


def test_the_version_has_the_package_its_container_and_the_accuracies_with_their_interval(aws, archive, runs, capsys):
    from sagemaker.core.shapes.model_card_shapes import ModelCardContent

    registry.register(archive, None, ours(), dry_run=False)
    (request,) = aws.registered
    assert request["ModelPackageGroupName"] == "wcb-lines"
    (model_container,) = request["InferenceSpecification"]["Containers"]
    assert model_container["Image"] == images.serving_image("ml.m5.large")
    assert model_container["Environment"]["BASH_ENV"] == "/opt/ml/model/serve.sh"
    key = model_container["ModelDataUrl"].removeprefix(f"s3://{BUCKET}/")
    assert account.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read() == archive.read_bytes()
    assert request["ModelApprovalStatus"] == "PendingManualApproval"

    card = ModelCardContent.model_validate_json(request["ModelCard"]["ModelCardContent"])
    numbers = {one.name: one.value for one in card.evaluation_details[0].metric_groups[0].metric_data}
    # Two seeds: SD 0.0707, standard error 0.05, t of one degree of freedom 12.706; an accuracy is at most 1.
    assert numbers.pop("val accuracy") == paths.read_json(runs / "cnn/seed_1/metrics.json")["val_accuracy"]
    assert numbers == pytest.approx(
        {
            "test accuracy": 0.9,
            "mean test accuracy": 0.85,
            "mean test accuracy, low": 0.85 - 12.7062 * 0.05,
            "mean test accuracy, high": 1,
        },
        abs=1e-4,
    )
    statistics = request["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"].removeprefix(f"s3://{BUCKET}/")
    written = json.loads(account.client("s3").get_object(Bucket=BUCKET, Key=statistics)["Body"].read())
    assert written["multiclass_classification_metrics"]["accuracy"]["value"] == 0.9
    printed = capsys.readouterr().out
    assert "mean test accuracy, high: 1.0000 (upper end of the 95% t interval of that mean)" in printed
    assert f"arn:aws:sagemaker:{REGION}:{NUMBER}:model-package/wcb-lines/1" in printed
    group = f"arn:aws:sagemaker:{REGION}:{NUMBER}:model-package-group/wcb-lines"
    tags = account.client("sagemaker").list_tags(ResourceArn=group)["Tags"]
    assert tags == [{"Key": "project", "Value": "what-convolution-buys"}]


def test_the_same_makes_no_second_version_and_other_accuracies_do(aws, archive, runs):
    for _ in range(2):
        registry.register(archive, "wcb-mine", ours(), dry_run=False)
    assert len(versions("wcb-mine")) == 1
    file = runs / "cnn" / "seed_0" / "metrics.json"
    paths.write_json(file, paths.read_json(file) | {"test_accuracy": 0.7})
    registry.register(archive, "wcb-mine", ours(), dry_run=False)
    assert len(versions("wcb-mine")) == 2


def test_one_seed_has_no_interval(aws, archive, runs, capsys):
    shutil.rmtree(runs / "cnn" / "seed_0")
    registry.register(archive, None, ours(), dry_run=True)
    printed = capsys.readouterr().out
    assert "mean test accuracy: 0.9000 (one seed, so that there is no interval)" in printed
    assert "low" not in printed


def test_a_dry_run_makes_nothing(aws, archive, runs, capsys):
    registry.register(archive, None, ours(), dry_run=True)
    assert "nothing was made (--dry-run)" in capsys.readouterr().out
    assert (aws.registered, keys()) == ([], [])
    assert account.client("sagemaker").list_model_package_groups()["ModelPackageGroupSummaryList"] == []


def test_a_package_of_other_weights_and_a_name_that_aws_refuses_are_named(aws, archive, runs):
    with pytest.raises(StageError, match=r"--group 'mine': it must begin with wcb-"):
        registry.register(archive, "mine", ours(), dry_run=False)
    with pytest.raises(StageError, match=r"--group 'wcb-a_b': it must"):
        registry.register(archive, "wcb-a_b", ours(), dry_run=False)
    shutil.copy(runs / "cnn/seed_0/weights.safetensors", runs / "cnn/seed_1/weights.safetensors")
    with pytest.raises(StageError, match=r"weights are not those of variant 'cnn', seed 1, in data/runs"):
        registry.register(archive, None, ours(), dry_run=False)
    assert (aws.registered, keys()) == ([], [])


def test_the_command_and_that_delete_leaves_what_is_registered(aws, archive, runs, monkeypatch, capsys):
    for command in (["register", "--package", str(archive)], ["delete", "--all"]):
        monkeypatch.setattr(sys, "argv", ["deploy", *command])
        stage_command.run(deploy.main)
    assert "nothing of this project is there" in capsys.readouterr().out
    assert keys() == ["model.tar.gz", "statistics.json"]

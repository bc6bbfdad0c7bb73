"""Metrics of each run in its job: SageMaker finds them by patterns in the lines that the container really prints."""

import csv
import json
import re

import pytest

pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")
pytest.importorskip("sagemaker.core.resources", reason="the extra `sagemaker` is not installed")
pytest.importorskip("moto.server", reason="moto is not installed")

import botocore.session
from botocore.validate import validate_parameters
from small_jobs import jobs, log_of, runs, started, trained

from stages.cloud import job_metrics
from stages.shared import process_pool
from stages.train import local

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prepared")]


def found_in(lines, definitions):
    """Name → values, as SageMaker reads them from a log: the first group of a pattern's first match in a line."""
    values = {one["Name"]: [] for one in definitions}
    for line in lines:
        for one in definitions:
            if match := re.search(one["Regex"], line):
                values[one["Name"]].append(float(match[1]))
    return values


def test_every_score_of_every_run_is_found_in_the_log_of_its_job(layer, tmp_path):
    record, files = trained(tmp_path / "out", runs())
    (name,) = record["jobs"]
    values = found_in(log_of(layer, name), layer.jobs[name].state["AlgorithmSpecification"]["MetricDefinitions"])
    scores = [json.loads(files[f"cnn/seed_{seed}/metrics.json"]) for seed in (0, 1)]
    for split in ("train", "val", "test"):
        for score in ("loss", "accuracy"):
            expected = sorted(round(one[f"{split}_{score}"], 6) for one in scores)
            assert sorted(values[f"{split}:{score}"]) == expected, f"{split}:{score}"


def test_the_bar_of_a_log_gives_the_validation_accuracy_while_a_run_trains(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(process_pool, "LOG_SECONDS", 0)
    monkeypatch.setenv("MAX_WORKERS", "1")
    monkeypatch.setattr(process_pool, "POLL_SECONDS", 0.001)
    _, files = trained(tmp_path / "out", runs(seeds=(0,), epochs=30), where=local)
    definitions = [{"Name": one["name"], "Regex": one["regex"]} for one in job_metrics.definitions()]
    values = found_in(capfd.readouterr().err.splitlines(), definitions)["progress:val_accuracy"]
    curves = list(csv.DictReader(files["cnn/seed_0/curves.csv"].decode().splitlines()))
    assert values
    assert set(values) <= {round(float(row["val_accuracy"]), 4) for row in curves}


def test_a_run_that_diverged_has_a_line_without_scores():
    line = job_metrics.line_of("cnn", 3, {"diverged": 2})
    assert line == "finished cnn, seed 3: diverged in epoch 2"
    definitions = [{"Name": one["name"], "Regex": one["regex"]} for one in job_metrics.definitions()]
    assert not any(found_in([line], definitions).values())


def test_tiny_and_large_losses_are_printed_as_the_patterns_read_them():
    scores = dict.fromkeys(job_metrics.SCORES, 0.5) | {"train_loss": 1.2e-9, "test_loss": 12345.6}
    definitions = [{"Name": one["name"], "Regex": one["regex"]} for one in job_metrics.definitions()]
    values = found_in([job_metrics.line_of("cnn", 0, scores)], definitions)
    assert (values["train:loss"], values["test:loss"], values["val:loss"]) == ([0.0], [12345.6], [0.5])


def test_the_definitions_keep_to_awss_own_model(layer):
    layer.runs = False
    started(*jobs())
    (job,) = layer.jobs.values()
    definitions = job.state["AlgorithmSpecification"]["MetricDefinitions"]
    model = botocore.session.get_session().get_service_model("sagemaker")
    validate_parameters({"MetricDefinitions": definitions}["MetricDefinitions"][0], model.shape_for("MetricDefinition"))
    assert len(definitions) == 7 <= model.shape_for("MetricDefinitionList").metadata["max"]
    assert all(len(one["Regex"]) <= model.shape_for("MetricRegex").metadata["max"] for one in definitions)

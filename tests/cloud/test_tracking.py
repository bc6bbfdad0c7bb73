"""Finished runs in an MLflow tracking store, of real MLflow in a file of SQLite."""

import json

import pytest

pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")
pytest.importorskip("moto.server", reason="moto is not installed")
pytest.importorskip("mlflow", reason="the extra `sagemaker` is not installed")
pytest.importorskip("sqlalchemy", reason="the extra `sagemaker` is not installed")

from mlflow import MlflowClient
from small_data import write_prepared
from small_jobs import command_line, compute, runs

from stages.cloud import tracking
from stages.cloud.settings import load
from stages.shared import paths
from stages.shared.stage_command import StageError
from stages.train import __main__ as train_stage
from stages.train import runs as stage_runs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A tracking URI whose tables exist, which take seconds to make."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"
    client = MlflowClient(tracking_uri=uri)
    client.search_experiments()
    return uri


@pytest.fixture
def uri(store, monkeypatch):
    """The store with an experiment of the test's own."""
    client = MlflowClient(tracking_uri=store)
    for experiment in client.search_experiments():
        if experiment.name == tracking.EXPERIMENT:
            client.rename_experiment(experiment.experiment_id, f"old {experiment.experiment_id}")
    return store


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    """Small data in a root of its own, and training on this machine."""
    for name in ("PARTIAL", "TIMINGS", "RUNS", "PREPARED"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
    monkeypatch.setattr(paths, "COMPUTE", tmp_path / "compute.yaml")
    monkeypatch.setenv("RUN_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("COMPUTE_BACKEND", "local")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    compute()
    write_prepared(paths.PREPARED)


def logged(uri):
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    return client, (client.search_runs([experiment.experiment_id]) if experiment else [])


def test_a_run_trained_here_is_logged_with_settings_scores_curves_and_tags(uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    planned = runs(seeds=(0, 1))
    train_stage.train_missing(planned)
    client, logged_runs = logged(uri)
    assert {run.info.run_name for run in logged_runs} == {"cnn seed 0", "cnn seed 1"}
    (run,) = [run for run in logged_runs if run.data.tags["seed"] == "0"]
    assert run.info.status == "FINISHED"
    assert run.data.tags["variant"] == "cnn"
    assert run.data.tags["backend"] == "local"
    assert run.data.tags["run_digest"] == planned[0].digest
    assert run.data.params["architecture.channels"] == "[2, 4]"
    assert run.data.params["recipe.lr"] == "0.01"
    assert len(run.data.params) == len(list(tracking.flat(planned[0].spec.model_dump(mode="json")))) > 20
    scores = json.loads((paths.RUNS / "cnn" / "seed_0" / "metrics.json").read_text())
    assert run.data.metrics["test_accuracy"] == scores["test_accuracy"]
    assert run.data.metrics["parameters"] == scores["parameters"]
    points = client.get_metric_history(run.info.run_id, "epoch/val_accuracy")
    lines = (paths.RUNS / "cnn" / "seed_0" / "curves.csv").read_text().splitlines()
    column = lines[0].split(",").index("val_accuracy")
    assert [(point.step, point.value) for point in sorted(points, key=lambda point: point.step)] == [
        (int(line.split(",")[0]), float(line.split(",")[column])) for line in lines[1:]
    ]


def test_a_run_is_logged_once_and_what_is_missing_later(uri, monkeypatch, capsys):
    planned = runs(seeds=(0, 1))
    train_stage.train_missing(planned[:1])
    assert tracking.log(planned, uri, {}) == 1, "seed 1 is not finished"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    train_stage.train_missing(planned[1:])
    monkeypatch.setattr(stage_runs, "planned_runs", lambda settings, variants: planned)
    command_line(monkeypatch, "track")
    assert "MLflow: 0 runs logged" in capsys.readouterr().out
    assert len(logged(uri)[1]) == 2


def test_tracking_changes_no_byte_of_a_run(uri, monkeypatch):
    def files():
        return {file.relative_to(paths.RUNS): file.read_bytes() for file in paths.RUNS.rglob("*") if file.is_file()}

    train_stage.train_missing(runs(seeds=(0,)))
    without = files()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    train_stage.train_missing(runs(seeds=(0,)))
    assert files() == without
    assert len(logged(uri)[1]) == 1


def test_without_the_package_nothing_is_trained_and_one_message_says_what_to_do(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr(tracking.importlib.util, "find_spec", lambda name: None)
    message = r"mlflow_tracking_uri is 'http://127.0.0.1:9' .* MLflow is not installed: `make sagemaker` installs it"
    with pytest.raises(StageError, match=message):
        train_stage.train_missing(runs(seeds=(0,)))
    assert not paths.RUNS.exists()


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "sqlite:////dev/null/mlflow.db", "htp://x"])
def test_a_server_that_does_not_answer_costs_no_run(monkeypatch, capsys, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    train_stage.train_missing(runs(seeds=(0,)))
    printed = capsys.readouterr().out
    assert f"warning: MLflow at {uri} took 0 runs, and then failed (" in printed
    assert "`python -m stages.cloud track` logs what is missing" in printed
    assert (paths.RUNS / "cnn" / "seed_0" / "metrics.json").exists()


def test_a_run_that_diverged_is_logged_without_scores(uri):
    (run,) = runs(seeds=(0,), lr=1e30)
    train_stage.train_missing([run])
    assert tracking.log([run], uri, {}) == 1
    _, (logged_run,) = logged(uri)
    assert "test_accuracy" not in logged_run.data.metrics
    assert logged_run.data.metrics["diverged"] >= 1


def test_the_command_asks_for_a_server_and_the_environment_overrides_compute_yaml(monkeypatch):
    with pytest.raises(StageError, match=r"no MLflow server is named; set MLFLOW_TRACKING_URI \(or mlflow_tracking"):
        command_line(monkeypatch, "track")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://x")
    assert load().mlflow_tracking_uri == "http://x"

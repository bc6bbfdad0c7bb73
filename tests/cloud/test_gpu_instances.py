"""An instance with a GPU: its image, its jobs, and what the plan knows of its price."""

import pytest

pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")
pytest.importorskip("sagemaker.core.resources", reason="the extra `sagemaker` is not installed")
pytest.importorskip("moto.server", reason="moto is not installed")

from small_jobs import command_line, compute, jobs, runs, started

from stages.cloud import __main__ as command
from stages.cloud import estimates
from stages.cloud.job import hyperparameters
from stages.cloud.settings import load
from stages.shared import paths

pytestmark = pytest.mark.usefixtures("prepared")


@pytest.mark.parametrize(("instance_type", "kind"), [("ml.g4dn.xlarge", "-cu"), ("ml.c5.xlarge", "-cpu-")])
def test_the_image_is_chosen_by_the_instance_type(layer, monkeypatch, instance_type, kind):
    monkeypatch.delenv("SAGEMAKER_IMAGE")
    compute(instance_type=instance_type)
    layer.runs = False
    started(*jobs())
    (job,) = layer.jobs.values()
    assert kind in job.state["AlgorithmSpecification"]["TrainingImage"]
    assert job.state["ResourceConfig"]["InstanceType"] == instance_type


def test_a_job_trains_all_seeds_of_a_variant_on_the_gpu():
    compute(instance_type="ml.g5.xlarge")
    assert load().sagemaker.jobs == "variant", "as compute.yaml is in the repository"
    first, second = jobs("a", "b", seeds=(0, 1, 2))
    assert [len(job.runs) for job in (first, second)] == [3, 3]
    assert {run.spec.device for run in first.runs} == {"cuda"}
    assert '"device":"cuda"' in "".join(hyperparameters(first).values())


def test_seconds_of_runs_that_share_a_gpu_add_up():
    """By hand: 90 + 3 × 10 s at 3.6 USD an hour; ml.g4dn.xlarge has two cores, which do not count."""
    compute(instance_type="ml.g4dn.xlarge", price_per_hour=3.6, spot="false")
    paths.write_json(paths.TIMINGS / "train.json", {"runs": {"a": 10}, "instance_type": "ml.g4dn.xlarge"})
    estimate = estimates.estimated_cost("a", 3, load().sagemaker)
    assert (estimate.seconds, estimate.usd) == (120, pytest.approx(0.12))


@pytest.mark.parametrize(
    ("instance_type", "message"),
    [
        ("ml.g4dn.xlarge", "never more than 1.47 (max_runtime_minutes, on demand); prices: table of 2025-06"),
        ("ml.g5.xlarge", "no known limit; prices: ml.g5.xlarge is not in the project's table of prices; sagemaker.pri"),
    ],
)
def test_the_plan_prices_it_or_says_what_is_not_known(monkeypatch, capsys, instance_type, message):
    """0.736 USD an hour for 120 minutes."""
    compute(instance_type=instance_type)
    monkeypatch.setattr(command, "_missing_runs", lambda variants: runs("a"))
    command_line(monkeypatch, "plan")
    assert message in capsys.readouterr().out


def test_the_plan_warns_of_jobs_that_train_the_seeds_apart(monkeypatch, capsys):
    monkeypatch.setattr(command, "_missing_runs", lambda variants: runs("a"))
    compute(instance_type="ml.g4dn.xlarge")
    command_line(monkeypatch, "plan")
    warning = "A GPU trains the seeds of a variant together: `jobs: seed` gives that up"
    assert warning not in capsys.readouterr().out
    compute(instance_type="ml.g4dn.xlarge", jobs="seed")
    command_line(monkeypatch, "plan")
    assert warning in capsys.readouterr().out

"""What is checked and said before anything is sent to AWS: region, instance types, tags, prices."""

import re

import pytest

pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")
pytest.importorskip("sagemaker.core.resources", reason="the extra `sagemaker` is not installed")
pytest.importorskip("moto.server", reason="moto is not installed")

from small_jobs import command_line, compute, jobs, objects, runs, started, trained

from stages.cloud import __main__ as command
from stages.cloud import prices, service_model
from stages.cloud.settings import load
from stages.shared import paths
from stages.shared.stage_command import StageError

pytestmark = pytest.mark.usefixtures("prepared")


def test_a_bucket_in_another_region_is_refused_by_name_of_both_regions(layer, monkeypatch):
    elsewhere = {"LocationConstraint": "us-west-2"}
    layer.client("s3", "us-west-2").create_bucket(Bucket="far-away", CreateBucketConfiguration=elsewhere)
    monkeypatch.setenv("SAGEMAKER_BUCKET", "far-away")
    message = r"the bucket 'far-away' is in us-west-2, and jobs would run in eu-central-1; .* or AWS_REGION=us-west-2"
    with pytest.raises(StageError, match=message):
        started(*jobs())


@pytest.mark.parametrize(
    ("instance_type", "message"),
    [
        ("ml.z9.large", r"'ml.z9.large' is no instance that SageMaker trains on, .*; set sagemaker.instance_type"),
        ("ml.c5.xlarg", r"is no instance .* \(similar: ml.c5.xlarge, "),
        ("ml.c7g.xlarge", r"ml.c7g.xlarge has ARM processors, and this project's images are for x86"),
        ("ml.trn1.2xlarge", r"ml.trn1.2xlarge has AWS's Trainium chips"),
        ("ml.p6e-gb200.36xlarge", "has ARM processors"),
    ],
)
def test_an_instance_that_cannot_train_is_refused_before_anything_is_sent(layer, tmp_path, instance_type, message):
    compute(instance_type=instance_type)
    with pytest.raises(StageError, match=f"(?s){message}.*nothing was sent"):
        trained(tmp_path / "out", runs())
    assert (layer.created, objects(layer)) == ([], {})


def test_no_instance_with_another_processor_passes_and_every_x86_type_does():
    """ARM has a g after the number (c7g, m6gd, r8g); a GPU's family begins with g or p (g4dn, g6e, p4de)."""
    arm = ("c7g", "m6gd", "c6gn", "r8g", "t4g", "g5g", "m8g", "p6e-gb200")
    x86 = ("c5", "m5d", "c6i", "m7i-flex", "c7a", "g4dn", "g6e", "g7", "p3dn", "p4de", "p5en", "r5d", "t3", "p6-b200")
    assert {service_model.other_processor(f"ml.{family}.xlarge") for family in arm} == {"ARM processors"}
    assert {service_model.other_processor(f"ml.{family}.xlarge") for family in x86} == {""}
    assert "Inferentia" in service_model.other_processor("ml.inf2.xlarge")


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ("{owner: A & B}", "the value 'A & B' of a tag has other signs than letters"),
        ("{'aws:owner': x}", "the key 'aws:owner' of a tag begins with 'aws:', which AWS keeps for itself"),
        ("{AWS:owner: x}", "begins with 'aws:'"),
        ("{'': x}", "the key '' of a tag has 0 characters, and 1 to 128 are allowed"),
        (f"{{owner: {'x' * 257}}}", "has 257 characters, and 0 to 256 are allowed"),
        ("{variant: mine}", "the tag 'variant' is set by the project itself"),
        (f"{{{', '.join(f'k{i}: v' for i in range(50))}}}", "50 tags are more than the 49 that fit"),
    ],
    ids=lambda value: value[:20],
)
def test_a_tag_that_aws_refuses_is_named_before_anything_is_sent(layer, tags, message):
    compute(tags=tags)
    with pytest.raises(StageError, match=f"(?s){message}.*; change sagemaker.tags in compute.yaml.*nothing was sent"):
        started(*jobs())
    assert objects(layer) == {}


def test_tags_in_any_language_pass():
    compute(tags="{Besitzerin: Jörg + Ænne @ Büro_1/2, 'プロジェクト': 画像, project:x: a=b.c-d}")
    service_model.check_training(load().sagemaker)


@pytest.mark.parametrize(
    ("instance_type", "cores"), [("ml.m5.large", 1), ("ml.c6i.xlarge", 2), ("ml.m5.4xlarge", 8), ("ml.c5.9xlarge", 18)]
)
def test_cores_are_half_of_the_vcpus(instance_type, cores):
    assert prices.cores(instance_type) == cores


def test_seconds_of_a_cpu_are_not_taken_for_those_of_a_gpu_and_the_plan_says_why(monkeypatch, capsys):
    monkeypatch.setattr(command, "_missing_runs", lambda variants: runs("a"))
    timings = {"runs": {"a": 60}}
    paths.write_json(paths.TIMINGS / "train.json", timings)
    compute(instance_type="ml.g4dn.xlarge")
    command_line(monkeypatch, "plan")
    printed = capsys.readouterr().out
    assert (
        "1 jobs, no estimate (1 were timed on other machines alone, not on the GPU of ml.g4dn.xlarge), never" in printed
    )
    assert "never timed" not in printed
    paths.write_json(paths.TIMINGS / "train.json", timings | {"instance_type": "ml.g4dn.xlarge"})
    command_line(monkeypatch, "plan")
    assert "1 jobs, about " in capsys.readouterr().out
    paths.write_json(paths.TIMINGS / "train.json", timings | {"device": "cuda"})
    compute()
    command_line(monkeypatch, "plan")
    assert "1 jobs, no estimate (1 were timed on a GPU alone)" in capsys.readouterr().out


def test_the_plan_says_both_ways_prices_and_sends_nothing(layer, monkeypatch, capsys):
    """By hand: 200/3 s a run on a core, and ml.c5.xlarge trains two at once.

    One job: 90 + 2 × 66.7 = 223.3 s. A job a seed: 3 × (90 + 66.7) = 470 s. At 0.204 USD an hour; spot asks 40 %.
    """
    planned = runs("a", "b", seeds=(0, 1, 2))
    monkeypatch.setattr(command, "_missing_runs", lambda variants: planned)
    paths.write_json(paths.TIMINGS / "train.json", {"runs": {"a": 200 / 3}})
    command_line(monkeypatch, "plan")
    printed = capsys.readouterr().out
    assert re.search(r"wcb-a-[0-9a-f]{12} +3 +to be made +223 +0\.0051\n", printed)
    assert re.search(r"wcb-b-[0-9a-f]{12} +3 +to be made +unknown +unknown\n", printed)
    # Two jobs of 120 minutes on demand are 0.82; six are 2.45.
    assert re.search(
        r"To be paid: 2 jobs, about 0\.01 US dollars \(1 were never timed here\), never more than 0\.82 ", printed
    )
    assert "All of it anew with `jobs: variant`: 2 jobs, about 0.01 US dollars" in printed
    each_seed = r"`jobs: seed`: 6 jobs, about 0\.01 US dollars \(3 were never timed here\), never more than 2\.45 "
    assert re.search(each_seed, printed)
    assert "Spot is taken to cost 40% of the price on demand\nNothing was sent\n" in printed
    priced = [line for line in printed.splitlines() if "US dollars" in line and "jobs, " in line]
    assert len(priced) == 3
    assert all(line.endswith(f"; prices: {prices.source()}") for line in priced)
    assert (layer.created, objects(layer)) == ([], {})
    planned = runs("a", seeds=(0, 1, 2))
    compute(jobs="seed", spot="false")
    command_line(monkeypatch, "plan")
    assert "To be paid: 3 jobs, about 0.03 US dollars, " in capsys.readouterr().out  # 470 / 3600 × 0.204

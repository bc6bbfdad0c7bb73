"""Prices: from AWS's price list where the user's rights allow, else from the project's table; each with its date."""

import json
from datetime import date

import pytest

pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")
pytest.importorskip("sagemaker.core.resources", reason="the extra `sagemaker` is not installed")
pytest.importorskip("moto.server", reason="moto is not installed")

import botocore.session
from small_jobs import command_line, compute, forget, runs, trained

from stages.cloud import __main__ as command
from stages.cloud import account, estimates, prices
from stages.cloud.price_list import HOSTING
from stages.cloud.settings import load
from stages.shared import paths

pytestmark = pytest.mark.usefixtures("prepared")

LISTED = "AWS's price list of 2026-11-20, eu-central-1, on demand"


def entry(usagetype, *usd, region="eu-central-1", unit="USD"):
    """An entry of AWS's price list, as GetProducts answers it."""
    dimensions = {f"rate.{i}": {"unit": "Hrs", "pricePerUnit": {unit: f"{rate:.10f}"}} for i, rate in enumerate(usd)}
    return {
        "product": {
            "productFamily": "ML Instance",
            "attributes": {"servicecode": "AmazonSageMaker", "regionCode": region, "usagetype": usagetype},
        },
        "serviceCode": "AmazonSageMaker",
        "terms": {"OnDemand": {"sku.offer": {"priceDimensions": dimensions}}},
        "publicationDate": "2026-11-20T18:04:05Z",
    }


@pytest.fixture
def listed(layer):
    """The layer, with a price list in which other entries resemble the one that counts."""
    layer.price_list = [
        entry("EUC1-Train:ml.c5.xlarge", 0.239),
        entry("EUC1-Host:ml.c5.xlarge", 0.25),
        entry("EUC1-Train:ml.c5.xlarge-flex", 9),
        entry("EUC1-MultiTrain:ml.c5.xlarge", 9),
        entry("Train:ml.c5.xlarge", 9, region="us-east-1"),
        entry("EUC1-Train:ml.g5.xlarge", 0, 1.26),
    ]
    return layer


def test_the_price_is_that_of_awss_list_for_the_region_and_the_use(listed):
    assert prices.price("ml.c5.xlarge") == prices.Price(0.239, LISTED)
    assert prices.price("ml.c5.xlarge", usage=HOSTING) == prices.Price(0.25, LISTED)
    assert prices.price("ml.g5.xlarge") == prices.Price(1.26, LISTED), "a free share has no price of its own"


def test_the_plan_and_the_bill_say_the_price_of_the_list_with_its_date(listed, tmp_path, monkeypatch, capsys, members):
    from small_jobs import packed

    listed.artifact = lambda content: packed(members(content))
    monkeypatch.setattr(command, "_missing_runs", lambda variants: runs("cnn", seeds=(0,)))
    command_line(monkeypatch, "plan")
    printed = capsys.readouterr().out
    assert printed.count(f"; prices: {LISTED}\n") == 3
    assert "table of" not in printed
    record, _ = trained(tmp_path / "out", runs(seeds=(0,)))
    assert record["usd"] == round(record["billable_seconds"] / 3600 * 0.239, 4)
    assert f"US dollars ({LISTED})" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("price_list", "message"),
    [
        (None, "AWS does not allow GetProducts: User is not authorized to perform: pricing:GetProducts; docs/sage"),
        ([], "eu-central-1 has 0 prices in US dollars for Train:ml.c5.xlarge"),
        ([entry("EUC1-Train:ml.c5.xlarge", 0.2, 0.3)], "has 2 prices in US dollars for Train:ml.c5.xlarge 0.2, 0.3"),
        ([entry("EUC1-Train:ml.c5.xlarge", 2, unit="CNY")], "has 0 prices in US dollars"),
        ([entry("EUC1-Train:ml.c5.xlarge", 2) | {"terms": 3}], "its entry cannot be read (AttributeError"),
    ],
)
def test_where_the_list_does_not_tell_the_table_does_and_the_reason_is_said_once(layer, capsys, price_list, message):
    layer.price_list = price_list
    assert prices.price("ml.c5.xlarge") == prices.price("ml.c5.xlarge") == prices.Price(0.204, prices.source())
    printed = capsys.readouterr().out
    assert "AWS's price list has not told what ml.c5.xlarge costs: " in printed
    assert message in printed
    assert len(printed.splitlines()) == 1


def test_a_list_that_cannot_be_reached_does_not_hold_up_the_jobs(monkeypatch, capsys):
    monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", "http://127.0.0.1:9")
    forget()
    assert prices.price("ml.c5.xlarge") == prices.table_price("ml.c5.xlarge")
    assert "AWS cannot be reached" in capsys.readouterr().out


def test_a_price_in_compute_yaml_asks_nobody(layer):
    requests = []
    layer.intercept = requests.append
    compute(price_per_hour=2)
    assert prices.price("ml.c5.xlarge", load().sagemaker.price_per_hour).usd_per_hour == 2
    assert requests == []


@pytest.mark.parametrize(
    ("region", "asked_in"),
    [("eu-central-1", "us-east-1"), ("sa-east-1", "us-east-1"), ("cn-north-1", "cn-northwest-1")],
)
def test_the_list_is_asked_where_the_partition_serves_it(monkeypatch, region, asked_in):
    monkeypatch.setenv("AWS_REGION", region)
    forget()
    assert account.client("pricing").meta.region_name == asked_in


def test_a_partition_without_a_price_list_is_named(monkeypatch, capsys):
    monkeypatch.setenv("AWS_REGION", "us-gov-west-1")
    forget()
    assert prices.price("ml.c5.xlarge").source == prices.source()
    assert "AWS serves no price list in the partition aws-us-gov" in capsys.readouterr().out


def test_the_filters_are_of_kinds_that_aws_knows(listed):
    requests = []

    def note(arguments):
        requests.append(arguments)
        return {"PriceList": []}

    listed._GetProducts = note
    prices.price("ml.c5.xlarge")
    kinds = botocore.session.get_session().get_service_model("pricing").shape_for("Filter").members["Type"].enum
    assert {one["Type"] for one in requests[0]["Filters"]} <= set(kinds)
    assert json.dumps(requests[0]).count("ml.c5.xlarge") == 1


def test_a_price_of_the_table_comes_with_its_date_and_its_age():
    assert prices.source(date(2026, 11, 29)) == "table of 2025-06, 17 months old, us-east-1, on demand"
    assert prices.table_price("ml.c5.xlarge").source == prices.source()


def test_an_instance_without_a_known_price_is_used_after_a_warning(ready_made, tmp_path, capsys):
    compute(instance_type="ml.g5.xlarge")
    record, _ = trained(tmp_path / "out", runs(seeds=(0,)))
    assert record["usd"] is None
    printed = capsys.readouterr().out
    assert "warning: what the jobs cost is not known (ml.g5.xlarge is not in the project's table of prices; " in printed
    assert "1 s billed on ml.g5.xlarge, about an unknown number of US dollars" in printed
    compute(instance_type="ml.g5.xlarge", price_per_hour=3600)
    record, _ = trained(tmp_path / "again", runs(seeds=(0,)))
    assert record["usd"] == 1
    printed = capsys.readouterr().out
    assert "warning" not in printed
    assert "about 1.000 US dollars (price_per_hour in compute.yaml)" in printed


def test_a_type_that_is_not_in_the_table_is_estimated_where_its_price_is_given():
    """By hand: ml.c6i.xlarge has two cores, so 3 runs take two rounds: 90 + 2 × 60 s, at 3.6 USD an hour 0.21."""
    paths.write_json(paths.TIMINGS / "train.json", {"runs": {"a": 60}})
    compute(instance_type="ml.c6i.xlarge", price_per_hour=3.6, spot="false")
    estimate = estimates.estimated_cost("a", 3, load().sagemaker)
    assert (estimate.seconds, estimate.usd) == (210, pytest.approx(0.21))

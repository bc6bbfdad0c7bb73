"""The verdicts of a run beside those that are published at another scale."""

import dataclasses
import io

import pandas as pd
import pytest
from fake_results import collected, declared, results_of, settings, three, write_params
from report_content import spaced

from stages.figures import at_scale
from stages.figures.results import load
from stages.shared import paths


def default():
    return results_of("default")


def beside(**changes):
    """The default's results, with the same ones as published but for these: hypothesis → columns that differ."""
    published = default().hypotheses.copy()
    for key, columns in changes.items():
        for name, value in columns.items():
            published.loc[key, name] = value
    return dataclasses.replace(default(), reference=published, reference_train_size=20_000)


def test_without_published_results_there_is_nothing_to_compare():
    alone = dataclasses.replace(default(), reference=default().hypotheses.iloc[:0], reference_train_size=0)
    assert at_scale.sentence(alone).startswith("No verdict of another scale is published")
    assert at_scale.texts(alone) == {"tables/at-scale.md": ""}


def test_the_same_verdicts_hold_and_others_are_named():
    same = beside()
    both = at_scale.at_both_scales(same)
    assert len(both) == default().hypotheses["n_seeds"].notna().sum()
    assert set(both["holds"]) == {"same verdict"}
    assert spaced(at_scale.sentence(same)) == (
        f"All {len(both)} verdicts stated here and published with 20,000 train images a seed are the same "
        "(@tbl-at-scale)."
    )
    gap = default().hypotheses.loc["gap_original", "difference"]
    turned = beside(gap_original={"difference": -gap, "verdict": "worse"})
    number = default().number("gap_original")
    assert f"{len(both) - 1} are the same; {number} has the other sign there" in spaced(at_scale.sentence(turned))
    assert "sign turns" in at_scale.table(turned)
    assert "| sign turns" not in at_scale.table(same)


def test_where_no_verdict_is_stated_at_both_scales_that_is_said():
    unstated = default().hypotheses.assign(verdict="not stated")
    here, there = dataclasses.replace(beside(), hypotheses=unstated), dataclasses.replace(beside(), reference=unstated)
    for results in (here, there):
        assert spaced(at_scale.sentence(results)) == (
            "No hypothesis has a verdict both here and among those published with 20,000 train images a seed "
            "(@tbl-at-scale)."
        )


def test_what_was_not_measured_there_is_left_out():
    fewer = beside(gap_original={"n_seeds": float("nan")})
    assert "gap_original" not in set(at_scale.at_both_scales(fewer)["hypothesis"])
    assert len(pd.read_csv(io.StringIO(at_scale.texts(fewer)["tables/at-scale.csv"]))) > 5


def other_base(raw, claims):
    raw["architecture"]["norm"] = "batch"


def other_variant(raw, claims):
    raw["variants"]["kernel_5"]["run"]["architecture"]["kernel"] = 7


def other_claim(raw, claims):
    claims["gap_original"]["smallest_effect"] = 0.01


def other_rate(raw, claims):
    raw["variants"]["kernel_5"]["run"]["recipe"] = {"lr": 0.5}


@pytest.mark.parametrize(
    ("change", "left_out"),
    [
        (other_base, {"gap_original", "kernel_5_no_better"}),
        (other_variant, {"kernel_5_no_better"}),
        (other_claim, {"gap_original"}),
        (other_rate, set()),
    ],
)
def test_only_the_same_claims_about_the_same_nets_are_compared(change, left_out, tmp_path, monkeypatch):
    results = collected(monkeypatch, tmp_path, settings(three), n_test=50)
    assert results.reference.empty, "nothing is published here"
    raw = settings(three)
    raw["protocols"]["reference"] |= {"variants": list(results.settings.active_variants)}
    raw["protocol"] = "reference"
    claims = declared(raw)
    change(raw, claims)
    folder = paths.REFERENCE / "reference"
    write_params(folder, raw, claims)
    (folder / "hypotheses.csv").write_text((paths.RESULTS / "hypotheses.csv").read_text())
    compared = set(load(results.settings).reference.index)
    assert {"gap_original", "kernel_5_no_better"} - compared == left_out

"""What the report says of when its hypotheses were declared."""

import datetime
import re

import pytest
from fake_results import finished, only, settings, three

from stages.figures import declared, hypotheses
from stages.shared.drawing import numbers

KEYS = ("gap", "wide", "gone")


def hypothesis(variant, reference, **fields):
    contrast = {"variant": variant, "reference": reference}
    claim = {"statement": f"{variant} leads.", "family": "kernel", "contrast": contrast, "metric": "accuracy"}
    return claim | {"direction": "above", "smallest_effect": 0.005, "source": "", **fields}


def with_record(existed_before, history=()):
    """The results of three nets with two hypotheses about them, and one about a net that did not run."""

    def change(raw):
        only(raw, "cnn", "kernel_5", "fully_connected", "kernel_1")
        raw["protocols"]["default"]["variants"].remove("kernel_1")

    arms = [("cnn", "fully_connected"), ("kernel_5", "cnn"), ("kernel_1", "cnn")]
    written = {key: hypothesis(*pair) for key, pair in zip(KEYS, arms, strict=True)}
    written["gap"]["history"] = list(history)
    return finished(settings(change), n_test=200, hypotheses=written, existed_before=existed_before)


@pytest.mark.parametrize(
    ("existed_before", "expected"),
    [
        ({}, "The 2 hypotheses that this run compares were all declared before its first run began."),
        (
            {"wide": [True]},
            "Of the 2 hypotheses that this run compares, 1 was declared before its first run began "
            "and 1 was added later (H2).",
        ),
        (
            {"wide": [True], "gap": [False, True]},
            "Of the 2 hypotheses that this run compares, none was declared before its first run began, 1 was added "
            "later (H2) and 1 was altered later (H1).",
        ),
    ],
)
def test_the_report_counts_and_names_what_was_not_declared_before_its_runs(existed_before, expected):
    assert declared.sentence(with_record(existed_before)) == f"{expected} @sec-declared says how this is known."


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("before its runs", "was declared before its first run began."),
        ("added later", "was added later (H1)."),
        ("altered later", "was altered later (H1)."),
    ],
)
def test_one_hypothesis_alone_is_spoken_of_as_one(status, expected):
    results = with_record({})
    results.hypotheses["declared"] = [status, None, None]
    start = "The one hypothesis that this run compares"
    assert declared.sentence(results) == f"{start} {expected} @sec-declared says how this is known."


def test_each_sentence_and_row_of_a_hypothesis_says_that_it_came_later():
    results = with_record({"wide": [True], "gap": [False, True]})
    assert re.match(r"\*\*H1, \w+; altered later\.\*\* \*cnn leads\\?\.\*", hypotheses.sentence(results, "gap"))
    assert re.match(r"\*\*H2, [\w ]+; added later\.\*\*", hypotheses.sentence(results, "wide"))
    assert re.match(r"\*\*H3, not run\.\*\*", hypotheses.sentence(results, "gone"))
    table = hypotheses.tables(results).replace(numbers.NBSP, " ")
    assert re.search(r"^\| H1: cnn leads\\?\. \*Altered later\.\* +\|", table, re.MULTILINE)
    assert re.search(r"^\| H3: kernel\\_1 leads\\?\. +\|", table, re.MULTILINE)
    unaltered = with_record({})
    assert "later" not in hypotheses.tables(unaltered) + hypotheses.sentence(unaltered, "gap")


def test_what_is_disclosed_is_listed_by_date_and_makes_the_hypothesis_late_whatever_the_record_says():
    history = [
        {"date": datetime.date(2026, 3, 4), "kind": "altered", "reason": "Its metric was another."},
        {"date": datetime.date(2026, 1, 2), "kind": "added", "reason": "Its family had none."},
    ]
    results = with_record({}, history)
    assert declared.note(results, "gap") == "added later"
    rows = [line for line in declared.history_table(results).splitlines() if "H1" in line]
    assert [re.findall(r"[^|]+", row.replace(" ", "")) for row in rows] == [
        ["Itsfamilyhadnone.", "H1", "added", "2026-01-02"],
        ["Itsmetricwasanother.", "H1", "altered", "2026-03-04"],
    ]
    assert declared.history_table(with_record({})) == ""


def test_a_run_without_a_hypothesis_about_its_variants_says_so():
    text = declared.sentence(finished(settings(three), n_test=200, hypotheses={}))
    assert text == "No hypothesis could be declared before these runs, since none is about their variants."

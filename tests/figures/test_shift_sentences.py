"""What the report says of shifts: how many were tried, and what agreement alone is worth."""

import dataclasses
from functools import cache

import pytest
from fake_results import finished, only, results_of, settings
from report_content import spaced

from stages.figures import shifts


@cache
def with_control(n_shifts=5):
    """A net, and the same one trained on random labels, each under so many of 25 shifts of an image."""

    def change(raw):
        only(raw, "cnn", "random_labels")
        raw["probe"]["shifts_of_image"] = n_shifts

    return finished(settings(change), n_test=200)


@pytest.mark.parametrize(
    ("n_shifts", "which"),
    [(5, "5 of the 25 shifts, drawn anew for each seed and alike for all variants"), (25, "all 25 shifts")],
)
def test_the_shifts_are_drawn_only_where_not_all_are_tried(n_shifts, which):
    text = spaced(shifts.probe_sentence(with_control(n_shifts)))
    assert text == f"Shifts of up to 2 pixels were probed on 200 test images, each under {which}."


@pytest.mark.parametrize(
    ("raw", "beyond", "expected"),
    [
        (0.67, 0.02, "agrees on 67.00 % of the pairs; its agreement beyond chance is 0.02."),
        (0.67, -0.012, "agrees on 67.00 % of the pairs; its agreement beyond chance is −0.01."),
        (
            1.0,
            None,
            "agrees on 100.00 % of the pairs; under some seed it gives all images one answer, which leaves nothing "
            "beyond chance.",
        ),
    ],
)
def test_a_net_that_knows_nothing_shows_what_agreement_is_worth(raw, beyond, expected):
    of_control = with_control().runs["variant"] == "random_labels"
    runs = with_control().runs.copy()
    runs.loc[of_control, "shift_consistency"] = raw
    runs.loc[of_control, "shift_consistency_beyond_chance"] = float("nan") if beyond is None else beyond
    text = spaced(shifts.chance_sentence(dataclasses.replace(with_control(), runs=runs)))
    assert text.endswith(expected)
    assert text.startswith("*")


def test_a_control_that_was_not_shifted_is_not_said_not_to_have_been_trained():
    runs = with_control().runs.assign(shift_consistency=float("nan"))
    text = shifts.chance_sentence(dataclasses.replace(with_control(), runs=runs))
    assert text == "No net trained on random labels was probed, so what agreement alone is worth is unknown."
    assert shifts.chance_sentence(results_of("three")) == text


def test_one_net_beside_a_control_has_nothing_to_be_compared_with():
    """A control that differs in its architecture alone, such as a linear model, is a net and no rival."""
    beside = finished(settings(lambda raw: only(raw, "cnn", "linear")), n_test=200)
    assert beside.nets == ["cnn", "linear"]
    assert shifts.sentence(beside) == ""

"""Means, t intervals and differences over seeds, against sums done by hand and against scipy.stats."""

import math

import numpy as np
import pytest
from scipy import stats

from stages.shared.inference import intervals
from stages.shared.inference.intervals import ABOVE, ALIKE, BELOW, NOT_STATED


def test_the_interval_of_four_values_by_hand():
    outcome = intervals.estimate([1, 2, 3, 4], 0.95)
    assert (outcome.n, outcome.mean) == (4, 2.5)
    assert outcome.sd == pytest.approx(math.sqrt(5 / 3))  # squares 2.25 + 0.25 + 0.25 + 2.25, over n − 1
    reach = 3.182446 * math.sqrt(5 / 3) / 2  # a printed table of Student's t: 3 degrees of freedom, two-sided 95 %
    assert (outcome.low, outcome.high) == pytest.approx((2.5 - reach, 2.5 + reach), abs=1e-6)


@pytest.mark.parametrize(("n", "confidence"), [(2, 0.95), (3, 0.5), (5, 0.9), (10, 0.99), (30, 0.95)])
def test_the_interval_is_the_one_of_scipy(n, confidence):
    values = np.random.default_rng(n).normal(0.9, 0.01, n)
    outcome = intervals.estimate(values, confidence)
    assert (outcome.low, outcome.high) == pytest.approx(
        stats.ttest_1samp(values, 0).confidence_interval(confidence), rel=1e-9
    )
    assert outcome.sd == pytest.approx(stats.tstd(values))


def test_one_value_has_a_mean_and_no_interval():
    outcome = intervals.estimate([0.9], 0.95)
    assert (outcome.n, outcome.mean) == (1, 0.9)
    assert all(math.isnan(value) for value in (outcome.sd, outcome.low, outcome.high))


def test_equal_values_have_an_interval_of_exactly_no_width_unless_they_are_means_over_images():
    outcome = intervals.estimate([0.1] * 3, 0.95)  # whose mean by summing is 0.10000000000000002
    assert (outcome.mean, outcome.sd, outcome.low, outcome.high) == (0.1, 0, 0.1, 0.1)
    outcome = intervals.estimate([1.0] * 10, 0.95, n_images=120)
    half = 2.262157 * math.sqrt(2) / 1200  # 0.0027, where the rule of three says 3/1200
    assert (outcome.low, outcome.high) == pytest.approx((1 - half, 1 + half))


def test_an_interval_whose_values_vary_is_the_same_for_means_over_images():
    values = np.random.default_rng(0).normal(0.9, 0.002, 10)
    assert intervals.estimate(values, 0.95, n_images=10_000) == intervals.estimate(values, 0.95)


def test_an_accuracy_has_no_interval_beyond_0_and_1():
    high, low = intervals.estimate([0.99, 1.0, 0.98], 0.95), intervals.estimate([0.0, 0.01, 0.0], 0.95)
    assert (high.high > 1, low.low < 0) == (True, True)
    assert (high.within(0, 1).high, low.within(0, 1).low) == (1, 0)
    assert high.within(0, 1).low == high.low
    assert math.isnan(intervals.estimate([0.9], 0.95).within(0, 1).low)


@pytest.mark.parametrize("values", [[], [0.9, math.nan, 0.8]])
def test_no_value_or_an_unknown_one_leaves_nothing_known(values):
    outcome = intervals.estimate(values, 0.95)
    assert outcome.n == len(values)
    assert all(math.isnan(value) for value in (outcome.mean, outcome.sd, outcome.low, outcome.high))


def test_a_paired_difference_is_over_the_seeds_that_both_have():
    difference = intervals.paired_difference({7: 0.9, 2: 0.5, 1: 0.0}, {2: 0.25, 7: 0.5, 3: 0.0}, 0.95)
    assert (difference.n, difference.mean) == (2, pytest.approx(0.325))
    assert intervals.paired_difference({0: 1.0}, {3: 1.0}, 0.95).n == 0


@pytest.mark.parametrize(
    ("low", "high", "n", "expected"),
    [
        (0.001, 0.002, 5, ABOVE),
        (-0.002, -0.001, 5, BELOW),
        (-0.001, 0.002, 5, ALIKE),
        (0.0, 0.002, 5, ALIKE),  # zero itself is inside
        (-0.002, 0.0, 5, ALIKE),
        (0.0, 0.0, 5, ALIKE),
        (0.001, 0.002, 4, NOT_STATED),
        (-0.001, 0.002, 4, NOT_STATED),
        (math.nan, math.nan, 5, NOT_STATED),
        (math.nan, math.nan, 1, NOT_STATED),
    ],
)
def test_a_direction_needs_enough_seeds_and_an_interval_beside_zero(low, high, n, expected):
    assert intervals.direction(low, high, n, min_seeds=5) == expected

"""The sign-flip test, adjusted p values and equivalence: by hand, and against scipy and statsmodels."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from stages.shared.inference import crossed, equivalence, multiplicity, sign_flip
from stages.shared.inference.standard_error import StandardError


def rng():
    return np.random.default_rng(0)


# --- sign-flip test


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([0.3], 1.0),
        ([1, 2, 3], 2 / 8),  # only + + + and − − − reach 6
        ([1, 2, -3], 1.0),  # a sum of zero is reached by every pattern
        ([3, 2, -1], 4 / 8),  # |Σ| = 4: ±(3 + 2 + 1), ±(3 + 2 − 1)
        # |Σ| = .3: ±.6 with any of ±.1 ± .2, and 0 (twice) with ±(.1 + .2), a tie but for rounding
        ([0.1, 0.2, 0.3, -0.3], 12 / 16),
        ([0, 0, 0], 1.0),
        ([0, 0, 5], 1.0),
        ([math.nan, 1.0, 2.0], math.nan),
    ],
)
def test_sign_flip_p_by_hand(differences, p):
    assert sign_flip.p_value(differences) == pytest.approx(p, abs=1e-15, nan_ok=True)


@settings(deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=11))
def test_sign_flip_p_counts_every_pattern(counts):
    sums = [
        abs(sum(sign * count for sign, count in zip(signs, counts, strict=True)))
        for signs in product([-1, 1], repeat=len(counts))
    ]
    expected = sum(total >= abs(sum(counts)) for total in sums) / len(sums)
    assert sign_flip.p_value([count / 1000 for count in counts]) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("n", [3, 5, 8, 10])
def test_sign_flip_p_is_that_of_scipy(n):
    for _ in range(5):
        differences = rng().normal(0.5, 1, n)
        of_scipy = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf)
        assert sign_flip.p_value(differences) == pytest.approx(of_scipy.pvalue, abs=1e-15)


def test_sign_flip_p_is_two_sided_and_blind_to_order_and_scale():
    differences = rng().normal(0.5, 1, 9)
    p = sign_flip.p_value(differences)
    assert [sign_flip.p_value(other) for other in (-differences, differences[::-1], 1e-6 * differences)] == [p] * 3


def test_the_smallest_p_is_that_of_seeds_that_all_agree():
    for n in (1, 2, 5, 10, 20, 31, sign_flip.MAX_SEEDS):
        assert sign_flip.p_value(np.arange(1, n + 1)) == 2 / 2**n


def test_the_halves_need_not_be_listed_for_forty_seeds_to_be_exact():
    ones = np.ones(sign_flip.MAX_SEEDS)
    ones[:12] = -1  # 28 of 40 improved by the same amount: the sign test
    assert sign_flip.p_value(ones) == pytest.approx(stats.binomtest(28, 40).pvalue, rel=1e-12)


@pytest.mark.parametrize("differences", [[], np.ones(sign_flip.MAX_SEEDS + 1), np.ones((2, 3))])
def test_sign_flip_refuses_other_numbers_of_seeds_than_it_can_count(differences):
    with pytest.raises(ValueError, match=f"1 to {sign_flip.MAX_SEEDS} seeds"):
        sign_flip.p_value(differences)


# --- several comparisons


def test_holm_by_hand():
    # in order .01 ×4, .02 ×3, .03 ×2 = .06 again, .4 ×1
    assert multiplicity.holm([0.03, 0.01, 0.4, 0.02]) == pytest.approx([0.06, 0.04, 0.4, 0.06])


def test_benjamini_hochberg_by_hand():
    # from the largest: .4 ×4/4; .03 ×4/3 = .04; .02 ×4/2 = .04; .01 ×4/1 = .04
    p_values = [0.03, 0.01, 0.4, 0.02]
    assert multiplicity.benjamini_hochberg(p_values) == pytest.approx([0.04, 0.04, 0.4, 0.04])


@pytest.mark.parametrize("method", ["holm", "fdr_bh"])
def test_adjusted_p_values_are_those_of_statsmodels(method):
    many = rng().uniform(size=30) ** 3
    adjust = multiplicity.holm if method == "holm" else multiplicity.benjamini_hochberg
    assert adjust(many) == pytest.approx(multipletests(many, method=method)[1])


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_the_step_down_rule_rejects(p_values):
    alpha, order, rejected = 0.05, np.argsort(p_values), set()
    for step, index in enumerate(order):
        if p_values[index] * (len(p_values) - step) > alpha:
            break
        rejected.add(int(index))
    assert {index for index, p in enumerate(multiplicity.holm(p_values)) if p <= alpha} == rejected


def test_one_test_needs_no_adjustment_and_none_gives_none():
    for adjust in (multiplicity.holm, multiplicity.benjamini_hochberg):
        assert adjust([0.03]).tolist() == [0.03]
        assert adjust([]).tolist() == []


@pytest.mark.parametrize("wrong", [1.2, -0.1, math.nan])
def test_a_p_value_outside_0_to_1_is_refused_by_its_value(wrong):
    with pytest.raises(ValueError, match=str(wrong)):
        multiplicity.holm([0.5, wrong])


# --- equivalence


def test_two_one_sided_tests_by_hand():
    # mean .2, se .1, 4 df: t = (.2 + .5)/.1 = 7 and (.5 − .2)/.1 = 3; P(T > 7) = .001096,
    # P(T > 3) = .019971; t(.95; 4) = 2.131847
    outcome = equivalence.two_one_sided_tests(0.2, [StandardError(0.1, 4)], 0.5, 0.05)
    assert (outcome.p_above_lower, outcome.p_below_upper) == pytest.approx((0.001096, 0.019971), abs=5e-7)
    assert outcome.p == outcome.p_below_upper
    assert (outcome.low, outcome.high) == pytest.approx((0.2 - 0.2131847, 0.2 + 0.2131847), abs=1e-7)


def test_two_one_sided_tests_over_seeds_are_those_of_statsmodels():
    generator = rng()
    for shift in (-0.9, 0.0, 0.4):
        one, other = generator.normal(shift, 1, 8), generator.normal(0, 1, 8)
        expected_by_library, (_, above, _), (_, below, _) = ttost_paired(one, other, -1, 1)
        squares = crossed.mean_squares((one - other)[:, None])
        outcome = equivalence.two_one_sided_tests(np.mean(one - other), crossed.seed_errors(squares), 1.0, 0.05)
        assert (outcome.p, outcome.p_above_lower, outcome.p_below_upper) == pytest.approx(
            (expected_by_library, above, below)
        )


@settings(deadline=None)
@given(st.floats(-2, 2), st.floats(0.01, 2), st.integers(1, 30), st.floats(0.1, 2))
def test_p_is_below_alpha_exactly_where_the_interval_lies_inside_the_margin(mean, error, dof, margin):
    outcome = equivalence.two_one_sided_tests(mean, [StandardError(error, dof)], margin, 0.05)
    if abs(outcome.p - 0.05) > 1e-9:
        assert (outcome.p < 0.05) == (outcome.low > -margin and outcome.high < margin)


def test_new_images_make_equivalence_harder_to_show():
    table = (rng().uniform(size=(5, 400)) < 0.05).astype(int) - (rng().uniform(size=400) < 0.05)
    squares = crossed.mean_squares(table)
    seeds, total = (
        equivalence.two_one_sided_tests(table.mean(), errors(squares), 0.02, 0.05)
        for errors in (crossed.seed_errors, crossed.total_errors)
    )
    assert total.p > seeds.p
    assert total.high - total.low > seeds.high - seeds.low


def test_equal_arms_are_equivalent_and_unknown_ones_are_not():
    same = equivalence.two_one_sided_tests(0.0, [StandardError(0.0, 4)], 0.005, 0.05)
    assert (same.p, same.low, same.high) == (0.0, 0.0, 0.0)
    assert math.isnan(equivalence.two_one_sided_tests(0.0, [StandardError(math.nan, math.nan)], 0.005, 0.05).p)


@pytest.mark.parametrize("margin", [0.0, -0.005, math.nan])
def test_equivalence_needs_a_margin(margin):
    with pytest.raises(ValueError, match=f"above 0, not {margin}"):
        equivalence.two_one_sided_tests(0.0, [StandardError(1.0, 4)], margin, 0.05)

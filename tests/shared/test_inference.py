"""Intervals, tests and verdicts on examples worked out by hand, and against scipy and statsmodels."""

import math
from dataclasses import asdict
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import ttost_paired

from stages.shared.inference import crossed, equivalence, multiplicity, power, sign_flip, verdict
from stages.shared.inference.comparison import compare
from stages.shared.inference.intervals import on_shared_seeds
from stages.shared.inference.standard_error import StandardError, reach, tail

# Two seeds, three images. Σ = 3, mean ½. Seeds' sums 2, 1; images' sums 2, 1, 0; Σ² / 6 = 1.5.
# SS_seed = (4 + 1)/3 − 1.5 = 1/6 (1 df), SS_image = (4 + 1)/2 − 1.5 = 1 (2 df),
# SS_int = (3 − 1.5) − 1/6 − 1 = 1/3 (2 df).
SMALL = np.array([[1, 1, 0], [1, 0, 0]])


def rng():
    return np.random.default_rng(0)


# --- standard errors


def test_reach_is_the_t_quantile_times_the_standard_error():
    assert reach([StandardError(2.0, 4)], 0.95) == pytest.approx(2 * 2.776445)  # t(.975; 4), from the tables


def test_reach_is_the_widest_interval_and_tail_the_largest_p():
    few, many = StandardError(1.0, 2), StandardError(1.1, 1000)
    assert reach([few, many], 0.95) == reach([few], 0.95) == pytest.approx(4.302653)
    assert tail(3.0, [many, few]) == tail(3.0, [few]) > tail(3.0, [many])


def test_a_standard_error_of_zero_is_certain_on_either_side_and_never_rejects_at_the_bound():
    exact = [StandardError(0.0, 4)]
    assert (tail(1e-9, exact), tail(0.0, exact), tail(-1e-9, exact), reach(exact, 0.95)) == (0.0, 1.0, 1.0, 0.0)


def test_what_is_unknown_makes_the_answer_unknown_in_any_order():
    known, unknown = StandardError(1.0, 4), StandardError(math.nan, math.nan)
    for errors in ([known, unknown], [unknown, known]):
        assert math.isnan(reach(errors, 0.95))
        assert math.isnan(tail(1.0, errors))


# --- crossed


def test_mean_squares_of_two_seeds_and_three_images():
    squares = crossed.mean_squares(SMALL)
    assert (squares.n_seeds, squares.n_images) == (2, 3)
    assert (squares.seed, squares.image, squares.interaction) == pytest.approx((1 / 6, 1 / 2, 1 / 6))


def test_mean_squares_are_those_of_an_analysis_of_variance():
    table = rng().integers(-1, 2, (4, 7))
    frame = pd.DataFrame([(s, i, table[s, i]) for s, i in np.ndindex(table.shape)], columns=["seed", "image", "value"])
    anova = anova_lm(ols("value ~ C(seed) + C(image)", frame).fit())
    squares = crossed.mean_squares(table)
    assert [squares.seed, squares.image, squares.interaction] == pytest.approx(anova["mean_sq"].tolist())


def test_the_variance_is_that_of_the_seeds_and_that_of_the_images_less_one_share_of_the_interaction():
    table = rng().integers(-1, 2, (4, 7)) + np.arange(7)  # images differ, so no component is below zero
    table[0] += 3
    rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    expected = table.mean(axis=1).var(ddof=1) / 4 + table.mean(axis=0).var(ddof=1) / 7 - (rest**2).sum() / (3 * 6) / 28
    assert crossed.total_errors(crossed.mean_squares(table))[0].value ** 2 == pytest.approx(expected)


def test_satterthwaite_degrees_of_freedom_by_hand():
    # MS 3, 4, 1 with 2, 3, 6 df: (3 + 4 − 1)² / (9/2 + 16/3 + 1/6) = 36 / 10; V = 6/12
    error = crossed.total_errors(crossed.MeanSquares(n_seeds=3, n_images=4, seed=3.0, image=4.0, interaction=1.0))[0]
    assert error == StandardError(pytest.approx(math.sqrt(0.5)), pytest.approx(3.6))


@pytest.mark.parametrize(
    ("seed", "image", "interaction", "variance", "dof"),
    [
        (3.0, 0.5, 1.0, 3.0, 2),  # images' component below zero: the seeds' mean square alone
        (0.5, 4.0, 1.0, 4.0, 3),  # seeds' component below zero: the images' alone
        (0.5, 0.7, 1.0, 0.7, 3),  # both below zero: the larger
        (0.0, 4.0, 0.0, 4.0, 3),  # nothing depends on the seed
        (0.0, 0.0, 0.0, 0.0, 2),  # everything is alike
    ],
)
def test_a_component_below_zero_counts_as_zero(seed, image, interaction, variance, dof):
    error = crossed.total_errors(crossed.MeanSquares(3, 4, seed, image, interaction))[0]
    assert error == StandardError(pytest.approx(math.sqrt(variance / 12)), pytest.approx(dof))


def test_variance_components_by_hand():
    # σ²_a = (6 − 2)/4, σ²_b = (8 − 2)/3, σ²_c = 2
    squares = crossed.MeanSquares(3, 4, 6.0, 8.0, 2.0)
    components = crossed.variance_components(squares)
    assert components == crossed.VarianceComponents(1.0, 2.0, 2.0)
    assert crossed.expected_mean_squares(components, 3, 4) == squares
    assert crossed.expected_mean_squares(components, 10, 100) == crossed.MeanSquares(10, 100, 102.0, 22.0, 2.0)
    assert crossed.variance_components(crossed.MeanSquares(3, 4, 1.0, 8.0, 2.0)).seed == 0.0


def test_more_seeds_never_remove_the_images_share():
    components = crossed.VarianceComponents(seed=1.0, image=4.0, interaction=9.0)
    error = crossed.total_errors(crossed.expected_mean_squares(components, 10**9, 100))[0]
    assert error.value == pytest.approx(math.sqrt(4.0 / 100), rel=1e-4)


def test_the_seed_interval_is_the_t_interval_of_the_seeds_means():
    outcome = crossed.seed_interval([[1, 1, 1], [1, 0, 0]], 0.95)
    # means 1 and 1/3: SD √2/3, standard error 1/3, t(.975; 1) = 12.7062
    assert (outcome.n, outcome.mean, outcome.sd) == (2, pytest.approx(2 / 3), pytest.approx(math.sqrt(2) / 3))
    assert (outcome.low, outcome.high) == pytest.approx((2 / 3 - 12.7062 / 3, 2 / 3 + 12.7062 / 3), rel=1e-5)


def test_the_total_interval_by_hand_where_images_vary_most():
    # Each image has its own value, seeds agree. One of ten images differs, by 1; two more are counted:
    # MS_image = 5·var(1, 0, …, 0) + 5·2/9 = 1/2 + 10/9, V = 29/18 / 50, 9 df
    outcome = crossed.total_interval([[1] + [0] * 9] * 5, 0.95)
    half = 2.262157 * math.sqrt(29 / 18 / 50)
    assert (outcome.low, outcome.high) == pytest.approx((0.1 - half, 0.1 + half), rel=1e-6)
    assert (outcome.mean, outcome.sd) == (0.1, 0.0)


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from([-1, 0, 1]), min_size=5, max_size=5), min_size=2, max_size=6))
def test_the_total_interval_is_never_narrower_than_the_seeds(table):
    seeds, total = crossed.seed_interval(table, 0.95), crossed.total_interval(table, 0.95)
    assert total.low <= seeds.low + 1e-12
    assert total.high >= seeds.high - 1e-12


def test_equal_answers_leave_what_so_few_seeds_and_images_cannot_exclude():
    # V = 2/(N (N − 1)) with N − 1 df for new images; √2/(nN) with n − 1 df for new seeds
    for table, t_images, t_seeds in (
        (np.zeros((3, 7)), 2.446912, 4.302653),
        (np.ones((3, 7)), 2.446912, 4.302653),
        (np.full((5, 3), -1), 4.302653, 2.776445),
    ):
        (n, n_images), mean = table.shape, table[0, 0]
        total, seeds = crossed.total_interval(table, 0.95), crossed.seed_interval(table, 0.95)
        assert (total.mean, total.sd) == (seeds.mean, seeds.sd) == (mean, 0.0)
        assert total.high - mean == pytest.approx(t_images * math.sqrt(2 / n_images / (n_images - 1)), rel=1e-6)
        assert seeds.high - mean == pytest.approx(t_seeds * math.sqrt(2) / (n * n_images), rel=1e-6)


@settings(deadline=None)
@given(st.integers(2, 12), st.integers(2, 60), st.integers(0, 60))
def test_one_seed_has_the_variance_of_bonett_and_price_but_for_their_shrinking(n, n_images, n_unlike):
    """Of f₁₂ and f₂₁ discordant pairs among N: ((f₁₂ + 1) + (f₂₁ + 1)) / N² less the square of the mean, over N − 1."""
    values = np.zeros(n_images)
    values[: min(n_unlike, (n_images - 1) // 2)] = 1
    squares = crossed.guarded(np.tile(values, (n, 1)))
    k, mean = values.sum(), values.mean()
    assert squares.image / n == pytest.approx((k + 2 - n_images * mean**2) / (n_images - 1))


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (1, 1)])
def test_one_seed_or_one_image_has_no_total_interval(shape):
    outcome = crossed.total_interval(np.arange(shape[0] * shape[1]).reshape(shape), 0.95)
    assert math.isnan(outcome.low)
    assert math.isnan(outcome.high)
    assert outcome.mean == (shape[0] * shape[1] - 1) / 2


@pytest.mark.parametrize("values", [[], [[]], [1, 0, 1], np.zeros((2, 2, 2))])
def test_what_is_not_seeds_by_images_is_refused_with_its_shape(values):
    with pytest.raises(ValueError, match="have shape") as refused:
        crossed.mean_squares(values)
    assert str(np.shape(values)) in str(refused.value)


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


# --- verdicts


def judged(low, high, p, equivalence_p, n=10, **one_sided):
    options = {"smallest_effect": 0.5, "alpha": 0.05, "min_seeds": 8} | one_sided
    outcome = verdict.verdict(low, high, p, equivalence_p, n, **options)
    return outcome.name, outcome.reason


@pytest.mark.parametrize(
    ("low", "high", "p", "equivalence_p", "name", "reason"),
    [
        (0.6, 1.4, 0.01, 0.9, verdict.BETTER, verdict.BEYOND),
        (-1.4, -0.6, 0.01, 0.9, verdict.WORSE, verdict.BEYOND),
        (0.2, 1.4, 0.01, 0.9, verdict.BETTER, verdict.OPEN_SIZE),
        (-1.4, -0.2, 0.01, 0.9, verdict.WORSE, verdict.OPEN_SIZE),
        (0.5, 1.4, 0.01, 0.9, verdict.BETTER, verdict.OPEN_SIZE),  # at the margin is not beyond it
        (0.1, 0.3, 0.01, 0.01, verdict.EQUIVALENT, verdict.NEGLIGIBLE),
        (-0.3, -0.1, 0.01, 0.01, verdict.EQUIVALENT, verdict.NEGLIGIBLE),
        (-0.1, 0.3, 0.40, 0.01, verdict.EQUIVALENT, verdict.ALIKE),
        (-0.1, 0.3, 0.01, 0.01, verdict.EQUIVALENT, verdict.ALIKE),  # significant on these images alone
        (0.1, 0.3, 0.40, 0.01, verdict.EQUIVALENT, verdict.ALIKE),  # interval alone
        (-0.2, 1.4, 0.01, 0.40, verdict.INCONCLUSIVE, verdict.THESE_IMAGES),
        (0.2, 1.4, 0.06, 0.40, verdict.INCONCLUSIVE, verdict.FEW_SEEDS),
        (-1.4, -0.2, 0.06, 0.40, verdict.INCONCLUSIVE, verdict.FEW_SEEDS),
        (-0.2, 1.4, 0.06, 0.40, verdict.INCONCLUSIVE, verdict.NEITHER),
        (0.0, 1.4, 0.01, 0.40, verdict.INCONCLUSIVE, verdict.THESE_IMAGES),  # an interval that touches zero holds it
        # alpha itself is significant, above it is not equivalent
        (0.2, 1.4, 0.05, 0.06, verdict.BETTER, verdict.OPEN_SIZE),
        (0.2, 1.4, 0.05, 0.05, verdict.EQUIVALENT, verdict.NEGLIGIBLE),
        (0.0, 0.0, 1.00, 0.00, verdict.EQUIVALENT, verdict.ALIKE),  # the same answers in every run
    ],
)
def test_every_cell_of_the_decision_table(low, high, p, equivalence_p, name, reason):
    assert judged(low, high, p, equivalence_p) == (name, reason)


@pytest.mark.parametrize(
    ("low", "high", "p", "equivalence_p", "bounded_p", "name"),
    [
        (-1.4, 0.3, 0.40, 0.40, 0.01, verdict.NO_BETTER),  # it may be worse
        (-1.4, 0.3, 0.40, 0.40, 0.06, verdict.INCONCLUSIVE),
        (-1.4, -0.6, 0.01, 0.40, 0.01, verdict.WORSE),  # says more
        (0.1, 0.48, 0.01, 0.06, 0.04, verdict.NO_BETTER),  # above zero, but by less than matters
        (0.1, 0.9, 0.01, 0.40, 0.40, verdict.BETTER),
        (-0.3, 0.3, 0.40, 0.01, 0.01, verdict.EQUIVALENT),
        (-1.4, 0.3, 0.40, 0.40, math.nan, verdict.INCONCLUSIVE),
    ],
)
def test_a_one_sided_claim_is_judged_on_its_side_alone(low, high, p, equivalence_p, bounded_p, name):
    one_side = judged(low, high, p, equivalence_p, bounded_p=bounded_p, direction="not_above")
    assert one_side[0] == name
    mirrored = judged(-high, -low, p, equivalence_p, bounded_p=bounded_p, direction="not_below")
    assert mirrored == (verdict.MIRRORED.get(name, name), one_side[1])
    assert (
        judged(low, high, p, equivalence_p, bounded_p=bounded_p, direction="alike")[0] not in verdict.BOUNDED.values()
    )


def test_what_each_verdict_makes_of_a_one_sided_claim():
    of_not_above = {name: words.outcomes["not_above"] for name, words in verdict.WORDS.items()}
    assert [name for name, outcome in of_not_above.items() if outcome == "supported"] == [
        verdict.WORSE,
        verdict.EQUIVALENT,
        verdict.NO_BETTER,
    ]
    assert [name for name, outcome in of_not_above.items() if outcome == "contradicted"] == [verdict.BETTER]
    for name, words in verdict.WORDS.items():
        mirrored = verdict.WORDS[verdict.MIRRORED.get(name, name)].outcomes
        for one, other in (("above", "below"), ("not_above", "not_below"), ("alike", "alike")):
            assert words.outcomes[one] == mirrored[other]


def test_too_few_seeds_state_nothing_whatever_the_numbers():
    for numbers in ((0.6, 1.4, 0.01, 0.9), (-0.1, 0.1, 1.0, 0.0), (math.nan,) * 4):
        assert judged(*numbers, n=7) == (verdict.NOT_STATED, "7 of the 8 seeds that a verdict needs")
    assert judged(0.6, 1.4, 0.01, 0.9, n=8)[0] == verdict.BETTER


@pytest.mark.parametrize("unknown", range(4))
def test_an_unknown_number_states_nothing(unknown):
    numbers = [0.6, 1.4, 0.01, 0.9]
    numbers[unknown] = math.nan
    assert judged(*numbers) == (verdict.NOT_STATED, verdict.UNKNOWN)


@settings(deadline=None)
@given(st.floats(-2, 2), st.floats(0, 2), st.floats(0, 1), st.floats(0, 1))
def test_turning_the_sign_swaps_better_and_worse_alone(mean, half, p, equivalence_p):
    name, reason = judged(mean - half, mean + half, p, equivalence_p)
    swapped = {verdict.BETTER: verdict.WORSE, verdict.WORSE: verdict.BETTER}.get(name, name)
    assert judged(-mean - half, -mean + half, p, equivalence_p) == (swapped, reason)


# --- comparisons

ARM = {7: [1, 1, 1, 0], 3: [1, 1, 0, 0]}
REFERENCE = {3: [0, 1, 0, 0], 7: [1, 1, 0, 0]}  # differences of seed 3: 1 0 0 0, of seed 7: 0 0 1 0


def test_a_comparison_by_hand():
    outcome = compare((ARM, REFERENCE), confidence=0.95, smallest_effect=0.6, alpha=0.05)
    assert (outcome.n_seeds, outcome.n_images) == (2, 4)
    assert (outcome.mean, outcome.reference_mean, outcome.difference) == (0.625, 0.375, 0.25)
    assert (outcome.sd, outcome.reference_sd, outcome.difference_sd) == pytest.approx(
        (math.sqrt(1 / 32), math.sqrt(1 / 32), 0.0)
    )
    # The seeds agree: their standard error is √2/(nN), with 1 df. MS_image = 2·var(½, 0, ½, 0) + 2·2·(½ + 2)/4/3
    # = 1/6 + 5/6; MS_int = ((2 − ½) − ½)/3 = 1/3 is above MS_seed = 2/8, so V = 1/8 with 3 df, and a narrower interval.
    seeds, crossed_half = math.sqrt(2) / 8, math.sqrt(1 / 8)
    for low, high in ((outcome.low, outcome.high), (outcome.total_low, outcome.total_high)):
        assert (low, high) == pytest.approx((0.25 - 12.706205 * seeds, 0.25 + 12.706205 * seeds))
    ends = outcome.equivalence_low, outcome.equivalence_high
    assert ends == pytest.approx((0.25 - 6.313752 * seeds, 0.25 + 6.313752 * seeds))
    assert outcome.equivalence_p == outcome.not_above_p == pytest.approx(stats.t.sf(0.35 / crossed_half, 3))
    assert outcome.not_below_p == pytest.approx(stats.t.sf(0.85 / seeds, 1))
    assert (outcome.p, outcome.improved) == (0.5, 1.0)


def test_swapping_the_arms_turns_the_signs_alone():
    generator = rng()
    arm, other = ({seed: generator.uniform(size=50) < 0.8 for seed in range(4)} for _ in range(2))
    chosen = {"confidence": 0.9, "smallest_effect": 0.05, "alpha": 0.05}
    one, two = compare((arm, other), **chosen), compare((other, arm), **chosen)
    assert (one.difference, one.low, one.total_low, one.equivalence_low) == pytest.approx(
        (-two.difference, -two.high, -two.total_high, -two.equivalence_high)
    )
    assert (one.p, one.equivalence_p, one.mean) == pytest.approx((two.p, two.equivalence_p, two.reference_mean))


def test_bytes_and_booleans_are_subtracted_as_numbers():
    for kind in (np.uint8, bool):
        arms = [{0: np.array(values, dtype=kind)} for values in ([0, 1], [1, 0])]
        variant, reference = on_shared_seeds(*arms)
        assert (variant - reference).tolist() == [[-1.0, 1.0]]


def test_one_seed_is_compared_without_any_statement_of_chance():
    outcome = compare(({0: [1, 1, 0]}, {0: [1, 0, 0]}), confidence=0.95, smallest_effect=0.005, alpha=0.05)
    assert (outcome.difference, outcome.improved, outcome.p) == (pytest.approx(1 / 3), 1.0, 1.0)
    known = {"n_seeds", "n_images", "mean", "reference_mean", "difference", "improved", "p"}
    assert {name for name, value in asdict(outcome).items() if not math.isnan(value)} == known


def test_a_seed_without_a_change_has_not_improved():
    arm, other = {0: [1, 0], 1: [1, 1], 2: [0, 0], 3: [1, 1]}, {0: [1, 0], 1: [0, 1], 2: [1, 1], 3: [0, 0]}
    assert compare((arm, other), confidence=0.95, smallest_effect=0.1, alpha=0.05).improved == 0.5


def test_arms_are_paired_on_the_seeds_that_all_have_in_ascending_order():
    third = {7: [0, 0, 0, 0], 3: [1, 1, 1, 1], 9: [1, 1, 1, 1]}
    variant, reference, other = on_shared_seeds(ARM, REFERENCE, third)
    assert (variant - reference).tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]  # seeds 3 and 7
    assert other.tolist() == [[1, 1, 1, 1], [0, 0, 0, 0]]
    assert on_shared_seeds({2: 0.5, 0: 0.25}, {0: 1.0, 5: 1.0})[0].tolist() == [[0.25]]


def test_arms_without_a_shared_seed_or_with_other_images_are_not_compared():
    assert [table.shape for table in on_shared_seeds({0: [1, 0]}, {1: [1, 0]})] == [(0, 1), (0, 1)]
    with pytest.raises(ValueError, match="at least one of each"):
        compare(({0: [1, 0]}, {1: [1, 0]}), confidence=0.95, smallest_effect=0.1, alpha=0.05)
    with pytest.raises(ValueError, match=r"\[1, 4\] images"):  # numpy alone would stretch the one to four
        on_shared_seeds(ARM, {3: [1], 7: [1]})


def test_an_interaction_is_the_difference_of_the_gaps():
    # gaps of seed 3: 1 0 0 0 and 0 0 0 0; of seed 7: 0 0 1 0 and −1 0 0 0
    permuted = {3: [1, 0, 0, 0], 7: [0, 0, 1, 0]}, {3: [1, 0, 0, 0], 7: [1, 0, 1, 0]}
    outcome = compare((ARM, REFERENCE, *permuted), confidence=0.95, smallest_effect=0.1, alpha=0.05)
    assert (outcome.mean, outcome.reference_mean, outcome.difference) == (0.25, -0.125, 0.375)  # per seed ¼ and ½
    assert outcome.difference_sd == pytest.approx(math.sqrt(1 / 32))
    half = 12.7062 * math.sqrt(2) / 8  # of two of all 2 · 4 answers, which is more than the SD's √(1/32)/√2
    assert (outcome.low, outcome.high) == pytest.approx((0.375 - half, 0.375 + half), rel=1e-5)
    values = np.array([[1, 0, 0, 0], [1, 0, 1, 0]])
    total = crossed.total_interval(values, 0.95)
    assert (outcome.total_low, outcome.total_high) == (total.low, total.high)


def test_gaps_that_are_alike_do_not_interact():
    outcome = compare((ARM, REFERENCE, ARM, REFERENCE), confidence=0.95, smallest_effect=0.1, alpha=0.05)
    assert (outcome.difference, outcome.total_high) == (0.0, pytest.approx(12.7062 * math.sqrt(2) / 8, rel=1e-5))
    assert (outcome.p, outcome.equivalence_p) == (1.0, pytest.approx(stats.t.sf(0.1 / math.sqrt(2 / 12), 3)))


# --- power


@pytest.mark.parametrize("n", [3, 5, 10, 30])
@pytest.mark.parametrize("effect", [0.2, 0.5, 1.0])
def test_power_is_that_of_statsmodels(n, effect):
    expected_by_library = TTestPower().power(effect, n, 0.05, alternative="two-sided")
    error = StandardError(1 / math.sqrt(n), n - 1)
    assert power.t_power(effect, [error], 0.05) == pytest.approx(expected_by_library, rel=1e-6)


def test_an_effect_of_zero_is_found_with_probability_alpha_and_a_huge_one_always():
    error = [StandardError(0.1, 4)]
    assert power.t_power(0.0, error, 0.05) == pytest.approx(0.05)
    assert power.t_power(1e4, error, 0.05) == pytest.approx(1.0)
    assert power.t_power(-0.3, error, 0.05) == pytest.approx(power.t_power(0.3, error, 0.05))
    assert power.t_power(0.1, [StandardError(0.0, 4)], 0.05) == 1.0
    assert power.t_power(0.0, [StandardError(0.0, 4)], 0.05) == 0.0


@pytest.mark.parametrize(("dof", "alpha"), [(1, 0.05), (4, 0.002), (57.3, 0.05), (9999, 0.002)])
def test_the_smallest_detectable_effect_has_the_power_asked_for(dof, alpha):
    error = [StandardError(0.002, dof)]
    effect = power.smallest_detectable_effect(error, alpha, 0.8)
    assert power.t_power(effect, error, alpha) == pytest.approx(0.8, abs=1e-6)


def test_many_degrees_of_freedom_give_the_textbook_sum_of_two_normal_quantiles():
    effect = power.smallest_detectable_effect([StandardError(1.0, 1e6)], 0.05, 0.8)
    assert effect == pytest.approx(1.959964 + 0.841621, abs=1e-4)


def test_several_standard_errors_are_planned_for_the_worst():
    few, many = StandardError(1.0, 2), StandardError(1.1, 1000)
    assert power.t_power(4.0, [few, many], 0.05) == power.t_power(4.0, [few], 0.05) < power.t_power(4.0, [many], 0.05)
    smallest = [power.smallest_detectable_effect(errors, 0.05, 0.8) for errors in ([many, few], [few])]
    assert smallest[0] == smallest[1]


@pytest.mark.parametrize("wanted", [0.05, 0.01, 1.0])
def test_a_power_that_no_effect_has_is_refused(wanted):
    with pytest.raises(ValueError, match=f"not at {wanted}"):
        power.smallest_detectable_effect([StandardError(1.0, 4)], 0.05, wanted)

"""Standard errors and intervals over seeds and images: by hand, and against statsmodels."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from stages.shared.inference import crossed
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

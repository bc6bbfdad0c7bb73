"""Two arms compared seed by seed, and the power of such a comparison: by hand, and against statsmodels."""

import math
from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from stages.shared.inference import crossed, power
from stages.shared.inference.comparison import compare
from stages.shared.inference.intervals import on_shared_seeds
from stages.shared.inference.standard_error import StandardError


def rng():
    return np.random.default_rng(0)


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

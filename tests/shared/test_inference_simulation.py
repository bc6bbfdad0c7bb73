"""What the intervals, tests and powers promise, held against simulated experiments whose truth is known.

Every rate is a share of `repeats` seeded experiments. Its Monte-Carlo standard error is √(q (1 − q) / repeats), q
being the rate that is claimed; a claim is refused at SIGMAS = 4 of them, which chance alone would do once in 16,000
(two-sided).
The seeds are fixed, so a test that passes passes always; the 4 keep it so should numpy's streams change.

Binary answers come from a latent model of seeds × images: a net of arm k, seed s, is right on image i if

    easiness + shift_k + a_ks + b_i + o_ki + e_ski > 0,   all normal; SDs: seed_sd, 2, own_sd, 1

Image i is hard for both arms through b, for one through o; e is the seed's own noise on it. Over new seeds and images
arm k is right with probability Φ((easiness + shift_k) / √(1 + seed_sd² + 2² + own_sd²)), about .90 here.
"""

import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import norm, t

from stages.shared.inference import crossed, multiplicity, power, sign_flip
from stages.shared.inference.comparison import compare
from stages.shared.inference.equivalence import two_one_sided_tests
from stages.shared.inference.intervals import estimate
from stages.shared.inference.standard_error import reach
from stages.shared.inference.verdict import BETTER, WORSE, verdict

pytestmark = pytest.mark.slow

SIGMAS = 4
EASINESS, SHARED_SD = 3.0, 2.0
TYPICAL = {"seed_sd": 0.04, "own_sd": 0.7}  # accuracies .90 with an SD over seeds of about .003 on a fixed test set


def slack(rate, repeats):
    return SIGMAS * math.sqrt(rate * (1 - rate) / repeats)


def images(generator, n_images, arms, own_sd):
    """How easy each image is for each arm, (arms, images)."""
    shared = SHARED_SD * generator.standard_normal(n_images, dtype=np.float32)
    return EASINESS + shared + own_sd * generator.standard_normal((arms, n_images), dtype=np.float32)


def answers(generator, easiness, n_seeds, seed_sd):
    """Correctness of one arm, (seeds, images)."""
    latent = generator.standard_normal((n_seeds, easiness.size), dtype=np.float32)
    latent += easiness
    latent += seed_sd * generator.standard_normal((n_seeds, 1), dtype=np.float32)
    return latent > 0


def experiment(generator, n_seeds, n_images, shifts, seed_sd, own_sd):
    """New images and new seeds: correctness of each arm, (seeds, images), as numbers."""
    easiness = images(generator, n_images, len(shifts), own_sd)
    return [
        answers(generator, easy + shift, n_seeds, seed_sd).astype(float)
        for easy, shift in zip(easiness, shifts, strict=True)
    ]


def accuracy(shift, seed_sd, own_sd):
    return norm.cdf((EASINESS + shift) / math.sqrt(1 + seed_sd**2 + SHARED_SD**2 + own_sd**2))


def covers(interval, truth):
    return interval.low <= truth <= interval.high


def by_seed(table):
    return dict(enumerate(table))


def drawn_squares(generator, expected, repeats):
    """Mean squares and mean of normal tables, without the tables: scaled χ² and a normal, all independent."""
    n, n_images = expected.n_seeds, expected.n_images
    sizes = [(expected.seed, n - 1), (expected.image, n_images - 1), (expected.interaction, (n - 1) * (n_images - 1))]
    columns = [mean * generator.chisquare(dof, repeats) / dof for mean, dof in sizes]
    spread = math.sqrt((expected.seed + expected.image - expected.interaction) / (n * n_images))
    means = spread * generator.standard_normal(repeats)
    return [(crossed.MeanSquares(n, n_images, *row), mean) for *row, mean in zip(*columns, means, strict=True)]


# --- intervals


@pytest.mark.parametrize("n_seeds", [5, 10])
def test_the_seed_interval_covers_what_holds_for_its_test_set(n_seeds):
    generator, repeats, seed_sd = np.random.default_rng(1), 2000, 0.04
    easiness = images(generator, 300, 2, own_sd=0.7)
    easiness[0] += 0.1
    one, other = norm.cdf(easiness / math.sqrt(1 + seed_sd**2))
    truth, covered = np.mean(one - other), 0
    for _ in range(repeats):
        correct = [answers(generator, easy, n_seeds, seed_sd).astype(float) for easy in easiness]
        covered += covers(crossed.seed_interval(correct[0] - correct[1], 0.95), truth)
    assert covered / repeats == pytest.approx(0.95, abs=slack(0.95, repeats))


@pytest.mark.parametrize(("n_seeds", "n_images"), [(5, 300), (5, 1000), (10, 500)])
def test_the_total_interval_covers_the_population_and_the_seed_interval_does_not(n_seeds, n_images):
    generator, repeats = np.random.default_rng(2), 2000
    truth = accuracy(0.1, **TYPICAL) - accuracy(0.0, **TYPICAL)
    total = seeds = arm = 0
    for _ in range(repeats):
        one, other = experiment(generator, n_seeds, n_images, (0.1, 0.0), **TYPICAL)
        total += covers(crossed.total_interval(one - other, 0.95), truth)
        seeds += covers(crossed.seed_interval(one - other, 0.95), truth)
        arm += covers(crossed.total_interval(one, 0.95), accuracy(0.1, **TYPICAL))
    # The wider of two intervals may cover more than it promises, but not much more.
    for covered in (total, arm):
        assert 0.95 - slack(0.95, repeats) <= covered / repeats < 0.985
    assert seeds / repeats < 0.95 - slack(0.95, repeats)


@pytest.mark.parametrize(("seed", "image", "interaction_"), [(0.04, 0.3, 1.0), (0.1, 0.1, 0.0), (0.0, 1.0, 0.5)])
def test_the_variance_is_unbiased(seed, image, interaction_):
    # Components so large that one below zero is rare; without the last term the first would come out 7/6 as large.
    generator, repeats, n, n_images = np.random.default_rng(3), 3000, 10, 50
    collected = []
    for _ in range(repeats):
        table = math.sqrt(seed) * generator.standard_normal((n, 1)) + math.sqrt(image) * generator.standard_normal(
            n_images
        )
        table = table + math.sqrt(interaction_) * generator.standard_normal((n, n_images))
        squares = crossed.mean_squares(table)
        collected.append((squares.seed + squares.image - squares.interaction) / (n * n_images))
    truth = seed / n + image / n_images + interaction_ / (n * n_images)
    assert np.mean(collected) == pytest.approx(truth, abs=SIGMAS * np.std(collected) / math.sqrt(repeats))


# σ²_a, σ²_b, σ²_c of a difference in correctness: SDs over seeds are .01, .003 and .0003 without the answers' noise.
SHARES = {"seeds vary most": (1e-4, 0.01, 0.05), "alike": (1e-5, 0.01, 0.05), "images vary most": (1e-7, 0.02, 0.05)}


@pytest.mark.parametrize("shares", SHARES)
@pytest.mark.parametrize("n_seeds", [3, 5, 10])
def test_of_four_rules_for_the_total_interval_the_chosen_one_never_covers_too_little(n_seeds, shares):
    generator, repeats = np.random.default_rng(4), 4000
    expected = crossed.expected_mean_squares(crossed.VarianceComponents(*SHARES[shares]), n_seeds, 2000)
    covered = dict.fromkeys(("chosen", "satterthwaite", "seeds' t", "normal"), 0)
    t_quantile = t.ppf(0.975, n_seeds - 1)
    for squares, mean in drawn_squares(generator, expected, repeats):
        errors = crossed.total_errors(squares)
        halves = {
            "chosen": reach(errors, 0.95),
            "satterthwaite": reach(errors[:1], 0.95),
            "seeds' t": errors[0].value * t_quantile,
            "normal": errors[0].value * 1.96,
        }
        for rule, half in halves.items():
            covered[rule] += abs(mean) <= half
    rates = {rule: count / repeats for rule, count in covered.items()}
    assert rates["chosen"] >= 0.95 - slack(0.95, repeats)
    if n_seeds == 3 and shares == "seeds vary most":
        assert rates["satterthwaite"] < 0.95 - slack(0.95, repeats)
    if n_seeds < 10 and shares == "images vary most":
        assert rates["seeds' t"] > 0.985 > rates["chosen"]
    if n_seeds < 10 and shares == "seeds vary most":
        assert rates["normal"] < 0.95 - slack(0.95, repeats)


@pytest.mark.parametrize("n_seeds", [5, 10])
def test_typical_intervals_are_wider_by_less_than_a_hundredth_for_the_two_images_more(n_seeds):
    generator = np.random.default_rng(14)
    for shifts in ((0.1, 0.0), (0.0, 0.0)):
        one, other = experiment(generator, n_seeds, 2000, shifts, **TYPICAL)
        for table in (one - other, one):
            plain, guarded = (
                reach(crossed.total_errors(of(table)), 0.95) for of in (crossed.mean_squares, crossed.guarded)
            )
            assert 1 <= guarded / plain < 1.01
            seeds = crossed.seed_interval(table, 0.95)
            assert seeds == estimate(table.mean(axis=1), 0.95)


# How many images, or answers, differ on average; in one direction alone, or in either as often.
@pytest.mark.parametrize("in_one_direction", [True, False])
@pytest.mark.parametrize("expected", [0.3, 1.0, 3.0, 8.0])
def test_few_discordant_images_or_none_leave_an_interval_that_covers_and_the_plain_one_does_not(
    expected, in_one_direction
):
    generator, repeats, n_seeds, n_images = np.random.default_rng(15), 600, 5, 200
    covered = dict.fromkeys(("guarded", "plain", "new seeds"), 0)
    for _ in range(repeats):
        signs = 1 if in_one_direction else generator.choice([-1, 1], n_images)
        images = (generator.random(n_images) < expected / n_images) * signs
        truth = expected / n_images if in_one_direction else 0
        table = np.tile(images, (n_seeds, 1))  # the arms differ on the image under every seed
        for name, squares in {"guarded": crossed.guarded, "plain": crossed.mean_squares}.items():
            covered[name] += abs(table.mean() - truth) <= reach(crossed.total_errors(squares(table)), 0.95)
        answers = generator.random((n_seeds, n_images)) < expected / (n_seeds * n_images)
        covered["new seeds"] += covers(crossed.seed_interval(answers, 0.95), expected / (n_seeds * n_images))
    assert covered["guarded"] / repeats >= 0.95 - slack(0.95, repeats)
    assert covered["new seeds"] / repeats >= 0.95 - slack(0.95, repeats)
    if in_one_direction and expected <= 3:
        assert covered["plain"] / repeats < 0.9


def test_the_total_interval_covers_other_training_subsets_only_where_each_seed_draws_its_own():
    """SDs of 0.2 points over seeds, of 0.27 over subsets, of 10 over images (0.1 of the mean of 10,000).

    Of ten seeds the mean over seeds, subsets and images has an SD of √((0.2² + 0.27²)/10 + 0.1²) = 0.15 points if each
    seed draws its own subset. If all share one, it has √(0.2²/10 + 0.27² + 0.1²) = 0.29, but the seeds show only
    √(0.2²/10 + 0.1²) = 0.12 of it: where ± 0.12 t, t being about 2.3, should cover 95 %, it covers about 64 %.
    """
    generator, repeats, n_seeds, n_images = np.random.default_rng(16), 4000, 10, 10_000
    seed, subset, image, interaction = 0.002**2, 0.0027**2, 0.1**2, 0.05
    rates = {}
    for name, over_seeds, shared in (("own", seed + subset, 0.0), ("one for all", seed, math.sqrt(subset))):
        components = crossed.VarianceComponents(over_seeds, image, interaction)
        expected = crossed.expected_mean_squares(components, n_seeds, n_images)
        offsets = shared * generator.standard_normal(repeats)
        drawn = zip(drawn_squares(generator, expected, repeats), offsets, strict=True)
        misses = [abs(mean + offset) > reach(crossed.total_errors(squares), 0.95) for (squares, mean), offset in drawn]
        rates[name] = 1 - np.mean(misses)
    assert 0.95 - slack(0.95, repeats) <= rates["own"] < 0.975
    assert rates["one for all"] == pytest.approx(0.64, abs=0.03)


def test_the_total_interval_of_an_interaction_covers_it():
    generator, repeats, shifts = np.random.default_rng(5), 1000, (0.2, 0.0, 0.05, 0.0)
    truth = np.dot([1, -1, -1, 1], [accuracy(shift, **TYPICAL) for shift in shifts])
    covered = 0
    for _ in range(repeats):
        a, b, c, d = (by_seed(arm) for arm in experiment(generator, 5, 300, shifts, **TYPICAL))
        outcome = compare((a, b, c, d), confidence=0.95, smallest_effect=0.005, alpha=0.05)
        covered += outcome.total_low <= truth <= outcome.total_high
    assert 0.95 - slack(0.95, repeats) <= covered / repeats < 0.99


@pytest.mark.parametrize(("n_seeds", "rate"), [(3, 0.75), (5, 0.84), (10, 0.90)])
def test_a_percentile_bootstrap_over_few_seeds_covers_too_little(n_seeds, rate):
    # Why there is none here. At three seeds the lowest resampled mean has probability 1/27 > .025, so the interval runs
    # from the lowest to the highest value and misses when all lie on one side: 2/2³. The rates at 5 and 10 are rounded
    # to .01.
    generator, repeats = np.random.default_rng(6), 2000
    values = generator.standard_normal((repeats, n_seeds))
    resamples = generator.integers(n_seeds, size=(2000, n_seeds))
    if n_seeds == 3:
        resamples = np.array(list(product(range(3), repeat=3)))
    counts = np.array([np.bincount(row, minlength=n_seeds) for row in resamples])
    low, high = np.quantile(values @ counts.T / n_seeds, [0.025, 0.975], axis=1, method="inverted_cdf")
    rounding = 0 if n_seeds == 3 else 0.005
    assert np.mean((low <= 0) & (high >= 0)) == pytest.approx(rate, abs=slack(rate, repeats) + rounding)
    assert np.mean([covers(estimate(row, 0.95), 0) for row in values]) == pytest.approx(0.95, abs=slack(0.95, repeats))


# --- tests and verdicts


def test_two_runs_of_the_same_arm_differ_no_more_often_than_alpha_and_never_with_five_seeds():
    generator, repeats = np.random.default_rng(7), 2000
    collected = {5: [], 10: []}
    for _ in range(repeats):
        easy = images(generator, 300, 1, own_sd=0.0)[0]
        one, other = (answers(generator, easy, 10, seed_sd=0.04).mean(axis=1) for _ in range(2))
        for n, p_values in collected.items():
            p_values.append(sign_flip.p_value(one[:n] - other[:n]))
    assert np.mean(np.array(collected[10]) <= 0.05) <= 0.05 + slack(0.05, repeats)
    assert min(collected[5]) == 0.0625
    assert min(collected[10]) == pytest.approx(0.002, abs=0.0001)


def test_without_ties_the_sign_flip_test_rejects_as_often_as_its_steps_allow():
    generator, repeats = np.random.default_rng(8), 4000
    p_values = np.array([sign_flip.p_value(row) for row in generator.standard_normal((repeats, 10))])
    for alpha, patterns in ((0.05, 50), (0.01, 10), (0.002, 2)):  # of 1024
        assert np.mean(p_values <= alpha) == pytest.approx(patterns / 1024, abs=slack(alpha, repeats))


def test_a_verdict_holds_for_other_images_where_the_sign_flip_test_alone_does_not():
    # The arms are equally good over all images, but each finds other images easy, so on one test set they do differ.
    generator, repeats = np.random.default_rng(9), 1000
    significant = stated = 0
    for _ in range(repeats):
        one, other = (by_seed(arm) for arm in experiment(generator, 10, 500, (0.0, 0.0), **TYPICAL))
        outcome = compare((one, other), confidence=0.95, smallest_effect=0.005, alpha=0.05)
        numbers = outcome.total_low, outcome.total_high, outcome.p, outcome.equivalence_p, outcome.n_seeds
        name = verdict(*numbers, smallest_effect=0.005, alpha=0.05, min_seeds=8).name
        significant += outcome.p <= 0.05
        stated += name in (BETTER, WORSE)
    assert significant / repeats > 0.05 + slack(0.05, repeats)
    assert stated / repeats <= 0.05 + slack(0.05, repeats)


@pytest.mark.parametrize("true_effects", [0, 3])
def test_holm_errs_in_a_family_no_more_often_than_alpha(true_effects):
    # Eight variants against one baseline, which the differences share, as in the report.
    generator, repeats, n, variants = np.random.default_rng(10), 1500, 10, 8
    raw = adjusted = 0
    for _ in range(repeats):
        arms = generator.standard_normal((variants, n))
        arms[:true_effects] += 3
        p_values = np.array([sign_flip.p_value(arm) for arm in arms - generator.standard_normal(n)])
        raw += (p_values[true_effects:] <= 0.05).any()
        adjusted += (multiplicity.holm(p_values)[true_effects:] <= 0.05).any()
    assert adjusted / repeats <= 0.05 + slack(0.05, repeats)
    assert raw / repeats > 0.05 + slack(0.05, repeats)


@pytest.mark.parametrize("errors", [crossed.seed_errors, crossed.total_errors])
@pytest.mark.parametrize("n_seeds", [5, 10])
def test_an_effect_as_large_as_the_margin_is_called_equivalent_no_more_often_than_alpha(n_seeds, errors):
    generator, repeats, margin = np.random.default_rng(11), 4000, 0.01
    # Small enough beside the margin that only one side can be at fault: the rate is alpha itself where the errors fit.
    components = crossed.VarianceComponents(4e-6, 0.0 if errors is crossed.seed_errors else 0.02, 0.05)
    expected = crossed.expected_mean_squares(components, n_seeds, 5000)
    drawn = drawn_squares(generator, expected, repeats)
    share = np.mean(
        [two_one_sided_tests(margin + mean, errors(squares), margin, 0.05).p <= 0.05 for squares, mean in drawn]
    )
    caution = 0.01 if errors is crossed.total_errors else 0  # of the wider interval
    assert 0.05 - slack(0.05, repeats) - caution <= share <= 0.05 + slack(0.05, repeats)


# --- power


@pytest.mark.parametrize(("n_seeds", "effect"), [(3, 1.0), (5, 0.5), (10, 0.5), (10, 1.0)])
def test_the_power_over_seeds_is_the_share_of_intervals_that_leave_zero_out(n_seeds, effect):
    generator, repeats = np.random.default_rng(12), 4000
    squares = crossed.MeanSquares(n_seeds, 1, 1.0, math.nan, math.nan)
    promised = power.t_power(effect, crossed.seed_errors(squares), 0.05)
    experiments = effect + generator.standard_normal((repeats, n_seeds))
    share = np.mean([not covers(estimate(row, 0.95), 0) for row in experiments])
    assert share == pytest.approx(promised, abs=slack(promised, repeats))


@pytest.mark.parametrize("shares", SHARES)
@pytest.mark.parametrize("n_seeds", [5, 10])
def test_the_smallest_detectable_effect_is_detected_as_often_as_promised(n_seeds, shares):
    generator, repeats = np.random.default_rng(13), 4000
    expected = crossed.expected_mean_squares(crossed.VarianceComponents(*SHARES[shares]), n_seeds, 10000)
    effect = power.smallest_detectable_effect(crossed.total_errors(expected), 0.05, 0.8)
    drawn = drawn_squares(generator, expected, repeats)
    share = np.mean([abs(effect + mean) > reach(crossed.total_errors(squares), 0.95) for squares, mean in drawn])
    # The degrees of freedom vary, and the wider of two intervals counts: up to .03 less than promised.
    assert 0.8 - 0.03 - slack(0.8, repeats) <= share <= 0.8 + slack(0.8, repeats)

"""A published number as a claim: each verdict by hand, and an interval that covers what it should."""

import math

import numpy as np
import pytest

from stages.shared.inference.replication import PublishedNumber, replicate

# Four seeds at mean ± 0.003 have the SD 0.003·√(4/3) = 0.0034641, so that our mean has the standard error 0.0017321
# and its distance from a published mean of one seed 0.0034641·√(1/4 + 1) = 0.0038730. Student's t with three degrees
# of freedom is 2.3534 at 0.95 and 3.1824 at 0.975: our mean's interval reaches 0.0055122 to either side.
SPREAD = 0.003 * np.array([[-1], [1], [-1], [1]])


def judged(mean, published, margin=0.009, seeds=1, other_images=None, min_seeds=4):
    number = PublishedNumber(published, margin, seeds, other_images)
    return replicate(mean + SPREAD, number, confidence=0.95, alpha=0.05, min_seeds=min_seeds)


@pytest.mark.parametrize("turn", [1, -1], ids=["as written", "both signs turned"])
@pytest.mark.parametrize(
    ("mean", "published", "margin", "seeds", "verdict"),
    [
        (0.021, 0.020, 0.0102, 1, "reproduced"),  # 0.001 + 2.3534 · 0.0038730 = 0.0101147
        (0.021, 0.020, 0.0100, 1, "undecided"),
        (0.021, 0.020, 0.0051, None, "reproduced"),  # taken as exact: 0.001 + 2.3534 · 0.0017321 = 0.0050763
        (0.021, 0.020, 0.0050, None, "undecided"),
        (0.0108, 0.020, 0.009, 1, "smaller"),  # 0.0092 / 0.0038730 = 2.3754
        (0.0110, 0.020, 0.009, 1, "undecided"),  # 0.0090 / 0.0038730 = 2.3238
        (0.0110, 0.020, 0.009, 4, "smaller"),  # 0.0090 / (0.0034641 · √(1/4 + 1/4)) = 3.6742
        (0.0292, 0.020, 0.009, 1, "larger"),
        (0.0290, 0.020, 0.009, 1, "undecided"),
        (-0.0056, 0.020, 0.009, 1, "opposite"),  # −0.0056 + 0.0055122 is below zero
        (-0.0054, 0.020, 0.009, 1, "smaller"),
        (-0.0056, 0.001, 0.100, 1, "opposite"),  # though it is within the margin
        (0.0292, 0.020, 0.100, 1, "reproduced"),  # though it is larger
    ],
)
def test_each_verdict_by_hand(mean, published, margin, seeds, verdict, turn):
    assert judged(turn * mean, turn * published, margin, seeds).verdict == verdict


def test_a_published_zero_has_no_other_side():
    assert judged(-0.02, 0.0).verdict == judged(0.02, 0.0).verdict == "larger"
    assert judged(0.001, 0.0, margin=0.02).verdict == "reproduced"


def test_the_numbers_beside_the_verdict_by_hand():
    result = judged(0.012, 0.02)
    assert (result.n_seeds, result.mean) == (4, pytest.approx(0.012))
    assert (result.low, result.high) == pytest.approx((0.012 - 0.0055122, 0.012 + 0.0055122), abs=1e-7)
    reach = 3.1824463 * 0.0038730
    assert (result.deviation_low, result.deviation_high) == pytest.approx((-0.008 - reach, -0.008 + reach), abs=1e-7)


@pytest.mark.parametrize(
    ("values", "published", "share"),
    [
        ([0.01, 0.02, -0.01, 0.03], 0.5, 0.75),
        ([0.01, 0.02, -0.01, 0.03], -0.5, 0.25),
        ([0.0, 0.02, 0.01, 0.03], 0.5, 0.75),  # no difference has no sign
    ],
)
def test_how_often_one_seed_alone_has_the_published_sign(values, published, share):
    table, number = np.array(values)[:, None], PublishedNumber(published, 0.01, 1, None)
    assert replicate(table, number, confidence=0.95, alpha=0.05, min_seeds=2).agreeing_seeds == share


def test_too_few_seeds_have_no_verdict_but_their_numbers():
    result = judged(0.02, 0.02, min_seeds=5)
    assert (result.verdict, result.mean) == ("not stated", pytest.approx(0.02))


@pytest.mark.parametrize("other_images", [None, 50], ids=["the same images", "other images"])
def test_the_interval_of_ours_minus_the_published_number_covers_no_difference_where_there_is_none(other_images):
    """Nets of the same kind, ten here and one there, on 300 images: seeds and images both matter."""
    rng, n, n_images, covered, trials = np.random.default_rng(0), 10, 300, 0, 400
    for _ in range(trials):
        images = rng.normal(0, 0.3, n_images)
        there = images if other_images is None else rng.normal(0, 0.3, other_images)
        ours = rng.normal(0, 0.01, (n, 1)) + images + rng.normal(0, 0.3, (n, n_images))
        number = rng.normal(0, 0.01) + float((there + rng.normal(0, 0.3, len(there))).mean())
        published = PublishedNumber(number, 0.05, 1, other_images)
        result = replicate(ours, published, confidence=0.95, alpha=0.05, min_seeds=2)
        covered += result.deviation_low <= 0 <= result.deviation_high
    slack = 3 * math.sqrt(0.95 * 0.05 / trials)  # three Monte-Carlo standard errors
    assert covered / trials >= 0.95 - slack

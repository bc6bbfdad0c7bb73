"""Which verdict an interval and its p values lead to."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.shared.inference import verdict


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

"""The sentences and sections that the report computes: right and grammatical for every outcome and kind of run."""

import dataclasses
import math
import re

import pytest
from fake_results import RUNS, finished, only, reached, results_of, settings
from report_content import spaced

from stages.figures import (
    accuracy,
    costs,
    families,
    learning_rates,
    replication,
    shifts,
    topics,
    training_data,
    wording,
)
from stages.shared.inference import intervals


@pytest.mark.parametrize(
    ("wanted", "accuracies", "size"),
    [
        (0.85, [0.5, 0.8, 0.9], 100 * 10**0.5),  # half way on the logarithm is √(100 · 1000)
        (0.8, [0.5, 0.8, 0.9], 100),
        (0.85, [0.91, 0.9, 0.8], 100 * 10**0.5),  # falling
        (0.95, [0.5, 0.8, 0.9], math.nan),
    ],
)
def test_the_size_at_an_accuracy_by_hand(wanted, accuracies, size):
    assert training_data.size_at(wanted, [10, 100, 1000], accuracies) == pytest.approx(size, nan_ok=True)


SIZED = ("cnn", "cnn_1000", "fully_connected", "fully_connected_1000")


@pytest.mark.parametrize(
    ("accuracies", "before", "after"),
    [
        # 1500 / √(1000 · 1500) = √1.5, in every seed.
        ((0.9, 0.8, 0.85, 0.7), "needs about 1.22k images for", ": 1.2 [1.2, 1.2] times fewer."),
        ((0.9, 0.8, 0.75, 0.7), "is above", " with 1,000 images already."),
        ((0.9, 0.8, 0.95, 0.7), "stays below", " at every number of images tried."),
    ],
)
def test_the_ratio_of_sizes_for_every_outcome(accuracies, before, after):
    results, mlp = reached(3, **dict(zip(SIZED, accuracies, strict=True))), f"{100 * accuracies[2]:.2f}"
    ends = ", ".join(f"{100 * accuracies[2] + half:.2f}" for half in (-1.01, 1.01))  # ± 4.303 · √2/600
    goal = f"what the MLP reaches with 1,500 images ({mlp} % [{ends}])"
    assert spaced(training_data.sizes_sentence(results)) == f"The CNN {before} {goal}{after}"


RATED = ("cnn", "cnn_lr_0_01", "fully_connected", "fully_connected_lr_0_01")  # at 0.003 and 0.01 each
USUAL = "These are the rates that the nets have in the rest of this report."


@pytest.mark.parametrize(
    ("accuracies", "reached_at", "rest"),
    [
        (
            (0.9, 0.8, 0.75, 0.7),
            "the CNN reaches 90.00 % test accuracy (at 0.003) and the MLP reaches 75.00 % test accuracy (at 0.003).",
            f"{USUAL} If all nets have one rate, the order is the same at each of the 2 rates that they share.",
        ),
        (
            (0.9, 0.8, 0.85, 0.95),
            "the MLP reaches 95.00 % test accuracy (at 0.01) and the CNN reaches 90.00 % test accuracy (at 0.003).",
            "The MLP has another rate elsewhere in this report. "
            "With the rates that are used there, the nets are in another order.",
        ),
        (
            (0.9, 0.8, 0.85, 0.82),
            "the CNN reaches 90.00 % test accuracy (at 0.003) and the MLP reaches 85.00 % test accuracy (at 0.003).",
            f"{USUAL} If all nets have one rate, their order by mean accuracy is different at 0.01.",
        ),
    ],
)
def test_the_order_at_each_nets_best_learning_rate(accuracies, reached_at, rest):
    text = spaced(learning_rates.sentence(reached(1, **dict(zip(RATED, accuracies, strict=True)))))
    start = "With the learning rate that is best for it on the validation images,"
    edges = "For the CNN and the MLP it is the lowest or the highest that was tried; a better one may lie beyond."
    assert text.startswith(f"{start} {reached_at} {edges} {rest}")


def test_a_best_rate_inside_its_grid_is_told_from_one_at_its_edge():
    rates = ("cnn", "cnn_lr_0_001", "cnn_lr_0_01", "fully_connected", "fully_connected_lr_0_001")
    inside = spaced(learning_rates.sentence(reached(1, **dict(zip(rates, (0.9, 0.8, 0.8, 0.7, 0.6), strict=True)))))
    assert "For the MLP it is the lowest or the highest that was tried; a better one may lie beyond." in inside
    rates += ("fully_connected_lr_0_01",)
    both = spaced(learning_rates.sentence(reached(1, **dict(zip(rates, (0.9, 0.8, 0.8, 0.7, 0.6, 0.6), strict=True)))))
    assert "Each of these rates lies inside those that were tried for its net." in both


def test_what_else_differs_names_what_moves_and_what_misses_its_match():
    """With 32×32 pixels and ten classes: 16·(k² + 1) + 32·(16·k² + 1) in the layers, and 32·64·10 + 10 behind them."""
    results = results_of("default")
    section = spaced(costs.what_else_differs(results, "kernel_matched"))
    assert re.search(r"Levels that should have the same parameters agree to within [01]\.\d %\.", section)
    assert [16 * (k * k + 1) + 32 * (16 * k * k + 1) + 20_490 for k in (1, 3, 7)] == [21_066, 25_290, 46_410]
    moving = "Besides the choice itself, the levels differ in parameters from 21.1k to 46.4k, multiply"
    assert moving in spaced(costs.what_else_differs(results, "kernel"))
    larger = results.variants["parameters"].where(results.variants.index != "kernel_5_matched", 30_000)
    missing = dataclasses.replace(results, variants=results.variants.assign(parameters=larger))
    deviation = costs.deviations(missing, "kernel_matched")["kernel_5_matched", "parameters"]
    assert deviation == pytest.approx(30_000 / 25_290 - 1)
    expected = "*Kernel size, matched: 5×5* misses its match: parameters 18.6 % more than *CNN (baseline)*."
    assert expected in spaced(costs.what_else_differs(missing, "kernel_matched"))


def test_a_replication_sets_each_claim_beside_its_verdict():
    results = results_of("replication")
    text = spaced(replication.section(results))
    assert re.search(r"^\| CNN \(baseline\) +\| +91\.50 \| [^|]+\| +1\.00 \| +– \|$", text, re.MULTILINE)
    assert re.search(r"^\| CNN \(baseline\) +\| +about 91 %, the best \|$", text, re.MULTILINE)
    assert text.count("421,642") == 2  # published and counted in closed form
    order = r"By mean accuracy, the highest first, the nets are .*: (the same|not the) order (as|that was) published\."
    assert re.search(order, text)
    claims = [hypothesis for hypothesis in results.declared.values() if hypothesis.family == "replication"]
    assert len(re.findall(r"^- \*\*H\d+, no verdict\.\*\*", text, re.MULTILINE)) == len(claims)
    assert "Published: +2.62 points (of 1 seed); here: " in text
    assert "No verdict: 3 of the 10 seeds that a verdict needs. One seed alone would have the published sign in" in text
    protocols = "`protocol: replication` or `protocol: lenet` or `protocol: one_layer` in `params.yaml`"
    assert protocols in replication.section(results_of("default"))
    nothing = "No variant of `params.yaml` has published numbers to compare with.\n"
    assert replication.section(results_of("three")) == nothing


def test_the_shift_sentence_names_all_who_share_an_end():
    results = results_of("three")
    assert re.fullmatch(
        r"Among the 3 nets that differ in their architecture and its learning rate alone, and not in their images, "
        r"predictions agree most often over shifts of the image for \*.+\* "
        r"\([\d.]+ % \[.+\] of the pairs of shifts\) and least often for \*.+\* \(.+\)\.",
        spaced(shifts.sentence(results)),
    )
    tied = dataclasses.replace(results, variants=results.variants.assign(shift_consistency_mean=[0.9, 0.8, 0.8]))
    both = "least often for *Kernel size: 5×5* and *Connectivity: fully connected* (80.00 %)."
    assert spaced(shifts.sentence(tied)).endswith(both)
    equal = dataclasses.replace(results, variants=results.variants.assign(shift_consistency_mean=0.9))
    assert spaced(shifts.sentence(equal)).endswith(" images, the mean shift consistency is the same, 90.00 %.")


NONE = "0.00 points [0.00, 0.00], with new images [−0.03, 0.03]"  # ± t · √2/10,000
OF_TWO = "Of the 2 variants that are compared with it,"


@pytest.mark.parametrize(
    ("n", "accuracies", "directions"),
    [
        (5, (0.9,), "No variant but the baseline ran."),
        (5, (0.9, 0.8), "The one variant that is compared with it is below the baseline in test accuracy."),
        (3, (0.9, 0.9), "With 3 seeds, fewer than the 5 that a direction asks for, none is stated."),
        (5, (0.9, 0.9, 0.8), f"{OF_TWO} 1 is below and 1 is not distinguishable from the baseline in test accuracy."),
        (5, (0.8, 0.9, 0.9), "All 2 variants that are compared with it are above the baseline in test accuracy."),
    ],
)
def test_the_count_of_directions_for_every_outcome(n, accuracies, directions):
    results = reached(n, **dict(zip(("cnn", "kernel_5", "kernel_7"), accuracies, strict=False)))
    assert accuracy.directions_count(results) == directions


def test_where_only_some_variants_have_seeds_for_a_direction_that_is_said():
    def change(raw):
        only(raw, "cnn", "kernel_5", "depth_4")
        raw["protocols"]["default"] |= {"seeds": [0, 1, 2, 3, 4], "few_seeds": [0, 1, 2], "longer": None}

    assert wording.why_no_direction(finished(settings(change), n_test=200)) == (
        "Some variants have fewer than the 5 seeds that a direction asks for; for them, none is stated."
    )


def test_controls_are_no_variants_in_any_count():
    results = reached(5, cnn=0.9, kernel_5=0.8, cnn_again=0.95, linear=0.95)
    assert accuracy.directions_count(results).startswith("The one variant that is compared with it is below the base")
    assert accuracy.in_forest(results) == ["kernel_5"]
    facts = topics.facts(results)
    assert (facts["variants"], facts["forest_shown"]) == ("2 variants and 2 controls", "Every variant is shown.")
    assert topics.facts(results_of("three"))["variants"] == "3 variants"


@pytest.mark.parametrize(
    ("n", "again", "expected"),
    [
        (
            10,
            0.9,
            f"Its accuracy minus the baseline's is {NONE}; adjusted p: 1.000 of the sign-flip test of a difference,",
        ),
        (5, 0.89, "with new images [−1.20, −0.80], without a verdict: 5 of the 10 seeds that a verdict needs."),
    ],
)
def test_the_baseline_is_compared_with_itself_under_seeds_of_its_own(n, again, expected):
    """One point, on one image in a hundred of 10,000, has the standard error √(.01 · .99 / 10,000): 0.0995 points."""
    text = spaced(topics.facts(reached(n, n_test=10_000, cnn=0.9, cnn_again=again))["aa"])
    assert text.startswith(
        "The baseline was trained again with seeds of its own. Its accuracy minus the baseline's is "
    )
    assert expected in text
    assert n < 10 or text.endswith(" <0.001 of the two one-sided tests of equivalence. The verdict is equivalent.")


SENTENCES = "aa aa_rates adjusted_together best_against_baseline calibration_sentence confused"
SENTENCES += " confusion_difference_sentence fewest_seeds pairing"
SENTENCES += " converged detectable directions directions_count equivariance_sentence field_growth_sentence gap"
SENTENCES += " field_sentence hard_sentence hypotheses_tally ladder maps_sentence noise permutation"
SENTENCES += " position_agreement_sentence position_sentence recipe shift_probe shift_sentence sizes verdicts"


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in RUNS if name != "sixty"])  # whose sentences are those of the default
def test_the_same_facts_exist_whatever_ran_and_each_says_something(name):
    facts = topics.facts(results_of(name))
    assert facts.keys() == topics.facts(results_of("default")).keys()
    for key, text in facts.items():
        assert text.strip(), key
        assert not re.search(r"\bnan\b|None|–|\{|  |\.\.", text), f"{key}: {text}"
        assert text.count("[") == text.count("]")
    for key in SENTENCES.split():
        assert re.fullmatch(r"[A-Z*].*\.", facts[key]), facts[key]


def test_facts_by_hand():
    never_right = topics.facts(results_of("a class never right"))
    assert never_right["confused"].startswith("The baseline's commonest mistake: of the test images of *")
    assert (never_right["test_size"], never_right["probe_images"]) == ("8", "8")
    assert never_right["shift_probe"] == (
        "Shifts of up to 2 pixels were probed on 8 test images, each under 5 of the 25 shifts, drawn anew for each "
        "seed and alike for all variants."
    )
    assert topics.facts(results_of("perfect"))["confused"] == "The baseline makes no mistake on the test set."
    signal = topics.facts(results_of("signal"))
    assert (signal["image_size"], signal["canvas_size"], signal["n_classes"]) == ("1×64", "1×68", "2")
    assert topics.facts(results_of("100 classes, RGB"))["channels"] == "colour"
    assert shifts.facts(results_of("no margin"))["shift_sentence"] == "There is no shift consistency to compare."


def test_without_a_margin_nothing_is_said_of_shifts():
    assert "shift" not in families.numbers_chapter(results_of("no margin"))
    assert "in shift consistency" in families.numbers_chapter(results_of("three"))


def test_a_section_states_each_level_and_why_no_direction_is_stated():
    text = spaced(families.numbers_chapter(results_of("one seed")))
    level = r"^- \*\*5×5\*\* (differs from|shows no mean difference from) 3×3 in test accuracy.*\. It (differs|shows) "
    assert re.search(level, text, re.MULTILINE)
    assert "at 90.50 % test accuracy. With 1 seed, fewer than the 5 that a direction asks for, none is stated." in text
    assert "Each dot is the one seed; the dashed line is 3×3." in families.chapter(results_of("one seed"))


def test_a_comparison_takes_its_words_from_the_direction():
    results = results_of("default")
    for low, high, direction in ((0.1, 0.2, intervals.ABOVE), (-0.2, -0.1, intervals.BELOW), (-1, 1, intervals.ALIKE)):
        difference = intervals.Estimate(5, (low + high) / 2, 0.1, low, high)
        assert wording.compared(results, "A", "B", difference, "in depth").startswith(f"A is {direction} B in depth: ")


def test_a_list_is_joined():
    assert [wording.joined(list(letters)) for letters in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]

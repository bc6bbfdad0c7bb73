"""The sentences and sections that the report computes: right and grammatical for every outcome and kind of run."""

import dataclasses
import math
import re

import pytest
from fake_results import RUNS, reached, results_of
from report_content import spaced

from stages.figures import (
    accuracy,
    costs,
    families,
    hypotheses,
    ladder,
    learning_rates,
    replication,
    shifts,
    topics,
    training_data,
    wording,
)
from stages.shared.drawing.tables import escape
from stages.shared.inference import intervals
from stages.shared.params import Contrast

FOUR = ("cnn", "fully_connected", "cnn_permuted", "fully_connected_permuted")


UP = "+5.00 points [5.00, 5.00], with new images [4.57, 5.43]"
DOWN = "−5.00 points [−5.00, −5.00], with new images [−5.43, −4.57]"
NONE = "0.00 points [0.00, 0.00], with new images [−0.03, 0.03]"  # ± t · √2/10,000


@pytest.mark.parametrize(
    ("n", "cnn", "mlp", "expected"),
    [
        (10, 0.9, 0.85, f"is better than the MLP in test accuracy: {UP}"),
        (10, 0.85, 0.9, f"is worse than the MLP in test accuracy: {DOWN}"),
        (10, 0.9, 0.9, f"is equivalent to the MLP in test accuracy: {NONE}"),
        (5, 0.9, 0.85, f"differs from the MLP in test accuracy by {UP.replace('[5.00, 5.00]', '[4.99, 5.01]')}"),
        (1, 0.85, 0.9, "differs from the MLP in test accuracy by −5.00 points"),
    ],
)
def test_the_gap_for_every_verdict(n, cnn, mlp, expected):
    """Of 10,000 images the differences, which all seeds share, are 5 % or none.

    The images' standard error of 500 is 0.218 points, and Satterthwaite's degrees of freedom are those of the images:
    5 points have the interval ± 1.96 · 0.218. Over n seeds that are all alike it is ± t · √2/(10,000 n).
    """
    half = {10: 0.003, 5: 0.008}.get(n)
    ends = [f" [{100 * mean - half:.2f}, {100 * mean + half:.2f}]" if half else "" for mean in (cnn, mlp)]
    means = [f"{100 * mean:.2f} %{end}" for mean, end in zip((cnn, mlp), ends, strict=True)]
    text = spaced(ladder.gap(reached(n, n_test=10_000, cnn=cnn, fully_connected=mlp)))
    assert text == f"On Fashion-MNIST, the CNN {expected} ({means[0]} against {means[1]})."


def test_an_inconclusive_comparison_says_so():
    """Five seeds at +1 point and five at −0.6: a mean of +0.2, whose interval holds half a point and zero."""
    results = reached(10, cnn=[0.91] * 5 + [0.894] * 5, fully_connected=0.9, n_test=1000)
    assert results.hypotheses.loc["gap_original", "outcome"] == "undecided"
    neither = "the CNN is neither shown to differ from, nor to be equivalent to, the MLP"
    assert f"{neither} in test accuracy: +0.20 points [" in spaced(ladder.gap(results))


@pytest.mark.parametrize(
    ("local", "permuted", "locality", "sharing", "more"),
    [
        (0.88, 0.86, ("+2.00", "0.00", "+2.00", "buys"), ("+2.00", "0.00", "+2.00", "buys"), "both buy as much"),
        (0.89, 0.86, ("+3.00", "0.00", "+3.00", "buys"), ("+1.00", "0.00", "+1.00", "buys"), "locality buys more"),
        (0.88, 0.89, ("+2.00", "+3.00", "−1.00", "costs"), ("+2.00", "−3.00", "+5.00", "buys"), "sharing buys more"),
    ],
)
def test_the_rungs_of_the_ladder_net_of_their_control(local, permuted, locality, sharing, more):
    """From the MLP, at 0.86, over the locally connected net to the CNN at 0.9; permuted, MLP and CNN are at 0.86."""
    means = {"cnn": 0.9, "fully_connected": 0.86, "locally_connected": local, "cnn_permuted": 0.86}
    means |= {"fully_connected_permuted": 0.86, "locally_connected_permuted": permuted}
    text = spaced(ladder.ladder(reached(10, n_test=20_000, **means)))
    steps = {
        "locality": ("locally connected net", "MLP", locality),
        "sharing": ("CNN", "locally connected net", sharing),
    }
    for key, (net, other, (step, control, difference, buys)) in steps.items():
        in_words = f"the {net} minus the {other} is {step} points, and {control} points on permuted pixels"
        start = f"In accuracy, {in_words}, where {key} cannot help. The difference of the two is "
        assert f"{start}{difference} points [" in text
        assert f": {key} {buys} accuracy." in text
    assert re.search(rf"\. Locality's part minus sharing's is .*: {more}\.$", text)


def test_a_control_that_is_not_the_permuted_twins_is_named():
    """As of someone who takes another step off: no word of permuted pixels."""
    results = results_of("default")
    other = Contrast(variant="cnn", reference="kernel_1")
    contrast = Contrast(variant="locally_connected", reference="fully_connected", minus=other)
    declared = results.declared | {"locality": results.declared["locality"].model_copy(update={"contrast": contrast})}
    text = spaced(ladder.ladder(dataclasses.replace(results, declared=declared))).split(" In accuracy, the CNN minus")[
        0
    ]
    assert "points from *Kernel size: 1×1* to *CNN (baseline)*, which it is compared with." in text
    assert "permuted" not in text


def test_the_ladder_of_a_contrast_without_control():
    """As a hypothesis of an older file has it."""
    results = results_of("default")
    plain = Contrast(variant="locally_connected", reference="fully_connected")
    declared = results.declared | {"locality": results.declared["locality"].model_copy(update={"contrast": plain})}
    text = spaced(ladder.ladder(dataclasses.replace(results, declared=declared)))
    assert text.startswith("The locally connected net is ")


@pytest.mark.parametrize(
    ("n", "permuted", "expected"),
    [
        (10, 0.84, "is +6.00 points [6.00, 6.00], with new images"),  # the lead falls from 5 to −1
        (10, 0.9, f"is {NONE}: the permutation leaves it as it is."),
        (1, 0.9, "is 0.00 points."),
    ],
)
def test_the_permutation_for_every_outcome(n, permuted, expected):
    accuracies = dict(zip(FOUR, (0.9, 0.85, permuted, 0.85), strict=True))
    text = spaced(ladder.permutation(reached(n, n_test=10_000, **accuracies)))
    assert text.startswith("With the pixels permuted, the CNN ")
    assert f"The lead on original pixels minus the lead on permuted ones {expected}" in text


def test_the_change_of_the_lead_is_paired_by_seed():
    """Leads of 5, 6 and 7, and of 1, 2 and 3 points by seed: the change is 4 in each. ± 4.303 · √2/30,000 is left."""
    cnn, permuted = [0.90, 0.91, 0.92], [0.81, 0.82, 0.83]
    results = reached(3, 10_000, cnn=cnn, fully_connected=0.85, cnn_permuted=permuted, fully_connected_permuted=0.8)
    assert results.contrast("permutation_takes_the_lead") == pytest.approx([0.04, 0.04, 0.04])
    assert "is +4.00 points [3.98, 4.02], with new images" in spaced(ladder.permutation(results))


def test_few_seeds_state_no_verdict_and_say_why():
    results = results_of("quick")
    why = hypotheses.facts(results)["verdicts"]
    assert why.startswith("With 3 seeds, fewer than the 10 that a verdict asks for, none is stated: so few could not ")
    assert ", no verdict.**" in families.chapter(results)
    table, section = hypotheses.tables(results), families.numbers_chapter(results)
    assert "No verdict: 3 of the 10 seeds that a verdict needs." in table
    assert not re.search(r"\. So (better|worse|equivalent|inconclusive):", spaced(table))
    assert not re.search(r"; (better|worse|equivalent|inconclusive)\.", section)


def test_every_declared_hypothesis_is_stated_with_its_outcome():
    results = results_of("default")
    text = spaced(hypotheses.tables(results))
    for key, hypothesis in results.declared.items():
        statement, outcome = re.escape(escape(hypothesis.statement)), results.hypotheses.loc[key, "outcome"]
        row = rf"^\| {results.number(key)}: {statement}( \*\w+ later\.\*)? +\|.*\| +{outcome} \|$"
        assert re.search(row, text, re.MULTILINE), key
    left_out = "A variant that it needs was left out, or has no such metric."
    assert hypotheses.sentence(results, "lab_larger_hurts").endswith(left_out)
    locality, row = spaced(hypotheses.sentence(results, "locality")), results.hypotheses.loc["locality"]
    assert locality.startswith(f"**H1, {row['outcome']}; altered later.** *Seeing neighbouring pixels together")
    assert f"So {row['verdict']}: {row['reason']}." in locality
    small = r"[<.\d]+ of the two one-sided tests of one within ±0\.50 points\. So"
    assert re.search(rf"; adjusted p: [<.\d]+ of the sign-flip test of a difference, {small}", locality)
    no_better, as_good = (
        hypotheses.sentence(results, key) for key in ("kernel_5_no_better", "stride_as_good_when_pooled")
    )
    assert " of the one-sided test of one below +0.50 points." in spaced(no_better)
    assert " of the one-sided test of one above −0.50 points." in spaced(as_good)
    position = spaced(hypotheses.sentence(results, "zeros_leak_position"))
    assert "Measured, in how well position can be read from the last feature map: +0.2" in position


def test_the_evidence_says_of_which_test_a_p_is_and_how_small_so_few_seeds_let_it_be():
    """Three seeds: 2/2³ is a quarter. Ten: 2/1024."""
    few, many = (hypotheses.tables(results_of(name)) for name in ("quick", "default"))
    assert re.search(r"\| +Sign-flip p +\| +Small p +\|", few)
    assert "p of the sign-flip test of a difference, and of the one-sided tests (one or two) of one" in few
    assert "Over 3 seeds, the sign-flip test has no p below 0.250 before the adjustment, also where" in few
    assert "Over 10 seeds, the sign-flip test has no p below 0.002 before" in many


def test_the_source_of_an_expectation_is_cited_beside_it_where_it_has_one():
    for key, hypothesis in results_of("replication").declared.items():
        said = hypotheses.sentence(results_of("replication"), key)
        assert (f"* [@{hypothesis.source}] " in said) == bool(hypothesis.source)
        assert "[@]" not in said


def test_it_is_counted_where_pairing_helps():
    """Over the seeds the CNN's accuracy and the MLP's move alike, the 5×5 kernel's against them."""
    up, down = [0.89, 0.90, 0.91], [0.91, 0.90, 0.89]
    text = topics.facts(reached(3, cnn=up, fully_connected=[value - 0.05 for value in up], kernel_5=down))["pairing"]
    assert text == (
        "In 1 of 2 comparisons of two variants, the difference varies less over the seeds than either accuracy."
    )


def test_what_another_unit_of_adjustment_would_change_is_listed():
    results = results_of("three")
    for family, together, expected in (
        (["supported", "undecided"], ["supported", "undecided"], "no outcome would change."),
        (
            ["supported", "undecided"],
            ["undecided"] * 2,
            "H1 would be undecided instead of supported; no other outcome ",
        ),
        (["not stated"] * 2, ["not stated"] * 2, "Without a verdict, none depends on the adjustment."),
    ):
        table = results.hypotheses.assign(outcome=family, outcome_together=together)
        assert expected in hypotheses.adjusted_together(dataclasses.replace(results, hypotheses=table))


def test_the_fewest_seeds_follow_from_the_largest_family():
    """Five hypotheses: 5 · 2/2⁸ = .039 and 5 · 2/2⁷ = .078. One: 2/2⁶ = .031 and 2/2⁵ = .0625."""
    largest = hypotheses.fewest_seeds(results_of("default"))
    assert largest.startswith("The largest family that was measured has 5 hypotheses: there, fewer than 8 seeds ")
    assert " has 1 hypothesis: there, fewer than 6 seeds " in hypotheses.fewest_seeds(results_of("three"))
    assert hypotheses.fewest_seeds(results_of("one variant")) == "No family of hypotheses was measured."


def test_the_tally_counts_every_outcome():
    results = results_of("three")
    for outcomes, expected in {
        ("supported", "supported"): "Of the 2 hypotheses, 2 are supported.",
        ("supported", "not run"): "Of the 2 hypotheses, 1 is supported and 1 is not run.",
        ("contradicted", "not stated"): "Of the 2 hypotheses, 1 is contradicted and 1 is without a verdict.",
        ("not run", "not run"): "This run has the variants of none of the 2 hypotheses.",
    }.items():
        changed = dataclasses.replace(results, hypotheses=results.hypotheses.assign(outcome=outcomes))
        assert hypotheses.tally(changed) == expected


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
        ((0.9, 0.8, 0.95, 0.7), "stays below", ", whatever its number of images."),
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


def test_what_could_be_wrong_names_what_moves_and_what_misses_its_match():
    """With 32×32 pixels and ten classes: 16·(k² + 1) + 32·(16·k² + 1) in the layers, and 32·64·10 + 10 behind them."""
    results = results_of("default")
    section = spaced(costs.what_could_be_wrong(results, "kernel_matched"))
    assert re.search(r"Levels that should have the same parameters agree to within [01]\.\d %\.", section)
    assert [16 * (k * k + 1) + 32 * (16 * k * k + 1) + 20_490 for k in (1, 3, 7)] == [21_066, 25_290, 46_410]
    moving = "Besides the choice itself, the levels differ in parameters from 21.1k to 46.4k, multiply"
    assert moving in spaced(costs.what_could_be_wrong(results, "kernel"))
    larger = results.variants["parameters"].where(results.variants.index != "kernel_5_matched", 30_000)
    missing = dataclasses.replace(results, variants=results.variants.assign(parameters=larger))
    deviation = costs.deviations(missing, "kernel_matched")["kernel_5_matched", "parameters"]
    assert deviation == pytest.approx(30_000 / 25_290 - 1)
    expected = "*Kernel size, matched: 5×5* misses its match: parameters 18.6 % more than *CNN (baseline)*."
    assert expected in spaced(costs.what_could_be_wrong(missing, "kernel_matched"))


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


OF_TWO, OF_THREE = "Of the 2 variants that are compared with it,", "the highest mean test accuracy of 3 nets is that of"


@pytest.mark.parametrize(
    ("n", "accuracies", "best", "directions"),
    [
        (
            5,
            (0.9,),
            "*CNN (baseline)* reaches 90.00 % [89.61, 90.39] test accuracy.",
            "No variant but the baseline ran.",
        ),
        (
            5,
            (0.9, 0.8),
            "the highest mean test accuracy of 2 nets is that of *CNN (baseline)*: 90.00 % [89.61, 90.39].",
            "The one variant that is compared with it is below the baseline in test accuracy.",
        ),
        (
            3,
            (0.9, 0.9),
            "all 2 nets have the same mean test accuracy, 90.00 %.",
            "With 3 seeds, fewer than the 5 that a direction asks for, none is stated.",
        ),
        (
            5,
            (0.9, 0.9, 0.8),
            f"{OF_THREE} *CNN (baseline)* and *Kernel size: 5×5*: 90.00 %.",
            f"{OF_TWO} 1 is below and 1 is not distinguishable from the baseline in test accuracy.",
        ),
        (
            5,
            (0.8, 0.9, 0.9),
            f"{OF_THREE} *Kernel size: 5×5* and *Kernel size: 7×7*: 90.00 %.",
            "All 2 variants that are compared with it are above the baseline in test accuracy.",
        ),
    ],
)
def test_the_best_variant_and_the_count_of_directions_for_every_outcome(n, accuracies, best, directions):
    results = reached(n, **dict(zip(("cnn", "kernel_5", "kernel_7"), accuracies, strict=False)))
    assert spaced(accuracy.best_sentence(results)) == f"On Fashion-MNIST, {best}"
    assert accuracy.directions_count(results) == directions


def test_controls_are_no_variants_in_any_count():
    results = reached(5, cnn=0.9, kernel_5=0.8, cnn_again=0.95, linear=0.95)
    assert accuracy.directions_count(results).startswith("The one variant that is compared with it is below the base")
    assert accuracy.in_forest(results) == ["kernel_5"]
    assert "of 2 nets is that of *CNN (baseline)*" in accuracy.best_sentence(results)
    facts = topics.facts(results)
    assert (facts["variants"], facts["forest_shown"]) == ("2 variants and 2 controls", "Every variant is shown.")
    assert topics.facts(results_of("three"))["variants"] == "3 variants"


@pytest.mark.parametrize(
    ("n", "again", "expected"),
    [
        (
            10,
            0.9,
            f"Minus the baseline, it is at {NONE}; adjusted p: 1.000 of the sign-flip test of a difference,",
        ),
        (5, 0.89, "with new images [−1.20, −0.80], without a verdict: 5 of the 10 seeds that a verdict needs."),
    ],
)
def test_the_baseline_is_compared_with_itself_under_seeds_of_its_own(n, again, expected):
    """One point, on one image in a hundred of 10,000, has the standard error √(.01 · .99 / 10,000): 0.0995 points."""
    text = spaced(topics.facts(reached(n, n_test=10_000, cnn=0.9, cnn_again=again))["aa"])
    assert text.startswith("The baseline was trained again with seeds of its own. Minus the baseline, it is at ")
    assert expected in text
    assert n < 10 or text.endswith(" <0.001 of the two one-sided tests of equivalence. The verdict is equivalent.")


SENTENCES = "aa aa_rates adjusted_together best_against_baseline best_sentence calibration_sentence confused"
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

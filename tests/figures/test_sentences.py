"""The sentences, facts and chapter that the report computes: grammatical and right for every outcome and every kind of run."""

import dataclasses
import math
import re

import pytest
from fake_results import RUNS, reached, results_of
from ruamel.yaml import YAML

from stages.figures import (
    answer,
    chapter,
    convergence,
    facts,
    hypotheses,
    matched,
    rates,
    replication,
    sentences,
    sizes,
)
from stages.shared.drawing.numbers import NBSP
from stages.shared.drawing.tables import escape
from stages.shared.inference import intervals

FOUR = ("cnn", "fully_connected", "cnn_permuted", "fully_connected_permuted")


def spaced(text):
    return text.replace(NBSP, " ")


# Of 10,000 images the differences, which all seeds share, are 5 % or none: the images' standard error of 500 is 0.218
# points, and Satterthwaite's degrees of freedom are those of the images, so 5 points have the interval ± 1.96 · 0.218.
@pytest.mark.parametrize(
    ("n", "cnn", "mlp", "said", "reach"),
    [
        (
            10,
            0.9,
            0.85,
            "is better than the MLP in test accuracy: +5.00 points [5.00, 5.00], with new images [4.57, 5.43]",
            "90.00 %|85.00 %",
        ),
        (
            10,
            0.85,
            0.9,
            "is worse than the MLP in test accuracy: −5.00 points [−5.00, −5.00], with new images [−5.43, −4.57]",
            "85.00 %|90.00 %",
        ),
        (
            10,
            0.9,
            0.9,
            "is equivalent to the MLP in test accuracy: 0.00 points [0.00, 0.00], with new images [0.00, 0.00]",
            "90.00 %|90.00 %",
        ),
        (
            5,
            0.9,
            0.85,
            "differs from the MLP in test accuracy by +5.00 points [5.00, 5.00], with new images [4.57, 5.43]",
            "90.00 %|85.00 %",
        ),
        (1, 0.85, 0.9, "differs from the MLP in test accuracy by −5.00 points", "85.00 %|90.00 %"),
    ],
)
def test_the_gap_for_every_verdict(n, cnn, mlp, said, reach):
    text = spaced(answer.gap(reached(n, n_test=10_000, cnn=cnn, fully_connected=mlp)))
    assert (
        re.sub(r" \[[\d., ]+\](?= against|\))", "", text)
        == f"**Convolution.** On Fashion-MNIST, the CNN {said} ({reach.replace('|', ' against ')})."
    )


def test_an_inconclusive_comparison_says_so():
    """Five seeds at +1 point and five at −0.6: a mean of +0.2, whose interval reaches beyond half a point and below zero."""
    found = reached(10, cnn=[0.91] * 5 + [0.894] * 5, fully_connected=0.9, n_test=1000)
    assert found.hypotheses.loc["gap_original", "outcome"] == "undecided"
    assert (
        "the CNN is neither shown to differ from, nor to be equivalent to, the MLP in test accuracy: +0.20 points ["
        in spaced(answer.gap(found))
    )


@pytest.mark.parametrize(
    ("local", "said"),
    [
        (0.88, "better than the MLP|better than the locally connected net|: both buy as much|+0.00"),
        (0.89, "better than the MLP|better than the locally connected net|: locality buys more|+3.00"),
        (0.86, "better than the MLP|better than the locally connected net|: sharing buys more|−2.00"),
    ],
)
def test_the_rungs_of_the_ladder(local, said):
    """From 0.86 over `local` to 0.9."""
    text = spaced(
        answer.ladder(
            reached(10, n_test=20_000, cnn=0.9, fully_connected=0.86 if local > 0.86 else 0.85, locally_connected=local)
        )
    )
    locality, sharing, judged, _ = said.split("|")
    assert text.startswith(f"**Locality.** The locally connected net is {locality} in test accuracy: ")
    assert f" **Sharing.** The CNN is {sharing} in test accuracy: " in text
    assert text.endswith(f"{judged}.") or "both" in judged


@pytest.mark.parametrize(
    ("n", "permuted", "said"),
    [
        (10, 0.84, "is +6.00 points [6.00, 6.00], with new images"),  # the lead falls from 5 to −1
        (10, 0.92, "is −2.00 points [−2.00, −2.00], with new images"),
        (10, 0.9, "is 0.00 points [0.00, 0.00], with new images [0.00, 0.00]: the permutation leaves it as it is."),
        (3, 0.84, "is +6.00 points [6.00, 6.00], with new images"),
        (1, 0.9, "is 0.00 points."),
    ],
)
def test_the_permutation_for_every_outcome(n, permuted, said):
    text = spaced(answer.permutation(reached(n, **dict(zip(FOUR, (0.9, 0.85, permuted, 0.85), strict=True)))))
    assert text.startswith("**Order of the pixels.** With the pixels permuted, the CNN ")
    assert f"The lead on original pixels minus the lead on permuted ones {said}" in text


def test_the_change_of_the_lead_is_paired_by_seed():
    """Leads of 5, 6 and 7, and of 1, 2 and 3 points by seed: the change is 4 in every one, so its interval has no width."""
    found = reached(
        3, cnn=[0.90, 0.91, 0.92], fully_connected=0.85, cnn_permuted=[0.81, 0.82, 0.83], fully_connected_permuted=0.8
    )
    assert list(found.contrast("permutation_takes_the_lead").values()) == pytest.approx([0.04, 0.04, 0.04])
    assert "is +4.00 points [4.00, 4.00], with new images" in spaced(answer.permutation(found))


def test_the_answer_is_a_list_of_what_ran():
    whole = answer.answer(results_of("default")).splitlines()
    assert [re.match(r"- (?:\*\*([\w ]+)\.\*\*)?", line)[1] for line in whole] == [
        "Convolution",
        "Locality",
        "Order of the pixels",
        "Shifts",
        None,
    ]
    alone = spaced(answer.answer(results_of("one variant"))).splitlines()
    assert re.fullmatch(r"- On Fashion-MNIST, \*CNN \(baseline\)\* reaches .* test accuracy\.", alone[0])
    assert alone[1] == "- No hypothesis is declared. See @sec-hypotheses."


def test_few_seeds_state_no_verdict_and_say_why():
    said = "With 3 seeds, fewer than the 10 that a verdict asks for, none is stated: so few could not tell a small effect from chance."
    found = results_of("quick")
    text = answer.answer(found)
    assert said in text
    assert not re.search(r"better than|worse than|equivalent", text)
    assert facts.facts(found)["verdicts"] == said
    section = chapter.families(found)
    assert ", no verdict.**" in section
    assert "No verdict: 3 of the 10 seeds that a verdict needs." in section
    assert not re.search(r"; (better|worse|equivalent|inconclusive)\.", section)


def test_every_declared_hypothesis_is_stated_with_its_outcome():
    found = results_of("default")
    text = spaced(hypotheses.tables(found))
    for key, about in found.declared.items():
        outcome = found.hypotheses.loc[key, "outcome"]
        assert re.search(
            rf"^\| {found.number(key)}: {re.escape(escape(about.statement))} +\|.*\| +{outcome} \|$", text, re.MULTILINE
        ), key
    assert hypotheses.sentence(found, "lab_larger_hurts").endswith(
        "A variant that it needs was left out, or has no such metric."
    )
    locality = spaced(hypotheses.sentence(found, "locality"))
    assert locality.startswith(
        f"**H1, {found.hypotheses.loc['locality', 'outcome']}.** *A net that sees only neighbouring pixels"
    )
    assert (
        f"So {found.hypotheses.loc['locality', 'verdict']}: {found.hypotheses.loc['locality', 'reason']}." in locality
    )
    assert "Measured, in how well position can be read from the last feature map: +0.2" in spaced(
        hypotheses.sentence(found, "zeros_leak_position")
    )


def test_the_tally_counts_every_outcome():
    found = results_of("three")
    for outcomes, said in {
        ("supported", "supported"): "Of the 2 declared hypotheses, 2 are supported.",
        ("supported", "not run"): "Of the 2 declared hypotheses, 1 is supported and 1 is not run.",
        ("contradicted", "not stated"): "Of the 2 declared hypotheses, 1 is contradicted and 1 is without a verdict.",
        ("not run", "not run"): "This run has the variants of none of the 2 declared hypotheses.",
    }.items():
        assert sentences.tally(dataclasses.replace(found, hypotheses=found.hypotheses.assign(outcome=outcomes))) == said


def test_the_size_at_an_accuracy_by_hand():
    """Half way between 100 and 1,000 on the logarithm is √(100 · 1000)."""
    assert sizes.size_at(0.85, [100, 1000], [0.8, 0.9]) == pytest.approx(100 * 10**0.5)
    assert sizes.size_at(0.85, [10, 100, 1000], [0.5, 0.8, 0.9]) == pytest.approx(100 * 10**0.5)
    assert sizes.size_at(0.8, [100, 1000], [0.8, 0.9]) == pytest.approx(100)
    assert math.isnan(sizes.size_at(0.95, [100, 1000], [0.8, 0.9]))


SIZED = ("cnn", "cnn_1000", "fully_connected", "fully_connected_1000")


@pytest.mark.parametrize(
    ("accuracies", "said"),
    [
        # 10,000 / √(1000 · 10000) = √10, in every seed.
        (
            (0.9, 0.8, 0.85, 0.7),
            "needs about 3.16k images for what the MLP reaches with 10,000 images (85.00 % [85.00, 85.00]): 3.2 [3.2, 3.2] times fewer.",
        ),
        (
            (0.9, 0.8, 0.75, 0.7),
            "is above what the MLP reaches with 10,000 images (75.00 % [75.00, 75.00]) with 1,000 images already.",
        ),
        (
            (0.9, 0.8, 0.95, 0.7),
            "stays below what the MLP reaches with 10,000 images (95.00 % [95.00, 95.00]), whatever its number of images.",
        ),
    ],
)
def test_the_ratio_of_sizes_for_every_outcome(accuracies, said):
    found = reached(3, **dict(zip(SIZED, accuracies, strict=True)))
    assert spaced(sizes.sentence(found)) == f"The CNN {said}"


RATED = ("cnn", "cnn_lr_0_003", "fully_connected", "fully_connected_lr_0_01")  # at 0.01 and 0.003 each


@pytest.mark.parametrize(
    ("accuracies", "said"),
    [
        (
            (0.9, 0.8, 0.75, 0.7),
            "the CNN reaches 90.00 % test accuracy (at 0.01) and the MLP reaches 75.00 % test accuracy (at 0.003). These are the rates that the nets "
            "have in the rest of this report. The order is the same at one rate for all, whichever of the 2.",
        ),
        (
            (0.9, 0.8, 0.85, 0.95),
            "the MLP reaches 95.00 % test accuracy (at 0.01) and the CNN reaches 90.00 % test accuracy (at 0.01). That is not the rate of the MLP "
            "elsewhere in this report; with those that they have, the order is another.",
        ),
        (
            (0.9, 0.8, 0.85, 0.7),
            "the CNN reaches 90.00 % test accuracy (at 0.01) and the MLP reaches 85.00 % test accuracy (at 0.003). These are the rates that the nets "
            "have in the rest of this report. At one rate for all, the order by mean accuracy would be another at 0.003.",
        ),
    ],
)
def test_the_order_at_each_nets_own_learning_rate(accuracies, said):
    found = reached(1, **dict(zip(RATED, accuracies, strict=True)))
    assert spaced(rates.sentence(found)).startswith(
        f"With the learning rate that is best for it on the validation images, {said}"
    )


def test_what_could_be_wrong_names_what_moves_and_what_misses_its_match():
    """By hand, with 32×32 pixels and ten classes: 16·(k² + 1) + 32·(16·k² + 1) in the layers, and 32·64·10 + 10 behind them."""
    found = results_of("default")
    section = spaced(matched.sentence(found, "kernel_matched"))
    assert re.search(r"Matched parameters agree to within [01]\.\d %\.", section)
    assert [16 * (k * k + 1) + 32 * (16 * k * k + 1) + 20_490 for k in (1, 3, 7)] == [21_066, 25_290, 46_410]
    assert "These move with the levels: parameters from 21.1k to 46.4k, multiply" in spaced(
        matched.sentence(found, "kernel")
    )
    larger = found.variants["parameters"].where(found.variants.index != "kernel_5_matched", 30_000)
    missing = dataclasses.replace(found, variants=found.variants.assign(parameters=larger))
    assert matched.misses(missing, "kernel_matched")["kernel_5_matched", "parameters"] == pytest.approx(
        30_000 / 25_290 - 1
    )
    assert "*Kernel size, matched: 5×5* misses its match: parameters 18.6 % more than *CNN (baseline)*." in spaced(
        matched.sentence(missing, "kernel_matched")
    )


def test_a_variant_that_still_learns_is_flagged():
    """The last epoch adds 0.15 · (0.5³ − 0.5⁴) = 0.94 points in the fake curves, and nothing once they are level."""
    found = results_of("three")
    assert convergence.last_rise(found).to_numpy() == pytest.approx([0.0094] * 3, abs=0.003)
    assert convergence.rising(found) == list(found.variants.index)
    assert convergence.table(found).count("(rising)") == 3
    level = dataclasses.replace(found, curves=found.curves.assign(val_accuracy=0.9))
    assert convergence.rising(level) == []
    assert "In no variant did the last epoch raise" in convergence.sentence(level)


def test_a_replication_sets_each_claim_beside_its_verdict():
    found = results_of("replication")
    text = spaced(replication.section(found))
    assert re.search(r"\| +91\.50 \| +about 91 %, the best \|", text)
    assert text.count("421,642") == 2  # published and counted in closed form
    assert re.search(
        r"By mean accuracy, the highest first, they are .*: (the same|not the) order (as|that was) published\.", text
    )
    assert len(re.findall(r"^- \*\*H\d+, no verdict\.\*\*", text, re.MULTILINE)) == sum(
        about.family == "replication" for about in found.declared.values()
    )
    assert "set `protocol: *replication` in `params.yaml`" in replication.section(results_of("default"))
    assert (
        replication.section(results_of("three"))
        == "No variant of `params.yaml` has published numbers to compare with.\n"
    )


@pytest.mark.parametrize(
    ("accuracies", "said"),
    [
        ({"cnn": 0.9}, "*CNN (baseline)* reaches 90.00 % [90.00, 90.00] test accuracy."),
        (
            {"cnn": 0.9, "kernel_5": 0.8},
            "the highest mean test accuracy of 2 nets is that of *CNN (baseline)*: 90.00 % [90.00, 90.00].",
        ),
        ({"cnn": 0.9, "kernel_5": 0.9}, "all 2 nets have the same mean test accuracy, 90.00 %."),
        (
            {"cnn": 0.8, "kernel_5": 0.9, "kernel_7": 0.9},
            "the highest mean test accuracy of 3 nets is that of *Kernel size: 5×5* and *Kernel size: 7×7*: 90.00 %.",
        ),
    ],
)
def test_the_best_variant_for_every_outcome(accuracies, said):
    assert spaced(answer.best(reached(**accuracies))) == f"On Fashion-MNIST, {said}"


def test_the_shift_sentence_names_all_who_share_an_end():
    found = results_of("three")
    assert re.fullmatch(
        r"\*\*Shifts\.\*\* Over shifts of the image, predictions agree most often for \*.+\* "
        r"\([\d.]+ % \[.+\] of the pairs of shifts\) and least often for \*.+\* \(.+\)\.",
        spaced(answer.shift(found)),
    )
    tied = dataclasses.replace(found, variants=found.variants.assign(shift_consistency_mean=[0.9, 0.8, 0.8]))
    assert spaced(answer.shift(tied)).endswith(
        "least often for *Kernel size: 5×5* and *Connectivity: fully connected* (80.00 %)."
    )
    equal = dataclasses.replace(found, variants=found.variants.assign(shift_consistency_mean=0.9))
    assert spaced(answer.shift(equal)) == "**Shifts.** All nets have the same mean shift consistency, 90.00 %."


@pytest.mark.parametrize(
    ("accuracies", "said"),
    [
        ({"cnn": 0.9}, "Only the baseline ran."),
        (
            {"cnn": 0.9, "kernel_5": 0.8},
            "The one variant that is compared with it is below the baseline in test accuracy.",
        ),
        (
            {"cnn": 0.9, "kernel_5": 0.9, "kernel_7": 0.8},
            "Of the 2 variants that are compared with it, 1 is below and 1 is not distinguishable from the baseline in test accuracy.",
        ),
        (
            {"cnn": 0.8, "kernel_5": 0.9, "kernel_7": 0.9},
            "Of the 2 variants that are compared with it, 2 are above the baseline in test accuracy.",
        ),
        (
            {"n": 3, "cnn": 0.8, "kernel_5": 0.9},
            "With 3 seeds, fewer than the 5 that a direction asks for, none is stated.",
        ),
    ],
)
def test_the_count_of_directions_for_every_outcome(accuracies, said):
    assert facts.facts(reached(**accuracies))["directions_count"] == said


WHOLE = [
    "best_sentence",
    "best_against_baseline",
    "directions",
    "directions_count",
    "confused",
    "gap",
    "ladder",
    "permutation",
    "sizes",
]
WHOLE += ["noise", "detectable", "aa", "recipe", "converged", "verdicts", "hypotheses_tally", "shift_probe"]


@pytest.mark.parametrize("name", [name for name in RUNS if name != "sixty"])  # whose sentences are those of the default
def test_the_same_facts_exist_whatever_ran_and_each_says_something(name):
    found = facts.facts(results_of(name))
    assert found.keys() == facts.facts(results_of("default")).keys()
    for key, text in found.items():
        assert text.strip(), key
        assert not re.search(r"\bnan\b|None|–|\{|  |\.\.", text), f"{key}: {text}"
        assert text.count("[") == text.count("]")
    for key in WHOLE:
        assert re.fullmatch(r"[A-Z*].*\.", found[key]), found[key]
    assert YAML(typ="safe", pure=True).load(facts.as_yaml(found)) == {"facts": found}


def test_facts_by_hand():
    found = facts.facts(results_of("a class never right"))
    assert found["confused"].startswith("The baseline's commonest mistake: of the test images of *")
    assert facts.facts(results_of("perfect"))["confused"] == "The baseline makes no mistake on the test set."
    assert (found["test_size"], found["probe_images"], found["shift_probe"]) == (
        "8",
        "8",
        "Shifts of up to 2 pixels were probed on 8 test images.",
    )
    signal_facts = facts.facts(results_of("signal"))
    assert (signal_facts["image_size"], signal_facts["canvas_size"], signal_facts["n_classes"]) == ("1×64", "1×68", "2")
    assert facts.facts(results_of("100 classes, RGB"))["channels"] == "colour"
    assert facts.facts(results_of("no margin"))["shift_sentence"] == "There is no shift consistency to compare."


def test_without_a_margin_nothing_is_said_of_shifts():
    assert "shift" not in chapter.families(results_of("no margin"))
    assert "shift" not in answer.answer(results_of("no margin"))
    assert "in shift consistency" in chapter.families(results_of("three"))


def test_a_section_states_each_level_and_why_no_direction_is_stated():
    text = spaced(chapter.families(results_of("one seed")))
    assert re.search(
        r"^- \*\*5×5\*\* (differs from|shows no mean difference from) 3×3 in test accuracy.*\. It (differs|shows) ",
        text,
        re.MULTILINE,
    )
    assert "at 90.50 % test accuracy. With 1 seed, fewer than the 5 that a direction asks for, none is stated." in text
    assert "Each dot is the one seed; the dashed line is 3×3." in text


def test_a_standing_takes_its_words_from_the_direction():
    found = results_of("default")
    for low, high, said in ((0.1, 0.2, intervals.ABOVE), (-0.2, -0.1, intervals.BELOW), (-0.1, 0.2, intervals.ALIKE)):
        made = intervals.Estimate(5, (low + high) / 2, 0.1, low, high)
        assert sentences.standing(found, "A", "B", made, "in depth").startswith(f"A is {said} B in depth: ")


@pytest.mark.parametrize(("parts", "text"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")])
def test_a_list_is_joined(parts, text):
    assert sentences.joined(parts) == text

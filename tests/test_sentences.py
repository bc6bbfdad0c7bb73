"""The sentences, facts and chapter that the report computes: grammatical and right for every outcome and every kind of run."""

import dataclasses
import re

import pytest
from fake_results import RUNS, reached, results_of
from ruamel.yaml import YAML

from stages.drawing.numbers import NBSP
from stages.figures import answer, chapter, facts, sentences
from stages.inference import intervals

FOUR = ("cnn", "fully_connected", "cnn_permuted", "fully_connected_permuted")


def spaced(text):
    return text.replace(NBSP, " ")


@pytest.mark.parametrize(
    ("n", "cnn", "mlp", "said", "reach"),
    [
        (5, 0.9, 0.85, "is above the MLP in test accuracy: +5.00 points [5.00, 5.00]", "90.00 % [90.00, 90.00] against 85.00 % [85.00, 85.00]"),
        (5, 0.85, 0.9, "is below the MLP in test accuracy: −5.00 points [−5.00, −5.00]", "85.00 % [85.00, 85.00] against 90.00 % [90.00, 90.00]"),
        (5, 0.9, 0.9, "is not distinguishable from the MLP in test accuracy: 0.00 points [0.00, 0.00]", " against ".join(["90.00 % [90.00, 90.00]"] * 2)),
        (4, 0.9, 0.85, "differs from the MLP in test accuracy by +5.00 points [5.00, 5.00]", "90.00 % [90.00, 90.00] against 85.00 % [85.00, 85.00]"),
        (1, 0.85, 0.9, "differs from the MLP in test accuracy by −5.00 points", "85.00 % against 90.00 %"),
        (1, 0.9, 0.9, "shows no mean difference from the MLP in test accuracy: 0.00 points", "90.00 % against 90.00 %"),
    ],
)
def test_the_gap_for_every_outcome(n, cnn, mlp, said, reach):
    assert spaced(answer.gap(reached(n, cnn=cnn, fully_connected=mlp))) == f"On Fashion-MNIST, the CNN {said} ({reach})."


@pytest.mark.parametrize(
    ("n", "local", "said"),
    [
        (5, 0.87, "lies between the two: it is below the CNN, −3.00 points [−3.00, −3.00], and above the MLP, +2.00 points [2.00, 2.00]."),
        (5, 0.95, "is above the CNN, +5.00 points [5.00, 5.00], and above the MLP, +10.00 points [10.00, 10.00]."),
        (5, 0.9, "is not distinguishable from the CNN, 0.00 points [0.00, 0.00], and above the MLP, +5.00 points [5.00, 5.00]."),
        (1, 0.9, "is at 0.00 points from the CNN and at +5.00 points from the MLP."),
    ],
)
def test_the_locally_connected_net_for_every_outcome(n, local, said):
    found = reached(n, cnn=0.9, fully_connected=0.85, locally_connected=local)
    assert spaced(answer.local(found)) == f"The locally connected net, which keeps locality but shares no weights, {said}"


@pytest.mark.parametrize(
    ("n", "permuted", "said"),
    [
        (5, 0.84, "the permutation takes 6.00 points [6.00, 6.00] from the gap"),  # the gap falls from 5 to −1
        (5, 0.92, "the permutation adds 2.00 points [2.00, 2.00] to the gap"),
        # By 1, 1, 2, 2 and 2 points: SD √0.3, Student's t 2.776445 for four degrees of freedom.
        (5, [0.91, 0.91, 0.92, 0.92, 0.92], "the permutation adds 1.60 points [0.92, 2.28] to the gap"),
        (5, 0.9, "the gap's change, 0.00 points [0.00, 0.00], is not distinguishable from zero"),
        (3, 0.84, "the permutation changes the gap by −6.00 points [−6.00, −6.00]"),
        (1, 0.9, "the permutation changes the gap by 0.00 points"),
    ],
)
def test_the_permutation_for_every_outcome(n, permuted, said):
    found = reached(n, **dict(zip(FOUR, (0.9, 0.85, permuted, 0.85), strict=True)))
    assert spaced(answer.permutation_effect(found)) == said
    assert spaced(answer.permutation(found)).startswith("With the pixels permuted, the CNN ")
    assert spaced(answer.permutation(found)).endswith(f"; {said}.")


def test_the_change_of_the_gap_is_paired_by_seed():
    """Gaps 5, 6, 7 and 1, 2, 3 points by seed: the change is 4 in every one, so its interval has no width."""
    found = reached(3, cnn=[0.90, 0.91, 0.92], fully_connected=0.85, cnn_permuted=[0.81, 0.82, 0.83], fully_connected_permuted=0.8)
    assert spaced(answer.permutation_effect(found)) == "the permutation changes the gap by −4.00 points [−4.00, −4.00]"


@pytest.mark.parametrize(
    ("accuracies", "said"),
    [
        ({"cnn": 0.9}, "*CNN (baseline)* reaches 90.00 % [90.00, 90.00] test accuracy."),
        ({"cnn": 0.9, "kernel_5": 0.8}, "the highest mean test accuracy of 2 variants is that of *CNN (baseline)*: 90.00 % [90.00, 90.00]."),
        ({"cnn": 0.9, "kernel_5": 0.9}, "all 2 variants have the same mean test accuracy, 90.00 %."),
        (
            {"cnn": 0.8, "kernel_5": 0.9, "kernel_7": 0.9},
            "the highest mean test accuracy of 3 variants is that of *Kernel size: 5×5* and *Kernel size: 7×7*: 90.00 %.",
        ),
    ],
)
def test_the_best_variant_for_every_outcome(accuracies, said):
    assert spaced(answer.best(reached(**accuracies))) == f"On Fashion-MNIST, {said}"


def test_the_shift_sentence_names_all_who_share_an_end():
    found = results_of("three")
    assert re.fullmatch(
        r"Over shifts of the image, predictions agree most often for \*.+\* \([\d.]+ % \[.+\] of the pairs of shifts\) and least often for \*.+\* \(.+\)\.",
        spaced(answer.shift(found)),
    )
    tied = dataclasses.replace(found, variants=found.variants.assign(shift_consistency_mean=[0.9, 0.8, 0.8]))
    assert spaced(answer.shift(tied)).endswith("least often for *Kernel size: 5×5* and *Connectivity: fully connected* (80.00 %).")
    equal = dataclasses.replace(found, variants=found.variants.assign(shift_consistency_mean=0.9))
    assert spaced(answer.shift(equal)) == "All variants have the same mean shift consistency, 90.00 %."


@pytest.mark.parametrize(
    ("accuracies", "said"),
    [
        ({"cnn": 0.9}, "Only the baseline ran."),
        ({"cnn": 0.9, "kernel_5": 0.8}, "The one other variant is below the baseline in test accuracy."),
        (
            {"cnn": 0.9, "kernel_5": 0.9, "kernel_7": 0.8},
            "Of the 2 other variants, 1 is below and 1 is not distinguishable from the baseline in test accuracy.",
        ),
        ({"cnn": 0.8, "kernel_5": 0.9, "kernel_7": 0.9}, "Of the 2 other variants, 2 are above the baseline in test accuracy."),
        ({"n": 3, "cnn": 0.8, "kernel_5": 0.9}, "With 3 seeds, fewer than the 5 that a direction asks for, none is stated."),
    ],
)
def test_the_count_of_directions_for_every_outcome(accuracies, said):
    assert facts.facts(reached(**accuracies))["directions_count"] == said


@pytest.mark.parametrize("name", RUNS)
def test_the_same_facts_exist_whatever_ran_and_each_says_something(name):
    found = facts.facts(results_of(name))
    assert found.keys() == facts.facts(results_of("default")).keys()
    for key, text in found.items():
        assert text.strip(), key
        assert not re.search(r"\bnan\b|None|–|\{|  |\.\.", text), f"{key}: {text}"
        assert text.count("[") == text.count("]")
    for key in ("answer", "best_sentence", "best_against_baseline", "directions", "directions_count", "confused", "gap_original", "shift_probe"):
        assert re.fullmatch(r"[A-Z*].*\.", found[key]), found[key]
    assert YAML(typ="safe", pure=True).load(facts.as_yaml(found)) == {"facts": found}


def test_facts_by_hand():
    found = facts.facts(results_of("a class never right"))
    assert found["confused"].startswith("The baseline's commonest mistake: of the test images of *")
    assert facts.facts(results_of("perfect"))["confused"] == "The baseline makes no mistake on the test set."
    assert (found["test_size"], found["probe_images"], found["shift_probe"]) == ("8", "8", "Shifts of up to 2 pixels were probed on 8 test images.")
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
    assert re.search(r"^- \*\*5×5\*\* (differs from|shows no mean difference from) 3×3 in test accuracy.*\. It (differs|shows) ", text, re.MULTILINE)
    assert "at 90.50 % test accuracy. With 1 seed, fewer than the 5 that a direction asks for, none is stated." in text
    assert "Each dot is the one seed; the dashed line is 3×3." in text


def test_the_verdict_takes_its_words_from_the_direction():
    found = results_of("default")
    for low, high, said in ((0.1, 0.2, intervals.ABOVE), (-0.2, -0.1, intervals.BELOW), (-0.1, 0.2, intervals.ALIKE)):
        made = intervals.Estimate(5, (low + high) / 2, 0.1, low, high)
        assert sentences.verdict(found, "A", "B", made, "in depth").startswith(f"A is {said} B in depth: ")


@pytest.mark.parametrize(("parts", "text"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")])
def test_a_list_is_joined(parts, text):
    assert sentences.joined(parts) == text

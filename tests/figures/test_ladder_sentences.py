"""The sentences on what convolution buys, step by step: right for every outcome."""

import dataclasses
import re

import pytest
from fake_results import reached, results_of
from report_content import spaced

from stages.figures import ladder
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
def test_the_rungs_of_the_ladder_minus_their_control(local, permuted, locality, sharing, more):
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

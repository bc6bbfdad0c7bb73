"""The first page: plain sentences that are right for every outcome, and the picture."""

import re
from dataclasses import replace

import pytest
from fake_results import reached, results_of
from report_content import spaced

from stages.figures import answer, ladder
from stages.shared.params import Contrast

FOUR = ("cnn", "fully_connected", "cnn_permuted", "fully_connected_permuted")
SIX = (*FOUR, "locally_connected", "locally_connected_permuted")


@pytest.mark.parametrize(
    ("n", "cnn", "mlp", "clause"),
    [
        (10, 0.9, 0.85, "convolution buys 5.0 points"),
        (10, 0.85, 0.9, "convolution costs 5.0 points"),
        (10, 0.9, 0.9, "the difference is too small to matter"),
        (10, [0.91] * 5 + [0.894] * 5, 0.9, "the difference may be chance"),
        (3, 0.9, 0.85, "a difference of +5.0 points, from too few seeds for a verdict"),
    ],
)
def test_the_gap_for_every_verdict(n, cnn, mlp, clause):
    text = spaced(
        answer.gap(reached(n, n_test=10_000 if cnn == 0.9 or mlp == 0.9 else 1000, cnn=cnn, fully_connected=mlp))
    )
    start = "Trained on 1,500 images of Fashion-MNIST, the convolutional net labels "
    middle = r"\d\d\.\d % of the test images correctly and the fully connected net \d\d\.\d %: "
    assert re.fullmatch(re.escape(start) + middle + re.escape(clause) + r"\.", text)


@pytest.mark.parametrize(
    ("local", "permuted", "expected"),
    [
        (
            0.88,
            0.86,
            "together is worth 2.0 points and using the same weights at every place is worth 2.0 points, both ",
        ),
        (0.88, 0.89, "together costs 1.0 points and using the same weights at every place is worth 5.0 points, both "),
        (0.88, 0.88, "together is worth nothing that matters and using the same weights at every place is worth 4.0 "),
    ],
)
def test_what_the_assumptions_are_worth_net_of_their_control(local, permuted, expected):
    """MLP .86, locally connected as given, CNN .90; permuted: MLP and CNN .86, locally connected as given."""
    means = {"cnn": 0.9, "fully_connected": 0.86, "locally_connected": local, "cnn_permuted": 0.86}
    means |= {"fully_connected_permuted": 0.86, "locally_connected_permuted": permuted}
    text = spaced(answer.parts(reached(10, n_test=20_000, **means)))
    assert text.startswith(f"Looking at neighbouring pixels {expected}")
    assert text.endswith("both beyond what the same step brings with shuffled pixels.")


@pytest.mark.parametrize(
    ("permuted_cnn", "end"),
    [
        (0.855, " and −2.5, and the lead is gone."),
        (0.86, " and −2.0, and the lead is gone."),
        (0.89, " and +1.0, and a lead of 3.0 points is left."),
    ],
)
def test_the_steps_on_original_and_shuffled_pixels_and_what_their_differences_say(permuted_cnn, end):
    """MLP .86, locally connected .87, CNN .90; shuffled: MLP .86, locally connected .88, CNN as given."""
    means = dict(zip(SIX, (0.9, 0.86, permuted_cnn, 0.86, 0.87, 0.88), strict=True))
    steps, worth = map(spaced, answer.assumptions(reached(10, n_test=20_000, **means)))
    assert steps.startswith(
        "Looking at neighbouring pixels together brings +1.0 points and using the same weights at every place +3.0; "
        "where the pixels are shuffled, so that neither should help, the same steps bring +2.0"
    )
    assert steps.endswith(end)
    sharing = 3 - 100 * (permuted_cnn - 0.88)
    assert worth == (
        f"With the shuffled step subtracted, locality costs 1.0 points and sharing is worth {sharing:.1f} points."
    )


def test_another_control_than_the_permuted_twins_is_called_a_control():
    results = results_of("default")
    other = Contrast(variant="cnn", reference="kernel_1")
    contrast = Contrast(variant="locally_connected", reference="fully_connected", minus=other)
    declared = results.declared | {"locality": results.declared["locality"].model_copy(update={"contrast": contrast})}
    assert answer.parts(replace(results, declared=declared)).endswith("both minus their controls.")


@pytest.mark.parametrize(
    ("n", "cnn", "permuted", "clause"),
    [
        (10, 0.9, 0.84, "the lead is gone: the convolutional net is 1.0 points below the fully connected net"),
        (10, 0.9, 0.85, "the lead is gone: the two nets are as good as each other"),
        (10, 0.9, 0.87, "the convolutional net still leads, by 2.0 points"),
        (10, 0.84, 0.87, "the convolutional net leads, by 2.0 points"),
        (10, 0.84, 0.83, "the convolutional net is 2.0 points below the fully connected net"),
        (3, 0.9, 0.84, "the convolutional net minus the fully connected net is −1.0 points"),
    ],
)
def test_shuffled_pixels_for_every_outcome(n, cnn, permuted, clause):
    results = reached(n, n_test=20_000, **dict(zip(FOUR, (cnn, 0.85, permuted, 0.85), strict=True)))
    text = spaced(answer.shuffled(results))
    assert text == f"Where the pixels of all images are shuffled in the same way, {clause}."


def test_the_expectations_are_counted_by_outcome():
    results = reached(10, n_test=10_000, **dict(zip(FOUR, (0.9, 0.85, 0.84, 0.85), strict=True)))
    measured = list(filter(results.has_run, results.declared))
    assert len(measured) == 4
    for outcomes, expected in (
        (["supported"] * 4, "All of the 4 expectations came true."),
        (["contradicted"] * 4, "All of the 4 expectations failed."),
        (["not stated"] * 4, "All of the 4 expectations had too few seeds for a verdict."),
        (
            ["supported"] * 2 + ["contradicted", "undecided"],
            "Of the 4 expectations, 2 came true, 1 did not and 1 remained open.",
        ),
        (["contradicted"] * 3 + ["undecided"], "Of the 4 expectations, 3 failed and 1 remained open."),
    ):
        table = results.hypotheses.copy()
        table.loc[measured, "outcome"] = outcomes
        assert answer.expectations(replace(results, hypotheses=table)) == expected


def test_the_answer_has_at_most_five_sentences_and_no_bracket():
    for name in ("default", "quick", "three", "one variant", "one seed", "MLP alone", "no margin"):
        sentences = answer.sentences(results_of(name))
        assert 1 <= len(sentences) <= 5
        for sentence in sentences:
            assert not re.search(r"[\[\]()]|nan|–", sentence), sentence
            assert sentence.endswith("."), sentence
            assert len(re.findall(r"\.(?: |$)", sentence)) == 1, sentence
    assert "Trained 4 times as long" in spaced(" ".join(answer.sentences(results_of("default"))))
    alone = spaced(answer.sentences(results_of("one variant"))[0])
    assert re.fullmatch(r"The one net that ran, the convolutional net, labels .* correctly\.", alone)


def test_the_picture_has_both_lines_with_their_steps_and_names():
    means = dict(zip(SIX, (0.9, 0.86, 0.85, 0.86, 0.885, 0.87), strict=True))
    results = reached(10, n_test=1000, **means)
    (axes,) = answer.picture(results).axes
    texts = {text.get_text() for text in axes.texts}
    assert {"+2.5", "+1.5", "+1.0", "−2.0", answer.ORIGINAL, answer.SHUFFLED} <= texts
    assert {"fully connected net", "locally connected net", "convolutional net"} <= texts
    lines = [line.get_ydata().tolist() for line in axes.lines if len(line.get_xdata()) == 3]
    assert lines == [pytest.approx([86, 88.5, 90]), pytest.approx([86, 87, 85])]
    assert "Images as they are: fully connected net 86.0, locally connected net 88.5" in answer.alternative_text(
        results
    )


def test_without_a_ladder_the_picture_has_a_row_for_each_variant():
    results = reached(5, cnn=0.9, kernel_5=0.91)
    assert len(ladder.path_to_baseline(results)) == 1
    (axes,) = answer.picture(results).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Kernel size: 5×5", "CNN (baseline)"]

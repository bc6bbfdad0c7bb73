"""Published effects beside ours: the value that the accuracies give, the verdict's words, and what stands for whom."""

import re

import pytest
from fake_results import finished, only, seeds, settings

from stages.figures import replication
from stages.shared.drawing import numbers


def claims(accuracies, published, **effect):
    """Ten seeds of two nets with these accuracies on 1000 images, and one claim about them.

    published: of the two nets, None where the source has no accuracies, so that the effect states its difference.
    """

    def change(raw):
        only(raw, "lab_cnn_5", "lab_cnn_3")
        seeds(10)(raw)
        for key, accuracy in zip(("lab_cnn_5", "lab_cnn_3"), published or (None, None), strict=True):
            stated = {"accuracy": accuracy, "margin": effect["margin"], "seeds": 1, "source": "lecun1998"}
            raw["variants"][key]["published"] = stated if accuracy else None

    contrast = {"variant": "lab_cnn_5", "reference": "lab_cnn_3"}
    claim = {"statement": "Five lead.", "family": "replication", "contrast": contrast, "metric": "accuracy"}
    claim |= {"direction": "above", "smallest_effect": 0.005, "source": "lecun1998", "published": effect}
    means = dict(zip(("lab_cnn_5", "lab_cnn_3"), ([accuracy] * 10 for accuracy in accuracies), strict=True))
    results = finished(settings(change), hypotheses={"claim": claim}, means=means)
    return replication.sentence(results, "claim").replace(numbers.NBSP, " "), results


@pytest.mark.parametrize(
    ("here", "there", "margin", "beside", "verdict", "alone"),
    [
        ((0.90, 0.86), (0.91, 0.87), 0.02, "+4.00 points (of 1 seed); here: +4.00", "reproduced", "10 of 10"),
        ((0.90, 0.86), (0.95, 0.80), 0.02, "+15.00 points (of 1 seed); here: +4.00", "smaller", "10 of 10"),
        ((0.90, 0.80), (0.88, 0.87), 0.02, "+1.00 points (of 1 seed); here: +10.00", "larger", "10 of 10"),
        ((0.86, 0.90), (0.88, 0.87), 0.20, "+1.00 points (of 1 seed); here: −4.00", "opposite", "0 of 10"),
        ((0.90, 0.899), (0.88, 0.879), 0.001, "+0.10 points (of 1 seed); here: +0.10", "undecided", "10 of 10"),
    ],
)
def test_the_difference_of_published_accuracies_is_set_beside_ours(here, there, margin, beside, verdict, alone):
    """Every seed answers alike here, so that the published effect of one seed varies with the images alone."""
    text, results = claims(here, there, margin=margin)
    sentence = {
        "reproduced": "So the published effect is **reproduced**:",
        "smaller": "So the effect here is **smaller** than the published one:",
        "larger": "So the effect here is **larger** than the published one:",
        "opposite": "So the effect here is **opposite** to the published one:",
        "undecided": "Whether it is reproduced is **undecided**:",
    }[verdict]
    assert f"Published: {beside} points. {sentence} ours" in text
    assert text.endswith(f"One seed alone would have the published sign in {alone} cases.")
    row = next(line for line in replication.tables(results).splitlines() if line.startswith("| H1"))
    assert re.search(rf"\| +1 \|.*\| +{alone} \| +{verdict} \|$", row)
    assert replication.section(results).startswith("@lecun1998: @tbl-claims and @tbl-published set what was published")


def test_a_difference_without_accuracies_states_itself_and_is_exact_where_its_seeds_are_unknown():
    text, results = claims((0.90, 0.86), None, margin=0.02, difference=0.041)
    assert "Published: +4.10 points (of an unknown number of seeds, taken as exact); here: +4.00 points." in text
    assert "is **reproduced**" in text
    assert results.published["kind"].tolist() == ["effect"]
    assert replication.section(results).startswith("@lecun1998: @tbl-claims sets what was published beside what")


def test_a_published_zero_has_no_sign_that_a_seed_could_share():
    text, _ = claims((0.90, 0.86), None, margin=0.02, difference=0.0)
    assert text.endswith("One seed alone would have the sign of our mean in 10 of 10 cases.")
    assert "the effect here is **larger** than the published one" in text


@pytest.mark.parametrize(
    ("published", "order"),
    [
        ((0.91, 0.87), "the same order as published"),
        ((0.87, 0.91), "not the order that was published"),
        ((0.9, 0.9), "the same order as published"),
    ],
)
def test_an_order_among_equals_contradicts_none(published, order):
    _, results = claims((0.90, 0.86), published, margin=0.02)
    assert f": {order}." in replication.section(results)


@pytest.mark.parametrize(
    ("published", "verdict"), [(0.900, "reproduced"), (0.800, "higher"), (0.999, "lower"), (0.915, "undecided")]
)
def test_a_published_accuracy_has_a_verdict_without_a_sign(published, verdict):
    """90 % of 1000 images have a standard error of 0.95 points."""
    _, results = claims((0.90, 0.90), (published, 0.9), margin=0.03)
    row = next(line for line in replication.tables(results).splitlines() if line.startswith("| CNN"))
    assert row.rstrip(" |").endswith(verdict), row

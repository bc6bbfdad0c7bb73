"""Two revisions side by side, by hand where the numbers can be read."""

import math
from html.parser import HTMLParser

import numpy as np
import pytest
from fake_results import REPOSITORY
from small_compared import result

from stages.shared import params
from stages.tools.compare import figures, output, side_by_side, wording
from stages.tools.compare.results import Images

pytestmark = pytest.mark.slow

INFERENCE = params.load(REPOSITORY / "params.yaml").inference
TEN = range(10)
ONE_RIGHT, TWO_RIGHT = (dict.fromkeys(TEN, images) for images in ([1, 0, 0, 0], [1, 1, 0, 0]))
UP_AND_DOWN = {seed: [1, 1, 0, 0] if seed % 2 else [0, 0, 0, 0] for seed in TEN}  # against ONE_RIGHT: no difference
GREY = np.arange(2 * 1 * 4 * 4, dtype=np.uint8).reshape(2, 1, 4, 4)


def compare(*compared):
    return side_by_side.compare(compared, INFERENCE)


def pair(*compared):
    return compare(*compared).pairs[0]


def rows(pair):
    return {row.variant: row for row in pair.accuracy}


def test_the_difference_is_the_other_minus_the_first_over_the_seeds_that_both_have():
    first = result("a", {"cnn": {0: [0, 0, 0, 0], 1: [1, 1, 0, 0], 2: [1, 1, 0, 0]}})
    other = result("b", {"cnn": {1: [1, 1, 1, 0], 2: [1, 1, 0, 1], 3: [0, 0, 0, 0]}})
    row = rows(pair(first, other))["cnn"]
    assert row.comparison.n_seeds == 2
    assert row.differences == (0.25, 0.25)
    half = 12.7062 * math.sqrt(2) / 8  # t of one degree of freedom, and two of 2 · 4 answers
    comparison = (row.comparison.difference, row.comparison.low, row.comparison.high)
    assert comparison == pytest.approx((0.25, 0.25 - half, 0.25 + half), rel=1e-5)
    assert (row.first.mean, row.other.mean) == (pytest.approx(1 / 3), pytest.approx((0.75 + 0.75 + 0) / 3))
    assert row.comparison.p == 0.5  # two of the four sign patterns of two equal differences


def test_answers_are_paired_by_image_too():
    """As many right answers, but on other images: no difference, and yet an interval for new images."""
    first = result("a", {"cnn": {seed: [1, 1, 0, 0] * 3 for seed in TEN}})
    other = result("b", {"cnn": {seed: [0, 1, 1, 0] * 3 for seed in TEN}})
    comparison = rows(pair(first, other))["cnn"].comparison
    assert comparison.difference == 0
    assert (
        comparison.high == -comparison.low == pytest.approx(2.262157 * math.sqrt(2) / 120)
    )  # of the seeds, which agree
    assert comparison.total_low < 0 < comparison.total_high


def test_p_values_are_adjusted_over_the_rows_whose_runs_differ_alone():
    """Ten seeds that all move one way have p = 2/2^10. Beside a row with p = 1 it doubles."""
    first = result("a", dict.fromkeys(["changed", *(f"same_{i}" for i in range(8))], ONE_RIGHT))
    same = dict.fromkeys(first.variants, ONE_RIGHT)
    one_changed = pair(first, result("b", {**same, "changed": TWO_RIGHT}))
    assert rows(one_changed)["changed"].p_adjusted == 2 / 2**10
    two_changed = rows(pair(first, result("b", {**same, "changed": TWO_RIGHT, "same_0": UP_AND_DOWN})))
    assert two_changed["changed"].p_adjusted == pytest.approx(2 * 2 / 2**10)
    assert two_changed["same_0"].p_adjusted == 1


def test_all_pairs_of_one_comparison_are_one_family():
    answers = {"a": ONE_RIGHT, "b": TWO_RIGHT, "c": UP_AND_DOWN}
    sides = compare(*(result(name, {"cnn": arm}) for name, arm in answers.items()))
    assert rows(sides.pairs[0])["cnn"].p_adjusted == pytest.approx(2 * 2 / 2**10)
    assert [pair.other.revision.name for pair in sides.pairs] == ["b", "c"]
    assert all(pair.first.revision.name == "a" for pair in sides.pairs)


def test_ten_seeds_on_many_images_state_a_verdict_and_nine_do_not():
    base, better = dict.fromkeys(TEN, [1] * 60 + [0] * 340), dict.fromkeys(TEN, [1] * 100 + [0] * 300)
    a, b = result("a", {"cnn": base}), result("b", {"cnn": better})
    assert rows(pair(a, b))["cnn"].verdict.name == "better"
    assert rows(pair(b, a))["cnn"].verdict.name == "worse"
    nine = [result(name, {"cnn": {seed: arm[seed] for seed in range(9)}}) for name, arm in (("a", base), ("b", better))]
    without_verdict = pair(*nine)
    assert rows(without_verdict)["cnn"].verdict.name == "not stated"
    assert wording.reasons(without_verdict) == ["Not stated: 9 of the 10 seeds that a verdict needs."]
    assert "1 is without a verdict (cnn)" in wording.summary(without_verdict)


def test_runs_that_are_the_same_are_not_tested_and_nothing_differs():
    sides = compare(*[result(name, {"cnn": {0: [1, 0]}, "mlp": {0: [0, 0]}}) for name in "ab"])
    assert (sides.pairs[0].same, sides.pairs[0].accuracy) == (["cnn", "mlp"], [])
    assert sides.nothing_differs
    assert "Nothing differs: the settings, the code and the runs are the same." in output.text(sides)
    assert "Nothing differs" in output.html(sides)


def test_other_settings_with_the_same_runs_are_a_difference():
    settings = [{"protocol": "p", "eda": {"images": n}} for n in (1, 2)]
    sides = compare(*(result(f"{n}", {"cnn": {0: [1, 0]}}, settings=one) for n, one in enumerate(settings)))
    assert not sides.nothing_differs
    assert "All runs are the same, byte for byte." in output.text(sides)


def test_variants_of_one_revision_alone_are_listed_with_it():
    first = result("a", {"cnn": {0: [1, 0]}, "old": {0: [1, 1]}})
    both = pair(first, result("b", {"cnn": {0: [1, 0]}, "new": {0: [0, 1], 1: [0, 0]}}))
    assert wording.alone_table(both).rows == [["old", "a", "100.00", "1"], ["new", "b", "25.00", "2"]]
    assert both.same == ["cnn"]
    nothing_shared = pair(result("a", {"x": {0: [1]}}), result("b", {"y": {0: [1]}}))
    assert wording.summary(nothing_shared) == "They have no variant in common."


def shifted(name, shares, **choices):
    """Three seeds of one variant; shares: of agreeing pairs of shifts, for each image. Runs differ with the name."""
    answers = {seed: [len(name) % 2, 0, 1, 1] for seed in range(3)}
    return result(name, {"cnn": answers}, {"cnn": dict.fromkeys(range(3), shares)}, **choices)


def test_shift_consistency_is_paired_as_accuracy_is():
    """0.25 against 0.5 in every seed. The images differ by 0, 0.5, 0 and 0.5, with the variance 1/12. From
    their median the four are 0.25 away, so two more, of (4 · 0.25² + 2)/6 each, add 2/3 · 0.375 = 1/4 to it."""
    both = pair(shifted("a", [0.0, 0.5, 0.5, 0.0]), shifted("bb", [0.0, 1.0, 0.5, 0.5]))
    (row,) = both.shift_consistency
    assert (row.first.mean, row.other.mean, row.differences) == (0.25, 0.5, (0.25, 0.25, 0.25))
    half = 4.302653 * math.sqrt(2) / 12
    assert (row.comparison.low, row.comparison.high) == pytest.approx((0.25 - half, 0.25 + half))
    assert row.comparison.total_high - 0.25 == pytest.approx(3.182446 * math.sqrt((1 / 12 + 1 / 4) / 4), rel=1e-6)
    assert rows(both)["cnn"].comparison.difference == -0.25


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (shifted("bb", [0.5] * 4, margin=(1, 2)), "the shifts differ: a margin of 2×2 pixels and of 1×2"),
        (shifted("bb", [0.5] * 3), "4 images were shifted and 3"),
        (
            shifted("bb", [0.5] * 4, test=Images(np.zeros((1, 1, 2, 2), np.uint8), np.zeros(1, int))),
            "the test sets differ: 4 images and 1",
        ),
    ],
)
def test_shift_consistency_of_other_images_or_shifts_is_not_paired(other, reason):
    (row,) = pair(shifted("a", [0.5] * 4), other).shift_consistency
    assert row.comparison is None
    assert row.verdict.reason == reason


def test_the_p_values_of_the_two_metrics_are_families_of_their_own():
    half, mixed = (
        {seed: [share, 0, 0, 0] for seed, share in zip(TEN, shares, strict=True)}
        for shares in ([0.5] * 10, [0.0, 1.0] * 5)
    )
    first, other = result("a", {"cnn": ONE_RIGHT}, {"cnn": half}), result("b", {"cnn": TWO_RIGHT}, {"cnn": mixed})
    both = pair(first, other)
    assert rows(both)["cnn"].p_adjusted == 2 / 2**10
    assert both.shift_consistency[0].p_adjusted == 1


def test_variants_that_one_of_the_two_did_not_probe_have_no_row_of_shift_consistency():
    sides = compare(shifted("a", [0.5] * 4), result("bb", {"cnn": {0: [1, 1, 1, 1]}}))
    assert sides.pairs[0].shift_consistency == []
    assert "Shift consistency" not in output.text(sides)
    both = compare(shifted("a", [0.5] * 4), shifted("bb", [0.25] * 4))
    table = output.text(both).partition("Shift consistency")[2]
    assert "cnn        50.00 ± 50.00  25.00 ± 37.85  −25.00 ± 50.71" in table  # t · √2/12, within 0 and 100 %
    assert 'id="tbl-shift-1"' in output.html(both)


def test_without_a_seed_in_common_nothing_is_paired_and_the_seeds_are_named():
    row = rows(pair(result("a", {"cnn": {0: [1, 0], 1: [1, 0]}}), result("b", {"cnn": {2: [1, 1]}})))["cnn"]
    assert row.comparison is None
    assert math.isnan(row.p_adjusted)
    assert row.verdict.reason == "no seed in common: 0, 1 and 2"


def test_runs_that_diverged_are_named_and_a_variant_without_another_is_paired_with_nothing():
    first = result("a", {"cnn": {0: [1, 0], 2: [1, 0]}, "lost": {0: [1, 1]}}, diverged={"cnn": [1]})
    answers = {"cnn": {0: [1, 1], 1: [1, 1]}, "lost": {}, "new": {}}
    sides = compare(first, result("b", answers, diverged={"lost": [0], "new": [0, 1]}))
    assert rows(sides.pairs[0])["cnn"].comparison.n_seeds == 1
    assert rows(sides.pairs[0])["lost"].verdict.reason == "no seed in common: 0 and none that finished"
    sentences = ["Diverged in a, and therefore without an accuracy: cnn under seed 1."]
    sentences += ["Diverged in b, and therefore without an accuracy: lost under seed 0; new under seeds 0, 1."]
    assert wording.diverged(sides) == sentences
    for text in (" ".join(output.text(sides).split()), output.html(sides)):
        assert all(sentence in text for sentence in sentences)
        assert "nan" not in text


def test_one_seed_has_a_difference_and_no_interval():
    sides = compare(result("a", {"cnn": {0: [1, 0]}}), result("b", {"cnn": {0: [1, 1]}}))
    cells = ["cnn", "50.00 ± –", "100.00 ± –", "+50.00 ± –", "not stated", "± –", "1", "1.000"]
    assert wording.difference_table(sides.pairs[0], sides.pairs[0].accuracy).rows == [cells]
    assert "<svg" not in output.html(sides)  # figures are images of their own


OTHER_IMAGES = "the test sets differ: as many images, but not the same ones in the same order"


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (Images(GREY.copy(), np.array([0, 1])), ""),
        (Images(GREY[:1], np.array([0])), "the test sets differ: 2 images and 1"),
        (Images(GREY[::-1], np.array([0, 1])), OTHER_IMAGES),
        (Images(GREY, np.array([1, 0])), OTHER_IMAGES),
        (Images(GREY[..., :3], np.array([0, 1])), OTHER_IMAGES),
    ],
)
def test_test_sets_are_paired_where_they_are_the_same_images_in_the_same_order(other, reason):
    sides = compare(
        result("a", {"cnn": {0: [1, 0]}}, test=Images(GREY, np.array([0, 1]))),
        result("b", {"cnn": {0: [1, 1]}}, test=other),
    )
    row = rows(sides.pairs[0])["cnn"]
    assert (row.comparison is None) == bool(reason)
    assert row.other.mean == 1
    for text in (output.text(sides), output.html(sides)):
        assert (f"Not paired: {reason}." in text) == bool(reason)


def test_settings_that_differ_are_those_in_use():
    one = {
        "protocol": "p",
        "protocols": {"p": {"epochs": 4, "variants": ["cnn"]}, "idle": {"epochs": 10}},
        "recipe": {"lr": 0.01, "same": 1},
        "variants": {"cnn": {"run": {}}, "idle": {"run": {"a": 1}}},
    }
    two = {
        "protocol": "q",
        "protocols": {"q": {"epochs": 5, "variants": ["cnn", "new"]}, "idle": {"epochs": 20}},
        "recipe": {"lr": 0.02, "same": 1},
        "variants": {"cnn": {"run": {"architecture": {"channels": [4, 8]}}}, "idle": {"run": {"a": 2}}},
    }
    sides = compare(result("a", {"cnn": {0: [1]}}, settings=one), result("b", {"cnn": {0: [1]}}, settings=two))
    assert sides.settings == {
        "protocol.name": ["p", "q"],
        "protocol.epochs": ["4", "5"],
        "recipe.lr": ["0.01", "0.02"],
        "variants.cnn.run": ["{}", ""],
        "variants.cnn.run.architecture.channels": ["", "[4, 8]"],
    }


class Page(HTMLParser):
    """The tags that are open, and every address that the page asks for."""

    def __init__(self, text):
        super().__init__()
        self.open, self.addresses, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_is_whole_asks_for_no_other_file_and_shows_names_as_they_stand():
    odd = "<b>&'$x$"
    arms = [{seed: [seed % 2, n, 0, 1] for seed in range(3)} for n in (0, 1)]
    sides = compare(*[result(odd, {"cnn": arm, odd: arm}) for arm in arms], result("c", {"cnn": arms[0]}))
    text = output.html(sides)
    page = Page(text)
    assert page.open == []
    assert all(address.startswith("data:") for address in page.addresses)
    assert text.startswith("<!DOCTYPE html>")
    assert odd in page.text
    assert "<b>" not in text
    assert text == output.html(sides)  # byte for byte


def test_many_variants_are_spread_over_several_figures(monkeypatch):
    monkeypatch.setattr(figures, "ROWS", 2)
    monkeypatch.setattr(figures, "PANELS", 2)
    sides = compare(*[result(name, {f"v{i}": {0: [n, 0], 1: [n, 1]} for i in range(3)}) for n, name in enumerate("ab")])
    assert output.html(sides).count("data:image/svg+xml") == 2 + 2 * 2

"""The comparison as a comment on a pull request: what differs beyond chance first, and every name as it stands."""

import pytest
from fake_results import REPOSITORY
from small_compared import result

from stages.shared import params
from stages.tools.compare import markdown, side_by_side
from stages.tools.compare.side_by_side import compare

INFERENCE = params.load(REPOSITORY / "params.yaml").inference
# Of 400 images 60 are right, or 100: ten seeds that all move by 40 images show it, whatever other images would be.
LOW, HIGH = [1] * 60 + [0] * 340, [1] * 100 + [0] * 300


def seeds(number, images):
    return dict.fromkeys(range(number), images)


def written(*compared):
    return markdown.markdown(compare(compared, INFERENCE))


def short(text):
    return text.partition("<details>")[0]


def rows(text):
    """The cells of every row of every table, without header and rule."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if "--:" not in line]


def test_what_differs_beyond_chance_stands_first_and_the_rest_is_folded_away():
    first = result("main", {"up": seeds(10, LOW), "down": seeds(10, HIGH), "same": seeds(10, LOW)})
    other = result("mine", {"up": seeds(10, HIGH), "down": seeds(10, LOW), "same": seeds(10, LOW)})
    text = written(first, other)
    assert text.startswith(
        "**`mine` against `main`, test accuracy: 2 of 3 variants differ beyond chance: 1 better, 1 worse.**\n"
    )
    header, up, down = rows(short(text))
    assert header[:4] == ["variant", "measure", "`main`", "`mine`"]
    assert up[:2] == ["`up`", "accuracy"]
    assert (up[4][:6], up[5], down[4][:6], down[5]) == ("+10.00", "better", "−10.00", "worse")
    assert "Both have 3 variants. The runs of 1 are the same, byte for byte (same)." in text
    assert text.endswith("</details>")


def test_a_difference_that_is_chance_is_only_among_the_rest():
    up_and_down = {seed: LOW if seed % 2 else HIGH for seed in range(10)}
    other = {seed: HIGH if seed % 2 else LOW for seed in range(10)}
    text = written(result("a", {"cnn": up_and_down}), result("b", {"cnn": other}))
    assert text.startswith("**`b` against `a`, test accuracy: None of 1 variant is shown to differ beyond chance.**")
    assert not rows(short(text))
    assert "`cnn`" in text


@pytest.mark.parametrize(("image", "leaning"), [(HIGH, "1 of these has"), ([0, *LOW[1:-1], 1], "0 of these have")])
def test_with_too_few_seeds_no_verdict_is_claimed_and_an_interval_is_called_one(image, leaning):
    text = written(result("a", {"cnn": seeds(3, LOW)}), result("b", {"cnn": seeds(3, image)}))
    assert (
        "None of 1 variant is shown to differ beyond chance. 1 is without a verdict; "
        f"{leaning} an interval that leaves zero out.**" in text
    )
    assert len(rows(short(text))) == (2 if leaning.startswith("1") else 0)


def test_shift_consistency_is_in_the_same_table():
    few, many = seeds(10, [0.2] * 400), seeds(10, [0.6] * 400)
    first = result("a", {"cnn": seeds(10, LOW)}, {"cnn": few})
    other = result("b", {"cnn": seeds(10, HIGH)}, {"cnn": many})
    assert [row[1] for row in rows(short(written(first, other)))[1:]] == ["accuracy", "shift consistency"]


def test_settings_and_code_that_differ_are_named():
    settings = [{"protocol": "p", "recipe": {"lr": lr}} for lr in (0.01, 0.02)]
    compared = [
        result(name, {"cnn": seeds(3, LOW)}, settings=one, code={"stages/train": name})
        for name, one in zip("ab", settings, strict=True)
    ]
    text = written(*compared)
    assert "| setting | `a` | `b` |" in text
    assert "| `recipe.lr` | `0.01` | `0.02` |" in text
    assert "Code that differs: `stages/train`." in text
    assert "All runs are the same, byte for byte." in text


def test_where_nothing_differs_it_says_so_alone():
    text = written(result("a", {"cnn": seeds(3, LOW)}), result("b", {"cnn": seeds(3, LOW)}))
    assert short(text).strip() == "**Nothing differs: the settings, the code and the runs are the same.**"


def test_no_name_is_markup_or_a_mention():
    odd = "@all|`<img src=x>`*"
    text = written(result(odd, {odd: seeds(10, LOW)}), result("b", {odd: seeds(10, HIGH)}))
    as_code = "`` @all\\|`<img src=x>`* ``"
    assert f"| {as_code} | accuracy | {as_code} | `b` |".split("| accuracy")[0] in text
    outside = text.replace(as_code, "")
    assert "<img" not in outside
    assert "@all" not in outside
    assert text.count("<details>") == 1


def test_a_comment_that_would_be_too_long_keeps_what_matters(monkeypatch):
    monkeypatch.setattr(markdown, "LONGEST", 1000)
    text = written(result("a", {"cnn": seeds(10, LOW)}), result("b", {"cnn": seeds(10, HIGH)}))
    assert text.startswith("**`b` against `a`, test accuracy: 1 of 1 variant differs beyond chance: 1 better.**")
    assert "`make compare` prints them" in text
    assert len(text) <= 1000


def test_three_revisions_have_a_headline_each():
    compared = [result(name, {"cnn": seeds(10, images)}) for name, images in zip("abc", (LOW, HIGH, LOW), strict=True)]
    text = written(*compared)
    assert "`b` against `a`" in text
    assert "`c` against `a`, test accuracy: Both have 1 variant. All runs are the same" in text


def test_only_better_worse_and_intervals_without_a_verdict_count_as_beyond_chance():
    (row,) = (
        compare([result("a", {"cnn": seeds(10, LOW)}), result("b", {"cnn": seeds(10, HIGH)})], INFERENCE)
        .pairs[0]
        .accuracy
    )
    assert markdown.beyond_chance(row)
    for verdict in ("equivalent", "inconclusive", side_by_side.UNPAIRED):
        other = side_by_side.replace(row, verdict=side_by_side.Verdict(verdict, ""))
        assert not markdown.beyond_chance(other)

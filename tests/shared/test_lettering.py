"""The names that users bring: which letters can be drawn, and how long names stay different."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.shared.lettering import class_names, fonts

WORM = "00000_Animalia_Annelida_Clitellata_Haplotaxida_Lumbricidae_Lumbricus_terrestris"
THAI, FOX = "สุนัข", "\U0001f98a fox"


@pytest.mark.parametrize(
    "text", ["T-shirt/top", "Hündchen", "собака", "σκύλος", "猫", "ネコ", "고양이", "简体字", "كلب", "כלב", "😀"]
)
def test_a_bare_machine_can_draw_these_scripts(text, report_style):
    from stages.shared.drawing import style

    assert fonts.can_draw(text)
    figure, axes = style.plt.subplots(figsize=(2, 1))
    axes.set_title(style.plain(text))
    with warnings.catch_warnings(action="error"):
        figure.canvas.draw()


def test_a_name_that_no_font_can_draw_becomes_its_number_and_is_spelled_in_the_list():
    assert not fonts.can_draw(THAI)
    assert class_names.shown(["cat", THAI, "犬", FOX]) == ["cat", "1", "犬", "3"]
    assert class_names.spelled(FOX) == "⟨fox face⟩ fox"
    assert class_names.spelled("cat 犬") == "cat 犬"


def test_a_long_name_loses_its_middle_and_stays_different():
    assert class_names.shown([WORM, "dog"]) == ["00000_Animal…_terrestris", "dog"]
    other = WORM.replace("Haplotaxida", "Xplotaxida")
    assert class_names.shown([WORM, other, "dog"]) == ["0: 00…mbricus_terrestris", "1: 00…mbricus_terrestris", "dog"]
    assert class_names.shown(["中" * 20]) == ["中" * 6 + "…" + "中" * 5], "one of these takes two columns"


def test_a_name_that_is_another_classes_number_is_told_apart():
    assert class_names.shown(["1", THAI]) == ["0: 1", "1: 1"]


@given(st.lists(st.text(max_size=60), min_size=1, max_size=12, unique=True), st.sampled_from([12, 18, 24]))
def test_names_that_differ_are_shown_differently_and_fit(names, longest):
    shown = class_names.shown(names, longest)
    assert len(set(shown)) == len(names)
    assert all(class_names.width(name) <= longest for name in shown)


def test_a_user_is_told_of_names_that_will_be_shown_otherwise():
    assert class_names.remarks(["cat", "犬"]) == []
    undrawn, long = class_names.remarks(["cat", THAI, WORM])
    assert undrawn.startswith(f"class names with letters that no font here has: 1 of 3 (1: {THAI}); figures and tables")
    assert long.startswith("class names wider than 24 letters: 1 of 3; figures and tables shorten them")


@given(st.text())
def test_a_breakable_text_has_the_same_letters_and_no_long_word(text):
    broken = class_names.breakable(text)
    assert broken.replace(class_names.BREAK, "") == text.replace(class_names.BREAK, "")
    assert all(len(word) <= class_names.UNBROKEN for part in broken.split(class_names.BREAK) for word in part.split())

"""The page's formulas have a font with everything they need."""

import base64
import html
import io
import re

from fontTools.ttLib import TTFont

from stages.render import math_font


def test_the_font_has_every_character_of_the_report_s_formulas_and_a_math_table(page):
    font = TTFont(io.BytesIO(math_font.woff()))
    assert "MATH" in font
    formulas = re.findall(r"<math.*?</math>", page, re.DOTALL)
    assert len(formulas) > 40
    bare = (re.sub(r"<annotation.*?</annotation>|<[^>]*>", "", formula, flags=re.DOTALL) for formula in formulas)
    used = {character for text in bare for character in html.unescape(text)}
    invisible = set("\n\u2061\u2062\u2063\u2009\u2003\u2001")  # function application, thin and wide spaces
    assert used - invisible <= set(map(chr, font.getBestCmap()))


def test_the_page_embeds_the_font_and_its_bytes_repeat(page):
    assert base64.b64encode(math_font.woff()).decode() in page
    assert math_font.woff() == math_font.woff()
    assert len(math_font.css()) < 200_000

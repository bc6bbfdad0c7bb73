"""The fonts that come with the installed packages, so that every machine draws the same letters."""

from functools import cache
from importlib import resources
from pathlib import Path

FAMILIES = ("DejaVu Sans", "Noto Sans CJK JP")  # a letter is taken from the first that has it
CJK_FONT = "NotoSansCJKjp-Regular.otf"  # Chinese, Japanese and Korean; 45,000 characters


def files() -> tuple[Path, ...]:
    """The font files, in the order of FAMILIES."""
    import matplotlib  # a quarter of a second, which the stages without figures need not wait for

    dejavu = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return dejavu, Path(str(resources.files("noto_cjk_sans_jp_regular") / CJK_FONT))


def can_draw(text: str) -> bool:
    """Whether the fonts have every letter of the text."""
    return all(ord(character) in _characters() for character in text)


@cache
def _characters() -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(code for file in files() for code in FT2Font(str(file)).get_charmap())

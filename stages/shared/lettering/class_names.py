"""The names of classes as the report shows them: short, different, and in letters that can be drawn."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from stages.shared.lettering.fonts import can_draw

LONGEST = 24  # columns of a name where nothing else limits it; a Chinese character takes two
UNBROKEN = 30  # characters of a text without a place where a line may break
BREAK = "\u200b"  # a space of no width


def shown(names: Sequence[str], longest: int = LONGEST) -> list[str]:
    """The names, each with at most `longest` columns, and all different where the names are.

    One with a letter that no font has becomes its number, counted from 0. A long one loses its middle; where two would
    then be alike, each begins with its number.
    """
    drawn = [name if can_draw(name) else str(number) for number, name in enumerate(names)]
    short = [_without_middle(name, longest) for name in drawn]
    times = Counter(short)
    for number, name in enumerate(drawn):
        if times[short[number]] > 1:
            short[number] = _without_middle(f"{number}: {name}", longest, head=len(f"{number}: ") + 2)
    return short if len(set(short)) == len(set(names)) else [str(number) for number in range(len(names))]


def remarks(names: Sequence[str]) -> list[str]:
    """What a user should know before a long run about how these names will be shown; a sentence for each matter."""
    undrawn = [f"{number}: {name}" for number, name in enumerate(names) if not can_draw(name)]
    n_long = sum(width(name) > LONGEST for name in names if can_draw(name))
    sentences = []
    if undrawn:
        more = f" and {len(undrawn) - 3} more" if len(undrawn) > 3 else ""
        sentences.append(
            f"class names with letters that no font here has: {len(undrawn)} of {len(names)} "
            f"({', '.join(undrawn[:3])}{more}); figures and tables show the numbers of these classes, and the report "
            "lists their names"
        )
    if n_long:
        sentences.append(
            f"class names wider than {LONGEST} letters: {n_long} of {len(names)}; figures and tables shorten them, "
            "and the report lists them in full"
        )
    return sentences


def spelled(name: str) -> str:
    """The name with each letter that no font has replaced by its name in Unicode, such as ⟨thai character mo ma⟩."""
    return "".join(
        character if can_draw(character) else f"⟨{unicodedata.name(character, hex(ord(character))).lower()}⟩"
        for character in name
    )


def breakable(text: str) -> str:
    """The text with places inside its long words at which a line may break, so that it fits any column."""
    pieces = re.split(r"(?<=[_/.-])(?=[^_/.-]{4})", text) if len(text) > UNBROKEN else [text]
    return BREAK.join(re.sub(rf"(\S{{{UNBROKEN}}})(?=\S)", rf"\1{BREAK}", piece) for piece in pieces)


def width(text: str) -> int:
    """Columns that the text takes, where a Latin letter takes one."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _without_middle(text: str, longest: int, head: int | None = None) -> str:
    """The text, cut to so many columns. head: columns of its beginning that stay; half of them if none is given."""
    if width(text) <= longest:
        return text
    head = longest // 2 if head is None else min(head, longest - 2)
    beginning = _fitting(text, head)
    end = _fitting(text[::-1], longest - 1 - width(beginning))[::-1]
    return f"{beginning.rstrip()}…{end.lstrip()}"


def _fitting(text: str, columns: int) -> str:
    """The longest beginning of the text with at most so many columns."""
    taken = 0
    for place, character in enumerate(text):
        taken += _columns(character)
        if taken > columns:
            return text[:place]
    return text

"""The messages about mistakes in a settings file: one line each, with the key, its value and what is allowed."""

import difflib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pydantic_core import ErrorDetails, PydanticCustomError

LONGEST_VALUE = 60  # characters of a value that a message shows


class ParamsError(Exception):
    """A mistake in a settings file; its text is the whole message for the user."""


def message(path: Path, mistakes: list[str]) -> str:
    """The whole message: how many mistakes the file has, then each of them once."""
    lines = list(dict.fromkeys(mistakes))
    head = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
    return f"{path.name}: {head}; nothing was run\n" + "\n".join(f"  {line}" for line in lines)


def sentence(error: ErrorDetails, fields_at: Callable[[list[str]], list[str]]) -> str:
    """One line about an error of pydantic's: the key, its value, and what is allowed.

    fields_at: location → the keys that are allowed in the block there.
    """
    location = [str(part) for part in error["loc"] if part != "[key]"]
    key = ".".join(location) or "params.yaml"
    value = _shortened(error["input"])
    if error["type"] == "mistake":
        return f"{key}: {error['msg']}" if location else error["msg"]
    if error["type"] == "missing":
        return f"{key}: missing"
    if error["type"] == "extra_forbidden":
        allowed = fields_at(location[:-1])
        return f"{key} = {value}: unknown key{guess(location[-1], allowed)}; allowed here: {', '.join(allowed)}"
    requirement = re.sub(r" or instance of \w+", "", error["msg"])
    for pydantics, plain in PLAIN_WORDS:
        requirement = requirement.replace(pydantics, plain)
    if error["input"] is None and "families" in location:
        requirement += " (a comma ends a value: quote text that has one)"
    if isinstance(error["input"], str) and error["type"] in ("float_type", "int_type"):
        requirement += " (a number stands without quotes)"
    return f"{key} = {value}: {requirement}"


# pydantic's words, and plainer ones in their place.
PLAIN_WORDS = (
    ("Input should be", "should be"),
    ("a valid integer", "a whole number"),
    ("a valid string", "text"),
    ("an object", "a mapping"),
    ("a valid dictionary", "a mapping"),
    ("a valid array", "a list"),
    (
        "String should match pattern '^[a-z0-9]+(_[a-z0-9]+)*$'",
        "should be lower-case words joined by _, such as kernel_5",
    ),
    (
        r"String should match pattern '^[A-Za-z_][A-Za-z0-9_]*\.py$'",
        "should be the name of a file in modules/, of letters, digits and _, such as my_net.py",
    ),
    ("String should match pattern '^[A-Za-z_][A-Za-z0-9_]*$'", "should be the name of a class, such as Net"),
    ("Tuple should have at least 1 item after validation, not 0", "should not be empty"),
    ("Dictionary should have at least 1 item after validation, not 0", "should not be empty"),
    ("String should have at least 1 character", "should not be empty"),
)


def mistake(text: str) -> PydanticCustomError:
    """An error for a validator to raise; its text is shown as it is."""
    return PydanticCustomError("mistake", "{text}", {"text": text})


def must_be_one_of(where: str, value: str, allowed: Iterable[str]) -> None:
    """Raises a mistake that names the value and what is allowed. where: its key, unless pydantic knows it ("")."""
    if value not in allowed:
        names = ", ".join(allowed) or "(none)"
        place = f"{where}: " if where else ""
        raise mistake(f"{place}{value!r} is not one of {names}{guess(value, allowed)}")


def guess(value: str, allowed: Iterable[str]) -> str:
    """ " (did you mean 'kernel'?)"; empty where no allowed word is close."""
    close = difflib.get_close_matches(value, list(allowed), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}…"

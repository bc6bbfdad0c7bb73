"""What is said of a mistake in params.yaml: one line each, with the key, its value and what is allowed."""

import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic_core import ErrorDetails, PydanticCustomError


class ParamsError(Exception):
    """A mistake in params.yaml; its text is the whole message for the user."""


def sentence(detail: ErrorDetails, fields_at: Callable[[list[str]], list[str]]) -> str:
    """One line: the key, its value, and what is allowed. fields_at: the keys of the block at a location."""
    location = [str(part) for part in detail["loc"] if part != "[key]"]
    key = ".".join(location) or "params.yaml"
    if detail["type"] == "mistake":
        return f"{key}: {detail['msg']}" if location else detail["msg"]
    if detail["type"] == "extra_forbidden":
        allowed = fields_at(location[:-1])
        return f"{key} = {_shown(detail['input'])}: unknown key{guess(location[-1], allowed)}; allowed here: {', '.join(allowed)}"
    if detail["type"] == "missing":
        return f"{key}: missing"
    said = re.sub(r" or instance of \w+", "", detail["msg"])
    for ours, theirs in WORDS:
        said = said.replace(theirs, ours)
    quoted = isinstance(detail["input"], str) and detail["type"] in ("float_type", "int_type")
    return f"{key} = {_shown(detail['input'])}: {said}{' (a number stands without quotes)' if quoted else ''}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


# Ours for pydantic's.
WORDS = (
    ("should be", "Input should be"),
    ("a whole number", "a valid integer"),
    ("text", "a valid string"),
    ("a mapping", "an object"),
    ("a mapping", "a valid dictionary"),
    ("a list", "a valid array"),
    (
        "should be lower-case words joined by _, such as kernel_5",
        "String should match pattern '^[a-z0-9]+(_[a-z0-9]+)*$'",
    ),
    ("should not be empty", "Tuple should have at least 1 item after validation, not 0"),
    ("should not be empty", "Dictionary should have at least 1 item after validation, not 0"),
    ("should not be empty", "String should have at least 1 character"),
)


def message(path: Path, mistakes: list[str]) -> str:
    lines = list(dict.fromkeys(mistakes))
    head = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
    return f"{path.name}: {head}; nothing was run\n" + "\n".join(f"  {line}" for line in lines)


def mistake(text: str) -> PydanticCustomError:
    return PydanticCustomError("mistake", "{text}", {"text": text})


def must_be_one_of(where: str, value: str, allowed: dict[str, Any]) -> None:
    if value not in allowed:
        raise mistake(f"{where}: {value!r} is not one of {', '.join(allowed) or '(none)'}{guess(value, allowed)}")


def guess(value: str, allowed: Any) -> str:
    close = difflib.get_close_matches(value, list(allowed), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""

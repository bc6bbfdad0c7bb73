"""Words for what is wrong with params.yaml."""

import difflib
from typing import Any


def guess(value: str, allowed: Any) -> str:
    close = difflib.get_close_matches(value, list(allowed), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def shown(value: Any) -> str:
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
    ("should be lower-case words joined by _, such as kernel_5", "String should match pattern '^[a-z0-9]+(_[a-z0-9]+)*$'"),
    ("should not be empty", "Tuple should have at least 1 item after validation, not 0"),
    ("should not be empty", "Dictionary should have at least 1 item after validation, not 0"),
    ("should not be empty", "String should have at least 1 character"),
)

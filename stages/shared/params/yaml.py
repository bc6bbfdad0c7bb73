"""A settings file as DVC reads it."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.shared.params.messages import ParamsError, message

MOST_VALUES = 100_000  # in one file: aliases of aliases can make billions out of a few lines
DEEPEST = 40  # blocks in each other
WIDEST = 2**53  # of a whole number: every reader of JSON, and DVC, agrees on these


def read_yaml(path: Path) -> dict[str, Any]:
    """The file as DVC reads it (YAML 1.2, where 1e-3 is a number)."""
    try:
        return parsed(path.read_bytes(), path)
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; restore it with `git checkout -- {path.name}`") from None


def parsed(content: bytes, path: Path) -> dict[str, Any]:
    """The content of a file that need not be on the disk; path: what the messages call it."""
    try:
        raw = YAML(typ="safe", pure=True).load(content.decode("utf-8"))
    except Exception as error:  # YAMLError, or what the constructor of a value raises: of a 13th month, a ValueError
        reason = " ".join(f"{error or type(error).__name__}".split())
        raise ParamsError(f"{path.name} is not valid YAML: {reason[:300]}") from None
    if not isinstance(raw, dict):
        raise ParamsError(f"{path.name} must be a mapping; restore it with `git checkout -- {path.name}`")
    odd = list(_odd(raw, path))
    if odd:
        raise ParamsError(message(path, odd))
    return raw


def _odd(raw: Any, path: Path) -> Iterator[str]:
    """A line for each key or value that no setting may have. Raises ParamsError where there would be no end of values."""
    todo, seen = [("", raw, 0)], 0
    while todo:
        where, value, depth = todo.pop()
        seen += 1
        if depth > DEEPEST:
            raise ParamsError(
                f"{path.name} refers to itself through an alias (*), or has more than {DEEPEST} blocks in each other; write the block out"
            )
        if seen > MOST_VALUES:
            raise ParamsError(
                f"{path.name} has more than {MOST_VALUES:,} values, its aliases (*) written out; it must be shorter"
            )
        if isinstance(value, str) and not _is_plain(value):
            yield f"{where[1:]} = {value[:40]!r}: should have no control characters"
        if isinstance(value, int) and abs(value) > WIDEST:
            yield f"{where[1:]}: should be a whole number from -2^53 to 2^53"
        if isinstance(value, dict):
            yield from (
                f"the key {key!r} must be text; write it in quotes or with a letter"
                for key in value
                if not isinstance(key, str)
            )
            yield from (
                f"the key {key!r} should have no control characters"
                for key in value
                if isinstance(key, str) and not _is_plain(key)
            )
        inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        todo += [(f"{where}.{key}", inner, depth + 1) for key, inner in inside]


def _is_plain(text: str) -> bool:
    return not any(unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t" for character in text)

"""Read a settings file as DVC reads it, and refuse content that no setting may have."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.shared.params.messages import ParamsError, message

MAX_VALUES = 100_000  # in one file: aliases of aliases can make billions out of a few lines
MAX_DEPTH = 40  # of blocks inside each other
MAX_INTEGER = 2**53  # every reader of JSON, and DVC, agrees on whole numbers up to this


def read_yaml(path: Path) -> dict[str, Any]:
    """The file as DVC reads it (YAML 1.2, where 1e-3 is a number)."""
    try:
        return parse_yaml(path.read_bytes(), path)
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; restore it with `git checkout -- {path.name}`") from None


def parse_yaml(content: bytes, path: Path) -> dict[str, Any]:
    """The content of a settings file. path: only for the messages; it need not exist."""
    try:
        settings = YAML(typ="safe", pure=True).load(content.decode("utf-8"))
    except Exception as error:  # YAMLError, or what the constructor of a value raises: for a 13th month, a ValueError
        reason = " ".join(f"{error or type(error).__name__}".split())
        raise ParamsError(f"{path.name} is not valid YAML: {reason[:300]}") from None
    if not isinstance(settings, dict):
        raise ParamsError(f"{path.name} must be a mapping; restore it with `git checkout -- {path.name}`")
    mistakes = [line for where, value in _all_values(settings, path) for line in _mistakes(where, value)]
    if mistakes:
        raise ParamsError(message(path, mistakes))
    return settings


def _all_values(settings: dict[str, Any], path: Path) -> Iterator[tuple[str, Any]]:
    """(key, value) of every value at any depth, blocks and lists included.

    Raises ParamsError where there would be no end of them.
    """
    waiting: list[tuple[str, Any, int]] = [("", settings, 0)]
    n_values = 0
    while waiting:
        where, value, depth = waiting.pop()
        n_values += 1
        if depth > MAX_DEPTH:
            raise ParamsError(
                f"{path.name} refers to itself through an alias (*), or has more than {MAX_DEPTH} blocks in "
                "each other; write the block out"
            )
        if n_values > MAX_VALUES:
            raise ParamsError(
                f"{path.name} has more than {MAX_VALUES:,} values, its aliases (*) written out; it must be shorter"
            )
        yield where.removeprefix("."), value
        if isinstance(value, dict):
            waiting += [(f"{where}.{key}", inner, depth + 1) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{where}.{index}", inner, depth + 1) for index, inner in enumerate(value)]


def _mistakes(where: str, value: Any) -> Iterator[str]:
    if isinstance(value, str) and not _is_printable(value):
        yield f"{where} = {value[:40]!r}: should have no control characters"
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        yield f"{where}: should be a whole number from -2^53 to 2^53"
    for key in value if isinstance(value, dict) else ():
        if not isinstance(key, str):
            yield f"the key {key!r} must be text; write it in quotes or with a letter"
        elif not _is_printable(key):
            yield f"the key {key!r} should have no control characters"


def _is_printable(text: str) -> bool:
    return all(character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs") for character in text)

"""A settings file as DVC reads it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.params.messages import ParamsError, message


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
    except (YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ParamsError(f"{path.name} is not valid YAML: {reason[:300]}") from None
    if not isinstance(raw, dict):
        raise ParamsError(f"{path.name} must be a mapping; restore it with `git checkout -- {path.name}`")
    try:
        odd = [key for key in _keys(raw) if not isinstance(key, str)]
    except RecursionError:
        raise ParamsError(f"{path.name} refers to itself through an alias (*); write the block out") from None
    if odd:
        raise ParamsError(message(path, [f"the key {key!r} must be text; write it in quotes or with a letter" for key in odd]))
    return raw


def _keys(block: Any) -> Iterator[Any]:
    """Every key of every mapping inside."""
    if isinstance(block, dict):
        yield from block
    for inner in block.values() if isinstance(block, dict) else block if isinstance(block, list) else ():
        yield from _keys(inner)

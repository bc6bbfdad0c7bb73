"""Pipe tables that pandoc and Quarto turn into HTML and typst alike."""

import re

import pandas as pd

WIDTH = 78  # characters: a wider source gets forced column widths, and does not fit the printed page


def pipe_tables(frame: pd.DataFrame, identifier: str, caption: str, width: int = WIDTH) -> str:
    """The frame's strings as one pipe table with its caption, or as several that each repeat the first column.

    The first table has the id `identifier`, those that continue it `identifier--2` and so on.
    """
    parts = []
    for number, columns in enumerate(_groups(frame, width), 1):
        suffix, note = ("", "") if number == 1 else (f"--{number}", " (continued)")
        parts.append(f"{_body(frame[columns])}\n\n: {caption}{note} {{#{identifier}{suffix}}}\n")
    return "\n".join(parts)


def escape(text: str) -> str:
    """Text that markdown shows as it stands."""
    return re.sub(r"([\\`*_\[\]{}<>$@#|~^])", r"\\\1", text)


def cell(text: str) -> str:
    """As `escape`; and a cell never begins with "+ ", "- " or "= ", which typst reads as a list or a heading."""
    safe = re.sub(r"^([+=-])\s+", r"\1", text.strip())
    return escape("−" + safe[1:] if safe.startswith("-") else safe)


def _groups(frame: pd.DataFrame, width: int) -> list[list[str]]:
    """Column names of each table: as many as fit beside the first column, and never fewer than one."""
    first, *others = frame.columns
    groups: list[list[str]] = [[first]]
    for name in others:
        if len(groups[-1]) > 1 and _width(frame[[*groups[-1], name]]) > width:
            groups.append([first])
        groups[-1].append(name)
    return groups


def _width(frame: pd.DataFrame) -> int:
    return max(len(line) for line in _body(frame).splitlines())


def _body(frame: pd.DataFrame) -> str:
    align = ["left", *["right"] * (len(frame.columns) - 1)]
    return str(frame.to_markdown(index=False, disable_numparse=True, colalign=align))

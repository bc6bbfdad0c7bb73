"""Pipe tables that pandoc and Quarto turn into HTML and typst alike."""

import re
from collections.abc import Collection

import pandas as pd

WIDTH = 88  # characters of a row that fit the printed page, counting two beside each column
FIRST = 36  # characters of the first column in a line; a longer text wraps
MARKERS = re.compile(r"^([+/-]|=+|[0-9]+\.)\s+")  # typst reads a list or a heading where a cell begins so


def pipe_tables(frame: pd.DataFrame, identifier: str, caption: str, width: int = WIDTH, first: int = FIRST) -> str:
    """A frame of strings as one pipe table with its caption, or as several that each repeat the first column.

    The first table has the id `identifier`, those that continue it `identifier--2` and so on.
    width, first: as WIDTH and FIRST.
    """
    parts = []
    for number, columns in enumerate(_groups(frame, width, first), 1):
        suffix, note = ("", "") if number == 1 else (f"--{number}", " (continued)")
        parts.append(f"{_body(frame[columns])}\n\n: {caption}{note} {{#{identifier}{suffix}}}\n")
    return "\n".join(parts)


def csv(frame: pd.DataFrame, integers: Collection[str] = ()) -> str:
    """The frame as CSV, floats with six digits. integers: columns of whole numbers, some of them perhaps unknown."""
    whole = {name: "Int64" for name in integers if name in frame}
    return str(frame.astype(whole).to_csv(index=False, float_format="%.6f", lineterminator="\n"))


def escape(text: str) -> str:
    """Escape a text so that markdown shows it as it is, in one line."""
    return re.sub(r"([\\`*_\[\]{}<>$@#|~^&\"']|-(?=-)|\.(?=\.))", r"\\\1", " ".join(text.split()))


def cell(text: str) -> str:
    """Escape a text for a table's cell: one that begins with "+ ", "1. " or the like gets a no-break space there."""
    return MARKERS.sub("\\1\u00a0", escape(text))


def _groups(frame: pd.DataFrame, width: int, longest: int) -> list[list[str]]:
    """Column names of each table: as many as fit beside the first column, and never fewer than one."""
    first, *others = frame.columns
    groups: list[list[str]] = [[first]]
    for name in others:
        if len(groups[-1]) > 1 and _width(frame[[*groups[-1], name]], longest) > width:
            groups.append([first])
        groups[-1].append(name)
    return groups


def _width(frame: pd.DataFrame, longest: int) -> int:
    """Characters of a row as a reader sees it, with two beside each column. The first column wraps."""
    first, *others = (
        max(len(re.sub(r"\\(.)", r"\1", text)) for text in (name, *frame[name])) for name in frame.columns
    )
    return min(first, longest) + sum(others) + 2 * len(frame.columns)


def _body(frame: pd.DataFrame) -> str:
    align = ["left", *["right"] * (len(frame.columns) - 1)]
    return str(frame.to_markdown(index=False, disable_numparse=True, colalign=align))

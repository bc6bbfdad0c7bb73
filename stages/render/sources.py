"""The sources as one sequence of lines, each of which knows its file and number; and what of a line is text."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

INDEX = "index.qmd"
INCLUDE = re.compile(r"\s*\{\{<\s*include\s+(\S+)\s*>\}\}\s*")
VARIABLE = re.compile(r"\{\{<\s*var\s+([\w.]+)\s*>\}\}")
FENCE = re.compile(r"\s*(`{3,}|~{3,})")
# Code, then mathematics: what is inside is no markdown.
VERBATIM = re.compile(
    r"(?<![\\`])(`+)(?!`)(.*?)(?<!`)\1(?!`)|(?<!\\)\$\$.*?\$\$|(?<![\\$])\$(?![\s$])(?:[^$\\]|\\.)*?(?<!\s)\$(?!\d)"
)


@dataclass(frozen=True)
class Line:
    file: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.number}"


def read(project: Path, problems: list[str]) -> tuple[str, list[Line]]:
    """The front matter (YAML) of index.qmd, and its lines with every include replaced by that file's lines.

    Appends to `problems`: an include that is missing, circular, or not alone on its line.
    """
    lines = _file(project, INDEX)
    if not lines or lines[0].text != "---" or not any(line.text == "---" for line in lines[1:]):
        problems.append(f"{INDEX}:1: must begin with its title between two lines `---`")
        return "", lines
    end = next(place for place, line in enumerate(lines[1:], 1) if line.text == "---")
    front = "\n".join(line.text for line in lines[1:end])
    return front, list(_expanded(project, lines[end + 1 :], (INDEX,), problems))


def prose(lines: Iterable[Line], problems: list[str]) -> Iterator[Line]:
    """The same lines without code and mathematics; a fenced block leaves its first line, a display equation its attributes.

    Appends to `problems` a block or an equation that is never closed.
    """
    fence, in_math, opened = "", False, None
    for line in lines:
        text = line.text
        opening = FENCE.match(text)
        if fence:
            closes = opening and text.strip().startswith(fence) and not text.strip().strip(fence[0])
            fence = "" if closes else fence
            yield replace(line, text="")
            continue
        if opening and not in_math and not text.strip().endswith("`" * 3 + opening[1]):
            fence, opened = opening[1], line
            yield line
            continue
        if in_math or re.fullmatch(r"\s*\$\$", text):
            _, closing, text = text.partition("$$") if in_math else ("", "", "")
            opened = opened if in_math else line
            in_math = not closing
        yield replace(line, text=VERBATIM.sub("xxx", text))
    if fence or in_math:
        problems.append(f"{opened}: {fence or '$$'} is never closed")


def _expanded(project: Path, lines: list[Line], open_files: tuple[str, ...], problems: list[str]) -> Iterator[Line]:
    for line in lines:
        include = INCLUDE.fullmatch(line.text)
        name = include[1] if include else ""
        if not include:
            yield line
        elif "{{<" in name or ".." in name or name.startswith("/"):
            problems.append(f"{line}: the include {name!r} should be a file's plain path inside the project")
        elif name in open_files:
            problems.append(f"{line}: {name} includes itself")
        elif not (project / name).is_file():
            problems.append(f"{line}: the include {name} is missing")
        else:
            yield from _expanded(project, _file(project, name), (*open_files, name), problems)


def _file(project: Path, name: str) -> list[Line]:
    texts = (project / name).read_text(encoding="utf-8").splitlines()
    return [Line(name, number, text) for number, text in enumerate(texts, 1)]

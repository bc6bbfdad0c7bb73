"""The report's sources as one text: every include and variable in its place, and no mistake left."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pypandoc
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stages.render import source_checks
from stages.shared.stage_command import StageError

INDEX = "index.qmd"
VARIABLES = "_variables.yml"
BIBLIOGRAPHY = "references.bib"
FRONT_MATTER = ("title", "subtitle")
# Regular expressions find the shortcodes: these are Quarto's, and pandoc's syntax tree has no element for them.
INCLUDE = re.compile(r"\s*\{\{<\s*include\s+(\S+)\s*>\}\}\s*")
VARIABLE = re.compile(r"\{\{<\s*var\s+([\w.]+)\s*>\}\}")


@dataclass(frozen=True)
class Line:
    file: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.number}"


def read(project: Path) -> tuple[str, dict[str, str]]:
    """The report's text, with its includes and variables in place, and its front matter.

    Raises StageError that lists every mistake in the sources with its file and line.
    Both renderers call it before they render, so that what passes is the same document with either.
    """
    problems: list[str] = []
    front_matter, body = _split(_lines_of(project, INDEX), problems)
    lines = list(_expanded(project, body, (INDEX,), problems))
    variables = YAML(typ="safe", pure=True).load((project / VARIABLES).read_text(encoding="utf-8"))
    keys = _citation_keys(project / BIBLIOGRAPHY, problems)
    problems += _shortcode_problems(lines, variables)
    texts = [VARIABLE.sub(source_checks.PLACEHOLDER, line.text) for line in lines]
    for index, problem in source_checks.problems_of(project, texts, [str(line) for line in lines], keys):
        problems.append(f"{INDEX if index is None else lines[index]}: {problem}")
    if problems:
        order = {str(line): index for index, line in enumerate(lines)}
        problems.sort(key=lambda problem: order.get(problem.partition(": ")[0], -1))
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise StageError(f"the report's sources have {count}; nothing was rendered\n{listed}")
    text = "\n".join(line.text for line in lines) + "\n"
    return VARIABLE.sub(lambda match: str(lookup(variables, match[1])), text), front_matter


def lookup(variables: Mapping[str, Any], name: str) -> Any:
    """The value of a dotted name, or None."""
    value: Any = variables
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _split(lines: list[Line], problems: list[str]) -> tuple[dict[str, str], list[Line]]:
    """The front matter of index.qmd, which is YAML, and the lines below it."""
    ends = [place for place, line in enumerate(lines) if line.text == "---"]
    if len(ends) < 2 or ends[0] != 0:
        problems.append(f"{INDEX}:1: must begin with its title between two lines `---`")
        return {}, lines
    source = "\n".join(line.text for line in lines[1 : ends[1]])
    try:
        front_matter = YAML(typ="safe", pure=True).load(source) or {}
    except YAMLError as error:
        reason = " ".join(str(error).split())[:200]
        problems.append(f"{INDEX}: the lines between --- are not valid YAML: {reason}")
        front_matter = {}
    for key in front_matter:
        if key not in FRONT_MATTER:
            problems.append(f"{INDEX}: {key!r} is not supported in the front matter (title and subtitle are)")
    return {key: str(value) for key, value in front_matter.items()}, lines[ends[1] + 1 :]


def _expanded(project: Path, lines: list[Line], open_files: tuple[str, ...], problems: list[str]) -> Iterator[Line]:
    """The lines with every include replaced by that file's lines; an include that cannot be replaced is a problem."""
    for line in lines:
        include = INCLUDE.fullmatch(line.text)
        if not include:
            yield line
            continue
        name = include[1]
        if "{{<" in name or ".." in name or name.startswith("/"):
            problems.append(f"{line}: the include {name!r} should be a file's plain path inside the project")
        elif name in open_files:
            problems.append(f"{line}: {name} includes itself")
        elif not (project / name).is_file():
            problems.append(f"{line}: the include {name} is missing")
        else:
            yield from _expanded(project, _lines_of(project, name), (*open_files, name), problems)


def _lines_of(project: Path, name: str) -> list[Line]:
    texts = (project / name).read_text(encoding="utf-8").splitlines()
    return [Line(name, number, text) for number, text in enumerate(texts, 1)]


def _shortcode_problems(lines: list[Line], variables: Mapping[str, Any]) -> Iterator[str]:
    for line in lines:
        for name in VARIABLE.findall(line.text):
            if not isinstance(lookup(variables, name), str):
                yield f"{line}: there is no variable {name}"
        for name in re.findall(r"\{\{+[<%]\s*([^\s>]*)", VARIABLE.sub("", line.text)):
            yield (
                f"{line}: the shortcode {name!r} is not supported here "
                "(include, alone on its line, and var are, outside attributes)"
            )


def _citation_keys(bibliography: Path, problems: list[str]) -> set[str]:
    command = [pypandoc.get_pandoc_path(), "--from=bibtex", "--to=csljson", str(bibliography)]
    result = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if result.returncode:
        problems.append(f"{bibliography.name}: pandoc cannot read it: {' '.join(result.stderr.split())}")
        return set()
    keys = [entry["id"] for entry in json.loads(result.stdout)]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        problems.append(f"{bibliography.name}: the key {key} is there twice")
    return set(keys)

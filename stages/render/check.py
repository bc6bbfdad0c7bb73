"""Mistakes in the sources that Quarto renders without failing, and constructs that the embedded renderer has not.

Both renderers check before they render, so that what passes is the same document with either.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from stages.render.sources import VARIABLE, Line, prose

PAGE = 92  # characters of a table's type across the printed page
CALLOUTS = ("note", "tip", "important", "warning", "caution")
DIV = re.compile(rf'\{{\.callout-({"|".join(CALLOUTS)})( title="[^"{{]*")?\}}|\{{#refs\}}')
FIGURE = re.compile(r'\{#fig-[\w-]+ fig-alt="(?:(?!\{\{<)[^"])+"\}')
ATTRIBUTES = re.compile(r"\{#[a-z][\w-]*\}|\{\.unnumbered\}|" + FIGURE.pattern)
ATTRIBUTE_LIKE = re.compile(r"""(?<!\\)\{(?:[#.=-]|[\w-]+=)(?:"[^"]*"|[^{}"])*\}""")
IMAGE = re.compile(
    r"""!\[(?P<caption>(?:[^\[\]\\]|\\.|\[[^\]]*\])*)\]\((?P<path>[^)\s]*)[^)]*\)(?P<attributes>\{(?:"[^"]*"|[^}"])*\})?"""
)
LINK = re.compile(r"(?<!\\)\]\(([^)\s]+)[^)]*\)")
REFERENCE = re.compile(r"(?<![\w\\@/.])@(\{[^}]*\}|\w[\w:.#$%&+?<>~/-]*)")
HTML = re.compile(r"(?<!\\)<(?!https?:)(?:[a-zA-Z/][^<>]*>|!--)")
TEX = re.compile(r"(?<!\\)\\[a-zA-Z]+")
NUMBERED = ("fig", "tbl", "sec", "eq")


def problems_of(project: Path, lines: list[Line], variables: Mapping[str, Any], sources: set[str]) -> list[str]:
    """Every mistake as "file:line: what". sources: the keys of the bibliography."""
    found: list[str] = []
    text = list(prose(lines, found))
    ids = list(_ids(text))
    found += [*_twice(ids), *_divs(text), *_wide_tables(text)]
    known = {name for name, _ in ids}
    for line, whole in zip(text, lines, strict=True):
        if whole.text.count("{{<") != line.text.count("{{<"):
            found.append(f"{line}: a shortcode inside code or mathematics is not supported")
        found += [f"{line}: {what}" for what in _line(project, line.text, variables, known, sources)]
    return found


def _line(project: Path, text: str, variables: Mapping[str, Any], ids: set[str], sources: set[str]) -> Iterator[str]:
    for name in VARIABLE.findall(text):
        if not isinstance(lookup(variables, name), str):
            yield f"there is no variable {name}"
    for image in IMAGE.finditer(text):
        yield from _image(project, image, text)
    text = VARIABLE.sub("value", text)
    for name in re.findall(r"\{\{+[<%]\s*([^\s>]*)", text):
        yield f"the shortcode {name!r} is not supported here (include, alone on its line, and var are, outside attributes)"
    if (
        text.lstrip().startswith(("```", "~~~"))
        and (options := text.strip().strip("`~"))
        and not re.fullmatch(r"\w+", options)
    ):
        yield f"the code block {options!r} is not supported: a cell to run, raw output or attributes (``` and ```sh are)"
        return
    for attributes in ATTRIBUTE_LIKE.findall(text):
        if not ATTRIBUTES.fullmatch(attributes) and not text.startswith(":::"):
            yield f"the attributes {attributes} are not supported (an id, a figure's fig-alt and .unnumbered are)"
    images, text = IMAGE.sub("", text), ATTRIBUTE_LIKE.sub("", text)
    for tag in HTML.findall(text):
        yield f"raw HTML is not supported: {tag}"
    for command in TEX.findall(text):
        yield f"raw TeX is not supported: {command}"
    for target in LINK.findall(images):
        if target.startswith("#") and target[1:] not in ids:
            yield f"the link {target} leads nowhere"
        elif not target.startswith(("#", "https://", "http://", "mailto:")):
            yield f"the link to the file {target} would be broken in the report"
    for name in REFERENCE.findall(text):
        name = re.sub(r"\W+$", "", name.strip("{}"))
        if name.split("-")[0] in NUMBERED and name not in ids:
            yield f"the reference @{name} has no target"
        elif name.split("-")[0] not in NUMBERED and name not in sources:
            yield f"the citation @{name} is not in the bibliography"


def lookup(variables: Mapping[str, Any], name: str) -> Any:
    """The value of a dotted name, or None."""
    value: Any = variables
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _image(project: Path, image: re.Match[str], text: str) -> Iterator[str]:
    path, attributes = image["path"], image["attributes"] or ""
    if not FIGURE.fullmatch(attributes) or image[0] != text.strip() or not image["caption"]:
        yield f'the image {path} must stand alone, with a caption and {{#fig-… fig-alt="…"}}'
    if not (project / path).is_file() or path.startswith("/"):
        yield f"the image {path} is missing"


def _ids(text: list[Line]) -> Iterator[tuple[str, Line]]:
    for line in text:
        for attributes in ATTRIBUTE_LIKE.findall(line.text):
            yield from (
                (name, line) for name in re.findall(r"(?<=[{\s])#([\w:.-]+)", re.sub(r'"[^"]*"', "", attributes))
            )


def _twice(ids: list[tuple[str, Line]]) -> Iterator[str]:
    first: dict[str, Line] = {}
    for name, line in ids:
        if name in first:
            yield f"{line}: the id {name} is already that of {first[name]}"
        first.setdefault(name, line)


def _divs(text: list[Line]) -> Iterator[str]:
    """A ::: that is not closed or closes nothing, and a kind of block that is not supported."""
    open_lines = []
    for line in text:
        fence = re.match(r"\s*(:{3,})\s*(.*?)\s*:*$", line.text)
        if not fence:
            continue
        if fence[2]:
            open_lines.append(line)
            if not DIV.fullmatch(fence[2]):
                yield f"{line}: the block ::: {fence[2]} is not supported ({', '.join(f'.callout-{kind}' for kind in CALLOUTS)} with a title, and #refs are)"
        elif open_lines:
            open_lines.pop()
        else:
            yield f"{line}: ::: closes nothing"
    yield from (f"{line}: ::: is never closed" for line in open_lines)


def _wide_tables(text: list[Line]) -> Iterator[str]:
    """A pipe table whose longest words, side by side, exceed the page: no line break makes it fit."""
    for is_table, group in groupby(text, lambda line: line.text.startswith("|")):
        rows = list(group)
        if not is_table:
            continue
        cells = [re.split(r"(?<!\\)\|", row.text)[1:-1] for row in rows if set(row.text) - set("|-: ")]
        longest = [
            max(len(word.replace("\\", "")) for cell in column for word in re.split(r"[ \t]+", cell))
            for column in zip(*cells, strict=False)
        ]
        width = sum(longest) + 2 * len(longest)
        if width > PAGE:
            yield f"{rows[0]}: the table is wider than the page ({width} of {PAGE} characters); split or transpose it"

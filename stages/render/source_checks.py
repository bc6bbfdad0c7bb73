"""Mistakes that Quarto renders without failing, and constructs that the embedded renderer does not have.

pandoc's syntax tree says what is wrong. It has no line numbers, so a regular expression then finds the line.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from stages.render.syntax_tree import Attributes, as_written, attributes_of, elements_of, parse, text_of

# Stands for a variable: a text that means nothing in markdown, so that one in code or in an attribute is seen there.
PLACEHOLDER = r"⟪\1⟫"
WORD_ENDS = "[ \n\u200b]"  # the last is a space of no width
PAGE_WIDTH = 92  # characters of a table's type across the printed page
CALLOUTS = ("callout-note", "callout-tip", "callout-important", "callout-warning", "callout-caution")
NUMBERED = ("fig", "tbl", "sec", "eq")  # what "@fig-x" refers to; any other "@x" is a citation

Problem = tuple[int | None, str]  # index of the line, or None where no line could be found; what is wrong


@dataclass(frozen=True)
class Mistake:
    text: str
    pattern: str  # regular expression of the line that has it
    only_where_found: bool = False  # the tree alone does not prove it: the words may have been escaped


def problems_of(project: Path, lines: list[str], places: list[str], citation_keys: set[str]) -> list[Problem]:
    """Every mistake in the report.

    lines: the report with its includes in place, and PLACEHOLDER where a variable stands.
    places: the file and number of each line, as a message names it.
    """
    elements, warnings = parse(lines)
    attributes = [attributes_of(kind, content) for kind, content in elements]
    ids = Counter(item[0] for item in attributes if item and item[0])
    mistakes: list[Mistake] = []
    for kind, content in elements:
        if kind in CHECKS:
            mistakes += CHECKS[kind](content)
        if kind == "Figure":
            mistakes += _missing_image(project, content)
        elif kind == "Link":
            mistakes += _dead_link(content, ids)
        elif kind == "Cite":
            mistakes += _dead_references(content, ids, citation_keys)
    problems = [*_pandoc_warnings(warnings), *_repeated_ids(lines, places, ids), *_stray_fences(lines, elements)]
    for mistake in dict.fromkeys(mistakes):
        indexes = _lines_with(lines, mistake.pattern)
        problems += [(index, mistake.text) for index in indexes]
        if not indexes and not mistake.only_where_found:
            problems.append((None, mistake.text))
    return [(index, re.sub("⟪(.*?)⟫", r"{{< var \1 >}}", text)) for index, text in problems]


def _lines_with(lines: list[str], pattern: str) -> list[int]:
    return [index for index, line in enumerate(lines) if re.search(pattern, line)]


def _check_attributes(attributes: Attributes, allowed_classes: tuple[str, ...] = ()) -> Iterator[Mistake]:
    """An id may stand everywhere; pandoc gives a heading without one its own, which no line holds."""
    name, classes, pairs = attributes
    hint = "(an id, a figure's fig-alt and .unnumbered are)"
    others = [word for word in classes if word not in allowed_classes]
    if others or pairs:
        first = f".{others[0]}" if others else f"{pairs[0][0]}="
        text = f"the attributes {as_written(('', others, pairs))} are not supported {hint}"
        yield Mistake(text, rf"\{{[^{{}}]*{re.escape(first)}")
    if name and not re.fullmatch(r"[a-z][\w-]*", name):
        text = f"the attributes {{#{name}}} are not supported {hint}"
        yield Mistake(text, _id_pattern(name), only_where_found=True)


def _id_pattern(name: str) -> str:
    return rf"\{{[^{{}}]*#{re.escape(name)}(?![\w-])"


def _check_div(content: Any) -> Iterator[Mistake]:
    attributes, _ = content
    name, classes, pairs = attributes
    is_callout = not name and len(classes) == 1 and classes[0] in CALLOUTS
    keys = [key for key, _ in pairs]
    has_plain_title = keys == ["title"] and "⟪" not in pairs[0][1]
    if is_callout and (not pairs or has_plain_title):
        return
    if name == "refs" and not classes and not pairs:
        return
    supported = ", ".join(f".{kind}" for kind in CALLOUTS)
    text = f"the block ::: {as_written(attributes)} is not supported ({supported} with a title, and #refs are)"
    words = [name, *classes, *keys]
    yield Mistake(text, r"^\s*:{3,}" + "".join(f"(?=.*{re.escape(word)})" for word in words))


def _check_figure(content: Any) -> Iterator[Mistake]:
    (name, classes, pairs), (_, caption), blocks = content
    has_only_an_id = re.fullmatch(r"fig-[\w-]+", name) and not classes and not pairs
    for kind, image in elements_of(blocks):
        if kind != "Image":
            continue
        (image_name, image_classes, image_pairs), _, (path, _) = image
        alt = dict(image_pairs).get("fig-alt", "")
        has_only_an_alt = alt and "⟪" not in alt and len(image_pairs) == 1 and not image_name and not image_classes
        if not (caption and has_only_an_id and has_only_an_alt):
            yield _image_mistake(path)


def _image_mistake(path: str) -> Mistake:
    text = f'the image {path} must stand alone, with a caption and {{#fig-… fig-alt="…"}}'
    return Mistake(text, rf"\]\(\s*{re.escape(path)}")


def _missing_image(project: Path, content: Any) -> Iterator[Mistake]:
    _, _, blocks = content
    paths = [image[2][0] for kind, image in elements_of(blocks) if kind == "Image"]
    for path in paths:
        if path.startswith("/") or not (project / unquote(path)).is_file():
            yield Mistake(f"the image {path} is missing", rf"\]\(\s*{re.escape(path)}")


def _check_code_block(content: Any) -> Iterator[Mistake]:
    attributes, code = content
    name, classes, pairs = attributes
    has_only_a_language = not name and not pairs and re.fullmatch(r"\w*", " ".join(classes))
    if not has_only_a_language:
        words = [name, *classes, *(key for key, _ in pairs)]
        pattern = r"^\s*[`~]{3,}" + "".join(f"(?=.*{re.escape(word)})" for word in words)
        yield Mistake(_code_block_text(as_written(attributes)), pattern)
    yield from _check_verbatim(code)


def _check_code(content: Any) -> Iterator[Mistake]:
    """pandoc reads a fence with options that it does not know, such as ```{python}, as code inside a paragraph."""
    attributes, code = content
    yield from _check_attributes(attributes)
    yield from _check_verbatim(code)
    options = code.split(" ")[0]
    pattern = rf"^\s*[`~]{{3,}}\s*{re.escape(options)}[^`]*$"
    yield Mistake(_code_block_text(options), pattern, only_where_found=True)


def _code_block_text(options: str) -> str:
    return f"the code block {options!r} is not supported: a cell to run, raw output or attributes (``` and ```sh are)"


def _check_verbatim(text: str) -> Iterator[Mistake]:
    for line in text.splitlines():
        if "⟪" in line:
            yield Mistake("a shortcode inside code or mathematics is not supported", re.escape(line.strip()))


def _check_raw(content: Any) -> Iterator[Mistake]:
    language, source = content
    first_line = source.strip().splitlines()[0]
    name = "HTML" if language == "html" else "TeX"
    yield Mistake(f"raw {name} is not supported: {first_line}", re.escape(first_line))


def _check_word(word: str) -> Iterator[Mistake]:
    """Attributes behind something that can have none are words to pandoc, which prints them."""
    if re.match(r"\{[#.=][\w-]|\{[\w-]+=", word):
        yield Mistake(f"the attributes {word} are not supported", re.escape(word), only_where_found=True)


def _check_table(content: Any) -> Iterator[Mistake]:
    """The longest words of its columns, side by side, may not exceed the page: no line break would make it fit."""
    attributes, _, _, (_, head_rows), bodies, _ = content
    yield from _check_attributes(attributes)
    body_rows = [row for _, _, first_rows, rows in bodies for row in (*first_rows, *rows)]
    table = [[text_of(cell[-1]) for cell in cells] for _, cells in (*head_rows, *body_rows)]
    columns = zip(*table, strict=False)
    longest_words = [max(len(word) for cell in column for word in re.split(WORD_ENDS, cell)) for column in columns]
    width = sum(longest_words) + 2 * len(longest_words)
    if width > PAGE_WIDTH:
        text = f"the table is wider than the page ({width} of {PAGE_WIDTH} characters); split or transpose it"
        first_words = re.findall(r"\w+", " ".join(table[0]))
        yield Mistake(text, r"^\s*\|" + "".join(f"(?=.*{word})" for word in first_words))


def _dead_link(content: Any, ids: Counter[str]) -> Iterator[Mistake]:
    _, _, (address, _) = content
    target = unquote(address)
    pattern = rf"\]\(\s*{re.escape(target)}"
    if target.startswith("#"):
        if target.removeprefix("#") not in ids:
            yield Mistake(f"the link {target} leads nowhere", pattern)
    elif not target.startswith(("https://", "http://", "mailto:")):
        yield Mistake(f"the link to the file {target} would be broken in the report", pattern)


def _dead_references(content: Any, ids: Counter[str], citation_keys: set[str]) -> Iterator[Mistake]:
    citations, _ = content
    for citation in citations:
        name = citation["citationId"]
        pattern = rf"@\{{?{re.escape(name)}(?![\w-])"
        if name.split("-")[0] in NUMBERED:
            if name not in ids:
                yield Mistake(f"the reference @{name} has no target", pattern)
        elif name not in citation_keys:
            yield Mistake(f"the citation @{name} is not in the bibliography", pattern)


def _pandoc_warnings(warnings: str) -> Iterator[Problem]:
    """pandoc warns of a block that is not closed and of a note or link that is defined twice, and names the line."""
    for warning in re.findall(r"^\[WARNING\] (.*)", warnings, re.MULTILINE):
        if warning.startswith("Duplicate identifier"):
            continue  # _repeated_ids also finds those that are not of headings, and names both places
        line = re.search(r"\bline (\d+)", warning)
        text = "::: is never closed" if " unclosed at " in warning else f"pandoc warns: {warning}"
        yield (int(line[1]) - 1 if line else None), text


def _repeated_ids(lines: list[str], places: list[str], ids: Counter[str]) -> Iterator[Problem]:
    for name in (name for name, count in ids.items() if count > 1):
        indexes = _lines_with(lines, _id_pattern(name))
        if len(indexes) < 2:  # pandoc made one of them of a heading's words
            yield (indexes[0] if indexes else None), f"the id {name} is there twice"
        yield from ((index, f"the id {name} is already that of {places[indexes[0]]}") for index in indexes[1:])


def _stray_fences(lines: list[str], elements: list[tuple[str, Any]]) -> Iterator[Problem]:
    """A fence that opens or closes nothing is text to pandoc: a paragraph has a line that begins with it."""
    starts = [line for kind, content in elements if kind == "Para" for line in text_of(content).split("\n")]
    for opening in (start for start in starts if re.match(r":{3,} *[^: ]", start)):
        indexes = _lines_with(lines, re.escape(opening))
        yield from ((index, f"the block {opening} is not supported") for index in indexes)
    if any(re.fullmatch(r":{3,} *", start) for start in starts):
        yield _first_closing_without_opening(lines), "::: closes nothing"
    for fence in ("```", "~~~"):
        indexes = _lines_with(lines, rf"^\s*{fence}")
        if indexes and any(start.startswith(fence) for start in starts):
            yield indexes[-1], f"{fence} is never closed"  # it is the last: a later one would have closed it
    if any(start.startswith("$$") for start in starts):
        # An equation ends with its paragraph at the latest.
        for _, paragraph in groupby(range(len(lines)), lambda index: bool(lines[index].strip())):
            indexes = [index for index in paragraph for _ in re.findall(r"(?<!\\)\$\$", lines[index])]
            if len(indexes) % 2:
                yield indexes[0], "$$ is never closed"


def _first_closing_without_opening(lines: list[str]) -> int | None:
    depth = 0
    for index, line in enumerate(lines):
        fence = re.match(r"\s*:{3,}\s*(.*)$", line)
        if fence:
            depth += 1 if fence[1] else -1
        if depth < 0:
            return index
    return None


CHECKS: dict[str, Callable[[Any], Iterator[Mistake]]] = {
    "Code": _check_code,
    "CodeBlock": _check_code_block,
    "Div": _check_div,
    "Figure": _check_figure,
    "Header": lambda content: _check_attributes(content[1], ("unnumbered",)),
    "Image": lambda content: iter([_image_mistake(content[2][0])]),
    "Link": lambda content: _check_attributes(content[0], ("uri", "email")),  # those of <https://…>
    "Math": lambda content: _check_verbatim(content[1]),
    "RawBlock": _check_raw,
    "RawInline": _check_raw,
    # pandoc has an element of its own for a span of this class, and for an underlined one.
    "SmallCaps": lambda _: _check_attributes(("", ["smallcaps"], [])),
    "Span": lambda content: _check_attributes(content[0]),
    "Str": _check_word,
    "Table": _check_table,
    "Underline": lambda _: _check_attributes(("", ["underline"], [])),
}

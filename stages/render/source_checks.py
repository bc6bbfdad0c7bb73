"""Mistakes that Quarto renders without failing, and constructs that the embedded renderer does not have.

pandoc's syntax tree says what is wrong; it has no line numbers, so a regular expression then finds the line.
"""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pypandoc

# Raw HTML and TeX stay in the tree, so that they can be refused; a raw <div> must not pass as a block of markdown.
READER = "markdown-yaml_metadata_block-raw_attribute-native_divs-native_spans"
# Stands for a variable: a text that means nothing in markdown, so that one in code or in an attribute is seen there.
PLACEHOLDER = r"⟪\1⟫"
PAGE_WIDTH = 92  # characters of a table's type across the printed page
CALLOUTS = ("callout-note", "callout-tip", "callout-important", "callout-warning", "callout-caution")
NUMBERED = ("fig", "tbl", "sec", "eq")  # what "@fig-x" refers to; any other "@x" is a citation

Attributes = tuple[str, list[str], list[tuple[str, str]]]  # id, classes, (key, value) pairs


@dataclass(frozen=True)
class Mistake:
    text: str
    pattern: str  # of the line that has it
    only_where_found: bool = False  # the tree alone does not prove it: the words may have been escaped


def problems_of(
    project: Path, lines: list[str], places: list[str], citation_keys: set[str]
) -> list[tuple[int | None, str]]:
    """Every mistake, with the index of its line or None where no line could be found.

    lines: the report with its includes in place, and PLACEHOLDER where a variable stands.
    places: the file and number of each line, as a message names it.
    """
    tree, warnings = _parse(lines)
    elements = list(_elements(tree["blocks"]))
    ids = Counter(name for kind, content in elements if (name := _id_of(kind, content)))
    mistakes = [mistake for kind, content in elements for mistake in CHECKS.get(kind, _nothing)(content)]
    for kind, content in elements:
        if kind == "Figure":
            mistakes += _missing_image(project, content)
        elif kind == "Link":
            mistakes += _dead_link(content, ids)
        elif kind == "Cite":
            mistakes += _dead_references(content, ids, citation_keys)
    found = [*_warned(warnings), *_repeated_ids(lines, places, ids), *_stray_fences(lines, elements)]
    for mistake in dict.fromkeys(mistakes):
        indexes = _lines_with(lines, mistake.pattern)
        found += [(index, mistake.text) for index in indexes]
        if not indexes and not mistake.only_where_found:
            found.append((None, mistake.text))
    return [(index, re.sub("⟪(.*?)⟫", r"{{< var \1 >}}", text)) for index, text in found]


def _lines_with(lines: list[str], pattern: str) -> list[int]:
    return [index for index, line in enumerate(lines) if re.search(pattern, line)]


def _parse(lines: list[str]) -> tuple[dict[str, Any], str]:
    """pandoc's syntax tree, and its warnings."""
    command = [pypandoc.get_pandoc_path(), f"--from={READER}", "--to=json"]
    result = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    return json.loads(result.stdout), result.stderr


def _elements(node: Any) -> Iterator[tuple[str, Any]]:
    """The type and content of every element, in the document's order.

    The image of a figure belongs to its "Figure" and does not come by itself; a numbered equation is an "Equation".
    """
    if isinstance(node, list):
        for child in node:
            yield from _elements(child)
    elif isinstance(node, dict) and "t" in node:
        kind: str = node["t"]
        content: Any = node.get("c")
        if kind == "Figure":
            yield kind, content
            yield from _elements(content[1])
            return
        if kind == "Para" and (label := _equation_label(content)):
            yield "Equation", label
            content = content[:-1]
        yield kind, content
        yield from _elements(content)


def _equation_label(inlines: list[Any]) -> str:
    """pandoc reads `$$ … $$ {#eq-x}` as an equation and the text {#eq-x}; empty for any other paragraph."""
    first, last = inlines[0], inlines[-1]
    if first["t"] != "Math" or first["c"][0]["t"] != "DisplayMath" or last["t"] != "Str":
        return ""
    label = re.fullmatch(r"\{#(eq-[\w-]+)\}", last["c"])
    return label[1] if label else ""


def _id_of(kind: str, content: Any) -> str:
    if kind == "Equation":
        return str(content)
    attributes = _attributes_of(kind, content)
    return attributes[0] if attributes else ""


def _attributes_of(kind: str, content: Any) -> Attributes | None:
    if kind == "Header":
        return content[1]
    if kind in ("Code", "CodeBlock", "Div", "Figure", "Image", "Link", "Span", "Table"):
        return content[0]
    return None


def _as_written(attributes: Attributes) -> str:
    name, classes, pairs = attributes
    values = [f"{key}={value}" if re.fullmatch(r"\w+", value) else f'{key}="{value}"' for key, value in pairs]
    return "{" + " ".join([f"#{name}"] * bool(name) + [f".{word}" for word in classes] + values) + "}"


def _nothing(content: Any) -> Iterator[Mistake]:
    yield from ()


def _check_attributes(attributes: Attributes, allowed_classes: tuple[str, ...] = ()) -> Iterator[Mistake]:
    """An id may stand everywhere; pandoc gives a heading without one its own, which no line holds."""
    name, classes, pairs = attributes
    hint = "(an id, a figure's fig-alt and .unnumbered are)"
    extra = [f"\\.{re.escape(word)}" for word in classes if word not in allowed_classes]
    extra += [f"{re.escape(key)}=" for key, _ in pairs]
    if extra:
        shown = _as_written(("", [word for word in classes if word not in allowed_classes], pairs))
        yield Mistake(f"the attributes {shown} are not supported {hint}", rf"\{{[^{{}}]*{extra[0]}")
    if name and not re.fullmatch(r"[a-z][\w-]*", name):
        pattern = rf"\{{[^{{}}]*#{re.escape(name)}(?![\w-])"
        yield Mistake(f"the attributes {{#{name}}} are not supported {hint}", pattern, only_where_found=True)


def _check_header(content: Any) -> Iterator[Mistake]:
    yield from _check_attributes(content[1], ("unnumbered",))


def _check_link(content: Any) -> Iterator[Mistake]:
    yield from _check_attributes(content[0], ("uri", "email"))  # <https://…>


def _check_first(content: Any) -> Iterator[Mistake]:
    yield from _check_attributes(content[0])


def _check_small_caps(_: Any) -> Iterator[Mistake]:
    """pandoc has elements of their own for these two kinds of span."""
    yield from _check_attributes(("", ["smallcaps"], []))


def _check_underline(_: Any) -> Iterator[Mistake]:
    yield from _check_attributes(("", ["underline"], []))


def _check_div(content: Any) -> Iterator[Mistake]:
    name, classes, pairs = attributes = content[0]
    is_callout = len(classes) == 1 and classes[0] in CALLOUTS and not name
    titled = not pairs or (len(pairs) == 1 and pairs[0][0] == "title" and "⟪" not in pairs[0][1])
    if (is_callout and titled) or (name == "refs" and not classes and not pairs):
        return
    words = [f"#{name}"] * bool(name) + classes + [key for key, _ in pairs]
    kinds = ", ".join(f".{kind}" for kind in CALLOUTS)
    text = f"the block ::: {_as_written(attributes)} is not supported ({kinds} with a title, and #refs are)"
    yield Mistake(text, r"^\s*:{3,}" + "".join(f"(?=.*{re.escape(word)})" for word in words))


def _check_figure(content: Any) -> Iterator[Mistake]:
    attributes, (_, caption), blocks = content
    images = [element for kind, element in _elements(blocks) if kind == "Image"]
    for image_attributes, _, (path, _) in images:
        alternatives = dict(image_attributes[2])
        plain = not attributes[1] and not attributes[2] and not image_attributes[0] and not image_attributes[1]
        alt = alternatives.pop("fig-alt", "")
        named = re.fullmatch(r"fig-[\w-]+", attributes[0])
        if not (caption and named and plain and alt and "⟪" not in alt and not alternatives):
            yield _not_alone(path)


def _check_image(content: Any) -> Iterator[Mistake]:
    yield _not_alone(content[2][0])


def _not_alone(path: str) -> Mistake:
    text = f'the image {path} must stand alone, with a caption and {{#fig-… fig-alt="…"}}'
    return Mistake(text, rf"\]\(\s*{re.escape(path)}")


def _missing_image(project: Path, content: Any) -> Iterator[Mistake]:
    for kind, element in _elements(content[2]):
        path = element[2][0] if kind == "Image" else ""
        if kind == "Image" and (path.startswith("/") or not (project / unquote(path)).is_file()):
            yield Mistake(f"the image {path} is missing", rf"\]\(\s*{re.escape(path)}")


def _check_code_block(content: Any) -> Iterator[Mistake]:
    (name, classes, pairs), code = content
    if name or pairs or len(classes) > 1 or any(not re.fullmatch(r"\w+", word) for word in classes):
        first = re.escape((classes or [name])[0])
        yield _code_options(_as_written(content[0]), rf"^\s*[`~]{{3,}}.*{first}")
    yield from _check_verbatim(code)


def _check_code(content: Any) -> Iterator[Mistake]:
    """pandoc reads a fence with options that it does not know, such as ```{python}, as code inside a paragraph."""
    attributes, code = content
    yield from _check_attributes(attributes)
    yield from _check_verbatim(code)
    options = code.split(" ")[0]
    pattern = rf"^\s*[`~]{{3,}}\s*{re.escape(options)}[^`]*$"
    yield _code_options(options, pattern, only_where_found=True)


def _code_options(options: str, pattern: str, only_where_found: bool = False) -> Mistake:
    what = f"the code block {options!r} is not supported: a cell to run, raw output or attributes (``` and ```sh are)"
    return Mistake(what, pattern, only_where_found)


def _check_math(content: Any) -> Iterator[Mistake]:
    yield from _check_verbatim(content[1])


def _check_verbatim(text: str) -> Iterator[Mistake]:
    for line in text.splitlines():
        if "⟪" in line:
            yield Mistake("a shortcode inside code or mathematics is not supported", re.escape(line.strip()))


def _check_raw(content: Any) -> Iterator[Mistake]:
    language, source = content
    first = source.strip().splitlines()[0]
    yield Mistake(f"raw {'HTML' if language == 'html' else 'TeX'} is not supported: {first}", re.escape(first))


def _check_text(text: str) -> Iterator[Mistake]:
    """Attributes where pandoc knows none, so that it prints them."""
    if re.match(r"\{[#.=][\w-]|\{[\w-]+=", text):
        yield Mistake(f"the attributes {text} are not supported", re.escape(text), only_where_found=True)


def _check_table(content: Any) -> Iterator[Mistake]:
    """The longest words of its columns, side by side, may not exceed the page: no line break would make it fit."""
    yield from _check_attributes(content[0])
    _, _, _, head, bodies, _ = content
    rows = [row for body in bodies for row in (*body[2], *body[3])]
    cells = [[_text_of(cell[4]) for cell in row[1]] for row in (*head[1], *rows)]
    longest = [
        max(len(word) for cell in column for word in re.split("[ \n]", cell)) for column in zip(*cells, strict=True)
    ]
    width = sum(longest) + 2 * len(longest)
    if width > PAGE_WIDTH:
        text = f"the table is wider than the page ({width} of {PAGE_WIDTH} characters); split or transpose it"
        words = [word for cell in cells[0] for word in re.findall(r"\w+", cell)]
        yield Mistake(text, r"^\s*\|" + "".join(f"(?=.*{word})" for word in words))


def _text_of(content: list[Any]) -> str:
    """The words, with one space where a line may break and a line feed where the source has one."""
    texts = []
    for kind, part in _elements(content):
        if kind == "Str":
            texts.append(part)
        elif kind in ("Code", "Math"):
            texts.append(part[1])
        elif kind == "Space":
            texts.append(" ")
        elif kind in ("SoftBreak", "LineBreak"):
            texts.append("\n")
    return "".join(texts)


def _dead_link(content: Any, ids: Counter[str]) -> Iterator[Mistake]:
    target = unquote(content[2][0])
    pattern = rf"\]\(\s*{re.escape(target)}"
    if target.startswith("#"):
        if target[1:] not in ids:
            yield Mistake(f"the link {target} leads nowhere", pattern)
    elif not target.startswith(("https://", "http://", "mailto:")):
        yield Mistake(f"the link to the file {target} would be broken in the report", pattern)


def _dead_references(content: Any, ids: Counter[str], citation_keys: set[str]) -> Iterator[Mistake]:
    for citation in content[0]:
        name = citation["citationId"]
        pattern = rf"@\{{?{re.escape(name)}(?![\w-])"
        if name.split("-")[0] in NUMBERED:
            if name not in ids:
                yield Mistake(f"the reference @{name} has no target", pattern)
        elif name not in citation_keys:
            yield Mistake(f"the citation @{name} is not in the bibliography", pattern)


def _warned(warnings: str) -> Iterator[tuple[int | None, str]]:
    """pandoc's own warnings name a line: a block that is not closed, a note or a link that is defined twice."""
    for warning in re.findall(r"^\[WARNING\] (.*)", warnings, re.MULTILINE):
        line = re.search(r"\bline (\d+)", warning)
        if warning.startswith("Duplicate identifier"):
            continue  # _repeated_ids names both places, and finds ids that are not those of headings
        text = "::: is never closed" if " unclosed at " in warning else f"pandoc warns: {warning}"
        yield (int(line[1]) - 1 if line else None), text


def _repeated_ids(lines: list[str], places: list[str], ids: Counter[str]) -> Iterator[tuple[int | None, str]]:
    for name in (name for name, count in ids.items() if count > 1):
        found = _lines_with(lines, rf"\{{[^{{}}]*#{re.escape(name)}(?![\w-])")
        if len(found) < 2:  # one of the two is that which pandoc made of a heading's words
            yield (found[0] if found else None), f"the id {name} is there twice"
        yield from ((index, f"the id {name} is already that of {places[found[0]]}") for index in found[1:])


def _stray_fences(lines: list[str], elements: list[tuple[str, Any]]) -> Iterator[tuple[int | None, str]]:
    """A fence that opens or closes nothing is text to pandoc: a paragraph has a line that begins with it."""
    starts = [line for kind, content in elements if kind == "Para" for line in _text_of(content).split("\n")]
    for opening in (start for start in starts if re.match(r":{3,} *[^: ]", start)):
        yield from (
            (index, f"the block {opening} is not supported") for index in _lines_with(lines, re.escape(opening))
        )
    if any(re.fullmatch(r":{3,} *", start) for start in starts):
        yield _first_without_opening(lines), "::: closes nothing"
    for fence in ("```", "~~~"):
        if any(start.startswith(fence) for start in starts):
            # A later fence would have closed it, so it is the last.
            yield _lines_with(lines, rf"^\s*{fence}")[-1], f"{fence} is never closed"
    if any(start.startswith("$$") for start in starts):
        # An equation ends with its paragraph at the latest.
        for _, paragraph in groupby(range(len(lines)), lambda index: bool(lines[index].strip())):
            with_signs = [index for index in paragraph for _ in re.findall(r"(?<!\\)\$\$", lines[index])]
            if len(with_signs) % 2:
                yield with_signs[0], "$$ is never closed"


def _first_without_opening(lines: list[str]) -> int | None:
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
    "Header": _check_header,
    "Image": _check_image,
    "Link": _check_link,
    "Math": _check_math,
    "RawBlock": _check_raw,
    "RawInline": _check_raw,
    "SmallCaps": _check_small_caps,
    "Span": _check_first,
    "Str": _check_text,
    "Table": _check_table,
    "Underline": _check_underline,
}

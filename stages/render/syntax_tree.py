"""The syntax tree that pandoc makes of the report's markdown, as a sequence of elements."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pypandoc

# Raw HTML and TeX stay in the tree, so that they can be refused; a raw <div> must not pass as a block of markdown.
READER = "markdown-yaml_metadata_block-raw_attribute-native_divs-native_spans"

Attributes = tuple[str, list[str], list[tuple[str, str]]]  # id, classes, (key, value) pairs


def parse(lines: list[str]) -> tuple[list[tuple[str, Any]], str]:
    """The elements, and pandoc's warnings."""
    command = [pypandoc.get_pandoc_path(), f"--from={READER}", "--to=json"]
    result = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, encoding="utf-8", check=True)
    return list(elements_of(json.loads(result.stdout)["blocks"])), result.stderr


def elements_of(node: Any) -> Iterator[tuple[str, Any]]:
    """The type and content of every element below a node, in the document's order.

    The image of a figure belongs to its "Figure" and does not come by itself; a numbered equation is an "Equation".
    """
    if isinstance(node, list):
        for child in node:
            yield from elements_of(child)
    elif isinstance(node, dict) and "t" in node:
        kind: str = node["t"]
        content: Any = node.get("c")
        if kind == "Figure":
            yield kind, content
            _, caption, _ = content
            yield from elements_of(caption)
            return
        label = _equation_label(content) if kind == "Para" else ""
        if label:
            yield "Equation", label
            content = content[:-1]
        yield kind, content
        yield from elements_of(content)


def attributes_of(kind: str, content: Any) -> Attributes | None:
    if kind == "Equation":
        return content, [], []
    if kind == "Header":
        return content[1]
    if kind in ("Code", "CodeBlock", "Div", "Figure", "Image", "Link", "Span", "Table"):
        return content[0]
    return None


def as_written(attributes: Attributes) -> str:
    """Attributes as markdown writes them: {#id .class key=value}."""
    name, classes, pairs = attributes
    values = [f"{key}={value}" if re.fullmatch(r"\w+", value) else f'{key}="{value}"' for key, value in pairs]
    ids = [f"#{name}"] if name else []
    return "{" + " ".join([*ids, *(f".{word}" for word in classes), *values]) + "}"


def text_of(content: list[Any]) -> str:
    """The words, with a space where a line may break and a line feed where the source has one."""
    spaces, text = {"Space": " ", "SoftBreak": "\n", "LineBreak": "\n"}, ""
    for kind, part in elements_of(content):
        if kind == "Str":
            text += part
        else:
            text += part[1] if kind in ("Code", "Math") else spaces.get(kind, "")
    return text


def _equation_label(inlines: list[Any]) -> str:
    """pandoc reads `$$ … $$ {#eq-x}` as an equation and the text {#eq-x}; empty for any other paragraph."""
    first, last = inlines[0], inlines[-1]
    if first["t"] != "Math" or first["c"][0]["t"] != "DisplayMath" or last["t"] != "Str":
        return ""
    label = re.fullmatch(r"\{#(eq-[\w-]+)\}", last["c"])
    return label[1] if label else ""

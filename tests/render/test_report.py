"""The report's own sources: no number is typed in them, and nothing in them is left over."""

import re

import pytest
from fake_results import results_of

from stages.figures import topics
from stages.shared import paths

CHAPTERS = sorted((paths.ROOT / "report").glob("*.qmd"))
TEXT = {file.name: file.read_text(encoding="utf-8") for file in CHAPTERS}


@pytest.mark.parametrize("name", TEXT)
def test_no_number_percentage_or_result_is_typed(name):
    bare = re.sub(
        r"(?s)\$\$.*?\$\$|\$[^$\n]+\$|```.*?```|`[^`]*`|\{\{<.*?>\}\}|\]\([^)]*\)|\{#[\w-]+|@[\w-]+", " ", TEXT[name]
    )
    for number, line in enumerate(bare.splitlines(), 1):
        assert not re.search(r"(?<![\w-])\d", line), f"{name}: {line.strip()}"  # but SHA-256
        assert "%" not in line, f"{name}:{number}"
        assert not re.search(r"\b(percent|percentage points?) (above|below|better|worse)", line), f"{name}:{number}"


def test_every_chapter_is_included_and_every_included_chapter_is_there():
    """The figures stage includes those that depend on what ran."""
    together = "\n".join(TEXT.values())
    optional = {f"_{name.removesuffix('.md')}.qmd" for name in topics.sections(results_of("three"))}
    included = re.findall(r"\{\{< include (_[\w-]+\.qmd) >\}\}", together)
    assert sorted([*included, *optional]) == sorted(set(TEXT) - {"index.qmd"})
    for name in optional:
        assert f"{{{{< include {name[1:].replace('.qmd', '.md')} >}}}}" in together


def test_every_figure_is_referred_to_in_the_text():
    together = "\n".join(TEXT.values())
    for name in re.findall(r"\{#(fig-[\w-]+)", together):
        assert re.search(rf"@{name}\b", together), name


def test_every_chapter_heading_can_be_referred_to():
    for name, text in TEXT.items():
        for heading in re.findall(r"^##.*", text, re.MULTILINE):
            assert re.search(r"\{#sec-[\w-]+\}$|\{\.unnumbered\}$", heading), f"{name}: {heading}"


def test_the_bibliography_has_each_key_once_with_author_title_and_year():
    entries = re.findall(
        r"(?ms)^@\w+\{(\w+),(.*?)^\}", (paths.ROOT / "report/references.bib").read_text(encoding="utf-8")
    )
    keys = [key for key, _ in entries]
    assert len(keys) == len(set(keys)) > 10
    for key, entry in entries:
        assert all(re.search(rf"\b{field} = \{{", entry) for field in ("author", "title", "year")), key
        assert key.endswith(re.search(r"year = \{(\d+)\}", entry)[1]), key

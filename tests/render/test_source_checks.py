"""A mistake in the report's sources is refused before anything is rendered."""

import re

import pytest

from stages.render import document
from stages.shared.stage_command import StageError

WIDE_TABLE = "| " + "a" * 60 + " | " + "b" * 60 + " |\n|:--|:--|\n| 1 | 2 |"
MISTAKES = {
    "{{< include none.md >}}": "none.md is missing",
    "{{< include index.qmd >}}": "index.qmd includes itself",
    "{{< include tables/{{< var facts.x >}}.md >}}": "'include' is not supported here",
    "Words {{< include part.md >}}": "'include' is not supported here",
    "{{< var facts.none >}}": "there is no variable facts.none",
    "{{< var facts >}}": "there is no variable facts",
    "{{< video x >}}": "the shortcode 'video' is not supported",
    "`{{< var facts.x >}}`": "a shortcode inside code or mathematics",
    "```sh\n{{< var facts.x >}}\n```": "a shortcode inside code or mathematics",
    "$x + {{< var facts.x >}}$": "a shortcode inside code or mathematics",
    "See @fig-none.": "the reference @fig-none has no target",
    "See @{fig-none}.": "the reference @fig-none has no target",
    "As @nobody1900 says": "the citation @nobody1900 is not in the bibliography",
    "[words](#nowhere)": "the link #nowhere leads nowhere",
    "[words](other.html)": "the link to the file other.html",
    "[words]({{< var facts.x >}})": "the link to the file {{< var facts.x >}}",
    '![Caption](none.svg){#fig-a fig-alt="Alt"}': "the image none.svg is missing",
    '![Caption]({{< var facts.x >}}){#fig-a fig-alt="Alt"}': "the image {{< var facts.x >}} is missing",
    '![Caption](/bin/sh){#fig-a fig-alt="Alt"}': "the image /bin/sh is missing",
    "![Caption](picture.svg){#fig-a}": "the image picture.svg must stand alone",
    "Words ![Caption](picture.svg)": "the image picture.svg must stand alone",
    '![](picture.svg){#fig-a fig-alt="Alt"}': "the image picture.svg must stand alone",
    '![Caption](picture.svg){#fig-a width=50% fig-alt="Alt"}': "the image picture.svg must stand alone",
    '![Caption](picture.svg){#fig-a fig-alt="{{< var facts.x >}}"}': "the image picture.svg must stand alone",
    "### Again {#sec-first}": "index.qmd:9: the id sec-first is already that of index.qmd:5",
    "$$ x $$ {#eq-a}\n\n$$ y $$ {#eq-a}": "index.qmd:11: the id eq-a is already that of index.qmd:9",
    "::: {.callout-note}": "index.qmd:9: ::: is never closed",
    "Words\n\n:::": "index.qmd:11: ::: closes nothing",
    "::: {.panel-tabset}\n:::": "the block ::: {.panel-tabset} is not supported",
    '::: {.callout-note title="{{< var facts.x >}}"}\n:::': "the block ::: {.callout-note title=",
    "::: {layout-ncol=2}\n:::": "the block ::: {layout-ncol=2} is not supported",
    "::: two words\n:::": "the block ::: two words is not supported",
    "```{python}\n1\n```": "the code block '{python}' is not supported",
    "```{=html}\n<br>\n```": "the code block '{=html}' is not supported",
    "```{.sh #x}\nls\n```": "the code block '{#x .sh}' is not supported",
    "```\nnever": "index.qmd:9: ``` is never closed",
    "$$\nnever": "index.qmd:9: $$ is never closed",
    "[words]{.smallcaps}": "the attributes {.smallcaps} are not supported",
    "[words]{.underline}": "the attributes {.underline} are not supported",
    "[words](#sec-first){.wide}": "the attributes {.wide} are not supported",
    "[words]{.wide}": "the attributes {.wide} are not supported",
    "`words`{.python}": "the attributes {.python} are not supported",
    "Words {.wide}": "the attributes {.wide} are not supported",
    "### Words {.unlisted}": "the attributes {.unlisted} are not supported",
    "`<br>`{=html}": "the attributes {=html} are not supported",
    "Words<br>words": "raw HTML is not supported: <br>",
    "<div>words</div>": "raw HTML is not supported: <div>",
    "<!-- a remark -->": "raw HTML is not supported: <!--",
    "\\newpage": "raw TeX is not supported: \\newpage",
    "Words \\cite{x}": "raw TeX is not supported: \\cite",
    WIDE_TABLE: "the table is wider than the page (124 of 92 characters)",
}


@pytest.mark.parametrize(("mistake", "message"), MISTAKES.items())
def test_a_mistake_in_the_sources_is_refused_by_name_file_and_line(mistake, message, small):
    small.add(mistake)
    with pytest.raises(StageError, match=re.escape(message)) as refused:
        document.read(small.folder)
    assert re.search(r"^  index\.qmd:(9|10|11): ", str(refused.value), re.MULTILINE)


def test_all_mistakes_are_listed_at_once_with_the_file_that_holds_them(small):
    (small.folder / "part.md").write_text("Fine.\n\nSee @fig-none.\n")
    small.add("{{< include part.md >}}\n\n{{< var facts.none >}} and @fig-none")
    with pytest.raises(StageError) as refused:
        document.read(small.folder)
    assert str(refused.value).splitlines() == [
        "the report's sources have 3 problems; nothing was rendered",
        "  part.md:3: the reference @fig-none has no target",
        "  index.qmd:11: there is no variable facts.none",
        "  index.qmd:11: the reference @fig-none has no target",
    ]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("index.qmd", "Words\n", "index.qmd:1: must begin with its title between two lines `---`"),
        ("index.qmd", "---\ntitle: [\n---\n", "index.qmd: the lines between --- are not valid YAML"),
        ("index.qmd", "---\nauthor: A\n---\n", "index.qmd: 'author' is not supported in the front matter"),
        ("references.bib", "@misc{a, title = {A}}\n" * 2, "references.bib: the key a is there twice"),
        ("references.bib", "@misc{a, title = {A}\n", "references.bib: pandoc cannot read it"),
    ],
)
def test_a_mistake_in_the_front_matter_or_the_bibliography_is_refused(file, text, message, small):
    (small.folder / file).write_text(text)
    with pytest.raises(StageError, match=re.escape(message)):
        document.read(small.folder)


def test_what_is_escaped_or_in_code_or_mathematics_is_no_mistake(small):
    small.add("`@none <b> {.x}` and $a_{b} < c @d$ cost \\$5, \\@home, \\$\\$, \\{.x\\}, \\<b\\>, \\`\\`\\`.\n")
    small.add("```sh\nls <x> @y ::: {#sec-first} $$\n```\n\n$$\n\\frac{a}{b} @z\n$$ {#eq-a}\n\n@eq-a")
    text, front_matter = document.read(small.folder)
    assert front_matter == {"title": "T"}
    assert "Words a *value* of 5, @known1900." in text


def test_each_supported_construct_passes(small):
    small.add('![A *caption*](picture.svg){#fig-a fig-alt="Al\'t"}\n\n| A |\n|:--|\n| 1 |\n\n: C {#tbl-a}\n')
    small.add('::: {.callout-tip title="Mind"}\n@fig-a, @tbl-a, [@known1900; -@known1900], <https://a.org>.\n:::\n')
    small.add("{{< include part.md >}}\n\n```\nls\n```\n\n## Third {.unnumbered}\n\n[up](#third)\n\n::: {#refs}\n:::")
    assert "A part." in document.read(small.folder)[0]

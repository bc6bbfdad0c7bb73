"""What each of the two renderers makes of a project, and which of them runs."""

import re

import pypdf
import pytest
from report_content import plain_text

from stages.render import renderers
from stages.shared.stage_command import StageError


def test_the_embedded_renderer_resolves_each_construct(small):
    small.add(
        '![A *caption*](picture.svg){#fig-a fig-alt="Al\'t"}\n\n| A |\n|:--|\n| 1 |\n\n: C {#tbl-a}\n\n'
        '$$ x $$ {#eq-a}\n\n::: {.callout-tip title="Mind"}\nInside @fig-a, @tbl-a, @eq-a, @sec-first.\n:::\n\n'
        "### Second\n\n## Third {.unnumbered}\n\n::: {#refs}\n:::"
    )
    renderers.render_embedded(small.folder, small.out)
    page = (small.out / "index.html").read_text(encoding="utf-8")
    assert "Inside Figure 1 , Table 1 , Equation 1 , Section 1 ." in plain_text(page)
    assert '<div class="callout callout-tip">' in page
    assert '<span class="header-section-number">1.1</span> Second' in page
    assert re.search(r'<h2[^>]*id="third"[^>]*>Third</h2>', page)
    assert "Known, A. 1900." in plain_text(page)
    pages = pypdf.PdfReader(small.out / "report.pdf").pages
    text = " ".join("".join(part.extract_text() for part in pages).split())
    for expected in ("Inside Figure 1, Table 1, Equation 1, Section 1.", "Mind", "1.1 Second"):
        assert expected in text


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ('write_both; echo "\033[33mWARN: Unable to resolve @fig-x\033[39m" >&2', "  WARN: Unable to resolve @fig-x"),
        ('write_both; echo "<p>?@a <b>?var:b.c</b></p>" >> $PAGE', "index.html holds ?@a\n  index.html holds ?var:b.c"),
        ('echo "ERROR: cannot go on" >&2; exit 3', "quarto ended with exit code 3:\nERROR: cannot go on"),
        ("echo x > $PAGE", "it wrote no index.pdf"),
    ],
)
def test_what_quarto_lets_pass_is_refused(script, message, small, fake_quarto, monkeypatch):
    monkeypatch.setenv("PATH", fake_quarto(script))
    with pytest.raises(StageError, match=re.escape(message)):
        renderers.render_with_quarto(small.folder, small.out)
    assert list(small.out.iterdir()) == []


@pytest.mark.parametrize("name", renderers.RENDERERS)
def test_both_renderers_refuse_a_mistake_before_they_write(name, small, fake_quarto, tmp_path, monkeypatch):
    small.add("@fig-none")
    monkeypatch.setenv("PATH", fake_quarto(f"touch {tmp_path}/started; write_both"))
    with pytest.raises(StageError) as refused:
        renderers.RENDERERS[name](small.folder, small.out)
    assert str(refused.value) == (
        "the report's sources have 1 problem; nothing was rendered\n"
        "  index.qmd:9: the reference @fig-none has no target"
    )
    assert list(small.out.iterdir()) == []
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(
    ("variable", "installed", "expected", "reason"),
    [
        ("", False, "embedded", "no `quarto` on PATH"),
        ("", True, "quarto", "found "),
        ("embedded", True, "embedded", "REPORT_RENDERER says so"),
        ("quarto", True, "quarto", "REPORT_RENDERER says so"),
    ],
)
def test_the_renderer_is_the_one_named_or_quarto_where_it_is(
    variable, installed, expected, reason, fake_quarto, monkeypatch, capsys
):
    monkeypatch.setenv("PATH", fake_quarto("") if installed else "/nowhere")
    monkeypatch.setenv(renderers.VARIABLE, variable)
    assert renderers.choose() == expected
    assert f"with the {expected} renderer ({reason}" in capsys.readouterr().out


ABSENT = {"quarto": "no `quarto` is on PATH", "latex": "REPORT_RENDERER='latex' is not one of quarto, embedded"}


@pytest.mark.parametrize(("variable", "message"), ABSENT.items())
def test_a_renderer_that_is_not_there_is_refused(variable, message, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv(renderers.VARIABLE, variable)
    with pytest.raises(StageError, match=message):
        renderers.choose()

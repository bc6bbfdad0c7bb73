"""The rendered report: that it holds everything that was computed, repeats byte for byte, and can be read by anyone."""

import base64
import re
import shutil
import subprocess

import fake_results
import pypandoc
import pypdf
import pytest
from report_content import NUMBER, Page, outline, plain_text, pressed, printed_text, typst_alts, typst_references
from ruamel.yaml import YAML

from stages.render import document, renderers
from stages.shared import paths

pytestmark = pytest.mark.slow

CSV_LINK = re.compile(
    r'<a class="csv" data-tables="([^"]*)" download="([^"]*)" href="data:text/csv;charset=utf-8;base64,([^"]*)"'
)


def ids_of(report, kind):
    """Of the figures or tables of the sources, in order."""
    return re.findall(rf"\{{#({kind}-[\w-]+)", report)


def headings_of(report):
    """Of the sources: (depth, text), chapters at depth 0."""
    matches = [re.fullmatch(r"(#{2,4}) (.*?)(?: \{.*\})?", line) for line in report.splitlines()]
    return [(len(match[1]) - 2, match[2].replace("\\", "")) for match in matches if match]


def test_both_reports_have_every_heading_in_the_same_order(content, printed, report):
    expected = headings_of(report)
    assert len(expected) > 20
    on_page = [(level - 2, re.sub(r"^\d+(\.\d+)* ", "", text)) for level, text in content.headings]
    assert on_page == expected
    assert outline(printed) == expected


def test_both_reports_number_every_figure_and_table_of_the_sources(page, printed, pdf_text, report):
    figures, tables = ids_of(report, "fig"), ids_of(report, "tbl")
    assert len(figures) >= 15
    assert len(tables) >= 10
    text = " ".join(pdf_text.split())
    for kind, ids in (("Figure", figures), ("Table", tables)):
        for number, name in enumerate(ids, 1):
            caption = rf'<div id="{name}" class="quarto-float">.*?<strong>{kind}\xa0{number}:</strong>'
            assert re.search(caption, page, re.DOTALL), name
            assert f"{kind} {number}. " in text, f"{kind} {number} is not in the PDF"
        assert f"{kind} {len(ids) + 1}. " not in text
    for name in tables:  # a table's caption stands above it, a figure's below
        assert re.search(rf'<div id="{name}" class="quarto-float">\s*<figure[^>]*>\s*<figcaption>', page), name
    assert page.count('src="data:image/svg+xml;base64,') == len(figures)
    assert sum(len(part.get("/Resources", {}).get("/XObject", {})) for part in printed.pages) >= len(figures)


def test_the_page_holds_the_figures_that_answer_and_what_lets_them(page):
    """The script finds the marks in the embedded SVG; without scripts the images stay as they are."""
    images = re.findall(r'<img\s[^>]*?src="data:image/svg\+xml;base64,([^"]*)"', page)
    answering = [svg for svg in map(base64.b64decode, images) if b'class="mark" data-name=' in svg]
    assert len(answering) == 3, "accuracy, forest and cost"
    assert "text.includes('class=\"mark\"')" in page


def test_the_two_documents_refer_to_the_same_targets_and_describe_their_figures_alike(content, assembled):
    typst_source = (assembled / "report.typ").read_text(encoding="utf-8")
    assert len(content.references) > 30
    assert [target for target, _ in content.references] == typst_references(typst_source)
    assert len(content.alts) >= 15
    assert min(map(len, content.alts)) > 20
    assert content.alts == typst_alts(typst_source)


def assert_printed(content, pdf_text):
    """The PDF has every row of the page's tables, and each of the two every measured number of the other."""
    text, on_page = pressed(pdf_text), pressed(content.text)
    rows = ["".join(row) for table in content.tables for row in table]
    numbers = set(NUMBER.findall(content.text))
    assert len(rows) > 100
    assert len(numbers) > 200
    assert [row for row in rows if pressed(row) not in text] == []
    assert [number for number in numbers if number not in text] == []
    decimals = re.findall(r"[−+]?\d+\.\d\d+", pdf_text)
    assert [number for number in decimals if number not in on_page] == []


def test_the_pdf_has_every_cell_and_every_number_of_the_page(content, pdf_text):
    assert_printed(content, pdf_text)


def test_the_page_has_what_pandoc_alone_reads_in_the_sources(content, report):
    """Without the filter, the template and the numbering of the embedded renderer."""
    bare = Page(pypandoc.convert_text(report, "html5", renderers.READER, extra_args=["--columns=9999"]))
    labels = {f"@{target}": label for target, label in content.references}
    assert content.tables == [
        [[re.sub(r"@tbl-[\w-]+", lambda name: labels[name[0]], cell) for cell in row] for row in table]
        for table in bare.tables
    ]
    assert [(level, re.sub(r"^[\d.]+ ", "", text)) for level, text in content.headings] == bare.headings
    assert len(content.alts) == len(bare.alts)


@pytest.mark.skipif(not shutil.which("quarto"), reason="no `quarto` on PATH, so there is no report to compare with")
@pytest.mark.slow
def test_quarto_renders_the_same_content(content, assembled, report, tmp_path):
    folder, out = shutil.copytree(assembled, tmp_path / "project"), tmp_path / "out"
    out.mkdir()
    renderers.render_with_quarto(folder, out)
    by_quarto = Page((out / "index.html").read_text(encoding="utf-8"))
    for part in ("headings", "tables", "alts", "references"):
        assert getattr(by_quarto, part) == getattr(content, part)
    assert set(NUMBER.findall(by_quarto.text)) == set(NUMBER.findall(content.text))
    printed = pypdf.PdfReader(out / "report.pdf")
    assert_printed(content, printed_text(printed))
    assert outline(printed) == headings_of(report)


def test_every_reference_leads_to_the_number_that_it_names(page):
    references = re.findall(r'<a\s+href="#([\w-]+)"\s+class="quarto-xref"[^>]*>(\w+)\xa0([\d.]+)</a>', page)
    assert len(references) > 30
    labels = {
        "Section": r'<span class="header-section-number">([\d.]+)</span>',
        "Equation": r"\((\d+)\)\s*</div>",
        "Figure": r"<strong>Figure\xa0(\d+):",
        "Table": r"<strong>Table\xa0(\d+):",
    }
    for name, word, number in references:
        target = page[page.index(f'id="{name}"') :]
        assert re.search(labels[word], target, re.DOTALL)[1] == number, name


def test_the_page_has_every_number_of_the_facts_that_the_prose_uses(page, assembled):
    variables = YAML(typ="safe").load((assembled / document.VARIABLES).read_text())
    names = {name for file in assembled.glob("*.qmd") for name in document.VARIABLE.findall(file.read_text())}
    used = {name: document.lookup(variables, name) for name in names if name.startswith(("facts.", "eda."))}
    assert len(used) > 40
    text = plain_text(page)
    missing = [(name, number) for name in used for number in NUMBER.findall(used[name]) if number not in text]
    assert missing == []


def test_the_page_asks_the_network_for_nothing(page):
    without_scripts = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"""(?:src|srcset|poster)=["'](?!data:)""", without_scripts)
    assert not re.search(r"<link\b[^>]*href=(?!\"data:)", page)
    assert not re.search(r"@import|url\((?!['\"]?data:)|fetch\(|XMLHttpRequest", page)


def test_the_page_can_be_read_without_seeing_it(page):
    assert len(re.findall(r"<img\b[^>]*\balt=\"[^\"]", page)) == page.count("<img ")
    for part in ('<html lang="en-GB"', '<a class="skip" href="#content">', '<main id="content">'):
        assert part in page


def test_the_pdf_is_tagged_and_names_itself(printed):
    catalogue = printed.trailer["/Root"]
    assert catalogue["/MarkInfo"]["/Marked"].value is True
    assert catalogue["/Lang"] == "en-GB"
    assert printed.metadata["/Title"] == "What convolution buys"
    assert not {"/CreationDate", "/ModDate"} & set(printed.metadata)


def test_each_csv_on_the_page_is_the_file_and_belongs_to_tables_that_are_there(root, page):
    links = CSV_LINK.findall(page)
    files = {file.name: file for stage in ("figures", "eda") for file in (root / "data" / stage).glob("tables/*.csv")}
    assert files.keys() <= {name for _, name, _ in links}
    for ids, name, encoded in links:
        assert ids
        if name in files:
            assert base64.b64decode(encoded) == files[name].read_bytes(), name
    named = {name for ids, _, _ in links for name in ids.split()}
    sources = "".join(file.read_text(encoding="utf-8") for file in (paths.ROOT / "report").glob("*.qmd"))
    typed = set(re.findall(r"\{#(tbl-[\w-]+)\}", sources))  # a table of words alone has no data
    assert set(re.findall(r'<div id="(tbl-[^"]+)"', page)) - typed <= named


def test_the_report_says_what_it_was_made_from(page, dataset_digests):
    text = plain_text(page)
    for digest in dataset_digests.values():
        assert digest[:16] in text
    pinned = re.search(r"^torch==(\S+)", (paths.ROOT / "requirements.lock").read_text(), re.MULTILINE)[1]
    assert f"torch {pinned}" in text
    settings = fake_results.settings()
    assert f"recipe.batch_size {settings['recipe']['batch_size']}" in text
    assert f"protocol.name {settings['protocol']}" in text
    assert "protocol.seeds 0, 1, 2" in text
    assert "Kernel size: 1×1 kernel: 1" in text
    variants = page[: page.index('<div id="tbl-variants"')].count('<div id="tbl-') + 1
    assert f"protocol.variants the 4 of Table {variants}" in text
    tables = {name: base64.b64decode(encoded).decode() for _, name, encoded in CSV_LINK.findall(page)}
    assert 'protocol.variants,"cnn, kernel_1, fully_connected, global_average"' in tables["settings.csv"]


def test_the_bytes_depend_neither_on_the_folder_nor_on_the_commit(root, copied_root, render):
    shutil.rmtree(copied_root / "data/report")
    who = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "params.yaml"], [*who, "commit", "-qm", "Another commit"]):
        subprocess.run(["git", *command], cwd=copied_root, check=True)
    assert render(copied_root, REPORT_RENDERER="embedded")[0] == 0
    for name in ("index.html", "report.pdf"):
        assert (copied_root / "data/report" / name).read_bytes() == (root / "data/report" / name).read_bytes(), name
    assert paths.read_json(copied_root / "data/timings/render.json")["commit"] != "unknown"


def test_one_seed_one_variant_and_odd_names_render(tmp_path, render_root):
    odd = "a@b <i> {x} $5 \\c | 100% *s* `t` [u](v) @fig-none ~w~ #y"

    def one(raw):
        fake_results.only(raw, "cnn")
        fake_results.seeds(1)(raw)
        raw["variants"]["cnn"]["families"] = {"kernel": odd}
        raw["variants"]["twin"] = {"families": {"kernel": f"twin {odd}"}, "run": {"architecture": {"kernel": 1}}}
        raw["protocols"][raw["protocol"]]["variants"].append("twin")
        raw["families"] = {"kernel": raw["families"]["kernel"] | {"title": odd}}

    render_root(tmp_path, one, classes=[odd, "-", "+ 1"])
    text = plain_text((tmp_path / "data/report/index.html").read_text(encoding="utf-8"))
    assert f"twin {odd}" in text
    assert "none is stated" in text

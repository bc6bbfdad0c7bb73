"""The report with both renderers: that it holds everything, repeats byte for byte, and is refused when a source is wrong."""

import base64
import html
import re
import shutil
import stat
import subprocess
import sys

import fake_results
import pypandoc
import pypdf
import pytest
import small_data
from report_content import NUMBER, Page, pressed, printed_text, typst_alts, typst_references
from ruamel.yaml import YAML

from stages.render import document, embedded, project, quarto, renderer, sources
from stages.shared import paths
from stages.shared.stage_command import StageError

REPOSITORY = paths.ROOT
SHA256 = {"train-images": "0123456789abcdef" * 4, "train-labels": "fedcba9876543210" * 4}


def run(root, module, *arguments, **environment):
    """A stage in a process of its own under `root`: exit code, stdout, stderr."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(root),
        "PIPELINE_ROOT": str(root),
        "OMP_NUM_THREADS": "1",
    } | environment
    result = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode, result.stdout, result.stderr


def succeed(root, module, *arguments, **environment):
    code, output, error = run(root, module, *arguments, **environment)
    assert code == 0, output + error
    return output


def write_root(root, change, eda, **choices):
    """Everything that `render` reads. eda: a data/eda that was made for other images; the report only passes it on."""
    fake_results.make_root(root, fake_results.settings(change), n_test=200, **choices)
    dataset = paths.read_json(root / "data/raw/dataset.json")
    paths.write_json(root / "data/raw/dataset.json", dataset | {"sha256": SHA256})
    for stage in ("stages.collect", "stages.figures"):
        succeed(root, stage)
    shutil.copytree(eda, root / "data/eda")
    shutil.copytree(REPOSITORY / "report", root / "report")
    shutil.copy(REPOSITORY / "requirements.lock", root)


@pytest.fixture(scope="session")
def eda(tmp_path_factory):
    """data/eda as the real stage writes it, of small images."""
    root = tmp_path_factory.mktemp("eda")

    def small(raw):
        raw["eda"] |= {"images": 60, "samples_per_class": 2, "max_distance": 4}

    fake_results.make_root(root, fake_results.settings(small), n_test=47)
    shutil.rmtree(root / "data")
    small_data.write_prepared(root / "data/prepared")
    succeed(root, "stages.eda")
    return root / "data/eda"


@pytest.fixture(scope="session")
def root(tmp_path_factory, eda):
    """Three variants in two families over three seeds, rendered. Copy it, do not change it."""
    root = tmp_path_factory.mktemp("root")

    def few(raw):
        fake_results.only(raw, "cnn", "kernel_1", "fully_connected", "global_average")
        fake_results.seeds(3)(raw)

    write_root(root, few, eda)
    succeed(root, "stages.render", REPORT_RENDERER="embedded")
    return root


@pytest.fixture(scope="session")
def page(root):
    return (root / "data/report/index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def printed(root):
    return pypdf.PdfReader(root / "data/report/report.pdf")


@pytest.fixture(scope="session")
def written(root):
    """What a reader of the sources expects: the lines with every include in its place."""
    folder = root / "written"
    succeed(root, "stages.render", "--project", str(folder))
    problems = []
    _, lines = sources.read(folder, problems)
    assert problems == []
    return lines


def copy(root, to):
    shutil.copytree(root, to, ignore=shutil.ignore_patterns("runs", "probes", "timings", "written", "prepared"))
    return to


def plain(markup):
    """Text of HTML, spaces made one."""
    bare = re.sub(r"<(script|style)\b.*?</\1>|<annotation\b.*?</annotation>|<[^>]*>", " ", markup, flags=re.DOTALL)
    return " ".join(html.unescape(bare).split())


def headings(lines):
    found = [re.fullmatch(r"(#{2,4}) (.*?)(?: \{.*\})?", line.text) for line in lines if line.text.startswith("##")]
    return [(len(match[1]) - 2, match[2].replace("\\", "")) for match in found]


def outline(entries, depth=0):
    for entry in entries:
        if isinstance(entry, list):
            yield from outline(entry, depth + 1)
        else:
            yield depth, re.sub(r"^\d+(\.\d+)* ", "", entry.title)


def test_both_reports_have_every_heading_in_the_same_order(page, printed, written):
    expected = headings(written)
    assert len(expected) > 20
    on_page = re.findall(
        r'<h([2-4])[^>]*>(?:<span class="header-section-number">[\d.]+</span> )?(.*?)</h\1>', page, re.DOTALL
    )
    assert [(int(level) - 2, plain(text)) for level, text in on_page] == [
        (depth, plain(text)) for depth, text in expected
    ]
    in_pdf = [(depth, text.replace("’", "'")) for depth, text in outline(printed.outline)]
    assert in_pdf == [(depth, text) for depth, text in expected]


def test_both_reports_number_every_figure_and_table_of_the_sources(page, printed, written):
    figures = [match[1] for line in written if (match := re.search(r"\]\(\S+\.svg\)\{#(fig-[\w-]+)", line.text))]
    tables = [match[1] for line in written if (match := re.match(r": .*\{#(tbl-[\w-]+)\}", line.text))]
    assert len(figures) >= 15
    assert len(tables) >= 10
    text = " ".join(" ".join(part.extract_text() for part in printed.pages).split())
    for kind, ids in (("Figure", figures), ("Table", tables)):
        for number, name in enumerate(ids, 1):
            assert re.search(
                rf'<div id="{name}" class="quarto-float">.*?<strong>{kind}\xa0{number}:</strong>', page, re.DOTALL
            ), name
            assert f"{kind} {number}. " in text, f"{kind} {number} is not in the PDF"
        assert f"{kind} {len(ids) + 1}. " not in text
    for name in tables:  # a table's caption stands above it, a figure's below
        assert re.match(
            r"[^<]*<figure[^>]*>\s*<figcaption>",
            page[page.index(f'<div id="{name}" class="quarto-float">') :].partition(">")[2],
        ), name
    assert page.count('src="data:image/svg+xml;base64,') == len(figures)
    assert sum(len(part.get("/Resources", {}).get("/XObject", {})) for part in printed.pages) >= len(figures)


@pytest.fixture(scope="session")
def both(root, page, written, tmp_path_factory):
    """The page's content, and the typst that the PDF is set from."""
    folder, out = tmp_path_factory.mktemp("typst") / "project", tmp_path_factory.mktemp("out")
    shutil.copytree(root / "written", folder)
    embedded.render(folder, out)
    assert (out / "index.html").read_text(encoding="utf-8") == page
    return Page(page), (folder / "report.typ").read_text(encoding="utf-8")


def test_the_two_documents_refer_to_the_same_targets_in_the_same_order(both):
    content, typst = both
    assert len(content.references) > 30
    assert [target for target, _ in content.references] == typst_references(typst)


def test_the_two_documents_describe_their_figures_alike(both):
    content, typst = both
    assert len(content.alts) >= 15
    assert content.alts == typst_alts(typst)


def assert_printed(content, printed):
    """That the PDF has every row of the page's tables, cell by cell, and each of the two every measured number of the other."""
    text = printed_text(printed)
    rows, numbers = ["".join(row) for table in content.tables for row in table], set(NUMBER.findall(content.text))
    assert len(rows) > 100
    assert len(numbers) > 200
    assert [row for row in rows if pressed(row) not in pressed(text)] == []
    assert [number for number in numbers if number not in pressed(text)] == []
    assert [number for number in re.findall(r"[−+]?\d+\.\d\d+", text) if number not in pressed(content.text)] == []


def test_the_pdf_has_every_cell_and_every_number_of_the_page(both, printed):
    assert_printed(both[0], printed)


def test_the_page_has_what_pandoc_alone_reads_in_the_sources(root, both, written):
    """Without the filter, the template and the numbering of the embedded renderer."""
    text, _ = document.checked(root / "written")
    bare = Page(pypandoc.convert_text(text, "html5", embedded.READER, extra_args=["--columns=9999", "--mathml"]))
    content = both[0]
    numbered = {f"@{target}": label for target, label in content.references}
    assert content.tables == [
        [[re.sub(r"@tbl-[\w-]+", lambda name: numbered[name[0]], cell) for cell in row] for row in table]
        for table in bare.tables
    ]
    assert [(level, re.sub(r"^[\d.]+ ", "", text)) for level, text in content.headings] == bare.headings
    assert len(content.alts) == len(bare.alts)


@pytest.mark.skipif(
    not shutil.which("quarto"), reason="no `quarto` on PATH, so its report cannot be compared with the embedded one"
)
@pytest.mark.slow
def test_quarto_renders_the_same_content(root, both, written, tmp_path):
    folder, out = tmp_path / "project", tmp_path / "out"
    shutil.copytree(root / "written", folder)
    out.mkdir()
    quarto.render(folder, out)
    by_quarto, content = Page((out / "index.html").read_text(encoding="utf-8")), both[0]
    assert by_quarto.headings == content.headings
    assert by_quarto.tables == content.tables
    assert by_quarto.alts == content.alts
    assert by_quarto.references == content.references
    assert set(NUMBER.findall(by_quarto.text)) == set(NUMBER.findall(content.text))
    reader = pypdf.PdfReader(out / "report.pdf")
    assert_printed(content, reader)
    assert [(depth, text.replace("’", "'")) for depth, text in outline(reader.outline)] == headings(written)


def test_every_reference_leads_to_the_number_that_it_names(page):
    references = re.findall(r'<a\s+href="#([\w-]+)"\s+class="quarto-xref"[^>]*>(\w+)\xa0([\d.]+)</a>', page)
    assert len(references) > 30
    for name, word, number in references:
        target = page[page.index(f'id="{name}"') :]
        shown = {
            "Section": r'<span class="header-section-number">([\d.]+)</span>',
            "Equation": r"\((\d+)\)\s*</div>",
            "Figure": r"<strong>Figure\xa0(\d+):",
            "Table": r"<strong>Table\xa0(\d+):",
        }[word]
        assert re.search(shown, target, re.DOTALL)[1] == number, name


def test_both_reports_state_every_number_of_the_facts_that_the_prose_uses(root, page, printed, written):
    variables = YAML(typ="safe").load((root / "data/figures/facts.yml").read_text(encoding="utf-8"))
    variables |= YAML(typ="safe").load((root / "data/eda/facts.yml").read_text(encoding="utf-8"))
    used = {
        tuple(name.split("."))
        for line in written
        for name in sources.VARIABLE.findall(line.text)
        if name.startswith(("facts", "eda"))
    }
    assert len(used) > 40
    on_page, in_pdf = plain(page), " ".join(" ".join(part.extract_text() for part in printed.pages).split())
    for block, name in used:
        for number in re.findall(r"[−+]?\d[\d,]*(?:\.\d+)?", variables[block][name]):
            assert number in on_page, f"{block}.{name}: {number} is not on the page"
            assert number in in_pdf, f"{block}.{name}: {number} is not in the PDF"


def test_the_page_asks_the_network_for_nothing(page):
    assert not re.search(
        r"""(?:src|srcset|poster)=["'](?!data:)""", re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    )
    assert not re.search(r"<link\b[^>]*href=(?!\"data:)", page)
    assert not re.search(r"@import|url\((?!['\"]?data:)|fetch\(|XMLHttpRequest", page)


def test_the_page_can_be_read_without_seeing_it(page):
    alts = re.findall(r"<img\b[^>]*\balt=\"([^\"]*)\"", page)
    assert len(alts) == page.count("<img ")
    assert min(map(len, alts)) > 20
    assert '<html lang="en-GB"' in page
    assert '<a class="skip" href="#content">' in page
    assert '<main id="content">' in page


def test_the_pdf_is_tagged_and_names_itself(printed):
    catalogue = printed.trailer["/Root"]
    assert catalogue["/MarkInfo"]["/Marked"].value is True
    assert catalogue["/Lang"] == "en-GB"
    assert printed.metadata["/Title"] == "What convolution buys"
    assert not {"/CreationDate", "/ModDate"} & set(printed.metadata)


def test_each_csv_on_the_page_is_the_file_and_belongs_to_tables_that_are_there(root, page):
    links = re.findall(
        r'<a class="csv" data-tables="([^"]*)" download="([^"]*)" href="data:text/csv;charset=utf-8;base64,([^"]*)"',
        page,
    )
    files = {
        file.name: file for folder in ("figures", "eda") for file in (root / "data" / folder / "tables").glob("*.csv")
    }
    assert files.keys() <= {name for _, name, _ in links}
    for ids, name, coded in links:
        assert ids
        if name in files:
            assert base64.b64decode(coded) == files[name].read_bytes(), name
    named = {name for ids, _, _ in links for name in ids.split()}
    typed = {
        name
        for file in (REPOSITORY / "report").glob("*.qmd")
        for name in re.findall(r"\{#(tbl-[\w-]+)\}", file.read_text(encoding="utf-8"))
    }
    assert set(re.findall(r'<div id="(tbl-[^"]+)"', page)) - typed <= named  # a table of words alone has no data


def test_the_report_says_what_it_was_made_from(page):
    text = plain(page)
    for digest in SHA256.values():
        assert digest[:16] in text
    pinned = re.search(r"^torch==(\S+)", (REPOSITORY / "requirements.lock").read_text(), re.MULTILINE)[1]
    assert f"torch {pinned}" in text
    assert f"recipe.batch_size {fake_results.settings()['recipe']['batch_size']}" in text
    assert "Kernel size: 1×1 kernel: 1" in text
    variants = page[: page.index('id="tbl-variants"')].count('class="quarto-float" id="tbl-') + 1
    assert f"protocol.variants the 4 of Table {variants}" in text
    settings = re.search(r'download="settings.csv" href="data:text/csv;charset=utf-8;base64,([^"]*)"', page)[1]
    assert 'protocol.variants,"cnn, kernel_1, fully_connected, global_average"' in base64.b64decode(settings).decode()


def test_the_bytes_depend_neither_on_the_folder_nor_on_the_commit(root, tmp_path):
    other = copy(root, tmp_path / "elsewhere" / "and deeper")
    shutil.rmtree(other / "data/report")
    who = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "params.yaml"], [*who, "commit", "-qm", "Another commit"]):
        subprocess.run(["git", *command], cwd=other, check=True)
    succeed(other, "stages.render", REPORT_RENDERER="embedded")
    for name in ("index.html", "report.pdf"):
        assert (other / "data/report" / name).read_bytes() == (root / "data/report" / name).read_bytes(), name
    assert paths.read_json(other / "data/timings/render.json")["commit"] != "unknown"


def test_one_seed_one_variant_and_odd_names_render(tmp_path, eda):
    odd = "a@b <i> {x} $5 \\c | 100% *s* `t` [u](v) @fig-none ~w~ #y"

    def one(raw):
        fake_results.only(raw, "cnn")
        fake_results.seeds(1)(raw)
        raw["variants"]["cnn"]["families"] = {"kernel": odd}
        raw["variants"]["twin"] = {"families": {"kernel": f"twin {odd}"}, "run": {"architecture": {"kernel": 1}}}
        raw["protocol"]["variants"].append("twin")
        raw["families"] = {"kernel": raw["families"]["kernel"] | {"title": odd}}

    write_root(tmp_path, one, eda, classes=[odd, "-", "+ 1"])
    succeed(tmp_path, "stages.render", REPORT_RENDERER="embedded")
    text = plain((tmp_path / "data/report/index.html").read_text(encoding="utf-8"))
    assert f"twin {odd}" in text
    assert "none is stated" in text


MISTAKES = {
    "{{< include none.md >}}": "none.md is missing",
    "{{< include index.qmd >}}": "index.qmd includes itself",
    "{{< include tables/{{< var facts.x >}}.md >}}": "'include' is not supported here",
    "Words {{< include part.md >}}": "'include' is not supported here",
    "{{< var facts.none >}}": "there is no variable facts.none",
    "{{< var facts >}}": "there is no variable facts",
    "{{< video x >}}": "the shortcode 'video' is not supported",
    "`{{< var facts.x >}}`": "a shortcode inside code or mathematics",
    "See @fig-none.": "the reference @fig-none has no target",
    "See [@tbl-none].": "the reference @tbl-none has no target",
    "See @sec-none.": "the reference @sec-none has no target",
    "As @nobody1900 says": "the citation @nobody1900 is not in the bibliography",
    "[words](#nowhere)": "the link #nowhere leads nowhere",
    "[words](other.html)": "the link to the file other.html",
    '![Caption](none.svg){#fig-a fig-alt="Alt"}': "the image none.svg is missing",
    "![Caption](picture.svg){#fig-a}": "the image picture.svg must stand alone",
    "Words ![Caption](picture.svg)": "the image picture.svg must stand alone",
    '![Caption](picture.svg){#fig-a fig-alt="{{< var facts.x >}}"}': "the image picture.svg must stand alone",
    "### Again {#sec-first}": "index.qmd:9: the id sec-first is already that of index.qmd:5",
    "::: {.callout-note}": "index.qmd:9: ::: is never closed",
    "Words\n\n:::": "index.qmd:11: ::: closes nothing",
    "::: {.panel-tabset}\n:::": "the block ::: {.panel-tabset} is not supported",
    '::: {.callout-note title="{{< var facts.x >}}"}\n:::': "the block ::: {.callout-note title=",
    "::: {layout-ncol=2}\n:::": "the block ::: {layout-ncol=2} is not supported",
    "```{python}\n1\n```": "the code block '{python}' is not supported",
    "```{=html}\n<br>\n```": "the code block '{=html}' is not supported",
    "```\nnever": "index.qmd:9: ``` is never closed",
    "$$\nnever": "index.qmd:9: $$ is never closed",
    "[words]{.smallcaps}": "the attributes {.smallcaps} are not supported",
    "### Words {.unlisted}": "the attributes {.unlisted} are not supported",
    "`<br>`{=html}": "the attributes {=html} are not supported",
    "Words<br>words": "raw HTML is not supported: <br>",
    "<!-- a remark -->": "raw HTML is not supported: <!--",
    "\\newpage": "raw TeX is not supported: \\newpage",
    "| "
    + "a" * 60
    + " | "
    + "b" * 60
    + " |\n|:--|:--|\n| 1 | 2 |": "the table is wider than the page (124 of 92 characters)",
}


@pytest.fixture
def small(tmp_path):
    """A report of one page; add(text) appends to it from line 9 on."""
    for name, text in {
        "index.qmd": "---\ntitle: T\n---\n\n## First {#sec-first}\n\nWords {{< var facts.x >}}, @known1900.\n\n",
        "_variables.yml": '{"facts": {"x": "a *value* of 5"}}',
        "references.bib": "@misc{known1900, author = {Known, A.}, title = {Title}, year = {1900}}\n",
        "part.md": "A part.\n",
        "picture.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="9pt" height="9pt"/>',
        project.CSV_LINKS: "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    shutil.copytree(REPOSITORY / "report/theme", tmp_path / "theme")

    def add(text):
        with (tmp_path / "index.qmd").open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")

    return tmp_path, add


@pytest.mark.parametrize(("mistake", "said"), MISTAKES.items())
def test_a_mistake_in_the_sources_is_refused_by_name_file_and_line(mistake, said, small):
    folder, add = small
    add(mistake)
    with pytest.raises(StageError, match=re.escape(said)) as caught:
        document.checked(folder)
    assert re.search(r"^  index\.qmd:(9|11): ", str(caught.value), re.MULTILINE)


def test_all_mistakes_are_listed_at_once_with_the_file_that_holds_them(small):
    folder, add = small
    (folder / "part.md").write_text("Fine.\n\nSee @fig-none.\n")
    add("{{< include part.md >}}\n\n{{< var facts.none >}}")
    with pytest.raises(StageError) as caught:
        document.checked(folder)
    assert str(caught.value).splitlines() == [
        "the report's sources have 2 problems; nothing was rendered",
        "  part.md:3: the reference @fig-none has no target",
        "  index.qmd:11: there is no variable facts.none",
    ]


def test_what_is_in_code_and_mathematics_is_no_mistake(small):
    folder, add = small
    add(
        "`@none <b> {.x}` and $a_{b} < c @d$ cost \\$5, \\@home.\n\n```sh\nls <x> @y ::: {#sec-first}\n```\n\n$$\n\\frac{a}{b} @z\n$$ {#eq-a}\n\n@eq-a"
    )
    text, front = document.checked(folder)
    assert front == {"title": "T"}
    assert "Words a *value* of 5, @known1900." in text


def test_the_embedded_renderer_resolves_each_construct(small, tmp_path):
    folder, add = small
    add(
        '![A *caption*](picture.svg){#fig-a fig-alt="Al\'t"}\n\n| A |\n|:--|\n| 1 |\n\n: C {#tbl-a}\n\n$$ x $$ {#eq-a}\n'
    )
    add(
        '::: {.callout-tip title="Mind"}\nInside @fig-a, @tbl-a, @eq-a, @sec-first.\n:::\n\n### Second\n\n## Third {.unnumbered}\n\n::: {#refs}\n:::'
    )
    out = tmp_path / "out"
    out.mkdir()
    embedded.render(folder, out)
    made = (out / "index.html").read_text(encoding="utf-8")
    assert "Inside Figure 1 , Table 1 , Equation 1 , Section 1 ." in plain(made)
    assert '<div class="callout callout-tip">' in made
    assert '<span class="header-section-number">1.1</span> Second' in made
    assert re.search(r'<h2[^>]*id="third"[^>]*>Third</h2>', made)
    assert "Known, A. 1900." in plain(made)
    text = " ".join("".join(part.extract_text() for part in pypdf.PdfReader(out / "report.pdf").pages).split())
    assert "Inside Figure 1, Table 1, Equation 1, Section 1." in text
    assert "Mind" in text
    assert "1.1 Second" in text


def test_a_wrong_source_leaves_the_old_report(root, tmp_path):
    other = copy(root, tmp_path / "copy")
    with (other / "report/index.qmd").open("a") as file:
        file.write("\n@fig-none\n")
    code, _, error = run(other, "stages.render", REPORT_RENDERER="embedded")
    assert code == 1
    assert "the reference @fig-none has no target" in error
    assert "Traceback" not in error
    assert (other / "data/report/report.pdf").read_bytes() == (root / "data/report/report.pdf").read_bytes()


def fake_quarto(folder, script):
    """A `quarto` on PATH. The script finds the project in $2, and PAGE and PDF are what it should write."""
    folder.mkdir()
    program = folder / "quarto"
    program.write_text(
        f'#!/bin/sh\nset -e\ncd "$2"\nPAGE=_output/index.html PDF=_output/index.pdf\nmkdir -p _output\n{script}\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


WHOLE = 'echo "<h1>by quarto</h1><script>/?@x/</script>" > $PAGE; echo "%PDF-q" > $PDF; echo "Output created" >&2'


def test_quarto_on_path_renders_the_assembled_project(root, tmp_path):
    other = copy(root, tmp_path / "copy")
    needs = "_quarto.yml _variables.yml references.bib families.md tables/results.md tables/csv.html figures/forest.svg eda/figures/samples.svg theme/dark.scss"
    check = f'test "$1" = render; test "$SOURCE_DATE_EPOCH" = 0; ls {needs} > /dev/null\n'
    output = succeed(other, "stages.render", **fake_quarto(tmp_path / "bin", check + WHOLE))
    assert f"with the quarto renderer (found {tmp_path}/bin/quarto)" in output
    assert "by quarto" in (other / "data/report/index.html").read_text()
    assert (other / "data/report/report.pdf").read_text() == "%PDF-q\n"
    assert sorted(file.name for file in (other / "data/report").iterdir()) == ["index.html", "report.pdf"]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            f'{WHOLE}; echo "\033[33mWARN: Unable to resolve crossref @fig-x\033[39m" >&2',
            "WARN: Unable to resolve crossref @fig-x",
        ),
        (
            f'{WHOLE}; echo "<p>see <strong>?@fig-x</strong> ?var:facts.y</p>" >> $PAGE',
            "index.html holds ?@fig-x\n  index.html holds ?var:facts.y",
        ),
        ('echo "ERROR: cannot go on" >&2; exit 3', "quarto ended with exit code 3:\nERROR: cannot go on"),
        ("echo x > $PAGE", "it wrote no index.pdf"),
    ],
)
def test_what_quarto_lets_pass_is_refused(script, said, small, tmp_path, monkeypatch):
    folder, _ = small
    monkeypatch.setenv("PATH", fake_quarto(tmp_path / "bin", script)["PATH"])
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(StageError, match=re.escape(said)):
        quarto.render(folder, out)
    assert list(out.iterdir()) == []


def test_when_quarto_warns_the_old_report_stays(root, tmp_path):
    other = copy(root, tmp_path / "copy")
    code, _, error = run(
        other,
        "stages.render",
        **fake_quarto(tmp_path / "bin", f'{WHOLE}; echo "[WARNING] Citeproc: citation x not found"'),
    )
    assert code == 1
    assert error.splitlines() == ["quarto rendered a broken report:", "  [WARNING] Citeproc: citation x not found"]
    assert (other / "data/report/index.html").read_bytes() == (root / "data/report/index.html").read_bytes()


@pytest.mark.parametrize("name", renderer.RENDERERS)
@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ("@fig-none", "the reference @fig-none has no target"),
        ("{{< var facts.none >}}", "there is no variable facts.none"),
        ('![Caption](none.svg){#fig-a fig-alt="Alt"}', "the image none.svg is missing"),
        ("### Again {#sec-first}", "the id sec-first is already that of index.qmd:5"),
        (
            "| " + "a" * 60 + " | " + "b" * 60 + " |\n|:--|:--|\n| 1 | 2 |",
            "the table is wider than the page (124 of 92 characters); split or transpose it",
        ),
    ],
)
def test_both_renderers_refuse_a_fault_in_one_message_before_they_write(
    name, mistake, said, small, tmp_path, monkeypatch
):
    folder, add = small
    add(mistake)
    monkeypatch.setenv("PATH", fake_quarto(tmp_path / "bin", f"touch {tmp_path}/started; {WHOLE}")["PATH"])
    (tmp_path / "out").mkdir()
    with pytest.raises(StageError) as refused:
        renderer.RENDERERS[name](folder, tmp_path / "out")
    assert str(refused.value) == f"the report's sources have 1 problem; nothing was rendered\n  index.qmd:9: {said}"
    assert list((tmp_path / "out").iterdir()) == []
    assert not (tmp_path / "started").exists()


def test_the_renderer_is_the_one_named_or_quarto_where_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv(renderer.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    assert renderer.choose() == "embedded"
    assert "no `quarto` on PATH" in capsys.readouterr().out
    monkeypatch.setenv(renderer.VARIABLE, "quarto")
    with pytest.raises(StageError, match="no `quarto` is on PATH"):
        renderer.choose()
    monkeypatch.setenv(renderer.VARIABLE, "latex")
    with pytest.raises(StageError, match="REPORT_RENDERER='latex' is not one of quarto, embedded"):
        renderer.choose()
    monkeypatch.setenv("PATH", fake_quarto(tmp_path / "bin", "")["PATH"])
    monkeypatch.delenv(renderer.VARIABLE)
    assert renderer.choose() == "quarto"
    monkeypatch.setenv(renderer.VARIABLE, "embedded")
    assert renderer.choose() == "embedded"


def test_the_project_folder_is_complete_and_spares_what_is_not_its_own(root, tmp_path):
    folder = tmp_path / "project"
    output = succeed(root, "stages.render", "--project", str(folder))
    assert f"quarto preview {folder}" in output
    document.checked(folder)
    configuration = YAML(typ="safe").load((folder / "_quarto.yml").read_text(encoding="utf-8"))
    page = configuration["format"]["html"]
    themes = [name for names in page["theme"].values() for name in names if name != "default"]
    named = [
        *themes,
        page["css"],
        *page["include-after-body"],
        *configuration["format"]["typst"]["template-partials"],
        configuration["bibliography"],
    ]
    assert len(named) == 8
    for name in named:
        assert (folder / name).is_file(), name
    for name in themes:
        declared = [line for line in (folder / name).read_text().splitlines() if line]
        assert declared[0] == "/*-- scss:defaults --*/"
        assert declared[1].startswith("$web-font-path: false;")
        assert all(re.fullmatch(r"\$[\w-]+: [^;]+;( //.*)?", line) for line in declared[1:])
    succeed(root, "stages.render", "--project", str(folder))  # again, over itself
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    code, _, error = run(root, "stages.render", "--project", str(tmp_path / "mine"))
    assert code == 1
    assert "is no project that this command made" in error
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_what_an_earlier_stage_did_not_write_is_named(root, tmp_path):
    other = copy(root, tmp_path / "copy")
    shutil.rmtree(other / "data/eda")
    code, _, error = run(other, "stages.render", REPORT_RENDERER="embedded")
    assert code == 1
    assert error.strip() == "data/eda is missing; `dvc repro eda` makes it"


def test_a_fact_that_is_no_text_is_refused(root, tmp_path, monkeypatch):
    other = copy(root, tmp_path / "copy")
    (other / "data/eda/facts.yml").write_text("eda:\n  images: 5\n")
    fake_results.reroot(monkeypatch, other)
    with pytest.raises(StageError, match=r"data/eda/facts\.yml: eda\.images should be text in quotes"):
        project.assemble(tmp_path / "made")

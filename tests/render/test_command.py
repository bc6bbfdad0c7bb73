"""`python -m stages.render`: what it writes, and what it leaves alone."""

import re
import shutil

import pytest
from ruamel.yaml import YAML

from stages.render import document


def test_quarto_on_path_renders_the_assembled_project(copied_root, render, fake_quarto):
    files = (
        "_quarto.yml _variables.yml references.bib families.md tables/results.md tables/csv.html figures/forest.svg "
        "eda/figures/samples.svg theme/dark.scss"
    )
    path = fake_quarto(f'test "$1" = render; test "$SOURCE_DATE_EPOCH" = 0; ls {files} > /dev/null; write_both')
    code, output, error = render(copied_root, PATH=path)
    assert code == 0, error
    assert f"with the quarto renderer (found {path.partition(':')[0]}/quarto)" in output
    report = copied_root / "data/report"
    assert "by quarto" in (report / "index.html").read_text()
    assert (report / "report.pdf").read_text() == "%PDF-q\n"
    assert sorted(file.name for file in report.iterdir()) == ["index.html", "report.pdf"]


def test_when_quarto_warns_the_old_report_stays(root, copied_root, render, fake_quarto):
    path = fake_quarto('write_both; echo "[WARNING] Citeproc: citation x not found"')
    code, _, error = render(copied_root, PATH=path)
    assert code == 1
    assert error.splitlines() == ["quarto rendered a broken report:", "  [WARNING] Citeproc: citation x not found"]
    old, now = (folder / "data/report/index.html" for folder in (root, copied_root))
    assert now.read_bytes() == old.read_bytes()


def test_a_wrong_source_leaves_the_old_report(root, copied_root, render):
    with (copied_root / "report/index.qmd").open("a") as file:
        file.write("\n@fig-none\n")
    code, _, error = render(copied_root, REPORT_RENDERER="embedded")
    assert code == 1
    assert "the reference @fig-none has no target" in error
    assert "Traceback" not in error
    old, now = (folder / "data/report/report.pdf" for folder in (root, copied_root))
    assert now.read_bytes() == old.read_bytes()


def test_the_project_has_every_file_that_quarto_is_told_to_use(assembled):
    configuration = YAML(typ="safe").load((assembled / "_quarto.yml").read_text(encoding="utf-8"))
    page = configuration["format"]["html"]
    themes = [name for names in page["theme"].values() for name in names if name != "default"]
    partials = configuration["format"]["typst"]["template-partials"]
    named = [*themes, page["css"], *page["include-after-body"], *partials, configuration["bibliography"]]
    assert len(named) == 8
    for name in named:
        assert (assembled / name).is_file(), name
    for name in themes:
        declared = [line for line in (assembled / name).read_text().splitlines() if line]
        assert declared[0] == "/*-- scss:defaults --*/"
        assert declared[1].startswith("$web-font-path: false;")
        assert all(re.fullmatch(r"\$[\w-]+: [^;]+;( //.*)?", line) for line in declared[1:])


def test_the_project_is_written_over_an_earlier_one_and_over_nothing_else(root, assembled, render, tmp_path):
    earlier = shutil.copytree(assembled, tmp_path / "earlier")
    (earlier / "index.qmd").unlink()
    assert render(root, "--project", str(earlier))[0] == 0
    document.read(earlier)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    code, _, error = render(root, "--project", str(tmp_path / "mine"))
    assert code == 1
    assert "is no project that this command made" in error
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda eda: shutil.rmtree(eda), "data/eda is missing; `dvc repro eda` makes it"),
        (
            lambda eda: (eda / "facts.yml").write_text("eda:\n  images: 5\n"),
            "data/eda/facts.yml: eda.images should be text in quotes",
        ),
    ],
)
def test_what_an_earlier_stage_wrote_wrong_or_not_at_all_is_named(change, message, copied_root, render):
    change(copied_root / "data/eda")
    code, _, error = render(copied_root, REPORT_RENDERER="embedded")
    assert code == 1
    assert error.strip() == message

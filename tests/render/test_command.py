"""`python -m stages.render`: what it writes, and what it leaves alone."""

import re
import shutil

import fake_results
import pytest
from ruamel.yaml import YAML

from stages.render import document, project, renderers
from stages.shared.stage_command import StageError

pytestmark = pytest.mark.slow


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


@pytest.mark.parametrize(
    ("source", "script", "message"),
    [
        ("", 'echo "[WARNING] Citeproc: citation x not found"', "[WARNING] Citeproc: citation x not found"),
        ("\n@fig-none\n", "", "index.qmd:{}: the reference @fig-none has no target"),
    ],
)
def test_what_is_refused_has_a_message_and_leaves_the_old_report(
    source, script, message, root, copied_root, render, fake_quarto
):
    index = copied_root / "report/index.qmd"
    index.write_text(index.read_text() + source)
    code, _, error = render(copied_root, PATH=fake_quarto(f"write_both; {script}"))
    assert code == 1
    assert error.splitlines()[1:] == ["  " + message.format(len(index.read_text().splitlines()))]
    for name in ("index.html", "report.pdf"):
        assert (copied_root / "data/report" / name).read_bytes() == (root / "data/report" / name).read_bytes()


def test_the_project_has_every_file_that_quarto_is_told_to_use(assembled):
    configuration = YAML(typ="safe").load((assembled / "_quarto.yml").read_text(encoding="utf-8"))
    page = configuration["format"]["html"]
    themes = [name for names in page["theme"].values() for name in names if name != "default"]
    partials = configuration["format"]["typst"]["template-partials"]
    named = [*themes, *page["css"], *page["include-after-body"], *partials, configuration["bibliography"]]
    assert len(named) == 10
    for name in named:
        assert (assembled / name).is_file(), name
    included = [option for option in renderers.HTML_OPTIONS if option.startswith("--include-after-body=")]
    assert included == [f"--include-after-body={name}" for name in page["include-after-body"]]
    for name in themes:
        declared = [line for line in (assembled / name).read_text().splitlines() if line]
        assert declared[0] == "/*-- scss:defaults --*/"
        assert declared[1].startswith("$web-font-path: false;")
        assert all(re.fullmatch(r"\$[\w-]+: [^;]+;( //.*)?", line) for line in declared[1:])


def test_the_project_is_written_over_an_earlier_one_and_over_nothing_else(root, assembled, render, tmp_path):
    earlier = shutil.copytree(assembled, tmp_path / "earlier")
    (earlier / "index.qmd").unlink()
    code, output, error = render(root, "--project", str(earlier))
    assert code == 0, error
    assert f"quarto preview {earlier}" in output
    document.read(earlier)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(StageError, match="is no project that this command made"):
        project.lay_out(tmp_path / "mine")
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_what_an_earlier_stage_wrote_wrong_or_not_at_all_is_named(copied_root, tmp_path, monkeypatch):
    fake_results.reroot(monkeypatch, copied_root)
    (copied_root / "data/eda/facts.yml").write_text("eda:\n  images: 5\n")
    with pytest.raises(StageError, match=r"^data/eda/facts.yml: eda.images should be text in quotes$"):
        project.assemble(tmp_path / "project")
    shutil.rmtree(copied_root / "data/eda")
    with pytest.raises(StageError, match=r"^data/eda is missing; `dvc repro eda` makes it$"):
        project.assemble(tmp_path / "project")

"""One report that is rendered once, and a page of three lines to write mistakes into."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import fake_results
import pypdf
import pytest
from eda_data import finished_stage
from made_once import made_once
from report_content import Page, printed_text

from stages.figures import topics
from stages.render import document, project, renderers
from stages.shared import paths
from stages.shared.drawing import style

REPOSITORY = paths.ROOT


def run_stage(root, module, *arguments, **environment):
    """A stage in a process of its own under `root`: exit code, stdout, stderr."""
    default = {"PATH": "/usr/bin:/bin", "HOME": str(root), "PIPELINE_ROOT": str(root), "OMP_NUM_THREADS": "1"}
    command, environment = [sys.executable, "-m", module, *arguments], default | environment
    ended = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout, ended.stderr


@pytest.fixture
def render():
    """Run the stage in a process of its own: exit code, stdout, stderr."""
    return lambda folder, *arguments, **environment: run_stage(folder, "stages.render", *arguments, **environment)


@pytest.fixture(scope="session")
def eda(tmp_path_factory):
    """data/eda as the real stage writes it, of small images."""
    return finished_stage(tmp_path_factory)[0] / "data/eda"


@pytest.fixture(scope="session")
def dataset_digests():
    return {"train-images": "0123456789abcdef" * 4, "train-labels": "fedcba9876543210" * 4}


@pytest.fixture(scope="session")
def render_root(eda, dataset_digests):
    """Write all that the stage reads, and render it here. data/eda is of other images; the report only passes it on.

    Returns the Quarto project, as the embedded renderer left it.
    """

    def render(root, change, **choices):
        shutil.copytree(eda, root / "data/eda")
        shutil.copytree(REPOSITORY / "report", root / "report")
        shutil.copy(REPOSITORY / "requirements.lock", root)
        style.use_style()
        with pytest.MonkeyPatch.context() as patch:
            results = fake_results.collected(patch, root, fake_results.settings(change), n_test=200, **choices)
            paths.write_json(paths.RAW / "dataset.json", results.dataset | {"sha256": dataset_digests})
            for folder in (paths.FIGURES, paths.REPORT):
                folder.mkdir()
            topics.write(results, paths.FIGURES)
            project.assemble(root / "project")
            renderers.render_embedded(root / "project", paths.REPORT)
        return root / "project"

    return render


@pytest.fixture(scope="session")
def assembled(tmp_path_factory, render_root):
    """The Quarto project of four variants in two families over three seeds, rendered. Copy it, do not change it."""

    def few(raw):
        fake_results.only(raw, "cnn", "kernel_1", "fully_connected", "global_average")
        fake_results.seeds(3)(raw)

    def make(root):
        render_root(root, few)
        return "rendered"

    return made_once(tmp_path_factory, "rendered", make)[0] / "project"


@pytest.fixture(scope="session")
def root(assembled):
    """What the stage reads, and the report. Copy it, do not change it."""
    return assembled.parent


@pytest.fixture
def copied_root(root, tmp_path):
    """A root that a test may change."""
    to = tmp_path / "copied root" / "deeper"
    return shutil.copytree(root, to, ignore=shutil.ignore_patterns("runs", "probes", "prepared", "project"))


@pytest.fixture(scope="session")
def page(root):
    return (root / "data/report/index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def content(page):
    return Page(page)


@pytest.fixture(scope="session")
def printed(root):
    return pypdf.PdfReader(root / "data/report/report.pdf")


@pytest.fixture(scope="session")
def pdf_text(printed):
    return printed_text(printed)


@pytest.fixture(scope="session")
def report(assembled):
    """The text of the sources as both renderers take it."""
    return document.read(assembled)[0]


@pytest.fixture
def small(tmp_path):
    """A project of one page; `small.add(text)` appends to it from line 9 on."""
    folder = tmp_path / "small"
    shutil.copytree(REPOSITORY / "report/theme", folder / "theme")
    for name, text in {
        "index.qmd": "---\ntitle: T\n---\n\n## First {#sec-first}\n\nWords {{< var facts.x >}}, @known1900.\n\n",
        "_variables.yml": '{"facts": {"x": "a *value* of 5"}}',
        "references.bib": "@misc{known1900, author = {Known, A.}, title = {Title}, year = {1900}}\n",
        "part.md": "A part.\n",
        "picture.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="9pt" height="9pt"/>',
        project.CSV_LINKS: "",
        project.TRY_IT: "",
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    project.add_fonts(folder)
    (tmp_path / "out").mkdir()
    return SmallProject(folder, tmp_path / "out")


@dataclass
class SmallProject:
    folder: Path
    out: Path

    def add(self, text):
        with (self.folder / "index.qmd").open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")


FAKE_QUARTO = """#!/bin/sh
set -e
cd "$2"
mkdir -p _output
PAGE=_output/index.html
write_both() {
    echo "<h1>by quarto</h1><script>/?@x/</script>" > $PAGE
    echo "%PDF-q" > _output/index.pdf
    echo "Output created" >&2
}
"""


@pytest.fixture
def fake_quarto(tmp_path):
    """Install a `quarto` that runs this shell script in the project; returns the PATH on which it is found.

    `write_both` writes the page and the PDF; PAGE is the page's file.
    """

    def install(script):
        program = tmp_path / "bin" / "quarto"
        program.parent.mkdir()
        program.write_text(FAKE_QUARTO + script)
        program.chmod(0o755)
        return f"{program.parent}:/usr/bin:/bin"

    return install

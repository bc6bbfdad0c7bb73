"""The embedded renderer: pandoc for the page, pandoc and typst for the PDF, both as pip has installed them."""

import subprocess
from pathlib import Path

import pypandoc
import typst

from stages.render import document
from stages.render.project import CSV_LINKS
from stages.shared.stage_command import StageError

OWN = Path(__file__).parent
# Quarto's markdown, less what the checks refuse; wide tables keep the widths of their words.
READER = "markdown-raw_html-raw_tex-raw_attribute-yaml_metadata_block"
COMMON = (
    "--standalone",
    "--columns=9999",
    "--wrap=none",
    "--fail-if-warnings",
    "--syntax-highlighting=none",
    f"--lua-filter={OWN}/filter.lua",
    "--citeproc",
)


def render(project: Path, out: Path) -> None:
    """Write index.html and report.pdf. Raises StageError with every problem of the sources, or what pandoc or typst says."""
    text, front = document.checked(project)
    options = [*COMMON, f"--bibliography={document.BIBLIOGRAPHY}", "--metadata=link-citations:true"]
    options += [f"--metadata={key}:{value}" for key, value in front.items()]
    page = [
        f"--template={OWN}/page.html",
        "--to=html5",
        "--mathml",
        "--embed-resources",
        "--toc",
        "--toc-depth=3",
        "--css=theme/report.css",
    ]
    page += [f"--include-after-body={CSV_LINKS}", "--include-after-body=theme/script.html"]
    (out / "index.html").write_bytes(_pandoc(project, text, [*options, *page]))
    source = project / "report.typ"
    source.write_bytes(
        _pandoc(
            project,
            text,
            [*options, f"--template={_typst_template(project)}", "--to=typst", "--shift-heading-level-by=-1"],
        )
    )
    (out / "report.pdf").write_bytes(_pdf(project, source))


def _pandoc(project: Path, text: str, options: list[str]) -> bytes:
    command = [pypandoc.get_pandoc_path(), f"--from={READER}", *options]
    result = subprocess.run(command, cwd=project, input=text.encode(), capture_output=True, check=False)
    if result.returncode:
        raise StageError(f"pandoc could not render the report:\n{result.stderr.decode().strip()}")
    return result.stdout


def _typst_template(project: Path) -> Path:
    """pandoc looks for a template's partials beside it, so it goes where the theme is."""
    template = project / "theme" / "page.typ"
    template.write_bytes((OWN / "page.typ").read_bytes())
    return template


def _pdf(project: Path, source: Path) -> bytes:
    """Only the fonts inside typst are used, so that every machine makes the same file."""
    try:
        # The timestamp: should a template ask for the date, it is the same in every run.
        pdf, warnings = typst.compile_with_warnings(
            str(source), root=str(project), ignore_system_fonts=True, timestamp=0
        )
    except typst.TypstError as error:
        raise StageError(f"typst could not set the report: {error}") from None
    if warnings:
        raise StageError("typst warns:\n" + "\n".join(map(str, warnings)))
    return bytes(pdf)

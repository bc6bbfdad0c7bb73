"""The two renderers, Quarto and the embedded one (pandoc and typst, which pip has installed), and which of them runs.

Each takes an assembled project and writes index.html and report.pdf into a folder. Raises StageError with every mistake
in the sources, or with what the program says.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pypandoc
import typst

from stages.render import document
from stages.render.project import CSV_LINKS, FONTS, TRY_IT
from stages.shared.stage_command import StageError

VARIABLE = "REPORT_RENDERER"
QUARTO_OUTPUT = "_output"  # output-dir in report/_quarto.yml
FOLDER = Path(__file__).parent
# Quarto's markdown, without what the checks refuse.
READER = "markdown-raw_html-raw_tex-raw_attribute-yaml_metadata_block"
PANDOC_OPTIONS = (
    "--standalone",
    "--metadata=lang:en-GB",  # as in _quarto.yml: it chooses the quotation marks of the references
    "--columns=9999",  # or wide tables would get other column widths than their words need
    "--wrap=none",
    "--fail-if-warnings",
    "--syntax-highlighting=none",
    f"--lua-filter={FOLDER / 'filter.lua'}",
    "--citeproc",
    f"--bibliography={document.BIBLIOGRAPHY}",
    "--metadata=link-citations:true",
)
HTML_OPTIONS = (
    f"--template={FOLDER / 'page.html'}",
    "--to=html5",
    "--mathml",
    "--embed-resources",
    "--toc",
    "--toc-depth=3",
    "--css=theme/report.css",
    "--css=theme/mathematics.css",
    f"--include-after-body={CSV_LINKS}",
    "--include-after-body=theme/script.html",
    f"--include-after-body={TRY_IT}",
)


def choose() -> str:
    """The renderer that the environment names, else Quarto where it is on PATH; prints which, and why.

    Raises StageError if the name is unknown, or if Quarto is named and is not on PATH.
    """
    name, quarto = os.environ.get(VARIABLE, ""), shutil.which("quarto")
    if name and name not in RENDERERS:
        allowed = ", ".join(RENDERERS)
        raise StageError(f"{VARIABLE}={name!r} is not one of {allowed}; unset it, and what is installed decides")
    if name == "quarto" and not quarto:
        raise StageError(
            f"{VARIABLE}=quarto, but no `quarto` is on PATH; install it from quarto.org, or set {VARIABLE}=embedded"
        )
    if name:
        reason = f"{VARIABLE} says so"
    elif quarto:
        name, reason = "quarto", f"found {quarto}"
    else:
        name, reason = "embedded", "no `quarto` on PATH"
    print(f"render: with the {name} renderer ({reason})", flush=True)
    return name


def render_with_quarto(project: Path, out: Path) -> None:
    """Quarto ends with exit code 0 although a reference or variable is broken, so its output is searched for that."""
    document.read(project)
    environment = os.environ | {"SOURCE_DATE_EPOCH": "0"}
    command = ["quarto", "render", str(project)]  # not --quiet: that hides the warnings
    streams: dict[str, Any] = {"capture_output": True, "encoding": "utf-8", "errors": "replace"}
    result = subprocess.run(command, env=environment, check=False, **streams)
    output = re.sub(r"\x1b\[[\d;]*m", "", f"{result.stdout}\n{result.stderr}").strip()
    if result.returncode:
        raise StageError(f"quarto ended with exit code {result.returncode}:\n{output[-2000:]}")
    problems = [line.strip() for line in output.splitlines() if "WARN" in line]
    page, pdf = (project / QUARTO_OUTPUT / name for name in ("index.html", "index.pdf"))
    problems += [f"it wrote no {path.name}" for path in (page, pdf) if not path.is_file()]
    if page.is_file():
        # Scripts may hold such text; Quarto's page is no markdown, so a regular expression has to do.
        text = re.sub(r"<(script|style)\b.*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        unresolved = sorted(set(re.findall(r"\?(?:@|var:|meta:)[\w.:-]+", text)))
        problems += [f"index.html holds {name}" for name in unresolved]
    if problems:
        raise StageError("quarto rendered a broken report:\n" + "\n".join(f"  {problem}" for problem in problems))
    shutil.copy2(page, out / "index.html")
    shutil.copy2(pdf, out / "report.pdf")


def render_embedded(project: Path, out: Path) -> None:
    text, front_matter = document.read(project)
    metadata = [f"--metadata={key}:{value}" for key, value in front_matter.items()]
    # pandoc looks for a template's partials beside it, so it goes where the theme is.
    template = Path(shutil.copy(FOLDER / "page.typ", project / "theme"))
    typst_options = [f"--template={template}", "--to=typst", "--shift-heading-level-by=-1"]
    source = project / "report.typ"
    (out / "index.html").write_bytes(_pandoc(project, text, [*metadata, *HTML_OPTIONS]))
    source.write_bytes(_pandoc(project, text, [*metadata, *typst_options]))
    # Only the fonts inside typst and the project are used, and no date, so that every machine makes the same file.
    try:
        pdf, warnings = typst.compile_with_warnings(
            source, root=project, font_paths=[project / FONTS], ignore_system_fonts=True, timestamp=0
        )
    except typst.TypstError as error:
        raise StageError(f"typst could not set the report: {error}") from None
    if warnings:
        raise StageError("typst warns:\n" + "\n".join(map(str, warnings)))
    (out / "report.pdf").write_bytes(pdf)


def _pandoc(project: Path, text: str, options: list[str]) -> bytes:
    command = [pypandoc.get_pandoc_path(), f"--from={READER}", *PANDOC_OPTIONS, *options]
    result = subprocess.run(command, cwd=project, input=text.encode(), capture_output=True, check=False)
    if result.returncode:
        raise StageError(f"pandoc could not render the report:\n{result.stderr.decode().strip()}")
    return result.stdout


RENDERERS: dict[str, Callable[[Path, Path], None]] = {"quarto": render_with_quarto, "embedded": render_embedded}

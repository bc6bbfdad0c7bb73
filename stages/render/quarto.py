"""Quarto, and what it lets pass: it renders a broken reference or variable with a warning and exit code 0."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from stages.render import document
from stages.shared.stage_command import StageError

OUTPUT = "_output"  # output-dir in report/_quarto.yml


def render(project: Path, out: Path) -> None:
    """Write index.html and report.pdf. Raises StageError with every problem of the sources, or with what Quarto says."""
    document.checked(project)
    environment = os.environ | {"SOURCE_DATE_EPOCH": "0"}
    command = ["quarto", "render", str(project)]  # not --quiet: that hides the warnings
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    said = re.sub(r"\x1b\[[\d;]*m", "", f"{result.stdout}\n{result.stderr}").strip()
    if result.returncode:
        raise StageError(f"quarto ended with exit code {result.returncode}:\n{said[-2000:]}")
    found = [line.strip() for line in said.splitlines() if "WARN" in line]
    page, pdf = (project / OUTPUT / name for name in ("index.html", "index.pdf"))
    found += [f"it wrote no {path.name}" for path in (page, pdf) if not path.is_file()]
    if page.is_file():
        found += [f"index.html holds {text}" for text in _unresolved(page.read_text(encoding="utf-8"))]
    if found:
        raise StageError("quarto rendered a broken report:\n" + "\n".join(f"  {line}" for line in found))
    shutil.copy2(page, out / "index.html")
    shutil.copy2(pdf, out / "report.pdf")


def _unresolved(page: str) -> list[str]:
    """What Quarto prints in the place of a reference, citation or variable that it does not know."""
    text = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return sorted(set(re.findall(r"\?(?:@|var:|meta:)[\w.:-]+", text)))

"""The Quarto project: the sources of report/ with every figure, table and variable that they use, in one folder."""

import base64
import json
import re
import shutil
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.render import record
from stages.shared import params, paths
from stages.shared.stage_command import StageError, need

VARIABLES = "_variables.yml"
CSV_LINKS = "tables/csv.html"


def lay_out(folder: Path) -> None:
    """As `assemble`, for a folder of the user's: replaces an earlier project. Raises StageError if it holds anything else."""
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / VARIABLES).exists())):
        raise StageError(f"{folder} exists and is no project that this command made; name a new folder")
    assemble(folder)


def assemble(folder: Path) -> None:
    """Write a project that `quarto render` takes as it is.

    report/ and what stages/figures wrote lie at its top (figures/, tables/, families.md), what stages/eda wrote in
    eda/. The variables are `facts`, `eda`, `settings` (params.yaml's, as text) and `made` (what the report was made from).
    """
    for path, stage in ((paths.FIGURES, "figures"), (paths.EDA, "eda"), (paths.RAW, "download")):
        need(path, stage)
    shutil.copytree(paths.REPORT_SOURCES, folder, dirs_exist_ok=True)
    shutil.copytree(paths.FIGURES, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("facts.yml"))
    shutil.copytree(
        paths.EDA, folder / "eda", dirs_exist_ok=True, ignore=shutil.ignore_patterns("facts.yml", "*.ipynb")
    )
    settings = params.load()
    variables = _facts(paths.FIGURES / "facts.yml") | _facts(paths.EDA / "facts.yml")
    variables |= {"settings": record.settings(settings), "made": record.made(settings)}
    record.write_tables(settings, folder / "tables")
    (folder / CSV_LINKS).write_text(csv_links(folder), encoding="utf-8")
    # JSON is YAML; Quarto reads every string in it as markdown.
    (folder / VARIABLES).write_text(
        json.dumps(variables, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def csv_links(folder: Path) -> str:
    """HTML: a download link for the CSV of each tables/*.md, with the ids of the tables that show it; the page's script puts it there."""
    links = []
    for table in sorted(folder.glob("**/tables/*.md")):
        data = table.with_suffix(".csv")
        if not data.exists():
            continue
        ids = " ".join(re.findall(r"\{#(tbl-[\w-]+)", table.read_text(encoding="utf-8")))
        coded = base64.b64encode(data.read_bytes()).decode()
        links.append(
            f'<li><a class="csv" data-tables="{ids}" download="{data.name}" href="data:text/csv;charset=utf-8;base64,{coded}">{data.name}</a></li>'
        )
    return (
        '<aside id="csv-files"><p>The tables as CSV, with all digits:</p>\n<ul>\n'
        + "\n".join(links)
        + "\n</ul></aside>\n"
    )


def _facts(file: Path) -> dict[str, Any]:
    """Raises StageError if a fact is no text: a number would be printed in a manner of its own."""
    need(file, file.parent.name)
    facts = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    wrong = [
        f"{block}.{name}"
        for block, strings in facts.items()
        for name, text in strings.items()
        if not isinstance(text, str)
    ]
    if wrong:
        raise StageError(f"{file.relative_to(paths.ROOT)}: {', '.join(wrong)} should be text in quotes")
    return dict(facts)

"""The Quarto project: the sources of report/ with every figure, table and variable that they use, in one folder."""

import base64
import json
import re
import shutil
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.render import math_font, provenance_tables
from stages.render.document import VARIABLES
from stages.shared import params, paths
from stages.shared.lettering import fonts
from stages.shared.stage_command import StageError, need

FONTS = "fonts"
MATHEMATICS = "theme/mathematics.css"
CSV_LINKS = "tables/csv.html"
TRY_IT = "try-it/page.html"  # what runs trained nets in the page


def lay_out(folder: Path) -> None:
    """Assemble a project for the user, over an earlier one. Raises StageError if the folder holds anything else."""
    is_project = folder.is_dir() and ((folder / VARIABLES).exists() or not any(folder.iterdir()))
    if folder.exists() and not is_project:
        raise StageError(f"{folder} exists and is no project that this command made; name a new folder")
    assemble(folder)


def assemble(folder: Path) -> None:
    """Write a project that `quarto render` takes as it is.

    At its top lie report/ and what the figures stage wrote (figures/, tables/, families.md); in eda/ what the eda stage
    wrote; in fonts/ the fonts of the printed page.
    The variables are `facts`, `eda`, `settings` (those of params.yaml, as text) and `origin` (what the report
    was made from).
    """
    for path, stage in ((paths.FIGURES, "figures"), (paths.EDA, "eda"), (paths.RAW, "download")):
        need(path, stage)
    unwanted = shutil.ignore_patterns("facts.yml", "*.ipynb")
    shutil.copytree(paths.REPORT_SOURCES, folder, dirs_exist_ok=True)
    shutil.copytree(paths.FIGURES, folder, dirs_exist_ok=True, ignore=unwanted)
    shutil.copytree(paths.EDA, folder / "eda", dirs_exist_ok=True, ignore=unwanted)
    add_fonts(folder)
    settings = params.load(paths.PARAMS)
    variables = _facts(paths.FIGURES / "facts.yml") | _facts(paths.EDA / "facts.yml")
    variables["settings"] = provenance_tables.settings_as_text(settings)
    variables["origin"] = provenance_tables.origin(settings)
    provenance_tables.write(settings, folder / "tables")
    (folder / CSV_LINKS).write_text(_csv_links(folder), encoding="utf-8")
    (folder / TRY_IT).write_text(try_it(folder), encoding="utf-8")
    # JSON is YAML; Quarto reads every string in it as markdown.
    text = json.dumps(variables, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / VARIABLES).write_text(text + "\n", encoding="utf-8")


def add_fonts(folder: Path) -> None:
    """Put the fonts of the printed page into a project, and the page's font for formulas."""
    (folder / MATHEMATICS).write_text(math_font.css(), encoding="utf-8")
    (folder / FONTS).mkdir(exist_ok=True)
    for font in fonts.files():
        shutil.copy2(font, folder / FONTS)


def _csv_links(folder: Path) -> str:
    """HTML: a link to the CSV of each tables/*.md, with the ids of its tables, to which the page's script moves it."""
    links = []
    for table in sorted(folder.glob("**/tables/*.md")):
        data = table.with_suffix(".csv")
        if not data.exists():
            continue
        ids = " ".join(re.findall(r"\{#(tbl-[\w-]+)", table.read_text(encoding="utf-8")))  # as pipe_tables writes them
        address = f"data:text/csv;charset=utf-8;base64,{base64.b64encode(data.read_bytes()).decode()}"
        link = f'<a class="csv" data-tables="{ids}" download="{data.name}" href="{address}">{data.name}</a>'
        links.append(f"<li>{link}</li>")
    items = "\n".join(links)
    return f'<aside id="csv-files"><p>The tables as CSV, with all digits:</p>\n<ul>\n{items}\n</ul></aside>\n'


def try_it(folder: Path) -> str:
    """HTML: the nets that the figures stage describes, and the script that runs them; nothing where there is no net."""
    data = (folder / "try-it.json").read_text(encoding="utf-8")
    if not json.loads(data)["nets"]:
        return ""
    style, engine, page = (
        (folder / "try-it" / name).read_text(encoding="utf-8") for name in ("style.css", "engine.js", "page.js")
    )
    data = data.replace("<", r"\u003c")  # so that no name of a class ends the script
    # A block keeps the names of the scripts from those of other scripts.
    return (
        f"<style>\n{style}</style>\n"
        f'<script type="application/json" id="try-it-data">{data}</script>\n'
        f"<script>\n{{\n{engine}{page}}}\n</script>\n"
    )


def _facts(file: Path) -> dict[str, Any]:
    """Raises StageError if a fact is no text: YAML would print a number in a manner of its own."""
    need(file, file.parent.name)
    facts = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    named = {f"{block}.{name}": text for block, texts in facts.items() for name, text in texts.items()}
    wrong = [name for name, text in named.items() if not isinstance(text, str)]
    if wrong:
        raise StageError(f"{file.relative_to(paths.ROOT)}: {', '.join(wrong)} should be text in quotes")
    return dict(facts)

"""The comparison as one HTML page that needs no other file."""

import base64
from io import BytesIO
from pathlib import Path

import jinja2
from matplotlib.figure import Figure

from stages.shared import paths
from stages.shared.drawing import style
from stages.tools.compare import figures, sentences, tables
from stages.tools.compare.side_by_side import SideBySide


def html(made: SideBySide) -> str:
    """In the colours and with the sortable tables of the report."""
    style.use_style()
    folder = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=folder, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    theme = {
        name: (paths.REPORT_SOURCES / "theme" / file).read_text(encoding="utf-8")
        for name, file in (("css", "report.css"), ("script", "script.html"))
    }
    pairs = [(pair, [_source(figure) for figure in figures.differences(pair, made)]) for pair in made.pairs]
    curves = [(title, _source(figure)) for title, figure in figures.curves(made)]
    return environment.get_template("page.html").render(
        made=made, pairs=pairs, curves=curves, tables=tables, sentences=sentences, **theme
    )


def _source(figure: Figure) -> str:
    """For the `src` of an image."""
    file = BytesIO()
    style.save(figure, file)
    return f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode()}"

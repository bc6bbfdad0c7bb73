"""A comparison as plain text for the terminal, and as one HTML page that needs no other file."""

import base64
import textwrap
from io import BytesIO
from pathlib import Path

import jinja2
from matplotlib.figure import Figure
from tabulate import tabulate

from stages.shared import paths
from stages.shared.drawing import style
from stages.tools.compare import figures, wording
from stages.tools.compare.side_by_side import Pair, SideBySide
from stages.tools.compare.wording import Table

LINE = 100  # characters of a line of prose
VALUE = 40  # characters of a setting's value; a longer one loses its middle


def text(sides: SideBySide) -> str:
    parts = [_table(wording.revision_table(sides))]
    parts += map(_prose, [wording.overall(sides), *wording.diverged(sides)])
    if sides.settings:
        parts.append(f"Settings that differ\n{_table(shortened(wording.settings_table(sides)))}")
    if sides.code:
        parts.append(_prose(f"Code that differs: {', '.join(sides.code)}"))
    if not sides.nothing_differs:
        parts += [_pair(pair) for pair in sides.pairs]
    if any(pair.accuracy for pair in sides.pairs):
        parts.append(_prose(wording.explanation(sides)))
    return "\n\n".join(part for part in parts if part)


def html(sides: SideBySide) -> str:
    """In the colours and with the sortable tables of the report."""
    style.use_style()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    theme = paths.REPORT_SOURCES / "theme"
    return environment.get_template("page.html").render(
        sides=sides,
        pairs=[(pair, [_source(figure) for figure in figures.differences(pair, sides)]) for pair in sides.pairs],
        curves=[(title, _source(figure)) for title, figure in figures.curves(sides)],
        wording=wording,
        css=(theme / "report.css").read_text(encoding="utf-8"),
        script=(theme / "script.html").read_text(encoding="utf-8"),
    )


def _pair(pair: Pair) -> str:
    names = f"{wording.heading(pair.other)} minus {wording.heading(pair.first)}"
    lines = [f"{names}, test accuracy", _prose(wording.summary(pair))]
    if pair.accuracy:
        lines.append(_table(wording.difference_table(pair, pair.accuracy)))
    if pair.shift_consistency:
        lines += ["", wording.SHIFT, _table(wording.difference_table(pair, pair.shift_consistency))]
    lines += map(_prose, wording.reasons(pair))
    if pair.alone:
        lines += ["", _table(wording.alone_table(pair))]
    return "\n".join(lines)


def _table(table: Table) -> str:
    return str(tabulate(table.rows, table.header, tablefmt="simple", disable_numparse=True))


def shortened(table: Table) -> Table:
    """The table with the middle of each long value left out."""
    return Table(table.header, [[key, *map(_without_middle, values)] for key, *values in table.rows])


def _without_middle(value: str) -> str:
    half = VALUE // 2
    return value if len(value) <= VALUE else f"{value[:half]}…{value[-half + 1 :]}"


def _prose(paragraph: str) -> str:
    return textwrap.fill(paragraph, LINE)


def _source(figure: Figure) -> str:
    """The figure as the `src` of an image."""
    file = BytesIO()
    style.save(figure, file)
    return f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode()}"

"""The comparison as plain text."""

import textwrap

from tabulate import tabulate

from stages.tools.compare import sentences, tables
from stages.tools.compare.side_by_side import Pair, SideBySide
from stages.tools.compare.tables import Table

WIDTH = 100  # characters of a line of prose
VALUE = 40  # of a setting's value, whose middle is left out beyond


def text(made: SideBySide) -> str:
    parts = [_table(tables.revisions(made)), sentences.overall(made)]
    parts += map(_prose, sentences.diverged(made))
    if made.settings:
        parts.append(f"Settings that differ\n{_table(_shortened(tables.settings(made)))}")
    if made.code:
        parts.append(_prose(f"Code that differs: {', '.join(made.code)}"))
    if not made.nothing_differs:
        parts += [_pair(pair) for pair in made.pairs]
        parts += [_prose(sentences.explained(made))] if any(pair.changed for pair in made.pairs) else []
    return "\n\n".join(part for part in parts if part)


def _pair(pair: Pair) -> str:
    lines = [
        f"{tables.name(pair.other)} minus {tables.name(pair.first)}, test accuracy",
        _prose(sentences.summary(pair)),
    ]
    lines += [_table(tables.compared(pair, pair.changed))] if pair.changed else []
    lines += ["", sentences.SHIFT, _table(tables.compared(pair, pair.shift))] if pair.shift else []
    lines += map(_prose, sentences.reasons(pair))
    lines += ["", _table(tables.alone(pair))] if pair.alone else []
    return "\n".join(lines)


def _table(table: Table) -> str:
    return str(tabulate(table.rows, table.header, tablefmt="simple", disable_numparse=True))


def _shortened(table: Table) -> Table:
    return Table(table.header, [[key, *(_middle_left_out(value) for value in values)] for key, *values in table.rows])


def _middle_left_out(value: str) -> str:
    return value if len(value) <= VALUE else f"{value[: VALUE // 2]}…{value[VALUE // 2 - VALUE + 1 :]}"


def _prose(paragraph: str) -> str:
    return textwrap.fill(paragraph, WIDTH)

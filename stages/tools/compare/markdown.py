"""A comparison as a comment on a pull request: first what differs beyond chance, then the rest, folded away."""

import html
import re
from collections.abc import Sequence

from stages.shared.drawing import numbers
from stages.shared.inference import verdict as verdicts
from stages.tools.compare import wording
from stages.tools.compare.output import shortened
from stages.tools.compare.side_by_side import Pair, Row, SideBySide
from stages.tools.compare.wording import Table

LONGEST = 60_000  # characters; GitHub takes comments of up to 65,536
TOO_LONG = "The other tables are too long for a comment: `make compare` prints them."


def markdown(sides: SideBySide) -> str:
    """GitHub's markdown. Names and values are code, so that none is taken for a mention, a link or emphasis."""
    parts = [part for pair in sides.pairs for part in _short(pair)]
    if sides.nothing_differs:
        parts = [f"**{wording.overall(sides)}**"]
    elif wording.overall(sides):
        parts.append(wording.overall(sides))
    parts += map(_text, wording.diverged(sides))
    if sides.settings:
        parts.append("Settings that differ:")
        table, names = shortened(wording.settings_table(sides)), range(1, 1 + len(sides.results))
        parts.append(_table(table, n_names=1 + len(names), names_in_header=names))
    if sides.code:
        parts.append(f"Code that differs: {', '.join(map(_code, sides.code))}.")
    short, details = "\n\n".join(parts), _details(sides)
    fits = len(short) + len(details) <= LONGEST
    return f"{short}\n\n{details if fits else TOO_LONG}"[:LONGEST]


def beyond_chance(row: Row) -> bool:
    """Whether a difference is better or worse, or without a verdict has an interval for new images that excludes zero.

    The second is weaker: it counts neither the number of comparisons nor how few the seeds are.
    """
    if row.verdict.name in (verdicts.BETTER, verdicts.WORSE):
        return True
    if row.comparison is None or row.verdict.name != verdicts.NOT_STATED:
        return False
    return row.comparison.total_low > 0 or row.comparison.total_high < 0


def headline(pair: Pair) -> str:
    """Return "1 of 3 variants differs beyond chance: 1 better.", or that none does; also where no verdict is stated."""
    n_shared = len(pair.same) + len(pair.accuracy)
    if not pair.accuracy:
        return wording.summary(pair)
    counts = {
        name: sum(row.verdict.name == verdict and beyond_chance(row) for row in pair.accuracy)
        for verdict, name in {verdicts.BETTER: "better", verdicts.WORSE: "worse"}.items()
    }
    judged = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    of_all = f"of {numbers.plural(n_shared, 'variant')}"
    total = sum(counts.values())
    sentences = [f"{total} {of_all} {'differs' if total == 1 else 'differ'} beyond chance: {judged}."]
    if not total:
        sentences = [f"None {of_all} is shown to differ beyond chance."]
    unstated = [row for row in pair.accuracy if row.verdict.name == verdicts.NOT_STATED]
    if unstated:
        leaning = sum(map(beyond_chance, unstated))
        has = f"{leaning} of these {'has' if leaning == 1 else 'have'} an interval that leaves zero out"
        sentences.append(f"{len(unstated)} {'is' if len(unstated) == 1 else 'are'} without a verdict; {has}.")
    return " ".join(sentences)


def _short(pair: Pair) -> list[str]:
    """The headline, and the table of the rows that it counts, of both measures."""
    names = f"{_code(wording.heading(pair.other))} against {_code(wording.heading(pair.first))}"
    parts = [f"**{names}, test accuracy: {_text(headline(pair))}**"]
    measures = {"accuracy": pair.accuracy, "shift consistency": pair.shift_consistency}
    chosen = {measure: list(filter(beyond_chance, rows)) for measure, rows in measures.items()}
    tables = {measure: wording.difference_table(pair, rows) for measure, rows in chosen.items() if rows}
    if tables:
        header = next(iter(tables.values())).header
        rows = [[*row[:1], measure, *row[1:]] for measure, table in tables.items() for row in table.rows]
        parts.append(_table(Table([header[0], "measure", *header[1:]], rows), names_in_header=(2, 3)))
    return parts


def _details(sides: SideBySide) -> str:
    parts = ["<details><summary>What was compared, and every variant whose runs differ</summary>"]
    parts.append(_table(wording.revision_table(sides), n_names=2))
    for pair in sides.pairs if not sides.nothing_differs else ():
        parts.append(_text(wording.summary(pair)))
        for title, rows in (("Test accuracy.", pair.accuracy), (wording.SHIFT, pair.shift_consistency)):
            if rows:
                table = wording.difference_table(pair, rows)
                parts += [_text(title), _table(table, names_in_header=(1, 2))]
        parts += map(_text, wording.reasons(pair))
        if pair.alone:
            parts.append(_table(wording.alone_table(pair), n_names=2))
    if any(pair.accuracy for pair in sides.pairs):
        parts.append(_text(wording.explanation(sides)))
    return "\n\n".join([*parts, "</details>"])


def _table(table: Table, n_names: int = 1, names_in_header: Sequence[int] = ()) -> str:
    """n_names: how many of the first columns hold names. names_in_header: columns whose titles are names."""
    head = [_code(title) if place in names_in_header else _text(title) for place, title in enumerate(table.header)]
    rows = [[*map(_code, row[:n_names]), *map(_text, row[n_names:])] for row in table.rows]
    lines = [head, [":--"] * n_names + ["--:"] * (len(head) - n_names), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _code(text: str) -> str:
    """As code, whatever the text: the fence is longer than any run of backticks in it. A pipe would end a cell."""
    text = " ".join(text.split()).replace("|", "\\|")
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence, space = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{space}{text}{space}{fence}" if text else ""


def _text(text: str) -> str:
    """As text: what would be markup or a mention is not."""
    return re.sub(r"([\\`*_\[\]|~#])", r"\\\1", html.escape(text, quote=False)).replace("@", "@\u2060")

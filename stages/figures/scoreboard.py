"""The scoreboard: every measured hypothesis in plain words, sorted by what came out."""

import math
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from stages.figures import declared, wording
from stages.figures.results import Results
from stages.shared.drawing import axis, numbers, rows, style
from stages.shared.inference import verdict as verdicts

# Outcome → its name as a heading, and its colour; in this order.
OUTCOMES = {
    verdicts.SUPPORTED: ("Came true", style.GREEN),
    verdicts.CONTRADICTED: ("Did not come true", style.VERMILION),
    verdicts.UNDECIDED: ("Open", style.GREY),
    verdicts.NOT_STATED: ("Without a verdict", style.PALE),
}
LONGEST = 28  # rows of one figure, headings included: as many as a printed page holds
ROW = 0.275  # inches of a row, which has room for two lines
STATEMENT, NUMBER = 3.32, 0.75  # inches at the left and at the right of the marks
ABOVE, BELOW = 0.3, 0.42  # inches of legend and axis
CHARACTERS = 57  # of a statement in one line
SIZE = 7.6  # points


def figures(results: Results) -> Iterator[tuple[str, Figure | str]]:
    pages = pages_of_rows(results)
    if not pages:
        yield "scoreboard", "No hypothesis was measured."
    for name, page in zip(_names(results), pages, strict=True):
        yield name, draw(results, page)


def texts(results: Results) -> dict[str, str]:
    """The figures with their captions; a sentence where nothing was measured."""
    if not pages_of_rows(results):
        return {"scoreboard.md": "No hypothesis was measured.\n"}
    first = (
        f"Every expectation that was measured, by its outcome. Small dots are seeds, large dots their mean. Thick bars "
        f"are {wording.confidence(results)} intervals over seeds, for these test images; thin lines those for new "
        f"images too. In the grey band an effect is too small to matter. Where an expectation leaves one side open "
        f"(buys nothing, is as good as), the band reaches the edge on that side."
    )
    if any(declared.note(results, key) for key in in_order(results)):
        first += " A dagger (†) marks one that was added or altered after runs that could judge it."
    alternative = (
        "Forest plot: a row for each hypothesis with its statement, its difference and both intervals, "
        "in groups by outcome; the numbers stand in the table of the evidence."
    )
    parts = [
        f"![{first if place == 0 else 'The scoreboard, continued.'}](figures/{name}.svg)"
        f'{{#fig-{name} fig-alt="{alternative}"}}\n'
        for place, name in enumerate(_names(results))
    ]
    return {"scoreboard.md": "\n".join(parts)}


def sections(results: Results) -> dict[str, bool]:
    return {"outcomes": bool(pages_of_rows(results))}


def in_order(results: Results) -> list[str]:
    """The measured hypotheses by outcome; within one, those furthest beyond what matters first."""
    place = list(OUTCOMES)

    def rank(key: str) -> tuple[int, float]:
        row = results.hypotheses.loc[key]
        return place.index(str(row["outcome"])), -abs(row["difference"] / row["smallest_effect"])

    return sorted(filter(results.has_run, results.declared), key=rank)


def pages_of_rows(results: Results) -> list[list[str]]:
    """Hypotheses, and before each outcome's first an outcome as its heading, in pages of about equal length."""
    entries: list[str] = []
    outcome = ""
    for key in in_order(results):
        if results.hypotheses.loc[key, "outcome"] != outcome:
            outcome = str(results.hypotheses.loc[key, "outcome"])
            entries.append(outcome)
        entries.append(key)
    count = math.ceil(len(entries) / LONGEST)
    size = math.ceil(len(entries) / count) if count else 0
    pages = [entries[start : start + size] for start in range(0, len(entries), size)] if size else []
    for page, following in pairwise(pages):
        if page[-1] in OUTCOMES:  # a heading stands above its first row
            following.insert(0, page.pop())
    return pages


def draw(results: Results, page: list[str]) -> Figure:
    """One figure of headings and hypotheses."""
    height = ABOVE + BELOW + ROW * len(page)
    figure = style.plt.figure(figsize=(style.WIDTH, height), layout="none")
    width = style.WIDTH - STATEMENT - NUMBER
    sides = [STATEMENT / style.WIDTH, BELOW / height, width / style.WIDTH, ROW * len(page) / height]
    axes = figure.add_axes((sides[0], sides[1], sides[2], sides[3]))
    drawn = [_heading(entry) if entry in OUTCOMES else _row(results, entry) for entry in page]
    rows.draw(axes, drawn, rest=0, labelled=False)
    axes.set_ylim(len(page) - 0.5, -0.5)
    axes.axvline(0, color=style.INK, linewidth=0.9, zorder=1)
    arrows = axis.cut(axes, drawn)
    rows.draw_bands(axes, drawn)
    for place, (entry, row) in enumerate(zip(page, drawn, strict=True)):
        look: dict[str, Any] = {"va": "center", "transform": axes.get_yaxis_transform()}
        if entry in OUTCOMES:
            colour = style.readable(OUTCOMES[entry][1])
            axes.text(
                -STATEMENT / width, place + 0.12, row.label, fontsize=SIZE + 1.4, weight="bold", color=colour, **look
            )
        else:
            axes.text(-STATEMENT / width, place, row.label, fontsize=SIZE, linespacing=1.15, **look)
    in_points = all(wording.in_points(results.declared[key].metric) for key in page if key not in OUTCOMES)
    unit = "percentage points" if in_points else "percentage points (of R² and the like: hundredths)"
    axes.set_xlabel(f"difference, {unit}{axis.ARROW if arrows else ''}", fontsize=SIZE, loc="right")
    _draw_legend(figure)
    return figure


def _names(results: Results) -> list[str]:
    return ["scoreboard" if place == 0 else f"scoreboard-{place + 1}" for place in range(len(pages_of_rows(results)))]


def _heading(outcome: str) -> rows.Row:
    name, colour = OUTCOMES[outcome]
    return rows.Row(name, [], math.nan, math.nan, math.nan, colour)


def _row(results: Results, key: str) -> rows.Row:
    """A hypothesis as a row. All units are multiplied by a hundred, so that one axis holds them all."""
    row = results.hypotheses.loc[key]
    total = (100 * row["total_low"], 100 * row["total_high"]) if row["n_images"] > 1 else (math.nan, math.nan)
    mean, low, high, small = (100 * row[name] for name in ("difference", "low", "high", "smallest_effect"))
    band = {"not_above": (-math.inf, small), "not_below": (-small, math.inf)}.get(row["direction"], (-small, small))
    values, colour = [100 * value for value in results.contrast(key)], OUTCOMES[str(row["outcome"])][1]
    number = wording.effect(row["metric"], row["difference"]).replace(f"{numbers.NBSP}points", "")
    return rows.Row(statement(results, key), values, mean, low, high, colour, number, outer=total, band=band)


def statement(results: Results, key: str) -> str:
    """The statement in two lines at most, with its number, and a dagger where it was not declared before its runs."""
    text = f"{results.number(key)}  {results.declared[key].statement}{' †' if declared.note(results, key) else ''}"
    lines = textwrap.wrap(text, CHARACTERS, max_lines=2, placeholder=" …")
    return "\n".join(line.replace("$", r"\$") for line in lines)


def _draw_legend(figure: Figure) -> None:
    marks: dict[str, Any] = {"color": style.INK, "linewidth": 1.4}
    handles = [
        Line2D([], [], marker="o", markersize=5, label="mean and its interval", **marks),
        Line2D([], [], color=rows.BAND_COLOUR, linewidth=6, solid_capstyle="butt", label="too small to matter"),
    ]
    spaces: dict[str, Any] = {"handletextpad": 0.5, "columnspacing": 1.4, "borderaxespad": 0.0}
    figure.legend(handles=handles, loc="upper right", ncols=2, fontsize=SIZE, **spaces)

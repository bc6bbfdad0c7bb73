"""Every declared hypothesis with what was measured, its verdict and its outcome, also where it failed or did not run."""

import math

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from stages.figures import sentences
from stages.figures.results import NOT_RUN, Results
from stages.shared.drawing import axis, numbers, rows, style
from stages.shared.drawing.tables import cell, escape, pipe_tables
from stages.shared.inference import verdict as verdicts

UNJUDGED = {verdicts.NOT_STATED: "no verdict", NOT_RUN: "not run"}


def outcome(results: Results, key: str) -> str:
    """ "supported"; "no verdict" and "not run" where that is all that can be said."""
    found = str(results.hypotheses.loc[key, "outcome"])
    return UNJUDGED.get(found, found)


def sentence(results: Results, key: str) -> str:
    """ "**H1, supported.** *What is expected.* Measured: +2.61 points […]; adjusted p 0.006, so better: it differs, …"."""
    row = results.hypotheses.loc[key]
    head = f"**{results.number(key)}, {outcome(results, key)}.** *{escape(results.declared[key].statement)}*"
    if not results.has_run(key):
        return f"{head} {_capital(str(row['reason']))}."
    measured = f"{head} Measured, in {sentences.METRICS[row['metric']]}: {sentences.evidence(row)}"
    if row["verdict"] == verdicts.NOT_STATED:
        return f"{measured}. No verdict: {row['reason']}."
    tests = f"adjusted p {numbers.p_value(row['p_adjusted'])}, of equivalence {numbers.p_value(row['equivalence_p_adjusted'])}"
    return f"{measured}; {tests}. So {_word(row)}: {row['reason']}."


def of_family(results: Results, family: str) -> list[str]:
    return [key for key, about in results.declared.items() if about.family == family]


def tables(results: Results) -> str:
    """What was expected and what came of it; then the numbers."""
    keys = list(results.declared)
    if not keys:
        return "No hypothesis is declared in `hypotheses.yaml`.\n"
    found = results.hypotheses.loc[keys]
    ran = [key for key in keys if results.has_run(key)]
    judged = pd.DataFrame(
        {
            "Hypothesis": [cell(f"{results.number(key)}: {results.declared[key].statement}") for key in keys],
            "Choice": [
                cell(results.settings.families[results.names.group(results.declared[key].family)].title) for key in keys
            ],
            "Verdict": [_word(row) for _, row in found.iterrows()],
            "Outcome": [outcome(results, key) for key in keys],
        }
    )
    expected = pipe_tables(judged, "tbl-hypotheses", "Every declared hypothesis, and what the measurements say of it.")
    expected = "".join(f"{sentence(results, key)}\n\n" for key in _lost(results)) + expected
    if not ran:
        return f"See @tbl-hypotheses.\n\n{expected}"
    found = results.hypotheses.loc[ran]
    evidence = pd.DataFrame(
        {
            "": [results.number(key) for key in ran],
            "n": [numbers.count(n) for n in found["n_seeds"]],
            "Difference": [
                sentences.effect(m, d).replace(f"{numbers.NBSP}points", "")
                for m, d in zip(found["metric"], found["difference"], strict=True)
            ],
            "These images": [
                sentences.interval(*ends) for ends in found[["metric", "low", "high"]].itertuples(index=False)
            ],
            "New images too": [_total(row) for _, row in found.iterrows()],
            "p": [numbers.p_value(p) for p in found["p_adjusted"]],
            "p (alike)": [numbers.p_value(p) for p in found["equivalence_p_adjusted"]],
            "Detectable": [_size(*pair) for pair in found[["metric", "detectable"]].itertuples(index=False)],
        }
    )
    interval = sentences.confidence(results)
    return f"@tbl-hypotheses states them with their outcomes, @tbl-evidence the numbers.\n\n{expected}\n" + pipe_tables(
        evidence,
        "tbl-evidence",
        f"The evidence: difference in percentage points (but for R² and relative errors), its {interval} interval over seeds for these test images, and "
        f"for new seeds and new images; p values of a difference, and of one smaller than matters, adjusted within the family; "
        f"the smallest effect that so many seeds and images detect.",
    )


def _lost(results: Results) -> list[str]:
    """Those that were to be measured, and could not be, since runs diverged."""
    return [
        key
        for key in results.declared
        if not results.has_run(key) and results.hypotheses.loc[key, "outcome"] != NOT_RUN
    ]


def frame(results: Results) -> pd.DataFrame:
    """All digits, with the statements."""
    made = results.hypotheses.reset_index()
    made.insert(1, "statement", [results.declared[key].statement for key in made["hypothesis"]])
    return made


def forest(results: Results) -> Figure:
    """Every hypothesis that was measured, in the order of its number; what is not measured in points has a panel below."""
    keys = [key for key in results.declared if results.has_run(key)]
    groups = [
        group
        for group in ([key for key in keys if _unit(results, key) == unit] for unit in ("", *sentences.UNITS.values()))
        if group
    ]
    rest = 0.95 + 0.55 * (len(groups) - 1)
    whole = rows.height(len(keys), rest)
    figure, panels = style.plt.subplots(
        len(groups),
        1,
        figsize=(style.WIDTH, whole),
        squeeze=False,
        height_ratios=[len(group) + 0.6 for group in groups],
    )
    for axes, group in zip(panels[:, 0], groups, strict=True):
        drawn = [_row(results, key) for key in group]
        rows.draw(axes, drawn, rest + ROOM * (len(keys) - len(group)))
        axes.axvline(0, color=style.INK, linewidth=0.9, zorder=1)
        arrows = axis.cut(axes, drawn)
        unit = _unit(results, group[0]) or "percentage points"
        axes.set_xlabel(f"difference, {unit}{' (an arrow: beyond the axis)' if arrows else ''}")
    _legend(figure, results, keys)
    return figure


ROOM = rows.ROW  # inches that the rows of the other panels take


def _row(results: Results, key: str) -> rows.Row:
    row = results.hypotheses.loc[key]
    unit = 1 if row["metric"] in sentences.UNITS else 100
    values = [unit * value for value in results.contrast(key).values()]
    total = (math.nan, math.nan) if row["n_images"] <= 1 else (unit * row["total_low"], unit * row["total_high"])
    text = f"{sentences.effect(row['metric'], row['difference']).split(numbers.NBSP)[0]} {outcome(results, key)}"
    label = f"{results.number(key)}  {key.replace('_', ' ')}"
    colour = style.OUTCOME_COLOURS[str(row["outcome"])]
    mean, low, high = (unit * row[name] for name in ("difference", "low", "high"))
    return rows.Row(label, values, mean, low, high, colour, text, outer=total, band=unit * row["smallest_effect"])


def _legend(figure: Figure, results: Results, keys: list[str]) -> None:
    found = [outcome for outcome in style.OUTCOME_COLOURS if outcome in set(results.hypotheses.loc[keys, "outcome"])]
    handles = [
        Line2D(
            [],
            [],
            color=style.OUTCOME_COLOURS[name],
            marker="o",
            markersize=5,
            linewidth=1.4,
            label=UNJUDGED.get(name, name),
        )
        for name in found
    ]
    handles.append(Line2D([], [], color="#E4E4E4", linewidth=6, label="too small to matter"))
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=len(handles),
        fontsize=7,
        handletextpad=0.5,
        columnspacing=1.4,
    )


def _unit(results: Results, key: str) -> str:
    return sentences.UNITS.get(results.declared[key].metric, "")


def _word(row: pd.Series) -> str:
    return numbers.DASH if row["verdict"] == verdicts.NOT_STATED else str(row["verdict"])


def _total(row: pd.Series) -> str:
    return (
        sentences.interval(row["metric"], row["total_low"], row["total_high"]) if row["n_images"] > 1 else numbers.DASH
    )


def _size(metric: str, value: float) -> str:
    """An effect's size without a sign."""
    return (numbers.plain(value) if metric in sentences.UNITS else numbers.points(value)).lstrip("+")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

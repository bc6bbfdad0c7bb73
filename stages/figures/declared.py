"""Which hypotheses stood before their runs, and which were added or altered later."""

import pandas as pd

from stages.figures import wording
from stages.figures.results import Results
from stages.shared import declared
from stages.shared.drawing.tables import cell, pipe_tables

LATER = (declared.ADDED, declared.ALTERED)
SECTION = "@sec-declared says how this is known."


def texts(results: Results) -> dict[str, str]:
    return {"tables/history.md": history_table(results)}


def facts(results: Results) -> dict[str, str]:
    return {"declared": sentence(results)}


def note(results: Results, key: str) -> str:
    """Return "added later" or "altered later"; empty for a hypothesis that was declared before its runs."""
    status = str(results.hypotheses.loc[key, "declared"])
    return status if status in LATER else ""


def sentence(results: Results) -> str:
    """How many of the hypotheses that this run compares were declared before its runs, and which ones were not."""
    recorded = results.hypotheses["declared"].dropna()
    if recorded.empty:
        return "No hypothesis could be declared before these runs, since none is about their variants."
    later = {status: list(recorded.index[recorded == status]) for status in LATER}
    n_before = int((recorded == declared.BEFORE).sum())
    if len(recorded) == 1:
        status, number = recorded.iloc[0], results.number(str(recorded.index[0]))
        when = f"{status} ({number})" if status in LATER else "declared before its first run began"
        return f"The one hypothesis that this run compares was {when}. {SECTION}"
    whole = f"{len(recorded):,} hypotheses that this run compares"
    if n_before == len(recorded):
        return f"The {whole} were all declared before its first run began. {SECTION}"
    parts = [f"{n_before or 'none'} {'was' if n_before < 2 else 'were'} declared before its first run began"]
    for status, keys in later.items():
        if keys:
            named = ", ".join(results.number(str(key)) for key in keys)
            parts.append(f"{len(keys)} {'was' if len(keys) == 1 else 'were'} {status} ({named})")
    return f"Of the {whole}, {wording.joined(parts)}. {SECTION}"


def history_table(results: Results) -> str:
    """What was done to hypotheses before the record of them began, the oldest first; empty where nothing was."""
    changes = [(change, key) for key, hypothesis in results.declared.items() for change in hypothesis.history]
    if not changes:
        return ""
    changes.sort(key=lambda one: one[0].date)
    columns = {
        "Change": [cell(change.reason) for change, _ in changes],
        "Hypothesis": [results.number(key) for _, key in changes],
        "": [change.kind for change, _ in changes],
        "Date": [change.date.isoformat() for change, _ in changes],
    }
    caption = "What was done to the hypotheses after results of their variants had been seen; the dates are git's."
    table = pipe_tables(pd.DataFrame(columns), "tbl-history", caption)
    return f"@tbl-history discloses what was done before a record was kept.\n\n{table}"

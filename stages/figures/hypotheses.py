"""The hypotheses: what was measured, the verdict and the outcome, also where one failed or did not run."""

import math
from collections import Counter

import pandas as pd

from stages.figures import declared, wording
from stages.figures.results import Results
from stages.shared.drawing import numbers
from stages.shared.drawing.tables import cell, csv, escape, pipe_tables
from stages.shared.inference import headline, sign_flip
from stages.shared.inference import verdict as verdicts
from stages.shared.metrics import METRICS

OUTCOMES = {verdicts.NOT_STATED: "no verdict"}  # what the report says for this outcome


def texts(results: Results) -> dict[str, str]:
    rows_of_csv = results.hypotheses.reset_index()
    statements = [results.declared[key].statement for key in rows_of_csv["hypothesis"]]
    rows_of_csv.insert(1, "statement", statements)
    return {"tables/hypotheses.md": tables(results), "tables/hypotheses.csv": csv(rows_of_csv)}


def facts(results: Results) -> dict[str, str]:
    needed = results.settings.inference.verdict_seeds
    return {
        "adjusted_together": adjusted_together(results),
        "fewest_seeds": fewest_seeds(results),
        "hypotheses_tally": tally(results),
        "verdicts": wording.why_no_verdict(results)
        or f"A verdict needs {needed} seeds: a comparison with fewer has an interval and a direction alone.",
        "verdict_seeds": str(needed),
    }


def outcome(results: Results, key: str) -> str:
    """Return "supported", "contradicted", "undecided", "no verdict" or "not run"."""
    outcome = str(results.hypotheses.loc[key, "outcome"])
    return OUTCOMES.get(outcome, outcome)


def sentence(results: Results, key: str) -> str:
    """Return "**H1, supported.** *Statement.* [@source] Measured, in …: +2.61 points […]; adjusted p: … So better: …".

    A hypothesis without a source has no citation.
    """
    row = results.hypotheses.loc[key]
    remark = declared.note(results, key)
    head = f"**{results.number(key)}, {outcome(results, key)}{remark and f'; {remark}'}.**"
    head += f" *{escape(results.declared[key].statement)}*"
    if results.declared[key].source:
        head += f" [@{results.declared[key].source}]"
    if not results.has_run(key):
        return f"{head} {wording.capitalised(str(row['reason']))}."
    measured = f"{head} Measured, in {METRICS[row['metric']].name}: {wording.evidence(row)}"
    if row["verdict"] == verdicts.NOT_STATED:
        return f"{measured}. No verdict: {row['reason']}."
    p, small_p = (numbers.p_value(row[name]) for name in ("p_adjusted", "small_p_adjusted"))
    small = f"{small_p} of {_small_test(row)} of one {_too_small(row)}"
    p_values = f"adjusted p: {p} of the sign-flip test of a difference, {small}"
    return f"{measured}; {p_values}. So {wording.verdict_name(row['metric'], row['verdict'])}: {row['reason']}."


def short_sentence(results: Results, key: str) -> str:
    """Return "**H1, supported.** *Statement.* +2.61 points [2.40, 2.81].", for a reader who wants the outcome."""
    row = results.hypotheses.loc[key]
    head = f"**{results.number(key)}, {outcome(results, key)}.** *{escape(results.declared[key].statement)}*"
    if not results.has_run(key):
        return f"{head} {wording.capitalised(str(row['reason']))}."
    measured = wording.effect(row["metric"], row["difference"])
    if not math.isnan(row["low"]):
        measured += f" {wording.interval(row['metric'], row['low'], row['high'])}"
    return f"{head} {wording.capitalised(METRICS[row['metric']].name)}: {measured}."


def tally(results: Results) -> str:
    """Count the outcomes in a sentence: "Of the 20 hypotheses, 12 are supported, …"."""
    outcomes = results.hypotheses["outcome"]
    if outcomes.empty:
        return "There is no hypothesis."
    if (outcomes == verdicts.NOT_RUN).all():
        return f"This run has the variants of none of the {len(outcomes)} hypotheses."
    words = {verdicts.NOT_STATED: verdicts.WORDS[verdicts.NOT_STATED].summary}
    counts = headline.outcome_counts(results.hypotheses)
    parts = [
        f"{count} {'is' if count == 1 else 'are'} {words.get(name, name)}" for name, count in counts.items() if count
    ]
    whole = "the one hypothesis" if len(outcomes) == 1 else f"the {len(outcomes)} hypotheses"
    return f"Of {whole}, {wording.joined(parts)}."


def adjusted_together(results: Results) -> str:
    """Which outcomes would be others, were all measured hypotheses adjusted together and not by family."""
    measured = results.hypotheses.loc[list(filter(results.has_run, results.declared))]
    stated = measured[measured["outcome"] != verdicts.NOT_STATED]
    if stated.empty:
        return "Without a verdict, none depends on the adjustment."
    together = f"If the {len(measured)} measured hypotheses were adjusted together"
    changed = [
        f"{results.number(str(key))} would be {row['outcome_together']} instead of {row['outcome']}"
        for key, row in stated.iterrows()
        if row["outcome_together"] != row["outcome"]
    ]
    if not changed:
        return f"{together}, no outcome would change."
    return f"{together}, {wording.joined(changed)}; no other outcome would change."


def fewest_seeds(results: Results) -> str:
    """From how many seeds on a difference can be shown in the largest family."""
    families = Counter(results.declared[key].family for key in results.declared if results.has_run(key))
    if not families:
        return "No family of hypotheses was measured."
    size, alpha = max(families.values()), results.settings.inference.alpha
    needed = next(n for n in range(1, sign_flip.MAX_SEEDS) if size * sign_flip.smallest_p(n) <= alpha)
    hypotheses = "hypothesis" if size == 1 else "hypotheses"
    return (
        f"The largest family that was measured has {size} {hypotheses}: there, fewer than {needed} seeds cannot show "
        f"that two variants differ."
    )


def tables(results: Results) -> str:
    """First what was expected and its outcome, then the numbers."""
    if not results.declared:
        return "There is no hypothesis in `hypotheses.yaml`.\n"
    outcomes = _outcome_table(results)
    if not any(map(results.has_run, results.declared)):
        return f"See @tbl-hypotheses.\n\n{outcomes}"
    first = "@tbl-hypotheses states them with their outcomes, @tbl-evidence the numbers."
    every = "\n".join(f"- {sentence(results, key)}" for key in results.declared if results.has_run(key))
    return f"{first}\n\n{outcomes}\n{_evidence_table(results)}\n{every}\n"


def _too_small(row: pd.Series) -> str:
    """Return "within ±0.50 points", or for a one-sided claim "below +0.50 points" or "above −0.50 points"."""
    above, below = (wording.effect(row["metric"], sign * row["smallest_effect"]) for sign in (1, -1))
    bounds = {"not_above": f"below {above}", "not_below": f"above {below}"}
    return bounds.get(row["direction"], f"within ±{wording.unsigned(above)}")


def _small_test(row: pd.Series) -> str:
    return "the one-sided test" if row["direction"] in ("not_above", "not_below") else "the two one-sided tests"


def _outcome_table(results: Results) -> str:
    """Every hypothesis with its verdict and outcome; above it a sentence for each that lost its runs to divergence."""
    table = results.hypotheses.loc[list(results.declared)]
    groups = [results.names.group(hypothesis.family) for hypothesis in results.declared.values()]
    remarks = {key: wording.capitalised(declared.note(results, key)) for key in results.declared}
    statements = [cell(f"{results.number(key)}: {one.statement}") for key, one in results.declared.items()]
    columns = {
        "Hypothesis": [
            f"{text} *{remark}.*" if remark else text for text, remark in zip(statements, remarks.values(), strict=True)
        ],
        "Choice": [cell(results.settings.families[group].title) for group in groups],
        "Verdict": list(map(wording.verdict_cell, table["metric"], table["verdict"])),
        "Outcome": [outcome(results, key) for key in results.declared],
    }
    not_measured = [key for key in results.declared if not results.has_run(key)]
    diverged = [key for key in not_measured if table.loc[key, "outcome"] != verdicts.NOT_RUN]
    caption = "Every hypothesis, and what the measurements say of it."
    sentences = [f"{sentence(results, key)}\n\n" for key in diverged]
    return "".join(sentences) + pipe_tables(pd.DataFrame(columns), "tbl-hypotheses", caption)


def _evidence_table(results: Results) -> str:
    measured = list(filter(results.has_run, results.declared))
    table = results.hypotheses.loc[measured]
    rows_of_table = [row for _, row in table.iterrows()]
    effects = [wording.effect(row["metric"], row["difference"]) for row in rows_of_table]
    columns = {
        "": [results.number(key) for key in measured],
        "n": [numbers.count(n) for n in table["n_seeds"]],
        "Difference": [effect.replace(f"{numbers.NBSP}points", "") for effect in effects],
        "These images": [wording.interval(row["metric"], row["low"], row["high"]) for row in rows_of_table],
        "New images too": [_total_interval(row) for row in rows_of_table],
        "Sign-flip p": [numbers.p_value(p) for p in table["p_adjusted"]],
        "Small p": [numbers.p_value(p) for p in table["small_p_adjusted"]],
        "Detects": [_detectable(row) for row in rows_of_table],
    }
    caption = (
        f"The evidence: difference in percentage points (but for R² and relative errors), its "
        f"{wording.confidence(results)} interval over seeds for these test images, and for new seeds and new images; "
        f"p of the sign-flip test of a difference, and of the one-sided tests (one or two) of one that is too small to "
        f"matter on the sides that the hypothesis names, both adjusted within the family; the smallest effect that so "
        f"many seeds and images detect. {wording.smallest_p(int(table['n_seeds'].min()))}"
    )
    return pipe_tables(pd.DataFrame(columns), "tbl-evidence", caption)


def _total_interval(row: pd.Series) -> str:
    if row["n_images"] <= 1:
        return numbers.DASH
    return wording.interval(row["metric"], row["total_low"], row["total_high"])


def _detectable(row: pd.Series) -> str:
    in_points = wording.in_points(row["metric"])
    return wording.unsigned(numbers.points(row["detectable"]) if in_points else numbers.plain(row["detectable"]))

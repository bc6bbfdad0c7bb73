"""Sentences with computed numbers, directions and verdicts; markdown, each grammatical for every outcome."""

import math

import pandas as pd

from stages.figures.results import NOT_RUN, Results
from stages.shared.drawing import numbers
from stages.shared.drawing.tables import escape
from stages.shared.inference import intervals
from stages.shared.inference import verdict as verdicts

METRICS = {
    "accuracy": "test accuracy",
    "shift_consistency": "shift consistency",
    "shifted_accuracy": "accuracy on shifted images",
    "position_r2_shuffled": "how well position can be read from the last feature map",
    "equivariance_error_last": "equivariance error of the last feature map",
}
UNITS = {"position_r2_shuffled": "R²", "equivariance_error_last": "relative"}  # of the others: percentage points
BETTER_WORSE = {verdicts.BETTER: "is better than", verdicts.WORSE: "is worse than"}
ABOVE_BELOW = {verdicts.BETTER: "is above", verdicts.WORSE: "is below"}  # of a measure that need not be high
ALIKE = {
    verdicts.EQUIVALENT: "is equivalent to",
    verdicts.INCONCLUSIVE: "is neither shown to differ from, nor to be equivalent to,",
}


def confidence(results: Results) -> str:
    """ "95 %"."""
    return f"{100 * results.settings.inference.confidence:g}{numbers.NBSP}%"


def seeds(results: Results) -> str:
    """ "3 seeds"; "5 or 10 seeds", where some variants have fewer."""
    found = sorted({len(results.settings.seeds(key)) for key in results.variants.index})
    return numbers.plural(found[0], "seed") if len(found) == 1 else f"{found[0]} or {numbers.plural(found[-1], 'seed')}"


def slug(key: str) -> str:
    """A key as part of an id: an underscore would not survive LaTeX, and no key has a hyphen."""
    return key.replace("_", "-")


def label(results: Results, variant: str) -> str:
    return escape(results.names.label(variant))


def named(results: Results, variant: str) -> str:
    return f"*{label(results, variant)}*"


def mean(results: Results, variant: str, measure: str = "accuracy") -> str:
    """ "91.62 % [91.40, 91.84]"; one seed has no interval."""
    made = results.mean(variant, measure)
    return numbers.percent_sign(made.mean) + (f" {numbers.interval(made.low, made.high)}" if made.n > 1 else "")


def points(made: intervals.Estimate) -> str:
    """ "+0.42 points [0.10, 0.74]"; one seed has no interval."""
    return f"{numbers.points(made.mean)}{numbers.NBSP}points" + (
        f" {numbers.interval(made.low, made.high)}" if made.n > 1 else ""
    )


def standing(
    results: Results, subject: str, reference: str, made: intervals.Estimate, measure: str = "in test accuracy"
) -> str:
    """ "5×5 is above 3×3 in test accuracy: +0.42 points [0.10, 0.74]"; without a direction, the difference alone. No full stop."""
    if made.n == 0:
        return f"no seed finished both in {subject} and in {reference}"
    direction = results.direction(made)
    if direction == intervals.NOT_STATED:
        if numbers.points(made.mean) == numbers.points(0):
            return f"{subject} shows no mean difference from {reference} {measure}: {points(made)}"
        return f"{subject} differs from {reference} {measure} by {points(made)}"
    return f"{subject} is {direction} {reference} {measure}: {points(made)}"


def verdict(results: Results, key: str, subject: str, reference: str) -> str:
    """What a declared hypothesis's comparison says: "the CNN is better than the MLP in test accuracy: +3.70 points […]". No full stop."""
    row = results.hypotheses.loc[key]
    metric, said = str(row["metric"]), str(row["verdict"])
    if said == verdicts.NOT_STATED:
        return f"{subject} differs from {reference} in {METRICS[metric]} by {evidence(row)}"
    words = ALIKE | (ABOVE_BELOW if metric in UNITS else BETTER_WORSE)
    return f"{subject} {words[said]} {reference} in {METRICS[metric]}: {evidence(row)}"


def evidence(row: pd.Series) -> str:
    """ "+2.61 points [2.40, 2.81], with new images [2.20, 3.02]"; an interval that is unknown is left out."""
    metric = str(row["metric"])
    text = effect(metric, row["difference"])
    if not math.isnan(row["low"]):
        text += f" {interval(metric, row['low'], row['high'])}"
    if not math.isnan(row["total_low"]) and row["n_images"] > 1:
        text += f", with new images {interval(metric, row['total_low'], row['total_high'])}"
    return text


def effect(metric: str, value: float) -> str:
    """ "+2.61 points", "+0.041 (R²)"."""
    if metric in UNITS:
        return f"{numbers.plain(value)}{numbers.NBSP}({UNITS[metric]})"
    return f"{numbers.points(value)}{numbers.NBSP}points"


def interval(metric: str, low: float, high: float) -> str:
    return numbers.plain_interval(low, high) if metric in UNITS else numbers.interval(low, high)


def no_direction(results: Results) -> str:
    """Why no direction is stated; empty where every variant has seeds enough."""
    n, least = (
        min(len(results.settings.seeds(key)) for key in results.variants.index),
        results.settings.inference.min_seeds,
    )
    if n >= least:
        return ""
    return f"With {numbers.plural(n, 'seed')}, fewer than the {least} that a direction asks for, none is stated."


def no_verdict(results: Results) -> str:
    """Why no verdict is stated; empty where the protocol's seeds suffice."""
    n, least = len(results.settings.chosen_protocol.seeds), results.settings.inference.verdict_seeds
    if n >= least:
        return ""
    why = "so few could not tell a small effect from chance"
    return f"With {numbers.plural(n, 'seed')}, fewer than the {least} that a verdict asks for, none is stated: {why}."


def tally(results: Results) -> str:
    """ "Of 20 declared hypotheses, 12 are supported, …": a sentence."""
    outcomes = results.hypotheses["outcome"]
    if outcomes.empty:
        return "No hypothesis is declared."
    if (outcomes == NOT_RUN).all():
        return f"This run has the variants of none of the {len(outcomes)} declared hypotheses."
    words = {
        "supported": "supported",
        "contradicted": "contradicted",
        "undecided": "undecided",
        verdicts.NOT_STATED: "without a verdict",
        NOT_RUN: "not run",
    }
    counts = [(int((outcomes == outcome).sum()), said) for outcome, said in words.items()]
    parts = [f"{count} {'is' if count == 1 else 'are'} {said}" for count, said in counts if count]
    whole = "the one declared hypothesis" if len(outcomes) == 1 else f"the {len(outcomes)} declared hypotheses"
    return f"Of {whole}, {joined(parts)}."


def joined(parts: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def extreme(results: Results, measure: str, highest: bool = True) -> tuple[str, str]:
    """Who of the nets has the highest (or lowest) mean of a measure, and that mean; where several share it, all of them and no interval."""
    means = results.variants.loc[results.nets, f"{measure}_mean"]
    end = means.max() if highest else means.min()
    keys = [str(key) for key in means.index[means == end]]
    names = joined([named(results, key) for key in keys])
    return names, mean(results, keys[0], measure) if len(keys) == 1 else numbers.percent_sign(end)

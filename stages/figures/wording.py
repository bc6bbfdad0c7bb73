"""Parts of sentences that several topics use: names, numbers with intervals, directions and verdicts, in markdown."""

import math
from collections.abc import Callable

import pandas as pd

from stages.figures.results import Results
from stages.shared.drawing import numbers
from stages.shared.drawing.tables import escape
from stages.shared.inference import intervals, sign_flip
from stages.shared.inference import verdict as verdicts
from stages.shared.lettering.class_names import breakable
from stages.shared.metrics import METRICS, POINTS

NETS = "that differ in their architecture and its learning rate alone, and not in their images"  # Results.nets
# Where higher is not better, verdicts name sides.
SIDES = {
    verdicts.BETTER: "above",
    verdicts.WORSE: "below",
    verdicts.NO_BETTER: "not above",
    verdicts.NO_WORSE: "not below",
}


def label(results: Results, variant: str) -> str:
    return escape(results.names.label(variant))


def italic_label(results: Results, variant: str) -> str:
    return f"*{label(results, variant)}*"


def dataset_title(results: Results) -> str:
    return escape(breakable(results.dataset["title"]))


def class_names(results: Results) -> list[str]:
    return [escape(name) for name in results.constants["classes"]]


def confidence(results: Results) -> str:
    """Return "95 %"."""
    return f"{100 * results.settings.inference.confidence:g}{numbers.NBSP}%"


def power(results: Results) -> str:
    return f"{100 * results.settings.inference.power:g}{numbers.NBSP}%"


def smallest_effect(results: Results) -> str:
    """Return "0.50 points"."""
    return f"{unsigned(numbers.points(results.settings.inference.smallest_effect))} points"


def seeds(results: Results) -> str:
    """Return "3 seeds", or "5 or 10 seeds" where some variants have fewer than others."""
    counts = sorted({len(results.settings.seeds(variant)) for variant in results.variants.index})
    largest = numbers.plural(counts[-1], "seed")
    return largest if len(counts) == 1 else f"{counts[0]} or {largest}"


def largest_margin(results: Results) -> str:
    """Return "2 pixels": how far an image can be shifted."""
    return numbers.plural(max(results.constants["margin"]), "pixel")


def n_shifted_images(results: Results) -> int:
    """How many test images were shifted: the number in the settings, or all where there are fewer."""
    return results.n_images("shift_consistency") or 0


def mean(results: Results, variant: str, column: str = "test_accuracy") -> str:
    """Return "91.62 % [91.40, 91.84]". One seed has no interval."""
    estimate = results.mean(variant, column)
    interval_text = f" {numbers.interval(estimate.low, estimate.high)}" if estimate.n > 1 else ""
    return numbers.percent_sign(estimate.mean) + interval_text


def points(estimate: intervals.Estimate) -> str:
    """Return "+0.42 points [0.10, 0.74]". One seed has no interval."""
    interval_text = f" {numbers.interval(estimate.low, estimate.high)}" if estimate.n > 1 else ""
    return f"{numbers.points(estimate.mean)}{numbers.NBSP}points{interval_text}"


def percent(estimate: intervals.Estimate, digits: int = 1) -> str:
    """Return "2.2 % [1.9, 2.5]". An interval of no width is left out."""
    interval_text = f" {numbers.interval(estimate.low, estimate.high, digits)}" if estimate.low < estimate.high else ""
    return numbers.percent_sign(estimate.mean, digits) + interval_text


def decimal(estimate: intervals.Estimate, digits: int = 2) -> str:
    """Return "0.35 [0.31, 0.39]". An interval of no width is left out."""
    has_width = estimate.low < estimate.high
    interval_text = f" {numbers.plain_interval(estimate.low, estimate.high, digits)}" if has_width else ""
    return unsigned(numbers.plain(estimate.mean, digits)) + interval_text


def unsigned(number: str) -> str:
    """Leave out a plus sign; a minus sign stays."""
    return number.lstrip("+")


def compared(
    results: Results, subject: str, reference: str, difference: intervals.Estimate, measure: str = "in test accuracy"
) -> str:
    """Return "5×5 is above 3×3 in test accuracy: +0.42 points [0.10, 0.74]", without a full stop.

    Where no direction is stated, the clause gives the difference alone.
    """
    if difference.n == 0:
        return f"no seed finished both in {subject} and in {reference}"
    direction = results.direction(difference)
    if direction != intervals.NOT_STATED:
        return f"{subject} is {direction} {reference} {measure}: {points(difference)}"
    if numbers.points(difference.mean) == numbers.points(0):
        return f"{subject} shows no mean difference from {reference} {measure}: {points(difference)}"
    return f"{subject} differs from {reference} {measure} by {points(difference)}"


def judged(results: Results, key: str, subject: str, reference: str) -> str:
    """Return a hypothesis's comparison with its verdict, without a full stop.

    Such as "the CNN is better than the MLP in test accuracy: +3.70 points […]".
    """
    row = results.hypotheses.loc[key]
    metric, words = METRICS[row["metric"]], verdicts.WORDS[row["verdict"]]
    clause = words.clause if metric.higher_is_better else words.property_clause
    link = " by" if row["verdict"] == verdicts.NOT_STATED else ":"
    return f"{subject} {clause} {reference} in {metric.name}{link} {evidence(row)}"


def evidence(row: pd.Series, metric: str = "") -> str:
    """Return "+2.61 points [2.40, 2.81], with new images [2.20, 3.02]". An unknown interval is left out.

    metric: that of the row, where the row does not name it.
    """
    metric = metric or str(row["metric"])
    text = effect(metric, row["difference"])
    if not math.isnan(row["low"]):
        text += f" {interval(metric, row['low'], row['high'])}"
    if not math.isnan(row["total_low"]) and row["n_images"] > 1:
        text += f", with new images {interval(metric, row['total_low'], row['total_high'])}"
    return text


def effect(metric: str, value: float) -> str:
    """Return "+2.61 points", or "+0.041 (R²)" for a metric that has another unit."""
    if in_points(metric):
        return f"{numbers.points(value)}{numbers.NBSP}points"
    return f"{numbers.plain(value)}{numbers.NBSP}({METRICS[metric].unit})"


def interval(metric: str, low: float, high: float) -> str:
    return numbers.interval(low, high) if in_points(metric) else numbers.plain_interval(low, high)


def in_points(metric: str) -> bool:
    """Whether differences of this metric are read in percentage points."""
    return METRICS[metric].unit == POINTS


def verdict_name(metric: str, verdict: str) -> str:
    """The verdict's name; where higher is not better, "above" in place of "better", and so on."""
    return verdict if METRICS[metric].higher_is_better else SIDES.get(verdict, verdict)


def verdict_cell(metric: str, verdict: str) -> str:
    """The verdict's name in a table; a dash where none is stated."""
    return numbers.DASH if verdict == verdicts.NOT_STATED else verdict_name(metric, str(verdict))


def why_no_direction(results: Results) -> str:
    """A sentence where some variant has too few seeds for a direction, else empty."""
    counts = [len(results.settings.seeds(variant)) for variant in results.variants.index]
    needed = results.settings.inference.min_seeds
    if min(counts) >= needed:
        return ""
    n_seeds = max(counts)
    if n_seeds >= needed:
        return f"Some variants have fewer than the {needed} seeds that a direction asks for; for them, none is stated."
    return f"With {numbers.plural(n_seeds, 'seed')}, fewer than the {needed} that a direction asks for, none is stated."


def why_no_verdict(results: Results) -> str:
    """A sentence where the protocol has too few seeds for a verdict, else empty."""
    n_seeds, needed = len(results.settings.chosen_protocol.seeds), results.settings.inference.verdict_seeds
    if n_seeds >= needed:
        return ""
    few = f"With {numbers.plural(n_seeds, 'seed')}, fewer than the {needed} that a verdict asks for"
    return f"{few}, none is stated: so few could not tell a small effect from chance."


def smallest_p(n_seeds: int) -> str:
    """A sentence: how small a p of the sign-flip test can be over so many seeds, whatever the interval shows."""
    smallest = numbers.p_value(sign_flip.smallest_p(n_seeds))
    return (
        f"Over {numbers.plural(n_seeds, 'seed')}, the sign-flip test has no p below {smallest} before the adjustment, "
        f"also where an interval excludes zero."
    )


def extreme(results: Results, metric: str, choose: Callable[[pd.Series], float]) -> tuple[str, str]:
    """The net whose mean of a metric is chosen, and that mean; all nets that share it, without an interval.

    Controls are not among the nets.
    """
    counted = [variant for variant in results.nets if variant in results.without_controls]
    means = results.variants.loc[counted, f"{metric}_mean"]
    variants = [str(variant) for variant in means.index[means == choose(means)]]
    names = joined([italic_label(results, variant) for variant in variants])
    if len(variants) == 1:
        return names, mean(results, variants[0], METRICS[metric].column)
    return names, numbers.percent_sign(choose(means))


def joined(parts: list[str]) -> str:
    """Return "a", "a and b", or "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def lowered(text: str) -> str:
    """Make the first letter small, unless the first word is an abbreviation."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def id_part(key: str) -> str:
    """A key as a part of a cross-reference's id, with hyphens: LaTeX does not keep an underscore."""
    return key.replace("_", "-")


def percent_sd(results: Results, variant: str, column: str, digits: int) -> str:
    """Return "12.5 ± 0.4", or a dash where a seed has no value."""
    return _with_sd(results.mean(variant, column), lambda value: numbers.percent(value, digits))


def decimal_sd(results: Results, variant: str, column: str, digits: int) -> str:
    """Return "0.35 ± 0.04", or a dash where a seed has no value."""
    return _with_sd(results.mean(variant, column), lambda value: unsigned(numbers.plain(value, digits)))


def _with_sd(estimate: intervals.Estimate, text: Callable[[float], str]) -> str:
    return numbers.DASH if math.isnan(estimate.mean) else f"{text(estimate.mean)} ± {text(estimate.sd)}"


def means_and_dashes(results: Results) -> str:
    return f"Means ± SD over {seeds(results)}; a dash where a probe has no meaning."

"""Sentences with computed numbers and directions; markdown, each grammatical for every outcome."""

from stages.drawing import numbers
from stages.drawing.tables import escape
from stages.figures.results import Results
from stages.inference import intervals


def confidence(results: Results) -> str:
    """ "95 %"."""
    return f"{100 * results.settings.inference.confidence:g}{numbers.NBSP}%"


def seeds(results: Results) -> str:
    return numbers.plural(len(results.settings.active_protocol.seeds), "seed")


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
    return f"{numbers.points(made.mean)}{numbers.NBSP}points" + (f" {numbers.interval(made.low, made.high)}" if made.n > 1 else "")


def verdict(results: Results, subject: str, reference: str, made: intervals.Estimate, measure: str = "in test accuracy") -> str:
    """ "5×5 is above 3×3 in test accuracy: +0.42 points [0.10, 0.74]"; without a direction, the difference alone. No full stop."""
    direction = results.direction(made)
    if direction == intervals.NOT_STATED:
        if numbers.points(made.mean) == numbers.points(0):
            return f"{subject} shows no mean difference from {reference} {measure}: {points(made)}"
        return f"{subject} differs from {reference} {measure} by {points(made)}"
    return f"{subject} is {direction} {reference} {measure}: {points(made)}"


def no_direction(results: Results) -> str:
    """Why no direction is stated; empty where the seeds suffice."""
    n, least = len(results.settings.active_protocol.seeds), results.settings.inference.min_seeds
    if n >= least:
        return ""
    return f"With {seeds(results)}, fewer than the {least} that a direction asks for, none is stated."


def joined(parts: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def extreme(results: Results, measure: str, highest: bool = True) -> tuple[str, str]:
    """Who has the highest (or lowest) mean of a measure, and that mean; where several share it, all of them and no interval."""
    means = results.variants[f"{measure}_mean"]
    end = means.max() if highest else means.min()
    keys = [str(key) for key in means.index[means == end]]
    names = joined([named(results, key) for key in keys])
    return names, mean(results, keys[0], measure) if len(keys) == 1 else numbers.percent_sign(end)

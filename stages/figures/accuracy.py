"""Test accuracy of every variant, and its difference from the baseline."""

import math
from collections.abc import Iterator
from statistics import NormalDist
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from stages.figures import costs, wording
from stages.figures.results import Results
from stages.shared.drawing import axis, numbers, rows, style
from stages.shared.drawing.tables import cell, csv, pipe_tables
from stages.shared.inference import intervals

DIRECTION_COLOURS = {intervals.ABOVE: style.GREEN, intervals.BELOW: style.VERMILION}  # of any other direction: grey
ACCURACY_MARGINS, FOREST_MARGINS = 1.05, 0.75  # inches that the rows do not take


def figures(results: Results) -> Iterator[tuple[str, Figure | str]]:
    yield "accuracy", accuracies(results)
    yield "forest", forest(results)


def texts(results: Results) -> dict[str, str]:
    variants = results.variants.reset_index()
    variants.insert(1, "label", [results.names.label(variant) for variant in variants["variant"]])
    return {"tables/results.md": tables(results), "tables/results.csv": csv(variants, costs.INTEGERS)}


def facts(results: Results) -> dict[str, str]:
    means = results.variants.loc[results.nets, "accuracy_mean"]
    best = results.baseline if means[results.baseline] == means.max() else str(means.idxmax())
    return {
        "best_against_baseline": _against_baseline(results, best),
        "baseline": wording.label(results, results.baseline),
        "directions_count": directions_count(results),
        "forest_shown": _left_out_of_forest(results),
        "noise": _noise(results),
    }


def accuracies(results: Results) -> Figure:
    """A row for every variant, the best on top, in the colour of its family."""
    means = results.variants["accuracy_mean"]
    order = sorted(results.variants.index, key=lambda variant: -means[variant])
    figure, (axes,) = rows.figure(len(order), rest=ACCURACY_MARGINS)
    drawn = [
        row(
            results,
            variant,
            results.names.label(variant),
            text=numbers.percent(results.mean(variant).mean),
            mark_text=text_of_mark(results, variant),
        )
        for variant in order
    ]
    rows.draw(axes, drawn, rest=ACCURACY_MARGINS)
    baseline = 100 * means[results.baseline]
    arrows = axis.cut(axes, drawn, centre=baseline)
    axes.axvline(baseline, color=style.GREY, linewidth=0.7, linestyle=style.DASHED, zorder=1)
    place: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "xytext": (0, 2), "textcoords": "offset points"}
    axes.annotate("baseline", (baseline, 1), ha="center", color=style.GREY, **place)
    axes.set_xlabel(f"test accuracy, %{axis.ARROW if arrows else ''}\n({_dots_and_bars(results)})")
    return figure


def forest(results: Results) -> Figure | str:
    """Differences from the baseline, paired by seed; the colour is the direction, the numbers stand at the right."""
    if not in_forest(results):
        return "No variant but the baseline ran: there is no difference to show."
    drawn = []
    for variant in in_forest(results):
        differences = results.differences(variant, results.baseline)
        estimate = results.mean_difference(variant, results.baseline)
        colour = DIRECTION_COLOURS.get(results.direction(estimate), style.GREY)
        text = numbers.points_interval(estimate.mean, estimate.low, estimate.high)
        mark_text = text_of_mark(results, variant)
        drawn.append(
            rows.row_of(results.names.label(variant), differences, estimate, colour, text=text, numbers=mark_text)
        )
    drawn.sort(key=lambda row: -row.mean)
    figure, (axes,) = rows.figure(len(drawn), rest=FOREST_MARGINS)
    rows.draw(axes, drawn, rest=FOREST_MARGINS)
    axes.axvline(0, color=style.INK, linewidth=0.9, zorder=1)
    arrows = axis.cut(axes, drawn)
    axes.set_xlabel(
        f"test accuracy minus the baseline's, percentage points{axis.ARROW if arrows else ''}\n"
        f"({_dots_and_bars(results)}, paired by seed)"
    )
    return figure


def in_forest(results: Results) -> list[str]:
    """The variants that ran under every seed; all where no variant did. Controls are in the figures of the families."""
    with_all_seeds = [variant for variant in results.with_all_seeds if variant != results.baseline]
    return with_all_seeds or [variant for variant in results.without_controls if variant != results.baseline]


def text_of_mark(results: Results, variant: str) -> str:
    """What a figure shows when a reader points at a variant: the cells of its row in the table of results."""
    mark_text = f"accuracy {mean_sd(results, variant)} % (n = {results.mean(variant).n})"
    return (
        mark_text if variant == results.baseline else f"{mark_text}; difference {_difference(results, variant)} points"
    )


def row(
    results: Results, variant: str, label: str, column: str = "test_accuracy", text: str = "", mark_text: str = ""
) -> rows.Row:
    """A variant's seeds, their mean and its interval in percent, in the variant's colour.

    text stands at the right. told: to a reader who points at the row.
    """
    values, estimate = results.per_seed(variant, column).values(), results.mean(variant, column)
    return rows.row_of(label, values, estimate, results.names.colour(variant), text=text, numbers=mark_text)


def tables(results: Results) -> str:
    """Every variant in the order of params.yaml: first its accuracy, then its shift consistency and costs."""
    variants = list(results.variants.index)
    labels = [cell(results.names.label(variant)) for variant in variants]
    accuracy = {
        "Variant": labels,
        "n": [str(results.mean(variant).n) for variant in variants],
        "Accuracy, %": [mean_sd(results, variant) for variant in variants],
        "Difference, points": [_difference(results, variant) for variant in variants],
    }
    caption = (
        f"Test accuracy of every variant over {wording.seeds(results)} (mean ± SD), and its difference from the "
        f"baseline, paired by seed, with its {wording.confidence(results)} interval."
    )
    cost = pd.DataFrame({"Variant": labels} | costs.columns(results, variants))
    cost_caption = f"{costs.columns_title(results)} of every variant; {costs.EXPLANATION}"
    cost_tables = pipe_tables(cost, "tbl-results-cost", cost_caption)
    return f"{pipe_tables(pd.DataFrame(accuracy), 'tbl-results', caption)}\n{cost_tables}"


def mean_sd(results: Results, variant: str) -> str:
    estimate = results.mean(variant)
    return numbers.mean_sd(estimate.mean, estimate.sd)


def directions_count(results: Results) -> str:
    """A summary of the forest: how many variants lie above the baseline, below it, and neither."""
    others = results.variants.loc[in_forest(results)]
    if others.empty:
        return "No variant but the baseline ran."
    counts = others["direction"].value_counts()
    parts = [
        f"{counts[direction]} {'is' if counts[direction] == 1 else 'are'} {direction}"
        for direction in (intervals.ABOVE, intervals.BELOW, intervals.ALIKE)
        if direction in counts
    ]
    if not parts:
        return wording.why_no_direction(results)
    if len(others) == 1:
        return f"The one variant that is compared with it is {counts.index[0]} the baseline in test accuracy."
    if counts.iloc[0] == len(others):
        return (
            f"All {len(others)} variants that are compared with it are {counts.index[0]} the baseline in test accuracy."
        )
    variants = f"Of the {len(others)} variants that are compared with it"
    return f"{variants}, {wording.joined(parts)} the baseline in test accuracy."


def _against_baseline(results: Results, best: str) -> str:
    if best == results.baseline:
        return "The baseline itself has the highest mean test accuracy."
    difference = results.mean_difference(best, results.baseline)
    return f"{wording.compared(results, wording.italic_label(results, best), 'the baseline', difference)}."


def _left_out_of_forest(results: Results) -> str:
    drawn, others = len(in_forest(results)), len(results.without_controls) - 1
    if drawn == others:
        return "Every variant is shown."
    return (
        f"Shown are the {drawn} variants that ran under every seed; "
        f"the other {others - drawn} stand in the figures of their families."
    )


def _noise(results: Results) -> str:
    """How far two runs of the baseline differ by chance."""
    estimate = results.mean(results.baseline)
    if estimate.n < 2:
        return "With one seed, how far chance moves a result is unknown."
    quantile = NormalDist().inv_cdf((1 + results.settings.inference.confidence) / 2)
    apart = math.sqrt(2) * estimate.sd * quantile
    return (
        f"Under another seed the baseline's accuracy moves with a standard deviation of {numbers.percent(estimate.sd)} "
        f"points, so that two single runs of one and the same net differ by up to {numbers.percent(apart)} points in "
        f"{wording.confidence(results)} of the cases."
    )


def _difference(results: Results, variant: str) -> str:
    if variant == results.baseline:
        return "reference"
    difference = results.mean_difference(variant, results.baseline)
    return numbers.points_interval(difference.mean, difference.low, difference.high)


def _dots_and_bars(results: Results) -> str:
    if len(results.settings.chosen_protocol.seeds) == 1:
        return "one seed, no interval"
    return f"dots: seeds, bars: {100 * results.settings.inference.confidence:g} % interval of the mean"

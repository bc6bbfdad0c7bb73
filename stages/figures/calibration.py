"""Calibration: does a net know how often it is right?"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stages.figures import selection, wording
from stages.figures.results import Results
from stages.shared.drawing import numbers, style
from stages.shared.drawing.tables import cell, pipe_tables
from stages.shared.inference import intervals

PANELS = 3


def figures(results: Results) -> Iterator[tuple[str, Figure | str]]:
    yield "calibration", reliability_diagrams(results)


def facts(results: Results) -> dict[str, str]:
    return {
        "calibration_images": f"{sum(results.constants['class_counts']['test']):,}",
        "calibration_draws": f"{results.settings.probe.calibration_draws:,}",
        "calibration_sentence": sentence(results),
    }


def reliability_diagrams(results: Results) -> Figure | str:
    """For one net of each kind accuracy against confidence in bins, first seed; a dot's area is its share of images."""
    kinds = selection.one_of_each_kind(results)
    bins = {variant: results.pictures[variant]["reliability"] for variant in kinds if variant in results.pictures}
    bins = {variant: table for variant, table in bins.items() if np.isfinite(table).all()}
    if not bins:
        return "No variant's calibration was measured."
    names = selection.names_for_small_panels(results)
    n_rows = -(-len(bins) // PANELS)
    figure, grid = style.plt.subplots(n_rows, PANELS, figsize=(style.WIDTH, 2.6 * n_rows), sharey=True, squeeze=False)
    panels = grid.ravel()
    for axes in panels[len(bins) :]:
        axes.set_axis_off()
    for axes, (variant, table) in zip(panels, bins.items(), strict=False):
        count, confidence, accuracy = table[table[:, 0] > 0].T
        colour, area = results.names.colour(variant), 4 + 120 * count / count.sum()
        axes.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.7, linestyle=style.DASHED, zorder=1)
        axes.plot(confidence, accuracy, color=colour, linewidth=0.9, zorder=2)
        axes.scatter(confidence, accuracy, s=area, color=colour, alpha=0.75, linewidths=0, zorder=3)
        lines = [style.plain(names[variant], 24), f"ECE {wording.mean(results, variant, 'ece')}"]
        lines.append(f"by sampling alone {numbers.percent_sign(results.mean(variant, 'ece_by_sampling').mean)}")
        axes.set_title("\n".join(lines), fontsize=7, fontweight="normal")
        axes.set_xlim(-0.03, 1.05)
        axes.set_ylim(-0.03, 1.05)
        axes.set_aspect("equal")
        axes.set_xlabel("confidence", fontsize=7)
        axes.tick_params(labelsize=6.5)
    for row in grid:
        row[0].set_ylabel("accuracy", fontsize=7)
    return figure


def table(results: Results) -> str:
    """One net of each kind, and the baseline on permuted pixels."""
    permuted = selection.permuted_baseline(results)
    variants = selection.one_of_each_kind(results) + ([permuted] if permuted else [])
    columns = {
        "Variant": [cell(results.names.label(variant)) for variant in variants],
        "Accuracy, %": [wording.percent_sd(results, variant, "test_accuracy", 2) for variant in variants],
        "ECE, %": [wording.percent_sd(results, variant, "ece", 2) for variant in variants],
        "Sampling, %": [wording.percent_sd(results, variant, "ece_by_sampling", 2) for variant in variants],
        "NLL, nats": [wording.decimal_sd(results, variant, "nll", 3) for variant in variants],
    }
    caption = (
        f"Calibration on the test images: expected calibration error, what of it sampling alone would give, and "
        f"negative log-likelihood. "
        f"{wording.means_and_dashes(results)}"
    )
    return pipe_tables(pd.DataFrame(columns), "tbl-calibration", caption)


def sentence(results: Results) -> str:
    """The baseline's calibration error, and those of the other kinds of net against it."""
    errors = results.means(selection.one_of_each_kind(results), "ece")
    if results.baseline not in errors:
        return "The baseline's calibration was not measured."
    error = wording.percent(errors[results.baseline], 2)
    by_sampling = wording.percent(results.mean(results.baseline, "ece_by_sampling"), 2)
    text = (
        f"The calibration error of {wording.label(results, results.baseline)} is {error}; perfect calibration with the "
        f"same confidences would give {by_sampling}"
    )
    others = [_against_baseline(results, variant) for variant in errors if variant != results.baseline]
    return f"{text}. In comparison, {wording.joined(others)}." if others else f"{text}."


def _against_baseline(results: Results, variant: str) -> str:
    difference = results.mean_difference(variant, results.baseline, "ece")
    direction, points = results.direction(difference), wording.points(difference)
    subject = f"that of {wording.italic_label(results, variant)}"
    if direction == intervals.NOT_STATED:
        return f"{subject} differs by {points}"
    words = {intervals.ABOVE: "larger", intervals.BELOW: "smaller", intervals.ALIKE: "not distinguishable"}
    return f"{subject} is {words[direction]} ({points})"

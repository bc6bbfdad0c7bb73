"""Seeds as dots, means and intervals: accuracy of all variants, differences from the baseline, the levels of a family."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.figures.results import Results
from stages.shared.drawing import axis, numbers, rows, style


def accuracy(results: Results) -> Figure:
    """Test accuracy of every variant, best on top, in the colour of its family."""
    order = sorted(results.variants.index, key=lambda key: -results.variants.loc[key, "accuracy_mean"])
    figure, (axes,) = rows.figure(len(order), rest=1.05)
    drawn = [row(results, key, results.names.label(key), "accuracy", with_mean=True) for key in order]
    rows.draw(axes, drawn, rest=1.05)
    arrows = axis.cut(axes, drawn, centre=100 * results.variants.loc[results.settings.baseline, "accuracy_mean"])
    _mark_baseline(results, axes)
    axes.set_xlabel(f"test accuracy, %{axis.ARROW if arrows else ''}\n({_what(results)})")
    return figure


def forest(results: Results) -> Figure:
    """Differences from the baseline, paired by seed, coloured by what their interval supports; the numbers stand at the right.

    Of the variants that ran under every seed alone, where others had fewer: the families' figures have them all.
    """
    baseline = results.settings.baseline
    drawn = []
    for key in compared(results):
        made = results.estimate(differences := results.differences(key, baseline))
        colour = style.DIRECTION_COLOURS.get(results.direction(made), style.GREY)
        values = [100 * value for value in differences.values()]
        text = numbers.points_interval(made.mean, made.low, made.high)
        drawn.append(
            rows.Row(results.names.label(key), values, 100 * made.mean, 100 * made.low, 100 * made.high, colour, text)
        )
    drawn.sort(key=lambda row: -row.mean)
    figure, (axes,) = rows.figure(len(drawn), rest=0.75)
    rows.draw(axes, drawn, rest=0.75)
    axes.axvline(0, color=style.INK, linewidth=0.9, zorder=1)
    arrows = axis.cut(axes, drawn)
    axes.set_xlabel(
        f"test accuracy minus the baseline's, percentage points{axis.ARROW if arrows else ''}\n({_what(results)}, paired by seed)"
    )
    return figure


def compared(results: Results) -> list[str]:
    """The variants in the forest."""
    return [key for key in results.primary if key != results.settings.baseline] or list(
        results.variants.index.drop(results.settings.baseline)
    )


def family(results: Results, key: str) -> Figure:
    """Accuracy of each level and, where shifts were probed, its shift consistency beside it."""
    levels = results.names.levels(key)
    measures = {"accuracy": "test accuracy, %"} | (
        {"shift_consistency": "shift consistency, %"} if results.shifts_were_probed else {}
    )
    figure, columns = rows.figure(len(levels), len(measures), rest=0.72)
    for place, (axes, (measure, title)) in enumerate(zip(columns, measures.items(), strict=True)):
        rows.draw(
            axes,
            [row(results, variant, level, measure) for variant, level in levels.items()],
            rest=0.72,
            labelled=place == 0,
        )
        axes.set_xlabel(title)
        reference = results.mean(results.settings.families[key].reference, measure).mean
        if not math.isnan(reference):
            axes.axvline(100 * reference, color=style.GREY, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
    return figure


def row(results: Results, variant: str, label: str, measure: str, with_mean: bool = False) -> rows.Row:
    """A variant's seeds, mean and interval in percent, in its colour; at the right its mean, if asked for."""
    made = results.mean(variant, measure)
    values = [100 * value for value in results.per_seed(variant, measure).values()]
    text = numbers.percent(made.mean) if with_mean else ""
    return rows.Row(
        label, values, 100 * made.mean, 100 * made.low, 100 * made.high, results.names.colour(variant), text
    )


def _mark_baseline(results: Results, axes: Axes) -> None:
    mean = 100 * results.variants.loc[results.settings.baseline, "accuracy_mean"]
    axes.axvline(mean, color=style.GREY, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
    axes.annotate(
        "baseline",
        (mean, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 2),
        textcoords="offset points",
        ha="center",
        color=style.GREY,
    )


def _what(results: Results) -> str:
    if len(results.settings.chosen_protocol.seeds) == 1:
        return "one seed, no interval"
    return f"dots: seeds, bars: {100 * results.settings.inference.confidence:g} % interval of the mean"

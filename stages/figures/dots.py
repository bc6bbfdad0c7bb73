"""Seeds as dots, means and intervals: accuracy of all variants, differences from the baseline, the levels of a family."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.drawing import numbers, rows, style
from stages.figures.results import Results

# Where the axis of the forest ends, if some differences are FAR times as long: at MOST of them, and a MARK further.
FAR, MOST, MARK = 2.5, 0.7, 0.3


def accuracy(results: Results) -> Figure:
    """Test accuracy of every variant, best on top, in the colour of its family."""
    order = sorted(results.variants.index, key=lambda key: -results.variants.loc[key, "accuracy_mean"])
    figure, (axes,) = rows.figure(len(order), rest=0.95)
    rows.draw(axes, [row(results, key, results.names.label(key), "accuracy", with_mean=True) for key in order], rest=0.95)
    _mark_baseline(results, axes)
    axes.set_xlabel(f"test accuracy, % ({_what(results)})")
    return figure


def forest(results: Results) -> Figure:
    """Differences from the baseline, paired by seed, coloured by what their interval supports; the numbers stand at the right."""
    baseline = results.settings.baseline
    drawn = []
    for key in results.variants.index.drop(baseline):
        made = results.estimate(differences := results.differences(key, baseline))
        colour = style.DIRECTION_COLOURS.get(results.direction(made), style.GREY)
        values = [100 * value for value in differences.values()]
        text = numbers.points_interval(made.mean, made.low, made.high)
        drawn.append(rows.Row(results.names.label(key), values, 100 * made.mean, 100 * made.low, 100 * made.high, colour, text))
    drawn.sort(key=lambda row: -row.mean)
    figure, (axes,) = rows.figure(len(drawn), rest=0.75)
    rows.draw(axes, drawn, rest=0.75)
    axes.axvline(0, color=style.INK, linewidth=0.9, zorder=1)
    arrows = _cut(axes, drawn)
    axes.set_xlabel(
        f"test accuracy minus the baseline's, percentage points\n({_what(results)}, paired by seed{'; an arrow: beyond the axis' if arrows else ''})"
    )
    return figure


def family(results: Results, key: str) -> Figure:
    """Accuracy of each level and, where shifts were probed, its shift consistency beside it."""
    levels = results.names.levels(key)
    measures = {"accuracy": "test accuracy, %"} | ({"shift_consistency": "shift consistency, %"} if results.shifts_were_probed else {})
    figure, columns = rows.figure(len(levels), len(measures), rest=0.72)
    for place, (axes, (measure, title)) in enumerate(zip(columns, measures.items(), strict=True)):
        rows.draw(axes, [row(results, variant, level, measure) for variant, level in levels.items()], rest=0.72, labelled=place == 0)
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
    return rows.Row(label, values, 100 * made.mean, 100 * made.low, 100 * made.high, results.names.colour(variant), text)


def _mark_baseline(results: Results, axes: Axes) -> None:
    mean = 100 * results.variants.loc[results.settings.baseline, "accuracy_mean"]
    axes.axvline(mean, color=style.GREY, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
    axes.annotate("baseline", (mean, 1), xycoords=("data", "axes fraction"), xytext=(0, 2), textcoords="offset points", ha="center", color=style.GREY)


def _what(results: Results) -> str:
    n = len(results.settings.active_protocol.seeds)
    if n == 1:
        return "one seed, no interval"
    return f"dots: {n} seeds, bars: {100 * results.settings.inference.confidence:g} % interval of the mean"


def _cut(axes: Axes, drawn: list[rows.Row]) -> bool:
    """End the axis where most differences lie, if some lie far off, and mark what goes beyond it by an arrow; returns whether it did."""
    farthest = [max((value for value in (*row.values, row.mean, row.low, row.high) if not math.isnan(value)), key=abs) for row in drawn]
    limit = (1 + MARK) * sorted(map(abs, farthest))[math.ceil(MOST * len(farthest)) - 1]
    if limit == 0 or max(map(abs, farthest)) <= FAR * limit:
        return False
    left, right = axes.get_xlim()
    axes.set_xlim(max(left, -limit), min(right, limit))
    for place, (row, end) in enumerate(zip(drawn, farthest, strict=True)):
        if abs(end) > limit:
            x, marker = (0.99, ">") if end > 0 else (0.01, "<")
            axes.plot([x], [place], marker=marker, color=row.colour, markersize=5, transform=axes.get_yaxis_transform(), zorder=5)
    return True

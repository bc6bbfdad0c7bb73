"""Seeds as dots, means and intervals: accuracy of all variants, differences from the baseline, the levels of a family."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.drawing import numbers, rows, style
from stages.figures.results import Results

MARK = 0.3  # of the axis: how far a difference may exceed the others before it is shown by an arrow


def accuracy(results: Results) -> Figure:
    """Test accuracy of every variant, best on top, in the colour of its family."""
    order = sorted(results.variants.index, key=lambda key: -results.variants.loc[key, "accuracy_mean"])
    figure, (axes,) = rows.figure(len(order), rest=0.95)
    rows.draw(axes, [_row(results, key, results.names.label(key), "accuracy") for key in order])
    _mark_baseline(results, axes)
    for place, key in enumerate(order):
        axes.text(1.02, place, numbers.percent(results.variants.loc[key, "accuracy_mean"]), transform=axes.get_yaxis_transform(), va="center")
    axes.set_xlabel(f"test accuracy, % ({_what(results)})")
    return figure


def forest(results: Results) -> Figure:
    """Differences from the baseline, paired by seed, coloured by what their interval supports; the numbers stand at the right."""
    baseline = results.settings.baseline
    drawn, texts = [], []
    for key in results.variants.index.drop(baseline):
        made = results.estimate(differences := results.differences(key, baseline))
        colour = style.DIRECTION_COLOURS.get(results.direction(made), style.GREY)
        values = [100 * value for value in differences.values()]
        drawn.append(rows.Row(results.names.label(key), values, 100 * made.mean, 100 * made.low, 100 * made.high, colour))
        texts.append(numbers.points_interval(made.mean, made.low, made.high))
    order = sorted(range(len(drawn)), key=lambda index: -drawn[index].mean)
    figure, (axes,) = rows.figure(len(drawn), rest=0.75)
    rows.draw(axes, [drawn[index] for index in order])
    axes.axvline(0, color=style.INK, linewidth=0.9, zorder=1)
    for place, index in enumerate(order):
        axes.text(1.02, place, texts[index], transform=axes.get_yaxis_transform(), va="center")
    arrows = _cut(axes, [drawn[index] for index in order])
    axes.set_xlabel(
        f"test accuracy minus the baseline's, percentage points\n({_what(results)}, paired by seed{'; an arrow: beyond the axis' if arrows else ''})"
    )
    return figure


def family(results: Results, key: str) -> Figure:
    """Accuracy of each level and, where shifts were probed, its shift consistency beside it."""
    levels = results.settings.levels(key)
    measures = {"accuracy": "test accuracy, %"} | ({"shift_consistency": "shift consistency, %"} if results.shifts_were_probed else {})
    figure, columns = rows.figure(len(levels), len(measures), rest=0.72)
    for place, (axes, (measure, title)) in enumerate(zip(columns, measures.items(), strict=True)):
        rows.draw(axes, [_row(results, variant, level, measure) for variant, level in levels.items()], labelled=place == 0)
        axes.set_xlabel(title)
        reference = results.mean(results.settings.families[key].reference, measure).mean
        if not math.isnan(reference):
            axes.axvline(100 * reference, color=style.GREY, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
    return figure


def _row(results: Results, variant: str, label: str, measure: str) -> rows.Row:
    made = results.mean(variant, measure)
    values = [100 * value for value in results.per_seed(variant, measure).values()]
    return rows.Row(label, values, 100 * made.mean, 100 * made.low, 100 * made.high, results.names.colour(variant))


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
    """End the axis where most differences lie, and mark those beyond it by an arrow; returns whether any is beyond."""
    means = sorted(abs(row.mean) for row in drawn)
    core = means[math.ceil(0.7 * len(means)) - 1]
    inner = [row for row in drawn if abs(row.mean) <= core]
    reach = max(abs(value) for row in inner for value in (*row.values, row.low, row.high) if not math.isnan(value))
    limit = (1 + MARK) * reach
    beyond = [(place, row) for place, row in enumerate(drawn) if abs(row.mean) > 2.5 * limit]
    if not beyond or limit == 0:
        return False
    left, right = axes.get_xlim()
    axes.set_xlim(max(left, -limit), min(right, limit))
    for place, row in beyond:
        end = axes.get_xlim()[0 if row.mean < 0 else 1]
        axes.plot([end], [place], marker="<" if row.mean < 0 else ">", color=row.colour, markersize=5, clip_on=False, zorder=5)
    return True

"""From a net that knows nothing of images to the baseline, one assumption at a time, and where one more change leads."""

import numpy as np
from matplotlib.figure import Figure

from stages.figures.results import Results
from stages.shared.drawing import axis, numbers, rows, style

ASSUMPTIONS = ("fully_connected", "locally_connected", "conv")  # each assumes more than the one before
REST = 0.85


def steps(results: Results) -> list[tuple[str, str | None]]:
    """(variant, the one that it changes), in the order of the rows: the path to the baseline, then one change of the baseline each.

    The path has a net of each kind that the baseline is compared with in one family. A further change is the best level of
    its family on the validation images, so that the test images do not choose what they score.
    """
    path = _path(results)
    previous = [None, *path[:-1]]
    return [*zip(path, previous, strict=True), *((key, results.settings.baseline) for key in _further(results, path))]


def roadmap(results: Results) -> Figure:
    """Test accuracy of each step; at the right its difference from the net that it changes, paired by seed."""
    drawn, joined = [], []
    for place, (key, before) in enumerate(steps(results)):
        made = results.mean(key)
        values = [100 * value for value in results.per_seed(key, "accuracy").values()]
        text = "start"
        if before is not None:
            change = results.estimate(results.differences(key, before))
            text = numbers.points_interval(change.mean, change.low, change.high)
        drawn.append(
            rows.Row(
                results.names.label(key),
                values,
                100 * made.mean,
                100 * made.low,
                100 * made.high,
                results.names.colour(key),
                text,
            )
        )
        if before is None or before != results.settings.baseline:
            joined.append((100 * made.mean, place))
    figure, (axes,) = rows.figure(len(drawn), rest=REST)
    rows.draw(axes, drawn, rest=REST)
    x, y = np.array(joined).T
    axes.plot(x, y, color=style.GREY, linewidth=1.0, drawstyle="steps-pre", zorder=1)
    if len(drawn) > len(joined):
        axes.axhline(len(joined) - 0.5, color=style.PALE, linewidth=0.7)
        axes.axvline(
            x[-1], ymax=1 - len(joined) / len(drawn), color=style.GREY, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1
        )
    arrows = axis.cut(axes, drawn, centre=x[-1], whole=len(joined))
    axes.set_xlabel(f"test accuracy, %{axis.ARROW if arrows else ''}")
    return figure


def _path(results: Results) -> list[str]:
    baseline = results.settings.baseline
    kinds = {key: variant.run.architecture.connectivity for key, variant in results.settings.active_variants.items()}
    if kinds[baseline] not in ASSUMPTIONS:
        return [baseline]
    weaker = ASSUMPTIONS[: ASSUMPTIONS.index(kinds[baseline])]
    for family in results.families:
        levels = [key for key in results.names.levels(family) if key in results.nets]
        found = [next((key for key in levels if kinds[key] == kind), None) for kind in weaker]
        if results.settings.families[family].reference == baseline and any(found):
            return [key for key in [*found, baseline] if key is not None]
    return [baseline]


def _further(results: Results, path: list[str]) -> list[str]:
    baseline = results.settings.baseline
    kind = results.settings.variants[baseline].run.architecture.connectivity
    best = []
    for family in results.families:
        levels = [key for key in results.names.levels(family) if key in results.nets and key != baseline]
        if results.settings.families[family].reference == baseline and not set(path) & set(levels):
            alike = [key for key in levels if results.settings.variants[key].run.architecture.connectivity == kind]
            best += sorted(alike, key=lambda key: -results.mean(key, "val_accuracy").mean)[:1]
    return sorted(dict.fromkeys(best), key=lambda key: -results.mean(key).mean)

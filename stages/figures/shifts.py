"""What a shift of the image does to a prediction."""

import math
from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from stages.figures import wording
from stages.figures.results import Results
from stages.shared.drawing import numbers, rows, style

MAPS = 4
MARGINS = 0.75  # inches of the upper part that its rows do not take


def figures(results: Results) -> Iterator[tuple[str, Figure | str]]:
    yield "shift", consistency_and_maps(results)


def facts(results: Results) -> dict[str, str]:
    return {
        "shift_probe": probe_sentence(results),
        "shift_sentence": sentence(results) or "There is no shift consistency to compare.",
        "shift_chance_sentence": chance_sentence(results),
        "margin": wording.largest_margin(results),
        "probe_images": f"{wording.n_shifted_images(results):,}",
    }


def probe_sentence(results: Results) -> str:
    """How many images were shifted, and by which shifts."""
    if not results.shifts_were_probed:
        return "The margin is zero, so that no image could be shifted: the shift probe was not run."
    images = numbers.plural(wording.n_shifted_images(results), "test image")
    n_shifts = len(results.shifts[["dy", "dx"]].drop_duplicates())
    of_each = results.settings.probe.shifts_of_image
    which = f"all {n_shifts} shifts"
    if of_each < n_shifts:
        which = f"{of_each} of the {n_shifts} shifts, drawn anew for each seed and alike for all variants"
    return f"Shifts of up to {wording.largest_margin(results)} were probed on {images}, each under {which}."


def sentence(results: Results) -> str:
    """The most and the least shift-consistent net; empty where shifts were not probed or one net ran."""
    counted = [variant for variant in results.nets if variant in results.without_controls]
    means = results.variants.loc[counted, "shift_consistency_mean"].dropna()
    if not results.shifts_were_probed or len(means) < 2:
        return ""
    of_which = f"Among the {len(means)} nets {wording.NETS}"
    if means.max() == means.min():
        same = f"the mean shift consistency is the same, {numbers.percent_sign(means.max())}"
        return f"{of_which}, {same}."
    most, high = wording.extreme(results, "shift_consistency", max)
    least, low = wording.extreme(results, "shift_consistency", min)
    return (
        f"{of_which}, predictions agree most often over shifts of the image for {most} ({high} of the pairs of shifts) "
        f"and least often for {least} ({low})."
    )


def chance_sentence(results: Results) -> str:
    """What a net trained on random labels reaches by either measure: it knows nothing, and may still agree."""
    for variant in results.variants.index:
        raw, beyond = (results.mean(variant, f"shift_consistency{suffix}").mean for suffix in ("", "_beyond_chance"))
        if results.settings.variants[variant].run.sample.labels == "random" and not math.isnan(raw):
            text = f"{wording.italic_label(results, variant)} agrees on {numbers.percent_sign(raw)} of the pairs"
            if math.isnan(beyond):
                return f"{text}; under some seed it gives all images one answer, which leaves nothing beyond chance."
            return f"{text}; its agreement beyond chance is {numbers.plain(beyond, 2).lstrip('+')}."
    return "No net trained on random labels was probed, so what agreement alone is worth is unknown."


def consistency_and_maps(results: Results) -> Figure | str:
    """Above, the shift consistency of every net, raw and beyond chance; below, maps of accuracy over the shift."""
    if not results.shifts_were_probed:
        return "The margin is zero: no image was shifted."
    order = sorted(results.nets, key=lambda variant: -results.variants.loc[variant, "shift_consistency_mean"])
    maps = {variant: accuracy_map(results, variant) for variant in _shown_as_maps(results, order)}
    is_signal = next(iter(maps.values())).shape[0] == 1
    lower_height = 1.35 if is_signal else 2.1
    whole = rows.height(len(order), MARGINS + lower_height)
    figure = style.plt.figure(figsize=(style.WIDTH, whole))
    upper, lower = figure.subfigures(2, 1, height_ratios=[whole - lower_height, lower_height], squeeze=False)[:, 0]
    raw, beyond = upper.subplots(1, 2)
    rows.draw(raw, [_row(results, variant, "shift_consistency", 100) for variant in order], MARGINS + lower_height)
    raw.set_xlabel("shift consistency, % of pairs\nof shifts with the same prediction")
    of_chance = [_row(results, variant, "shift_consistency_beyond_chance", 1) for variant in order]
    rows.draw(beyond, of_chance, MARGINS + lower_height, labelled=False)
    beyond.set_xlabel("beyond chance\n(Fleiss' κ)")
    _draw_maps(lower, {results.names.label(variant): map_ for variant, map_ in maps.items()}, is_signal)
    return figure


def accuracy_map(results: Results, variant: str) -> np.ndarray:
    """Accuracy in percent by (dy, dx), mean over seeds; NaN for a shift that was never drawn."""
    shifts = results.shifts[results.shifts["variant"] == variant]
    return 100 * shifts.groupby(["dy", "dx"])["accuracy"].mean().unstack().to_numpy()


def _row(results: Results, variant: str, column: str, unit: float) -> rows.Row:
    values = [value for value in results.per_seed(variant, column).values() if not math.isnan(value)]
    label, colour = results.names.label(variant), results.names.colour(variant)
    return rows.row_of(label, values, results.mean(variant, column), colour, unit)


def _shown_as_maps(results: Results, order: list[str]) -> list[str]:
    """The baseline, the most and the least consistent net, and the first of each other kind of net, each once."""
    first: dict[str, str] = {}
    for variant in results.nets:
        first.setdefault(results.names.net(variant), variant)
    return list(dict.fromkeys([results.baseline, order[0], order[-1], *first.values()]))[:MAPS]


def _draw_maps(figure: SubFigure, maps: dict[str, np.ndarray], is_signal: bool) -> None:
    """Draw maps in one scale; all have the same size, however many there are."""
    panels = figure.subplots(1, MAPS, squeeze=False)[0]
    for axes in panels[len(maps) :]:
        axes.set_axis_off()
    low, high = min(map(np.nanmin, maps.values())), max(map(np.nanmax, maps.values()))
    panels = panels[: len(maps)]
    for axes, (label, shifts) in zip(panels, maps.items(), strict=True):
        _draw_map(axes, shifts, low, high)
        axes.set_title(_title_in_two_lines(label), fontsize=7, fontweight="normal")
        axes.set_xlabel("shift right, px", fontsize=7)
        axes.tick_params(labelsize=6.5, labelleft=axes is panels[0])
    panels[0].set_ylabel("" if is_signal else "shift down, px", fontsize=7)
    bar = figure.colorbar(panels[-1].images[0], ax=list(panels), shrink=0.8, aspect=14, pad=0.02)
    bar.set_label("test accuracy, %", fontsize=7)
    bar.ax.tick_params(labelsize=6.5)
    bar.outline.set_visible(False)  # type: ignore[operator]


def _draw_map(axes: Axes, shifts: np.ndarray, low: float, high: float) -> None:
    bottom, right = shifts.shape[0] / 2, shifts.shape[1] / 2
    enlarged, edges = np.kron(shifts, np.ones((40, 40))), (-right, right, bottom, -bottom)
    axes.imshow(enlarged, cmap="cividis", vmin=low, vmax=high, interpolation="none", extent=edges)
    axes.set_xticks(_ticks(shifts.shape[1]))
    axes.set_yticks(_ticks(shifts.shape[0]))
    axes.spines[:].set_visible(False)


def _ticks(size: int) -> list[int]:
    """The shifts that are named, at most five of −m … m."""
    largest = size // 2
    step = max(1, math.ceil(largest / 2))
    return [shift for shift in range(-largest, largest + 1) if shift % step == 0]


def _title_in_two_lines(label: str) -> str:
    """The family, then the level, so that all maps stand level."""
    family, _, level = label.partition(": ")
    lines = (f"{family}:", level) if level else (family, "")
    return "\n".join(style.plain(line, 22) for line in lines)

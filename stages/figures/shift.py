"""What a shift of the image does to a prediction."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.figures import dots
from stages.figures.results import Results
from stages.shared.drawing import rows, style

MAPS = 4
REST = 0.6  # inches beside the rows of shift consistency


def shift(results: Results) -> Figure:
    """Above, the shift consistency of every net; below, accuracy as a map over the shift for a few of them."""
    order = sorted(results.nets, key=lambda key: -results.variants.loc[key, "shift_consistency_mean"])
    maps = {key: accuracy_map(results, key) for key in chosen(results, order)}
    flat = next(iter(maps.values())).shape[0] == 1
    bottom = 1.35 if flat else 2.1
    whole = rows.height(len(order), REST + bottom)
    figure = style.plt.figure(figsize=(style.WIDTH, whole))
    upper, lower = figure.subfigures(2, 1, height_ratios=[whole - bottom, bottom], squeeze=False)[:, 0]
    _consistency(upper.subplots(), results, order, REST + bottom)
    slots = lower.subplots(1, MAPS, squeeze=False)[0]  # a map has the same size, however many there are
    panels = slots[: len(maps)]
    for axes in slots[len(maps) :]:
        axes.set_axis_off()
    low, high = min(np.nanmin(made) for made in maps.values()), max(np.nanmax(made) for made in maps.values())
    for place, (axes, (key, made)) in enumerate(zip(panels, maps.items(), strict=True)):
        reach_y, reach_x = made.shape[0] / 2, made.shape[1] / 2
        image = axes.imshow(
            np.kron(made, np.ones((40, 40))),
            cmap="cividis",
            vmin=low,
            vmax=high,
            interpolation="none",
            extent=(-reach_x, reach_x, reach_y, -reach_y),
        )
        axes.set_title(_title(results.names.label(key)), fontsize=7, fontweight="normal")
        axes.set_xlabel("shift right, px", fontsize=7)
        axes.set_ylabel("shift down, px" if place == 0 and not flat else "", fontsize=7)
        axes.set_xticks(_ticks(made.shape[1]))
        axes.set_yticks(_ticks(made.shape[0]))
        axes.tick_params(labelsize=6.5, labelleft=place == 0)
        axes.spines[:].set_visible(False)
    bar = lower.colorbar(image, ax=list(panels), shrink=0.8, aspect=14, pad=0.02)
    bar.set_label("test accuracy, %", fontsize=7)
    bar.ax.tick_params(labelsize=6.5)
    bar.outline.set_visible(False)  # type: ignore[operator]
    return figure


def chosen(results: Results, order: list[str]) -> list[str]:
    """The baseline, the most and the least consistent, and the first other kinds of net, each once."""
    kinds: dict[str, str] = {}
    for key in results.nets:
        kinds.setdefault(results.names.net(key), key)
    wanted = [results.settings.baseline, *order[:1], *order[-1:], *kinds.values()]
    return list(dict.fromkeys(wanted))[:MAPS]


def accuracy_map(results: Results, variant: str) -> np.ndarray:
    """(dy, dx) → accuracy in percent, mean over seeds."""
    table = results.shifts[variant]
    return 100 * table.pivot_table(index="dy", columns="dx", values="accuracy", aggfunc="mean").to_numpy()


def _consistency(axes: Axes, results: Results, order: list[str], rest: float) -> None:
    drawn = [dots.row(results, key, results.names.label(key), "shift_consistency", with_mean=True) for key in order]
    rows.draw(axes, drawn, rest)
    axes.set_xlabel("shift consistency, % of pairs of shifts with the same prediction")


def _ticks(size: int) -> list[int]:
    """Shifts −m … m; at most five of them are named."""
    reach = size // 2
    step = max(1, math.ceil(reach / 2))
    return [value for value in range(-reach, reach + 1) if value % step == 0]


def _title(label: str) -> str:
    """In two lines, so that all maps stand level."""
    family, _, level = label.partition(": ")
    return "\n".join(style.plain(part, 22) for part in ((f"{family}:", level) if level else (family, "")))

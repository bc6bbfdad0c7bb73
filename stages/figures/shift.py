"""What a shift of the image does to a prediction."""

import math

import numpy as np
from matplotlib.figure import Figure

from stages.drawing import numbers, rows, style
from stages.figures.results import Results

MAPS = 4


def shift(results: Results) -> Figure:
    """Above, the shift consistency of every variant; below, accuracy as a map over the shift for a few of them."""
    order = [key for key in results.variants.index if not math.isnan(results.variants.loc[key, "shift_consistency_mean"])]
    order.sort(key=lambda key: -results.variants.loc[key, "shift_consistency_mean"])
    maps = {key: accuracy_map(results, key) for key in chosen(results, order)}
    tall = 1.35 if next(iter(maps.values())).shape[0] > 1 else 0.9
    top = rows.height(len(order), 0.6) if order else 0.0
    figure = style.plt.figure(figsize=(style.WIDTH, top + tall + 0.75))
    upper, lower = figure.subfigures(2, 1, height_ratios=[top, tall + 0.75]) if order else (None, figure)
    if upper is not None:
        _consistency(upper.subplots(), results, order)
    panels = lower.subplots(1, len(maps), squeeze=False)[0]
    low, high = min(np.nanmin(made) for made in maps.values()), max(np.nanmax(made) for made in maps.values())
    for place, (axes, (key, made)) in enumerate(zip(panels, maps.items(), strict=True)):
        reach_y, reach_x = made.shape[0] / 2, made.shape[1] / 2
        image = axes.imshow(
            np.kron(made, np.ones((40, 40))), cmap="cividis", vmin=low, vmax=high, interpolation="none", extent=(-reach_x, reach_x, reach_y, -reach_y)
        )
        axes.set_title(style.plain(_wrapped(results.names.label(key))), fontsize=7, fontweight="normal")
        axes.set_xlabel("shift right, px", fontsize=7)
        axes.set_ylabel("shift down, px" if place == 0 else "", fontsize=7)
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
    for key in results.variants.index:
        if results.settings.variants[key].run.layout == "original":
            kinds.setdefault(results.names.net(key), key)
    wanted = [results.settings.baseline, *order[:1], *order[-1:], *kinds.values()]
    return list(dict.fromkeys(wanted))[:MAPS]


def accuracy_map(results: Results, variant: str) -> np.ndarray:
    """(dy, dx) → accuracy in percent, mean over seeds."""
    table = results.shifts[variant]
    return 100 * table.pivot_table(index="dy", columns="dx", values="accuracy", aggfunc="mean").to_numpy()


def _consistency(axes, results: Results, order: list[str]) -> None:  # type: ignore[no-untyped-def]
    drawn = []
    for key in order:
        made = results.mean(key, "shift_consistency")
        values = [100 * value for value in results.per_seed(key, "shift_consistency").values()]
        drawn.append(rows.Row(results.names.label(key), values, 100 * made.mean, 100 * made.low, 100 * made.high, results.names.colour(key)))
    rows.draw(axes, drawn)
    for place, row in enumerate(drawn):
        axes.text(1.02, place, numbers.percent(row.mean / 100), transform=axes.get_yaxis_transform(), va="center")
    axes.set_xlabel("shift consistency, % of pairs of shifts with the same prediction")


def _ticks(size: int) -> list[int]:
    """Shifts −m … m; at most five of them are named."""
    reach = size // 2
    step = max(1, math.ceil(reach / 2))
    return [value for value in range(-reach, reach + 1) if value % step == 0]


def _wrapped(label: str) -> str:
    return label.replace(": ", ":\n", 1) if ": " in label else f"{label}\n"

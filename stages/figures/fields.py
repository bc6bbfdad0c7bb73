"""What a unit of the last feature map looks at: effective receptive fields as maps, and their size against the theoretical one."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from stages.figures import pictures, probed
from stages.figures.results import Results
from stages.shared.drawing import numbers, placing, style

COLUMNS = 4
MAPS = 2 * COLUMNS
BELOW = 2.6  # inches of the panel of sizes


def fields(results: Results) -> Figure | None:
    """Above, maps of a few telling variants; below, the sizes of all nets. None where no net has a field."""
    maps = {
        key: field for key in chosen(results) if np.isfinite(field := results.pictures[key]["effective_field"]).all()
    }
    if not maps:
        return None
    nets, called = sizes(results), probed.called(results)
    lines = -(-len(maps) // COLUMNS)
    signal = pictures.is_signal(next(iter(maps.values())).shape)
    above = lines * (1.05 if signal else 1.85)
    below = BELOW if len(nets) > 1 else 0
    figure = style.plt.figure(figsize=(style.WIDTH, above + below))
    parts = figure.subfigures(2 if below else 1, 1, height_ratios=[above, below] if below else None, squeeze=False)[
        :, 0
    ]
    panels = parts[0].subplots(lines, COLUMNS, squeeze=False).ravel()
    for axes in panels[len(maps) :]:
        axes.set_axis_off()
    for axes, (key, field) in zip(panels, maps.items(), strict=False):
        _map(axes, field, results.names.colour(key))
        axes.set_title(style.plain(called[key], 24), fontsize=7.5, fontweight="normal", loc="center", pad=3)
        axes.set_xlabel(_said(results, key), fontsize=6.5, labelpad=2)
    if below:
        _sizes(parts[1].subplots(), results, nets, list(maps))
    return figure


def chosen(results: Results) -> list[str]:
    """The baseline, the nets with the smallest and the largest field, the deepest, a dilated one, the other kinds, the permuted twin."""
    architectures = {key: results.settings.variants[key].run.architecture for key in results.nets}
    area = {key: theoretical(results, key)[2] for key in results.nets if not math.isnan(theoretical(results, key)[2])}
    depth = {key: len(architectures[key].channels) for key in area}
    base = results.settings.variants[results.settings.baseline].run.architecture
    wanted = [results.settings.baseline]
    if area:
        wanted += [min(area, key=area.__getitem__), max(area, key=area.__getitem__), max(depth, key=depth.__getitem__)]
    wanted += [key for key in area if architectures[key].dilation != base.dilation][:1] + probed.kinds(results)
    twin = probed.shuffled_twin(results)
    found = dict.fromkeys(wanted + ([twin] if twin else []))
    return [key for key in found if key in results.pictures][:MAPS]


def theoretical(results: Results, variant: str) -> tuple[float, float, float]:
    """Height, width and edge (that of a square as large; along one axis, a length), in pixels; NaN for a net without."""
    row = results.variants.loc[variant]
    height, width = float(row["receptive_field_height"]), float(row["receptive_field_width"])
    signal = pictures.is_signal(results.constants["shape"][1:])
    return height, width, max(height, width) if signal else (height * width) ** 0.5


def sizes(results: Results) -> list[str]:
    """The nets that have a theoretical and an effective field."""
    return [
        key
        for key in probed.measured(results, results.nets, "effective_field")
        if not math.isnan(theoretical(results, key)[2])
    ]


def _map(axes: Axes, field: np.ndarray, colour: str) -> None:
    """The field in shares of its highest value, and an outline of the pixels that move the unit at all."""
    height, width = field.shape
    share = field / (field.max() or 1)
    pictures.bare(axes)
    if pictures.is_signal(field.shape):
        axes.fill_between(np.arange(field.size), share.ravel(), step="mid", color=colour, linewidth=0)
        axes.set_ylim(0, 1.05)
        axes.spines["bottom"].set_visible(True)
        return
    axes.imshow(pictures.crisp(share), cmap="Greys", vmin=0, vmax=1, interpolation="none", extent=(0, width, height, 0))
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color("#BBBBBB")
    rows, columns = np.flatnonzero(field.any(axis=1)), np.flatnonzero(field.any(axis=0))
    if len(rows) and (len(rows), len(columns)) != (height, width):
        corner, size = (columns[0], rows[0]), (columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1)
        axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=style.VERMILION, linewidth=0.9))


def _said(results: Results, key: str) -> str:
    height, width, edge = theoretical(results, key)
    sees = "sees all" if math.isnan(edge) else f"sees {numbers.size(height, width)}"
    effective = probed.estimate(results, key, "effective_field").mean
    return sees if math.isnan(effective) else f"{sees}, effective {effective:.1f}"


def _sizes(axes: Axes, results: Results, nets: list[str], labelled: list[str]) -> None:
    """A point for each net; on the dashed line a field would be even."""
    called = probed.called(results)
    points = []
    for key in nets:
        made = probed.estimate(results, key, "effective_field")
        points.append(
            placing.Point(
                theoretical(results, key)[2],
                made.mean,
                made.low,
                made.high,
                called[key] if key in labelled else "",
                results.names.colour(key),
            )
        )
    reach = np.array([0, 1.06 * max(point.x for point in points)])
    even = results.settings.probe.field_share ** (1.0 if pictures.is_signal(results.constants["shape"][1:]) else 0.5)
    axes.plot(reach, even * reach, color=style.GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    axes.annotate(
        "an even field", (reach[1], even * reach[1]), xytext=(-3, 0), textcoords="offset points", ha="right", va="bottom", fontsize=6.5, color=style.GREY,
    )  # fmt: skip
    for point in points:
        if not math.isnan(point.low):
            axes.plot([point.x, point.x], [point.low, point.high], color=point.colour, linewidth=1, zorder=2)
        axes.scatter([point.x], [point.y], s=18, color=point.colour, edgecolors="white", linewidths=0.5, zorder=3)
    axes.set_xlim(*reach)
    axes.set_ylim(0, None)
    axes.set_xlabel("theoretical receptive field, px along an edge")
    axes.set_ylabel("effective size, px")
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    placing.place_labels(figure, axes, points, path=np.stack([reach, even * reach], axis=1))

"""What a unit of the last feature map looks at: the effective receptive field against the theoretical one."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

from stages.figures import selection, wording
from stages.figures.results import Results
from stages.shared.drawing import numbers, pictures, placing, style
from stages.shared.drawing.tables import cell, csv, pipe_tables

COLUMNS = 4
MAPS = 2 * COLUMNS
SIZES_HEIGHT = 2.6  # inches of the panel of sizes


def figures(results: Results) -> Iterator[tuple[str, Figure | str]]:
    yield "fields", maps_and_sizes(results)


def facts(results: Results) -> dict[str, str]:
    return {
        "field_share": _share(results),
        "luo_rest": f"{1 - results.settings.probe.luo_share:.4g}",
        "field_sentence": _baseline_sentence(results),
        "field_growth_sentence": _growth_sentence(results),
    }


def texts(results: Results) -> dict[str, str]:
    return {"tables/fields.md": table(results), "tables/fields.csv": csv(sizes(results))}


def sizes(results: Results) -> pd.DataFrame:
    """Mean and SD of each measure of the field, in pixels, for every net on any layout of the pixels."""
    rows = []
    for variant in selection.nets_on_any_layout(results):
        line: dict[str, Any] = {"variant": variant, "label": results.names.label(variant)}
        for column in ("effective_field", "effective_field_even", "effective_field_luo"):
            estimate = results.mean(variant, column)
            line |= {f"{column}_mean": estimate.mean, f"{column}_sd": estimate.sd}
        rows.append(line)
    return pd.DataFrame(rows)


def table(results: Results) -> str:
    """The sizes of every net's field, on original and on other layouts of the pixels."""
    variants = selection.nets_on_any_layout(results)
    columns = {
        "Variant": [cell(results.names.label(variant)) for variant in variants],
        "Sees": [numbers.size(*theoretical(results, variant)[:2]) for variant in variants],
        "Effective": [wording.decimal_sd(results, variant, "effective_field", 1) for variant in variants],
        "If even": [_even(results, variant) for variant in variants],
        "Ratio, %": [_share_of_even(results, variant) for variant in variants],
        "Luo": [wording.decimal_sd(results, variant, "effective_field_luo", 1) for variant in variants],
    }
    caption = (
        f"Receptive fields, in pixels: what a unit can see; the edge of the effective field; that of an even field by "
        f"the same definition; their ratio; and the edge by the measure of Luo et al. "
        f"{wording.means_and_dashes(results)}"
    )
    return pipe_tables(pd.DataFrame(columns), "tbl-fields", caption)


def _even(results: Results, variant: str) -> str:
    even = results.mean(variant, "effective_field_even").mean
    return numbers.DASH if math.isnan(even) else f"{even:.1f}"


def _share_of_even(results: Results, variant: str) -> str:
    """The effective size in percent of an even field's."""
    effective, even = (results.mean(variant, f"effective_field{suffix}").mean for suffix in ("", "_even"))
    return numbers.percent(effective / even, 0) if even > 0 else numbers.DASH


def theoretical(results: Results, variant: str) -> tuple[float, float, float]:
    """Height, width and edge in pixels; NaN for a net without.

    The edge is that of a square with the same area; of a signal, it is the length.
    """
    row = results.variants.loc[variant]
    height, width = float(row["receptive_field_height"]), float(row["receptive_field_width"])
    edge = max(height, width) if _is_signal(results) else (height * width) ** 0.5
    return height, width, edge


def nets_with_fields(results: Results) -> list[str]:
    """The nets that have a theoretical and an effective field."""
    effective = results.means(results.nets, "effective_field")
    return [variant for variant in effective if not math.isnan(theoretical(results, variant)[2])]


def maps_and_sizes(results: Results) -> Figure | str:
    """Above, maps of the effective field for a few variants; below, the sizes of all nets."""
    variants = shown_as_maps(results)
    if not variants:
        return "No variant's receptive field was probed."
    nets = nets_with_fields(results)
    n_lines = math.ceil(len(variants) / COLUMNS)
    maps_height = n_lines * (1.05 if _is_signal(results) else 1.85)
    heights = [maps_height, SIZES_HEIGHT] if len(nets) > 1 else [maps_height]
    figure = style.plt.figure(figsize=(style.WIDTH, sum(heights)))
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _draw_maps(parts[0], results, variants, n_lines)
    if len(parts) > 1:
        _draw_sizes(figure, parts[1].subplots(), results, nets, variants)
    return figure


def shown_as_maps(results: Results) -> list[str]:
    """The variants with a measured field among those that tell most.

    They are the baseline, the nets with the smallest and the largest theoretical field, the deepest, a dilated one, the
    baseline on permuted pixels, and one of each other kind of net.
    """
    architectures = {variant: results.settings.variants[variant].run.architecture for variant in results.nets}
    edges = {variant: theoretical(results, variant)[2] for variant in results.nets}
    edges = {variant: edge for variant, edge in edges.items() if not math.isnan(edge)}
    telling = [results.baseline]
    if edges:
        deepest = max(edges, key=lambda variant: len(architectures[variant].channels))
        telling += [min(edges, key=edges.__getitem__), max(edges, key=edges.__getitem__), deepest]
    dilation = results.settings.variants[results.baseline].run.architecture.dilation
    dilated = [variant for variant in edges if architectures[variant].dilation != dilation]
    permuted = selection.permuted_baseline(results)
    telling += [*dilated[:1], *([permuted] if permuted else []), *selection.one_of_each_kind(results)]
    probed = [variant for variant in dict.fromkeys(telling) if variant in results.pictures][:MAPS]
    return [variant for variant in probed if np.isfinite(results.pictures[variant]["effective_field"]).all()]


def _draw_maps(figure: SubFigure, results: Results, variants: list[str], n_lines: int) -> None:
    names = selection.names_for_small_panels(results)
    panels = figure.subplots(n_lines, COLUMNS, squeeze=False).ravel()
    for axes in panels[len(variants) :]:
        axes.set_axis_off()
    for axes, variant in zip(panels, variants, strict=False):
        _draw_map(axes, results.pictures[variant]["effective_field"], results.names.colour(variant))
        axes.set_title(style.plain(names[variant], 24), fontsize=7.5, fontweight="normal", loc="center", pad=3)
        axes.set_xlabel(_sizes_below_map(results, variant), fontsize=6.5, labelpad=2)


def _draw_map(axes: Axes, field: np.ndarray, colour: str) -> None:
    """Draw the field relative to its highest value, and a frame around the pixels that move the unit at all."""
    height, width = field.shape
    share = field / (field.max() or 1)
    pictures.hide_frame(axes)
    if pictures.is_signal(field.shape):
        axes.fill_between(np.arange(field.size), share.ravel(), step="mid", color=colour, linewidth=0)
        axes.set_ylim(0, 1.05)
        axes.spines["bottom"].set_visible(True)
        return
    extent = (0, width, height, 0)
    axes.imshow(pictures.enlarged(share), cmap="Greys", vmin=0, vmax=1, interpolation="none", extent=extent)
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color("#BBBBBB")
    rows, columns = np.flatnonzero(field.any(axis=1)), np.flatnonzero(field.any(axis=0))
    if len(rows) and (len(rows), len(columns)) != (height, width):
        tall, wide = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
        frame = Rectangle((columns[0], rows[0]), wide, tall, fill=False, edgecolor=style.VERMILION, linewidth=0.9)
        axes.add_patch(frame)


def _sizes_below_map(results: Results, variant: str) -> str:
    height, width, edge = theoretical(results, variant)
    without = "own net" if results.connectivity(variant) == "module" else "sees all"
    sees = without if math.isnan(edge) else f"sees {numbers.size(height, width)}"
    effective = results.mean(variant, "effective_field").mean
    return sees if math.isnan(effective) else f"{sees}, effective {effective:.1f}"


def _draw_sizes(figure: Figure, axes: Axes, results: Results, nets: list[str], labelled: list[str]) -> None:
    """Draw a point for each net. A field whose pixels all count the same would lie on the dashed line."""
    names = selection.names_for_small_panels(results)
    points = []
    for variant in nets:
        effective = results.mean(variant, "effective_field")
        label = names[variant] if variant in labelled else ""
        edge, colour = theoretical(results, variant)[2], results.names.colour(variant)
        points.append(placing.Point(edge, effective.mean, effective.low, effective.high, label, colour))
    ends = np.array([0, 1.06 * max(point.x for point in points)])
    even = results.settings.probe.field_share ** (1.0 if _is_signal(results) else 0.5)
    axes.plot(ends, even * ends, color=style.GREY, linewidth=0.8, linestyle=style.DASHED, zorder=1)
    look: dict[str, Any] = {"ha": "right", "va": "bottom", "fontsize": 6.5, "color": style.GREY}
    axes.annotate("an even field", (ends[1], even * ends[1]), xytext=(-3, 0), textcoords="offset points", **look)
    for point in points:
        if not math.isnan(point.low):
            axes.plot([point.x, point.x], [point.low, point.high], color=point.colour, linewidth=1, zorder=2)
        axes.scatter([point.x], [point.y], s=18, color=point.colour, edgecolors="white", linewidths=0.5, zorder=3)
    axes.set_xlim(*ends)
    axes.set_ylim(0, None)
    axes.set_xlabel("theoretical receptive field, px along an edge")
    axes.set_ylabel("effective size, px")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    placing.place_labels(figure, axes, points, path=np.stack([ends, even * ends], axis=1))


def _baseline_sentence(results: Results) -> str:
    """How much of what the baseline could look at it uses."""
    height, width, edge = theoretical(results, results.baseline)
    effective, even, luo = (
        results.mean(results.baseline, f"effective_field{suffix}") for suffix in ("", "_even", "_luo")
    )
    if math.isnan(edge) or math.isnan(effective.mean):
        return "The baseline has no receptive field to measure."
    return (
        f"A unit at the centre of the last map of {wording.label(results, results.baseline)} can see "
        f"{numbers.size(height, width)} pixels. {_share(results)} of its gradient lies in as many pixels as a square "
        f"with an edge of {wording.decimal(effective, 1)} has; for an even field, the edge would be "
        f"{wording.decimal(even, 1)}. By the measure of Luo et al., the edge is {wording.decimal(luo, 1)}."
    )


def _growth_sentence(results: Results) -> str:
    """Whether nets that can see further do: from the smallest to the largest theoretical field."""
    edges = {variant: theoretical(results, variant)[2] for variant in nets_with_fields(results)}
    if len(set(edges.values())) < 2:
        return "All nets could see equally far, so that there is no growth to show."
    least, most = min(edges, key=edges.__getitem__), max(edges, key=edges.__getitem__)
    small, large = (results.mean(variant, "effective_field").mean for variant in (least, most))
    grown = f"{large / small:.1f} times as wide" if small else f"{large:.1f} pixels wide"
    return (
        f"From {wording.italic_label(results, least)} to {wording.italic_label(results, most)} the theoretical field "
        f"becomes {edges[most] / edges[least]:.1f} times as wide, and the effective field {grown}."
    )


def _share(results: Results) -> str:
    return numbers.percent_sign(results.settings.probe.field_share, 0)


def _is_signal(results: Results) -> bool:
    return pictures.is_signal(results.constants["shape"][1:])

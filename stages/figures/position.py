"""The last feature map: what it tells of position, and how far it is from following a shift of the image."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stages.figures import calibration, selection, wording
from stages.figures.results import Results
from stages.shared.drawing import numbers, rows, style
from stages.shared.drawing.tables import cell, csv, escape, pipe_tables
from stages.shared.metrics import METRICS

MARGINS = 0.8  # inches of the figure that its rows do not take
NETS_TO_RANK = 4  # fewest nets between which a rank correlation says anything
# Column of runs.csv → title of its panel, and its unit.
PANELS = {
    "position_r2_shuffled": ("position by a linear\nread-out, R²", 1),
    "position_share": ("variance due to\nposition, %", 100),
    "equivariance_error_pixel": ("equivariance error\nfor one pixel, %", 100),
}
# References of that error: column → marker.
REFERENCES = {"equivariance_error_untrained": "|", "equivariance_error_unrelated": "x"}
# Columns of runs.csv that probes.csv summarises.
PROBES = ["ece", "ece_by_sampling", "nll", "effective_field", "effective_field_even", "effective_field_luo"]
PROBES += [f"equivariance_error_{of}" for of in ("first", "last", "pixel", "still", "unrelated", "untrained")]
PROBES += ["map_channels", "position_channels", "position_channels_shuffled"]
PROBES += ["position_r2", "position_r2_shuffled", "position_share"]


def figures(results: Results) -> Iterator[tuple[str, Figure | str]]:
    yield "leaks", leaks(results)


def texts(results: Results) -> dict[str, str]:
    tables = f"{table(results)}\n{calibration.table(results)}"
    texts = {"tables/probes.md": tables, "tables/probes.csv": csv(_rows_of_csv(results))}
    return texts | {"tables/own_nets.md": own_nets(results)}


def facts(results: Results) -> dict[str, str]:
    test_images = sum(results.constants["class_counts"]["test"])
    return {
        "probed_images": f"{min(results.settings.probe.images, test_images):,}",
        "equivariance_sentence": _equivariance(results),
        "active_share": numbers.percent_sign(results.settings.probe.active_share, 0),
        "equivariance_pixel_sentence": _one_pixel(results),
        "position_sentence": _position(results),
        "position_channels_sentence": _left_out(results),
        "position_agreement_sentence": _agreement(results),
    }


def own_nets(results: Results) -> str:
    """Which probes have no meaning for the users' own nets, and why; empty where all have one."""
    own = [variant for variant in results.variants.index if results.connectivity(variant) == "module"]
    rows = results.unmeasured[results.unmeasured["variant"].isin(own)]
    names = {metric.column: metric.name for metric in METRICS.values()}
    sentences = []
    for (variant, reason), group in rows.groupby(["variant", "reason"], sort=False):
        measures = "; ".join(escape(names.get(column, column)) for column in group["column"])
        label = wording.italic_label(results, str(variant))
        sentences.append(f"These probes have no value for {label} ({escape(reason)}): {measures}.")
    return " ".join(sentences)


def leaks(results: Results) -> Figure | str:
    """A row for each net with a map, ordered by the first panel."""
    ranked = results.means(results.nets, next(iter(PANELS)))
    if not ranked:
        return "No variant has a feature map with more than one position."
    order = sorted(ranked, key=lambda variant: -ranked[variant].mean)
    figure, panels = rows.figure(len(order), len(PANELS), rest=MARGINS)
    for axes, (column, (title, unit)) in zip(panels, PANELS.items(), strict=True):
        drawn = [_row(results, variant, column, unit) for variant in order]
        rows.draw(axes, drawn, MARGINS, labelled=axes is panels[0])
        axes.axvline(0, color=style.GREY, linewidth=0.7, zorder=1)
        for reference, marker in REFERENCES.items() if column == "equivariance_error_pixel" else ():
            places = [unit * results.mean(variant, reference).mean for variant in order]
            axes.scatter(places, range(len(order)), marker=marker, s=18, color=style.GREY, linewidths=0.9, zorder=2)
        axes.set_xlabel(title)
    return figure


def table(results: Results) -> str:
    """What the last feature map of every net is like, on original and on permuted pixels."""
    variants = selection.nets_on_any_layout(results)
    columns = {
        "Variant": [cell(results.names.label(variant)) for variant in variants],
        "Pixel, %": [wording.percent_sd(results, variant, "equivariance_error_pixel", 1) for variant in variants],
        "Before, %": [wording.percent_sd(results, variant, "equivariance_error_untrained", 1) for variant in variants],
        "R²": [wording.decimal_sd(results, variant, "position_r2_shuffled", 2) for variant in variants],
        "Channels": [_channels(results, variant) for variant in variants],
    }
    caption = (
        f"The last feature map: equivariance error for a shift by one pixel, after training and before, read-out of "
        f"position, and how many of the map's channels are active often enough for it. "
        f"{wording.means_and_dashes(results)}"
    )
    return pipe_tables(pd.DataFrame(columns), "tbl-probes", caption)


def _channels(results: Results, variant: str) -> str:
    """Return "30.5 of 32": the mean over seeds of those that the read-out of position uses; or a dash."""
    used, of_map = (results.mean(variant, column).mean for column in ("position_channels_shuffled", "map_channels"))
    return numbers.DASH if math.isnan(used) else f"{used:.1f} of {of_map:.0f}"


def _row(results: Results, variant: str, column: str, unit: float) -> rows.Row:
    values = [value for value in results.per_seed(variant, column).values() if not math.isnan(value)]
    label, colour = results.names.label(variant), results.names.colour(variant)
    return rows.row_of(label, values, results.mean(variant, column), colour, unit)


def _equivariance(results: Results) -> str:
    """The baseline against the locally connected net."""
    local = selection.one_of_kind(results, "locally_connected")
    errors = results.means([results.baseline, *filter(None, [local])], "equivariance_error_last")
    if results.baseline not in errors:
        return "The baseline has no feature map that could follow a shift."
    sentence = (
        f"Away from the border, the last map of {wording.label(results, results.baseline)} differs from the "
        f"shifted map by {wording.percent(errors[results.baseline])} of its size"
    )
    if local not in errors or local == results.baseline:
        return f"{sentence}."
    return f"{sentence}, that of {wording.italic_label(results, local)} by {wording.percent(errors[local])}."


def _one_pixel(results: Results) -> str:
    """The baseline's error for one pixel beside its references, and the nets with the largest and the least."""
    names = ("pixel", "still", "untrained", "unrelated")
    of_baseline = {name: results.mean(results.baseline, f"equivariance_error_{name}") for name in names}
    if math.isnan(of_baseline["pixel"].mean):
        return "The baseline has no feature map that could follow a shift by one pixel."
    pixel, still, untrained, unrelated = (wording.percent(estimate) for estimate in of_baseline.values())
    sentence = (
        f"A shift by one pixel changes the last map of {wording.label(results, results.baseline)} by {still} of its "
        f"size. From the interpolated map it differs by {pixel}, before training by {untrained}; the maps of two "
        f"images differ by {unrelated}."
    )
    errors = results.means(results.nets, "equivariance_error_pixel")
    if len(errors) < 2:
        return sentence
    ends = [choose(errors, key=lambda variant: errors[variant].mean) for choose in (max, min)]
    most, least = (f"{wording.italic_label(results, end)} ({wording.percent(errors[end])})" for end in ends)
    nets = f"the {len(errors)} nets with a feature map {wording.NETS}"
    return f"{sentence} Among {nets}, the error is largest for {most} and smallest for {least}."


def _position(results: Results) -> str:
    """The nets from whose last map position can be read best and worst."""
    read_out = results.means(results.nets, "position_r2_shuffled")
    if len(read_out) < 2:
        return "There are no two nets with a feature map to compare."
    ends = [choose(read_out, key=lambda variant: read_out[variant].mean) for choose in (max, min)]
    most, least = (f"{wording.italic_label(results, end)} (R² {wording.decimal(read_out[end])})" for end in ends)
    return (
        f"On images without any position of their own, a linear read-out explains position best for {most} "
        f"and least for {least}."
    )


def _left_out(results: Results) -> str:
    """The net of whose channels the read-out leaves out the most, and how many it keeps."""
    used, of_map = (results.means(results.nets, column) for column in ("position_channels_shuffled", "map_channels"))
    left_out = {variant: of_map[variant].mean - used[variant].mean for variant in used}
    if not left_out:
        return "No net has channels to read position from."
    most = max(left_out, key=left_out.__getitem__)
    if left_out[most] == 0:
        return "No net has such a channel."
    net = wording.italic_label(results, most)
    return f"The net that loses most of its channels in this way is {net}, which keeps {_channels(results, most)}."


def _agreement(results: Results) -> str:
    """Whether the two probes of position rank the nets alike, and on which net they differ most."""
    probes = [results.means(results.nets, column) for column in ("position_r2_shuffled", "position_share")]
    nets = [net for net in probes[0] if net in probes[1]]
    values = [[probe[net].mean for net in nets] for probe in probes]
    if len(nets) < NETS_TO_RANK or any(len(set(means)) < 2 for means in values):
        return "There are too few nets to compare the two probes of position."
    ranks_of_means = [pd.Series(means).rank() for means in values]
    rank_correlation = ranks_of_means[0].corr(ranks_of_means[1])
    rho = wording.unsigned(numbers.plain(float(rank_correlation), 2))
    ranks = [np.argsort(np.argsort(means)) for means in values]
    apart = np.abs(ranks[0] - ranks[1])
    sentence = f"The two probes of position rank the {len(nets)} nets with a correlation of {rho} (Spearman's ρ)"
    if apart.max() == 0:
        return f"{sentence}."
    return f"{sentence}; they part most on {wording.italic_label(results, nets[int(apart.argmax())])}."


def _rows_of_csv(results: Results) -> pd.DataFrame:
    """Every probe of every variant: its mean, SD and interval."""
    lines = []
    for variant in results.variants.index:
        line: dict[str, object] = {"variant": variant, "label": results.names.label(variant)}
        for column in PROBES:
            estimate = results.mean(variant, column)
            line |= {f"{column}_{part}": getattr(estimate, part) for part in ("mean", "sd", "low", "high")}
        lines.append(line)
    return pd.DataFrame(lines)

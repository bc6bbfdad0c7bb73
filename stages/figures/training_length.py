"""Whether the training was long enough: what the same nets reach when they train longer, and which verdicts hold."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stages.figures import scoreboard, wording
from stages.figures.results import JUDGED, Results
from stages.shared.drawing import axis, numbers, rows, style
from stages.shared.drawing.tables import cell, csv, pipe_tables
from stages.shared.inference import intervals
from stages.shared.inference import verdict as verdicts
from stages.shared.inference.intervals import Estimate

STILL = 0.25  # of the smallest effect of interest: a net that gains less in its last epoch stands still
NAMED = 4  # variants up to which a sentence names them
GAIN_COLUMNS = ("val_gain", "val_gain_low", "val_gain_high")
HOLDS, OTHER_VERDICT, TURNS, SAME_SIGN = "same verdict", "other verdict", "sign turns", "same sign"
# Direction of a gain → what it says of its variants, given their names and whether they are several.
OF_A_GAIN: dict[str, Callable[[str, bool], str]] = {
    intervals.ABOVE: lambda who, several: (
        f"{who} {'are' if several else 'is'} then more accurate, so {'they' if several else 'it'} had not converged"
    ),
    intervals.BELOW: lambda who, several: (
        f"{who} {'are' if several else 'is'} then less accurate, so longer training overfits "
        f"{'them' if several else 'it'}"
    ),
    intervals.ALIKE: lambda who, several: f"no change is shown for {who}",
}


def figures(results: Results) -> Iterator[tuple[str, Figure | str]]:
    yield "lengths", figure(results)


def texts(results: Results) -> dict[str, str]:
    files = {
        "tables/convergence.md": convergence_table(results),
        "tables/convergence.csv": csv(convergence(results)),
        "tables/lengths.md": lengths_table(results),
    }
    both = both_lengths(results)
    return files if both.empty else files | {"tables/lengths.csv": csv(both)}


def facts(results: Results) -> dict[str, str]:
    return {
        "converged": convergence_sentence(results) + lost_sentence(results),
        "last_epoch": last_epoch_sentence(results),
        "lengths": lengths_sentence(results),
    }


def sections(results: Results) -> dict[str, bool]:
    return {"lengths": not both_lengths(results).empty}


def times(results: Results) -> str:
    """Return "4 times as long"; empty where no variant is trained longer."""
    longer = results.settings.chosen_protocol.longer
    return f"{longer.times} times as long" if longer else ""


def convergence_sentence(results: Results) -> str:
    """What longer training changes of the accuracy on validation images."""
    if results.longer.empty:
        return "No variant was trained again and longer, so it is not known whether the training was long enough."
    by_direction: dict[str, list[str]] = {}
    for variant in results.longer.index:
        by_direction.setdefault(results.direction(_gain(results, variant)), []).append(str(variant))
    count = len(results.longer)
    trained = f"This run trained {numbers.plural(count, 'variant')} again, {times(results)}"
    unknown = len(by_direction.get(intervals.NOT_STATED, []))
    if unknown == count:
        return f"{trained}, with too few seeds to say what that changes."
    parts = [OF_A_GAIN[key](*_who(results, by_direction[key])) for key in OF_A_GAIN if key in by_direction]
    if unknown:
        parts.append(f"for {unknown} there are too few seeds to say what that changes")
    return f"{trained}. On the validation images, {'; '.join(parts)} (@tbl-convergence)."


def lost_sentence(results: Results) -> str:
    """Which variants were trained longer without a run that finished; empty where there is none."""
    longer = results.settings.chosen_protocol.longer
    tried = [key for key in longer.variants if key in results.variants.index] if longer else []
    lost = [wording.italic_label(results, key) for key in tried if key not in results.longer.index]
    return f" No longer run of {wording.joined(lost)} finished." if lost else ""


def last_epoch_gains(results: Results) -> pd.Series:
    """Variant → by how much its mean validation accuracy rose from the last time but one that it was scored."""
    curves = results.curves[results.curves["variant"].isin(results.without_controls)]
    means = curves.groupby(["variant", "epoch"], sort=False)["val_accuracy"].mean().reset_index()
    gains = means.sort_values("epoch").groupby("variant", sort=False)["val_accuracy"].diff()
    last = means.assign(gain=gains).sort_values("epoch").groupby("variant", sort=False).tail(1)
    return last.set_index("variant")["gain"].dropna().sort_values(ascending=False)


def last_epoch_sentence(results: Results) -> str:
    """Which nets still gain in their last epoch."""
    gains = last_epoch_gains(results)
    if gains.empty:
        return "Each net was scored after its last epoch alone, which does not show whether it still gains."
    limit = STILL * results.settings.inference.smallest_effect
    moving = gains[gains > limit]
    much = f"{wording.unsigned(numbers.points(limit, 3))} points, a quarter of the smallest effect of interest"
    if moving.empty:
        return f"In its last epoch no net gains more than {much}, on the validation images."
    if len(moving) > NAMED:
        most = f"{wording.italic_label(results, str(moving.index[0]))} the most ({numbers.points(moving.iloc[0])})"
        return f"In their last epoch {len(moving)} of {len(gains)} nets gain more than {much}, {most}."
    named = [f"{wording.italic_label(results, str(key))} ({numbers.points(gain)})" for key, gain in moving.items()]
    gain, their = ("gains", "its") if len(moving) == 1 else ("gain", "their")
    others = ", and no other net," if len(gains) > len(moving) else ""
    return f"In {their} last epoch {wording.joined(named)}{others} {gain} more than {much}."


def lengths_sentence(results: Results) -> str:
    """How many verdicts are the same when all their nets train longer, and which are not."""
    table = both_lengths(results)
    if table.empty:
        return "No hypothesis was tested at a second length of training."
    where = f"with nets trained {times(results)}"
    stated = table[is_stated(table, "longer_")]
    if stated.empty:
        kept = int((table["holds"] != TURNS).sum())
        return f"{wording.capitalised(where)}, {_signs_kept(kept, len(table))} (@tbl-lengths)."
    return f"{verdicts_kept(results, stated, '', where, 'then')} (@tbl-lengths)."


def is_stated(table: pd.DataFrame, prefix: str) -> pd.Series:
    """For each hypothesis, whether a verdict is stated both here and elsewhere, where the columns have this prefix."""
    return (table[["verdict", f"{prefix}verdict"]] != verdicts.NOT_STATED).all(axis=1)


def verdicts_kept(results: Results, table: pd.DataFrame, which: str, where: str, there: str) -> str:
    """Say how many verdicts are the same elsewhere, and which are not, without a full stop.

    table: a row for each verdict, with the column `holds`. which, where: what follows the words "verdicts" and "are the
    same", or nothing. there: the other place, or time, in one word.
    """
    count, same = len(table), int((table["holds"] == HOLDS).sum())
    verdict, where = f"{'verdict' if count == 1 else 'verdicts'} {which}".rstrip(), f" {where}".rstrip()
    if same == count:
        return f"The one {verdict} is the same{where}" if count == 1 else f"All {count:,} {verdict} are the same{where}"
    parts = [f"Of {count:,} {verdict}, {same or 'none'} {'is' if same < 2 else 'are'} the same{where}"]
    if count == 1:
        parts = [f"The one {verdict} is not the same{where}"]
    for name, text in {OTHER_VERDICT: "the same sign but another verdict", TURNS: "the other sign"}.items():
        keys = [results.number(str(key)) for key in table.loc[table["holds"] == name, "hypothesis"]]
        if keys:
            parts.append(f"{wording.joined(keys)} {'has' if len(keys) == 1 else 'have'} {text} {there}")
    return "; ".join(parts)


def _signs_kept(kept: int, count: int) -> str:
    if count == 1:
        return f"the one difference {'keeps its' if kept else 'has the other'} sign"
    if kept == count:
        return f"all {count:,} differences keep their sign"
    return f"{kept or 'none'} of {count:,} differences {'keeps its' if kept < 2 else 'keep their'} sign"


def both_lengths(results: Results) -> pd.DataFrame:
    """One row for each hypothesis that was measured at both lengths: both differences, both verdicts, what holds."""
    measured = [key for key in results.declared if results.has_run(key) and _has_longer(results, key)]
    first = results.hypotheses.loc[measured, ["metric", "n_images", *JUDGED]]
    longer = results.longer_hypotheses.loc[measured, JUDGED].add_prefix("longer_")
    table = first.join(longer)
    table["holds"] = [holds(row, "longer_") for _, row in table.iterrows()]
    return table.rename_axis("hypothesis").reset_index()


def figure(results: Results) -> Figure | str:
    """For each hypothesis in percentage points, the difference at both lengths with its interval for new images too."""
    table = both_lengths(results)
    table = table[[wording.in_points(metric) for metric in table["metric"]]]
    if table.empty:
        return "No hypothesis was tested at a second length of training."
    size = style.WIDTH, min(0.9 + scoreboard.ROW * len(table), style.TALLEST)
    drawn, axes = style.plt.subplots(figsize=size)
    places = np.arange(len(table))
    looks: dict[str, dict[str, Any]] = {
        "": {"color": style.BLUE, "label": "the protocol's length"},
        "longer_": {"color": style.VERMILION, "label": times(results), "markerfacecolor": "white"},
    }
    for shift, (prefix, look) in zip((-0.16, 0.16), looks.items(), strict=True):
        mean, low, high = (100 * table[f"{prefix}{name}"] for name in ("difference", "total_low", "total_high"))
        look |= {"fmt": "o", "markersize": 4, "elinewidth": 1.2}
        axes.errorbar(mean, places + shift, xerr=[mean - low, high - mean], **look)
    axes.axvline(0, color=style.INK, linewidth=0.9, zorder=1)
    statements = [scoreboard.statement(results, key) for key in table["hypothesis"]]
    of_two_lines = 72 * (size[1] - 0.9) / len(table) / 2.5  # points
    axes.set_yticks(places, statements, fontsize=min(scoreboard.SIZE, of_two_lines))
    axes.set_ylim(len(table) - 0.4, -0.6)
    arrows = axis.cut(axes, [_reach(row) for _, row in table.iterrows()])
    for place, holds in enumerate(table["holds"]):
        axes.text(1.02, place, holds, transform=axes.get_yaxis_transform(), va="center", fontsize=style.FONT)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.set_xlabel(f"difference, percentage points{axis.ARROW if arrows else ''}", loc="right")
    drawn.legend(loc="outside upper center", ncols=2, fontsize=7)
    return drawn


def _reach(row: pd.Series) -> rows.Row:
    """What both marks of a row cover, in percentage points."""
    names = [f"{prefix}{name}" for prefix in ("", "longer_") for name in ("total_low", "total_high")]
    ends = [100 * row[name] for name in names]
    return rows.Row("", ends, 100 * row["difference"], min(ends), max(ends), style.GREY)


def convergence(results: Results) -> pd.DataFrame:
    """Every variant's accuracy on train and test images, and what longer training adds on the validation images."""
    variants = list(map(str, results.variants.index))
    columns = ("train_accuracy", "test_accuracy")
    means = {column: [results.mean(variant, column).mean for variant in variants] for column in columns}
    gains = results.longer.reindex(columns=list(GAIN_COLUMNS))
    return pd.DataFrame({"variant": variants, **means}).join(gains, on="variant")


def convergence_table(results: Results) -> str:
    table = convergence(results)
    gaps = table["train_accuracy"] - table["test_accuracy"]
    columns = {
        "Variant": [cell(results.names.label(variant)) for variant in table["variant"]],
        "Train, %": list(map(numbers.percent, table["train_accuracy"])),
        "Test, %": list(map(numbers.percent, table["test_accuracy"])),
        "Gap": list(map(numbers.points, gaps)),
        "Longer": [_gain_text(results, variant) for variant in table["variant"]],
    }
    longer = f"what being trained {times(results)} adds" if times(results) else "what longer training adds"
    caption = (
        f"Accuracy on train and test images, means over the seeds, the gap between them, and {longer} to the accuracy "
        f"on the validation images, in points with its {wording.confidence(results)} interval; a dash where it was not "
        f"tried, or where no longer run finished."
    )
    return pipe_tables(pd.DataFrame(columns), "tbl-convergence", caption)


def lengths_table(results: Results) -> str:
    table = both_lengths(results)
    if table.empty:
        return ""
    columns = side_by_side(results, table, {"": "Difference", "longer_": "Longer"})
    caption = (
        f"Every measured hypothesis with nets trained as the protocol says, and with the same nets trained "
        f"{times(results)}: the difference, in points where no unit is named, and the verdict."
    )
    return pipe_tables(columns, "tbl-lengths", caption)


def side_by_side(results: Results, table: pd.DataFrame, differences: dict[str, str]) -> pd.DataFrame:
    """Cells: each hypothesis, for each prefix of the columns its difference and verdict, and what holds.

    differences: prefix → the name of the column of differences.
    """
    columns = {
        "Hypothesis": [cell(f"{results.number(key)}: {results.declared[key].statement}") for key in table["hypothesis"]]
    }
    for prefix, name in differences.items():
        effects = [wording.effect(row["metric"], row[f"{prefix}difference"]) for _, row in table.iterrows()]
        columns[name] = [effect.replace(f"{numbers.NBSP}points", "") for effect in effects]
        stated = table[f"{prefix}verdict"]
        columns[f"Verdict{' ' if prefix else ''}"] = [
            wording.verdict_cell(metric, verdict) for metric, verdict in zip(table["metric"], stated, strict=True)
        ]
    return pd.DataFrame(columns | {"So it": list(table["holds"])})


def _has_longer(results: Results, key: str) -> bool:
    return key in results.longer_hypotheses.index and not pd.isna(results.longer_hypotheses.loc[key, "n_seeds"])


def holds(row: pd.Series, prefix: str) -> str:
    """Whether a verdict is the same elsewhere, where the columns have this prefix; without two verdicts, the sign."""
    both = row["verdict"], row[f"{prefix}verdict"]
    if both[0] == both[1] != verdicts.NOT_STATED:
        return HOLDS
    if row["difference"] * row[f"{prefix}difference"] < 0:
        return TURNS
    return SAME_SIGN if verdicts.NOT_STATED in both else OTHER_VERDICT


def _gain(results: Results, variant: str) -> Estimate:
    row = results.longer.loc[variant]
    mean, low, high = (float(row[name]) for name in GAIN_COLUMNS)
    return Estimate(int(row["n_seeds"]), mean, math.nan, low, high)


def _gain_text(results: Results, variant: str) -> str:
    if variant not in results.longer.index:
        return numbers.DASH
    gain = _gain(results, variant)
    return numbers.points_interval(gain.mean, gain.low, gain.high)


def _who(results: Results, variants: list[str]) -> tuple[str, bool]:
    """Return "*A* and *B*", "7 of them" or "all 7", and whether they are several."""
    count = len(variants)
    if count > NAMED:
        return f"all {count}" if count == len(results.longer) else f"{count} of them", True
    return wording.joined([wording.italic_label(results, variant) for variant in variants]), count > 1

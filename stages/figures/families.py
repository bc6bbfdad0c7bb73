"""The report's section on each family: what was expected, what each level does, a figure and a table."""

import math
from collections.abc import Hashable, Iterator
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stages.figures import accuracy, costs, family_pictures, hypotheses, wording
from stages.figures.results import Results
from stages.shared.drawing import numbers, rows, style
from stages.shared.drawing.tables import cell, csv, escape, pipe_tables
from stages.shared.inference import verdict as verdicts

EXPLORED = "The list has every level, also those that no hypothesis was declared about."
LEVEL = 24  # characters of a level's name in a line of the table
MARGINS = 0.72  # inches of a figure that its rows do not take
TICKS = 5  # intervals between the ticks of a panel: as many as have room for numbers of six characters
MEASURES = [f"{name}_{part}" for name in ("accuracy", "shift_consistency") for part in ("mean", "sd", "low", "high")]


def figures(results: Results) -> Iterator[tuple[str, Figure | str]]:
    for family in results.families:
        yield f"family-{family}", levels_figure(results, family)
        picture = family_pictures.figure(results, family)
        if picture is not None:
            yield f"picture-{family}", picture


def texts(results: Results) -> dict[str, str]:
    files = {"families.md": chapter(results), "families-numbers.md": numbers_chapter(results)}
    for family in results.families:
        files[f"tables/family-{family}.md"] = tables(results, family)
        files[f"tables/family-{family}.csv"] = csv(_rows_of_csv(results, family), costs.INTEGERS)
    return files


def facts(results: Results) -> dict[str, str]:
    count = len(results.families)
    return {"families": f"{count} {'family' if count == 1 else 'families'}"}


def chapter(results: Results) -> str:
    """A section for each family; a sentence where no family has two levels."""
    if not results.families:
        return "No family of variants has two levels in this run, so there is nothing to compare.\n"
    return "\n".join(_section(results, family) for family in results.families)


def numbers_chapter(results: Results) -> str:
    """For each family what the report's appendix has: a sentence on each level, and the tables."""
    if not results.families:
        return "No family of variants has two levels in this run.\n"
    return "\n".join(_numbers_section(results, family) for family in results.families)


def levels_figure(results: Results, family: str) -> Figure:
    """Accuracy of each level and, where shifts were probed, its shift consistency beside it."""
    levels = results.names.levels(family)
    columns = {"test_accuracy": "test accuracy, %"}
    if results.shifts_were_probed:
        columns["shift_consistency"] = "shift consistency, %"
    figure, panels = rows.figure(len(levels), len(columns), rest=MARGINS)
    for axes, (column, title) in zip(panels, columns.items(), strict=True):
        drawn = [accuracy.row(results, variant, level, column) for variant, level in levels.items()]
        rows.draw(axes, drawn, rest=MARGINS, labelled=axes is panels[0])
        axes.set_xlabel(title)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=TICKS))
        reference = results.mean(results.settings.families[family].reference, column).mean
        if not math.isnan(reference):
            axes.axvline(100 * reference, color=style.GREY, linewidth=0.7, linestyle=style.DASHED, zorder=1)
    return figure


def tables(results: Results, family: str) -> str:
    """What each level reaches, and what it costs."""
    description, levels = results.settings.families[family], results.names.levels(family)
    names, id_part, title = list(map(cell, levels.values())), wording.id_part(family), escape(description.title)
    by_variant = _effects(results, family).to_dict("index")
    effects = [by_variant.get(variant) for variant in levels]  # None for the reference
    reached = {
        "Level": names,
        "n": [str(results.mean(variant).n) for variant in levels],
        "Accuracy, %": [accuracy.mean_sd(results, variant) for variant in levels],
        "Difference": [_difference(results, variant, description.reference) for variant in levels],
        "New images": [numbers.half_width(row["total_low"], row["total_high"]) if row else "" for row in effects],
        "Verdict": [_verdict(row) if row else "" for row in effects],
    }
    caption = (
        f"{title}: test accuracy (mean ± SD); its difference from the reference in points, paired by seed, ± half its "
        f"{wording.confidence(results)} interval over seeds; half the interval for new images too; and the verdict, "
        f"if there are enough seeds."
    )
    cost = pd.DataFrame({"Level": names} | costs.columns(results, list(levels)))
    cost_caption = f"{title}: {costs.columns_title(results).lower()}; {costs.EXPLANATION}"
    return (
        f"{pipe_tables(pd.DataFrame(reached), f'tbl-family-{id_part}', caption, first=LEVEL)}\n"
        f"{pipe_tables(cost, f'tbl-cost-{id_part}', cost_caption)}"
    )


def _section(results: Results, family: str) -> str:
    """What the family asks, what was expected and what came out, and the figure of its levels."""
    description, id_part = results.settings.families[family], wording.id_part(family)
    declared = [
        f"- {hypotheses.short_sentence(results, key)}"
        for key, hypothesis in results.declared.items()
        if hypothesis.family == family and results.hypotheses.loc[key, "outcome"] != verdicts.NOT_RUN
    ]
    see = f"@tbl-family-{id_part} and @tbl-cost-{id_part} have the numbers."
    picture = _picture(results, family)
    drawn = f" @fig-picture-{id_part} draws the choice." if picture else ""
    figure = f'figures/family-{family}.svg){{#fig-family-{id_part} fig-alt="{_alternative_text(results, family)}"}}'
    parts = [
        f"### {escape(description.title)} {{#sec-family-{id_part}}}",
        f"*{description.question.strip()}* Held constant: {wording.lowered(description.held.strip())}{drawn}",
        picture,
        "\n".join(declared),
        f"{costs.what_else_differs(results, family)} {see}",
        f"![{_caption(results, family)}]({figure}",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _numbers_section(results: Results, family: str) -> str:
    description, levels = results.settings.families[family], results.names.levels(family)
    reached = wording.mean(results, description.reference)
    reference = f"The reference is **{escape(levels[description.reference])}**, at {reached} test accuracy."
    is_declared = any(hypothesis.family == family for hypothesis in results.declared.values())
    notes = (reference, EXPLORED if is_declared else "", wording.why_no_direction(results))
    variants = [variant for variant in levels if variant != description.reference]
    parts = [
        f"#### {escape(description.title)} {{#sec-numbers-{wording.id_part(family)}}}",
        " ".join(filter(None, notes)),
        "\n".join(f"- {_level_sentence(results, family, variant)}" for variant in variants),
        tables(results, family).rstrip(),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _picture(results: Results, family: str) -> str:
    """What the family varies, drawn; empty where nothing can be drawn."""
    caption = family_pictures.caption(results, family)
    if not caption:
        return ""
    title = escape(results.settings.families[family].title)
    attributes = f'#fig-picture-{wording.id_part(family)} fig-alt="{family_pictures.alternative_text(results, family)}"'
    return f"![{title}: {wording.lowered(caption)}](figures/picture-{family}.svg){{{attributes}}}"


def _level_sentence(results: Results, family: str, variant: str) -> str:
    """What one level does to accuracy and, where it was probed, to shift consistency."""
    levels, reference = results.names.levels(family), results.settings.families[family].reference
    subject, reference_level = f"**{escape(levels[variant])}**", escape(levels[reference])
    difference = results.mean_difference(variant, reference)
    if difference.n == 0:
        return f"No seed finished both in {subject} and in {reference_level}."
    sentence = wording.compared(results, subject, reference_level, difference)
    effect = _effects(results, family).loc[variant]
    if not math.isnan(effect["total_low"]):
        sentence += f", with new images {numbers.interval(effect['total_low'], effect['total_high'])}"
    if effect["verdict"] != verdicts.NOT_STATED:
        sentence += f"; {effect['verdict']}"
    if results.shifts_were_probed:
        shift = results.mean_difference(variant, reference, "shift_consistency")
        sentence += f". {wording.compared(results, 'It', reference_level, shift, 'in shift consistency')}"
    return f"{sentence}."


def _caption(results: Results, family: str) -> str:
    description, levels = results.settings.families[family], results.names.levels(family)
    measures = "test accuracy and shift consistency" if results.shifts_were_probed else "test accuracy"
    dots = f"Small dots are seeds, large dots their mean; bars are {wording.confidence(results)} intervals"
    if len(results.settings.chosen_protocol.seeds) == 1:
        dots = "Each dot is the one seed"
    line = f"the dashed line is {escape(levels[description.reference])}"
    return f"{escape(description.title)}: {measures} of each level. {dots}; {line}."


def _alternative_text(results: Results, family: str) -> str:
    """What the figure shows, with its highest and lowest level, for readers who do not see it."""
    description, levels = results.settings.families[family], results.names.levels(family)
    means = {variant: results.mean(variant).mean for variant in levels}
    ends = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
    high, low = (f"{levels[end]} with {numbers.percent(means[end])} percent" for end in ends)
    text = f"Dot plot of test accuracy for the {len(levels)} levels of {description.title}; "
    if means[ends[0]] == means[ends[1]]:
        text += f"all have {numbers.percent(means[ends[0]])} percent."
    else:
        text += f"highest: {high}, lowest: {low}."
    return " ".join(text.replace("\\", "").replace('"', "”").split())


def _effects(results: Results, family: str) -> pd.DataFrame:
    """The rows of effects.csv about a family, by variant; the reference has none."""
    return results.effects[results.effects["family"] == family].set_index("variant")


def _difference(results: Results, variant: str, reference: str) -> str:
    if variant == reference:
        return "reference"
    difference = results.mean_difference(variant, reference)
    return numbers.points_half_width(difference.mean, difference.low, difference.high)


def _verdict(effect: dict[Hashable, Any]) -> str:
    return numbers.DASH if effect["verdict"] == verdicts.NOT_STATED else str(effect["verdict"])


def _rows_of_csv(results: Results, family: str) -> pd.DataFrame:
    """A row for each level: measures and costs from variants.csv, then the effect from effects.csv, if it has one."""
    levels: list[dict[str, Any]] = [
        {"variant": variant, "level": level} for variant, level in results.names.levels(family).items()
    ]
    measures = results.variants[["n_seeds", *MEASURES, *costs.INTEGERS]].reset_index()
    effects = _effects(results, family).drop(columns=["family", "level", "mean", "sd", "n_seeds"]).reset_index()
    return pd.DataFrame(levels).merge(measures, on="variant").merge(effects, on="variant", how="left")

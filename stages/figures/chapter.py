"""The generated chapter of the report: a section for each family that has something to compare."""

import math

from stages.figures import hypotheses, matched, sentences, tables
from stages.figures.results import Results
from stages.shared.drawing import numbers
from stages.shared.drawing.tables import escape
from stages.shared.inference import verdict as verdicts

EXPLORED = "The list has every level, also those that no hypothesis was declared about."


def families(results: Results) -> str:
    """Markdown; a line of prose where no family has two levels."""
    if not results.families:
        return "No family of variants has two levels in this run, so there is nothing to compare.\n"
    return "\n".join(_section(results, key) for key in results.families)


def _section(results: Results, key: str) -> str:
    family, slug = results.settings.families[key], sentences.slug(key)
    levels = results.names.levels(key)
    lines = [f"- {_level(results, key, variant)}" for variant in levels if variant != family.reference]
    reference = f"The reference is **{escape(levels[family.reference])}**, at {sentences.mean(results, family.reference)} test accuracy."
    declared = [f"- {hypotheses.sentence(results, claim)}" for claim in hypotheses.of_family(results, key)]
    parts = [
        f"### {escape(family.title)} {{#sec-family-{slug}}}",
        f"*{family.question.strip()}* Held constant: {_lowered(family.held.strip())}",
        "\n".join(declared),
        matched.sentence(results, key),
        " ".join(part for part in (reference, EXPLORED if declared else "", sentences.no_direction(results)) if part),
        "\n".join(lines),
        f"See @fig-family-{slug}, @tbl-family-{slug} and @tbl-cost-{slug}.",
        f'![{_caption(results, key)}](figures/family-{key}.svg){{#fig-family-{slug} fig-alt="{_alt(results, key)}"}}',
        tables.family_tables(results, key).rstrip(),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _level(results: Results, key: str, variant: str) -> str:
    """What one level does to accuracy and, where it was probed, to shift consistency."""
    family, levels = results.settings.families[key], results.names.levels(key)
    subject, reference = f"**{escape(levels[variant])}**", escape(levels[family.reference])
    made = results.estimate(results.differences(variant, family.reference))
    sentence = sentences.standing(results, subject, reference, made)
    row = results.effects[(results.effects["family"] == key) & (results.effects["variant"] == variant)].iloc[0]
    if not math.isnan(row["total_low"]):
        sentence += f", with new images {numbers.interval(row['total_low'], row['total_high'])}"
    if row["verdict"] != verdicts.NOT_STATED:
        sentence += f"; {row['verdict']}"
    if results.shifts_were_probed:
        shift = results.estimate(results.differences(variant, family.reference, "shift_consistency"))
        sentence += f". {sentences.standing(results, 'It', reference, shift, 'in shift consistency')}"
    return f"{sentence}."


def _caption(results: Results, key: str) -> str:
    family, levels = results.settings.families[key], results.names.levels(key)
    measures = "Test accuracy and shift consistency" if results.shifts_were_probed else "Test accuracy"
    dots = f"Small dots are seeds, large dots their mean; bars are {sentences.confidence(results)} intervals"
    if len(results.settings.chosen_protocol.seeds) == 1:
        dots = "Each dot is the one seed"
    return f"{escape(family.title)}: {_lowered(measures)} of each level. {dots}; the dashed line is {escape(levels[family.reference])}."


def _alt(results: Results, key: str) -> str:
    """What is shown, and its highest and lowest level, for those who do not see the figure."""
    family, levels = results.settings.families[key], results.names.levels(key)
    means = {variant: results.mean(variant).mean for variant in levels}
    high, low = max(means, key=lambda variant: means[variant]), min(means, key=lambda variant: means[variant])
    shown = f"Dot plot of test accuracy for the {len(levels)} levels of {family.title}"
    if means[high] == means[low]:
        text = f"{shown}; all have {numbers.percent(means[high])} percent."
    else:
        text = f"{shown}; highest: {levels[high]} with {numbers.percent(means[high])} percent, lowest: {levels[low]} with {numbers.percent(means[low])} percent."
    return " ".join(text.replace("\\", "").replace('"', "”").split())


def _lowered(text: str) -> str:
    """The sentence's first letter made small, unless the first word is an abbreviation."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]

"""Published numbers beside ours: each effect as a claim with its verdict, and the accuracies and sizes of the nets."""

from itertools import pairwise

import pandas as pd

from stages.figures import hypotheses, wording
from stages.figures.results import Results
from stages.shared.drawing import numbers
from stages.shared.drawing.tables import cell, csv, pipe_tables
from stages.shared.inference import replication
from stages.shared.params import Published

EFFECT, ACCURACY = "effect", "accuracy"  # kinds of published.csv
# Verdict → what it says of a published accuracy, which has no sign.
OF_ACCURACIES = {replication.SMALLER: "lower", replication.LARGER: "higher"}
# Verdict → what it says of a published effect, with the place of the verdict's own word.
OF_EFFECTS = {
    replication.OPPOSITE: "So the effect here is {} to the published one",
    replication.REPRODUCED: "So the published effect is {}",
    replication.SMALLER: "So the effect here is {} than the published one",
    replication.LARGER: "So the effect here is {} than the published one",
    replication.UNDECIDED: "Whether it is reproduced is {}",
}
NO_SOURCE = ""


def texts(results: Results) -> dict[str, str]:
    files = {"replication.md": section(results)}
    if not results.published.empty:
        files["tables/published.csv"] = csv(results.published, ["seeds", "other_images", "n_seeds"])
    return files


def section(results: Results) -> str:
    """The report's section; where no published number can be set beside ours, how to run its variants."""
    if results.published.empty:
        return _how_to_run(results)
    parts = [_of_source(results, source) for source in results.published["source"].fillna(NO_SOURCE).unique()]
    return "\n\n".join([*parts, tables(results)])


def tables(results: Results) -> str:
    """Effects, accuracies and numbers of parameters, published and here."""
    parts = [_effects_table(results), _accuracy_table(results), _parameters_table(results)]
    return "\n".join(filter(None, parts))


def sentence(results: Results, key: str) -> str:
    """Return a hypothesis's sentence, with what was published of it and whether that holds."""
    row = _rows(results, EFFECT).loc[key]
    published, mean = (_effect(results, key, row[name]) for name in ("value", "mean"))
    exact = "of an unknown number of seeds, taken as exact"
    known = f"of {numbers.plural(int(row['seeds']), 'seed')}" if pd.notna(row["seeds"]) else exact
    beside = f"Published: {published} ({known}); here: {mean}"
    if row["verdict"] == replication.NOT_STATED:
        verdict = f"No verdict: {_too_few(results, int(row['n_seeds']))}"
    else:
        verdict = OF_EFFECTS[row["verdict"]].format(f"**{row['verdict']}**") + _why(results, key, row)
    return f"{hypotheses.sentence(results, key)} {beside}. {verdict}. {_seeds_alone(row)}."


def _seeds_alone(row: pd.Series) -> str:
    """How often one seed would have shown the published sign; a published zero has none, and takes that of our mean."""
    n_seeds, agreeing = int(row["n_seeds"]), round(row["agreeing_seeds"] * row["n_seeds"])
    sign = "the published sign" if row["value"] else "the sign of our mean"
    if n_seeds == 1:
        return f"The one seed has {sign if agreeing else f'not {sign}'}"
    return f"One seed alone would have {sign} in {agreeing} of {n_seeds} cases"


def _why(results: Results, key: str, row: pd.Series) -> str:
    """What was compared with what, for the verdict on an effect."""
    if row["verdict"] == replication.OPPOSITE:
        return f": ours is {_effect(results, key, row['mean'])} {_interval(results, key, row['low'], row['high'])}"
    deviation = _interval(results, key, row["deviation_low"], row["deviation_high"])
    margin = wording.unsigned(_effect(results, key, row["margin"]))
    return f": ours minus the published one lies in {deviation}, against a margin of {margin}"


def _of_source(results: Results, source: str) -> str:
    """What one source has published: its ranking, and a sentence for each of its effects."""
    there = {variant: stated for variant, stated in _published(results).items() if stated.source == source}
    keys = [key for key in _rows(results, EFFECT).index if results.declared[key].source == source]
    whose = f"@{source}" if source else "A published lab"
    named = _tables_named(results)
    sets = "sets" if len(named) == 1 else "set"
    start = f"{whose}: {wording.joined(named)} {sets} what was published beside what was measured here."
    claims = "\n".join(f"- {sentence(results, str(key))}" for key in keys)
    return "\n\n".join(filter(None, [f"{start} {_ranking(results, there)}".strip(), claims]))


def _tables_named(results: Results) -> list[str]:
    named = {"tbl-claims": _effects_table(results), "tbl-published": _accuracy_table(results)}
    named["tbl-published-parameters"] = _parameters_table(results)
    return [f"@{identifier}" for identifier, table in named.items() if table]


def _effects_table(results: Results) -> str:
    rows = _rows(results, EFFECT)
    if rows.empty:
        return ""
    keys = [str(key) for key in rows.index]
    columns = {
        "": [results.number(key) for key in keys],
        "Published": [_number(results, key, rows.loc[key, "value"]) for key in keys],
        "Seeds there": [numbers.DASH if pd.isna(n) else str(int(n)) for n in rows["seeds"]],
        "Here": [
            f"{_number(results, key, row['mean'])} {_interval(results, key, row['low'], row['high'])}"
            for key, (_, row) in zip(keys, rows.iterrows(), strict=True)
        ],
        "Margin": [wording.unsigned(_number(results, key, rows.loc[key, "margin"])) for key in keys],
        "One seed": [_of(row["agreeing_seeds"], row["n_seeds"]) for _, row in rows.iterrows()],
        "Verdict": [_stated(str(name)) for name in rows["verdict"]],
    }
    caption = (
        f"Published effects, in percentage points (but for R² and relative errors), beside ours with the "
        f"{wording.confidence(results)} interval for new seeds and new images; the margin within which ours reproduces "
        f"one; how many of our seeds each alone have the published sign; and the verdict (@sec-published)."
    )
    return pipe_tables(pd.DataFrame(columns), "tbl-claims", caption)


def _accuracy_table(results: Results) -> str:
    rows = _rows(results, ACCURACY)
    if rows.empty:
        return ""
    there = _published(results)
    columns = {
        "Variant": [cell(results.names.label(variant)) for variant in there],
        "Published, %": [numbers.percent(stated.accuracy) for stated in there.values()],
        "Here, %": [
            f"{numbers.percent(row['mean'])} {numbers.interval(row['low'], row['high'])}" for _, row in rows.iterrows()
        ],
        "Margin": [numbers.percent(stated.margin) for stated in there.values()],
        "Verdict": [_stated(OF_ACCURACIES.get(str(name), str(name))) for name in rows["verdict"]],
    }
    if any(stated.summary for stated in there.values()):
        columns["Summary there"] = [cell(stated.summary or numbers.DASH) for stated in there.values()]
    caption = (
        f"Published test accuracies beside our means with their {wording.confidence(results)} interval for new seeds "
        f"and new images, and the verdict on each (@sec-published)."
    )
    return pipe_tables(pd.DataFrame(columns), "tbl-published", caption)


def _parameters_table(results: Results) -> str:
    counted = {key: stated.parameters for key, stated in _published(results).items() if stated.parameters is not None}
    if not counted:
        return ""
    columns = {
        "Variant": [cell(results.names.label(variant)) for variant in counted],
        "Parameters published": [numbers.count(count) for count in counted.values()],
        "Counted here": [numbers.count(results.variants.loc[variant, "parameters"]) for variant in counted],
    }
    caption = "The parameters of the same networks, as published and as counted in closed form."
    return pipe_tables(pd.DataFrame(columns), "tbl-published-parameters", caption)


def _published(results: Results) -> dict[str, Published]:
    """The published numbers of the variants that finished and have such numbers."""
    stated = {
        str(variant): results.settings.variants[str(variant)].published for variant in _rows(results, ACCURACY).index
    }
    return {variant: published for variant, published in stated.items() if published is not None}


def _rows(results: Results, kind: str) -> pd.DataFrame:
    """The rows of published.csv of one kind, by variant or by hypothesis."""
    return results.published[results.published["kind"] == kind].set_index("key")


def _effect(results: Results, key: str, value: float) -> str:
    return wording.effect(results.declared[key].metric, value)


def _number(results: Results, key: str, value: float) -> str:
    return _effect(results, key, value).replace(f"{numbers.NBSP}points", "")


def _interval(results: Results, key: str, low: float, high: float) -> str:
    return wording.interval(results.declared[key].metric, low, high)


def _stated(verdict: str) -> str:
    return numbers.DASH if verdict == replication.NOT_STATED else verdict


def _of(fraction: float, whole: int) -> str:
    return f"{round(fraction * whole)} of {int(whole)}"


def _too_few(results: Results, n_seeds: int) -> str:
    return f"{n_seeds} of the {results.settings.inference.verdict_seeds} seeds that a verdict needs"


def _ranking(results: Results, there: dict[str, Published]) -> str:
    """Whether the ranking by accuracy is the published one; empty where there is no ranking."""
    if len(there) < 2:
        return ""
    ranked = sorted(there, key=lambda variant: -results.mean(variant).mean)
    listed = wording.joined([wording.italic_label(results, variant) for variant in ranked])
    published = [there[variant].accuracy for variant in ranked]
    falls = all(first >= then for first, then in pairwise(published))
    same = "the same order as published" if falls else "not the order that was published"
    return f"By mean accuracy, the highest first, the nets are {listed}: {same}."


def _how_to_run(results: Results) -> str:
    known = {variant for variant, settings in results.settings.variants.items() if settings.published is not None}
    protocols = [name for name, protocol in results.settings.protocols.items() if known & set(protocol.variants)]
    if not protocols:
        return "No variant of `params.yaml` has published numbers to compare with.\n"
    lines = " or ".join(f"`protocol: {name}`" for name in protocols)
    how = f"set {lines} in `params.yaml` and run `make repro`"
    return f"The published results were not replicated in this run: {how}.\n"

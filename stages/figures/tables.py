"""The report's tables: all variants, and the ablation table of each family; each also as CSV with all digits."""

from pathlib import Path
from typing import Any

import pandas as pd

from stages.figures import convergence, diverged, hypotheses, replication, sentences
from stages.figures.results import Results
from stages.shared.drawing import numbers
from stages.shared.drawing.tables import cell, escape, pipe_tables
from stages.shared.inference import verdict as verdicts

COSTS = ["parameters", "macs", "receptive_field_height", "receptive_field_width"]
COLUMNS = "MACs are multiply-accumulates for one image, the field is the receptive field in pixels."
LEVEL = 24  # characters of a level's name in a line
MEASURES = [f"{name}_{part}" for name in ("accuracy", "shift_consistency") for part in ("mean", "sd", "low", "high")]


def write(results: Results, folder: Path) -> None:
    folder.mkdir()
    everything = results.variants.reset_index()
    everything.insert(1, "label", [results.names.label(key) for key in everything["variant"]])
    _save(folder / "results", results_tables(results), everything)
    _save(folder / "hypotheses", hypotheses.tables(results), hypotheses.frame(results))
    _save(folder / "convergence", convergence.table(results), convergence.frame(results))
    (folder / "diverged.md").write_text(diverged.table(results), encoding="utf-8")
    if not results.diverged.empty:
        diverged.frame(results).to_csv(folder / "diverged.csv", index=False, lineterminator="\n")
    if replication.published(results):
        _save(folder / "published", replication.table(results), replication.frame(results))
    for key in results.families:
        _save(folder / f"family-{key}", family_tables(results, key), _family_frame(results, key))


def results_tables(results: Results) -> str:
    """Every variant, in the order of params.yaml: first accuracy, then shift consistency and cost."""
    keys = list(results.variants.index)
    labels = [cell(results.names.label(key)) for key in keys]
    seeds, interval = sentences.seeds(results), sentences.confidence(results)
    accuracy = pd.DataFrame(
        {
            "Variant": labels,
            "n": [str(results.mean(key).n) for key in keys],
            "Accuracy, %": [_mean_sd(results, key, "accuracy") for key in keys],
            "Difference, points": [_difference(results, key, results.settings.baseline) for key in keys],
        }
    )
    caption = f"Test accuracy of every variant over {seeds} (mean ± SD), and its difference from the baseline, paired by seed, with its {interval} interval."
    cost = pd.DataFrame({"Variant": labels, **_cost_columns(results, keys)})
    return (
        pipe_tables(accuracy, "tbl-results", caption)
        + "\n"
        + pipe_tables(cost, "tbl-results-cost", f"{_measured(results)} of every variant; {COLUMNS}")
    )


def family_tables(results: Results, key: str) -> str:
    """The ablation table of one family, in two: what each level reaches, and what it costs."""
    family, levels, slug = results.settings.families[key], results.names.levels(key), sentences.slug(key)
    names = [cell(level) for level in levels.values()]
    judged = {variant: _judged(results, key, variant) for variant in levels}
    accuracy = pd.DataFrame(
        {
            "Level": names,
            "n": [str(results.mean(variant).n) for variant in levels],
            "Accuracy, %": [_mean_sd(results, variant, "accuracy") for variant in levels],
            "Difference": [_half_width(results, variant, family.reference) for variant in levels],
            "New images": [total for total, _ in judged.values()],
            "Verdict": [said for _, said in judged.values()],
        }
    )
    cost = pd.DataFrame({"Level": names, **_cost_columns(results, list(levels))})
    title = escape(family.title)
    interval = sentences.confidence(results)
    caption = (
        f"{title}: test accuracy (mean ± SD); its difference from the reference in points, paired by seed, ± half its {interval} interval over seeds; "
        f"the same for new images too; and the verdict, where there are seeds enough for one."
    )
    return (
        pipe_tables(accuracy, f"tbl-family-{slug}", caption, first=LEVEL)
        + "\n"
        + pipe_tables(cost, f"tbl-cost-{slug}", f"{title}: {_measured(results).lower()}; {COLUMNS}")
    )


def _cost_columns(results: Results, keys: list[str]) -> dict[str, list[str]]:
    shift = {"Consistency, %": [numbers.percent(results.variants.loc[key, "shift_consistency_mean"]) for key in keys]}
    return (shift if results.shifts_were_probed else {}) | {
        "Parameters": [numbers.count(results.variants.loc[key, "parameters"]) for key in keys],
        "MACs": [numbers.short_count(results.variants.loc[key, "macs"]) for key in keys],
        "Field": [numbers.size(*results.variants.loc[key, COSTS[2:]].astype(float)) for key in keys],
    }


def _measured(results: Results) -> str:
    return "Shift consistency and cost" if results.shifts_were_probed else "Cost"


def _mean_sd(results: Results, key: str, measure: str) -> str:
    made = results.mean(key, measure)
    return numbers.mean_sd(made.mean, made.sd)


def _difference(results: Results, key: str, reference: str) -> str:
    if key == reference:
        return "reference"
    made = results.estimate(results.differences(key, reference))
    return numbers.points_interval(made.mean, made.low, made.high)


def _half_width(results: Results, key: str, reference: str) -> str:
    if key == reference:
        return "reference"
    made = results.estimate(results.differences(key, reference))
    return numbers.points_half_width(made.mean, made.low, made.high)


def _judged(results: Results, family: str, variant: str) -> tuple[str, str]:
    """Half the total interval, and the verdict, of an explored effect; the reference has neither."""
    found = results.effects[(results.effects["family"] == family) & (results.effects["variant"] == variant)]
    if found.empty:
        return "", ""
    row = found.iloc[0]
    said = numbers.DASH if row["verdict"] == verdicts.NOT_STATED else str(row["verdict"])
    return numbers.half_width(row["total_low"], row["total_high"]), said


def _family_frame(results: Results, key: str) -> pd.DataFrame:
    """One row a level: the effect of effects.csv and the measures and costs of variants.csv; the reference has no effect."""
    rows: list[dict[str, Any]] = [
        {"variant": variant, "level": level} for variant, level in results.names.levels(key).items()
    ]
    effects = results.effects[results.effects["family"] == key].drop(columns=["family", "level", "mean", "sd"])
    measures = results.variants[["n_seeds", *MEASURES, *COSTS]].reset_index()
    return (
        pd.DataFrame(rows)
        .merge(measures, on="variant")
        .merge(effects.drop(columns="n_seeds"), on="variant", how="left")
    )


def _save(stem: Path, text: str, frame: pd.DataFrame) -> None:
    stem.with_suffix(".md").write_text(text, encoding="utf-8")
    whole = {name: "Int64" for name in COSTS if name in frame}
    frame.astype(whole).to_csv(stem.with_suffix(".csv"), index=False, float_format="%.6f", lineterminator="\n")

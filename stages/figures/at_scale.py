"""Which verdicts hold at the scale of the published reference, where the nets have many more train images."""

import pandas as pd

from stages.figures import training_length
from stages.figures.results import JUDGED, Results
from stages.shared.drawing.tables import csv, pipe_tables


def texts(results: Results) -> dict[str, str]:
    both = at_both_scales(results)
    files = {"tables/at-scale.md": table(results)}
    return files if both.empty else files | {"tables/at-scale.csv": csv(both)}


def facts(results: Results) -> dict[str, str]:
    return {"at_scale": sentence(results)}


def sections(results: Results) -> dict[str, bool]:
    return {"at-scale": not at_both_scales(results).empty}


def sentence(results: Results) -> str:
    """How many of the verdicts are the published ones."""
    both = at_both_scales(results)
    if both.empty:
        return "No verdict of another scale is published for these data, so there is none to compare these with."
    stated = both[training_length.is_stated(both, "reference_")]
    published = f"published with {results.reference_train_size:,} train images a seed"
    if stated.empty:
        return f"No hypothesis has a verdict both here and among those {published} (@tbl-at-scale)."
    kept = training_length.verdicts_kept(results, stated, f"stated here and {published}", "", "there")
    return f"{kept} (@tbl-at-scale)."


def at_both_scales(results: Results) -> pd.DataFrame:
    """One row for each hypothesis that was measured here and is published: both differences, both verdicts."""
    known = results.reference.index[results.reference["n_seeds"].notna()]
    measured = [key for key in results.declared if results.has_run(key) and key in known]
    there = results.reference.loc[measured, JUDGED].add_prefix("reference_")
    both = results.hypotheses.loc[measured, ["metric", *JUDGED]].join(there)
    both["holds"] = [training_length.holds(row, "reference_") for _, row in both.iterrows()]
    return both.rename_axis("hypothesis").reset_index()


def table(results: Results) -> str:
    both = at_both_scales(results)
    if both.empty:
        return ""
    columns = training_length.side_by_side(results, both, {"": "Here", "reference_": "Published"})
    caption = (
        f"Every hypothesis that is measured here and published with {results.reference_train_size:,} train images a "
        f"seed: the difference, in points where no unit is named, and the verdict at both scales."
    )
    return pipe_tables(columns, "tbl-at-scale", caption)

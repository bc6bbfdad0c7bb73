"""Write the result tables, one by one: the folder also holds what git keeps."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from stages import paths
from stages.collect import tables, verdicts
from stages.collect.read import Variant
from stages.collect.tables import DIGITS
from stages.params import Hypothesis, Params


def tables_of(settings: Params, declared: Mapping[str, Hypothesis], variants: Sequence[Variant], labels: np.ndarray) -> dict[str, pd.DataFrame]:
    """Every result table, by its file's name. labels: of the test images, (N,)."""
    runs = tables.runs(variants)
    return {
        "runs.csv": runs,
        "variants.csv": tables.variants(settings, runs),
        "effects.csv": tables.effects(settings, runs, verdicts.effects(settings, variants)),
        "hypotheses.csv": verdicts.hypotheses(settings, declared, variants),
        "aa.csv": verdicts.aa(settings, variants),
        "hard_images.csv": tables.hard_images(settings, variants, labels),
        "curves.csv": tables.curves(variants),
        "confusion.csv": tables.confusion(variants, labels),
    }


def write(made: Mapping[str, pd.DataFrame]) -> None:
    for name, table in made.items():
        with paths.whole_file(paths.RESULTS / name) as partial:
            table.to_csv(partial, index=False, float_format=f"%.{DIGITS}f", lineterminator="\n")
    paths.write_json(paths.RESULTS / "metrics.json", metrics(made["variants.csv"]))


def metrics(variants: pd.DataFrame) -> dict[str, dict[str, float]]:
    """DVC's metrics: one number a variant, so that its tables can be read; differences stand with their intervals elsewhere."""
    return {str(key): {"accuracy": round(float(mean), DIGITS)} for key, mean in zip(variants["variant"], variants["accuracy_mean"], strict=True)}

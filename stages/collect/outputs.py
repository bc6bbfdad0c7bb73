"""Write the result tables, one by one: the folder also holds what git keeps."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from stages.collect import tables, verdicts
from stages.collect.read import Variant
from stages.collect.tables import DIGITS
from stages.shared import paths
from stages.shared.params import Hypothesis, Params
from stages.shared.stage_command import StageError


def tables_of(
    settings: Params, declared: Mapping[str, Hypothesis], variants: Sequence[Variant], labels: np.ndarray
) -> dict[str, pd.DataFrame]:
    """Every result table, by its file's name. labels: of the test images, (N,).

    A variant of which every seed diverged is in diverged.csv, and as a reason in hypotheses.csv, alone.
    Raises StageError if the baseline is one.
    """
    finished = [variant for variant in variants if variant.metrics["runs"]]
    settings = settings.without({variant.key for variant in variants} - {variant.key for variant in finished})
    if settings.baseline not in settings.active_variants:
        raise StageError(
            f"every seed of the baseline {settings.baseline!r} diverged, so that there is nothing to compare the other variants with; "
            "lower recipe.lr in params.yaml, or in that variant's run, or name another baseline in the protocol"
        )
    runs = tables.runs(finished)
    return {
        "runs.csv": runs,
        "diverged.csv": tables.diverged(variants),
        "variants.csv": tables.variants(settings, runs),
        "effects.csv": tables.effects(settings, runs, verdicts.effects(settings, finished)),
        "hypotheses.csv": verdicts.hypotheses(settings, declared, variants),
        "aa.csv": verdicts.aa(settings, finished),
        "hard_images.csv": tables.hard_images(settings, finished, labels),
        "curves.csv": tables.curves(finished),
        "confusion.csv": tables.confusion(finished, labels),
    }


def write(made: Mapping[str, pd.DataFrame]) -> None:
    for name, table in made.items():
        with paths.whole_file(paths.RESULTS / name) as partial:
            table.to_csv(partial, index=False, float_format=f"%.{DIGITS}f", lineterminator="\n")
    paths.write_json(paths.RESULTS / "metrics.json", metrics(made["variants.csv"], made["diverged.csv"]))


def metrics(variants: pd.DataFrame, diverged: pd.DataFrame) -> dict[str, dict[str, float]]:
    """DVC's metrics: one number a variant, so that its tables can be read; differences stand with their intervals elsewhere.

    A variant with runs that diverged has their number too, or, without another run, alone.
    """
    found = {
        str(key): {"accuracy": round(float(mean), DIGITS)}
        for key, mean in zip(variants["variant"], variants["accuracy_mean"], strict=True)
    }
    for key, number in diverged["variant"].value_counts(sort=False).items():
        found.setdefault(str(key), {})["diverged"] = int(number)
    return found

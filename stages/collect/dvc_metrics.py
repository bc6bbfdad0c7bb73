"""What DVC shows of a result: the answer's few numbers, and in a file of its own, on request, one for each variant."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from stages.collect.tables import DIGITS
from stages.shared.inference import headline

# Name of the metric → hypothesis whose difference it is. Names are short: each is a column of `dvc exp show`.
DIFFERENCES = {
    "gap": headline.GAP,
    "locality": headline.LOCALITY,
    "sharing": headline.SHARING,
    "permutation": headline.TAKES,
}


def of_answer(baseline: str, results: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """The baseline's means, the differences of the answer, and how many hypotheses have which outcome.

    results: file's name → result table. Accuracies and differences are fractions, rounded as the report shows them.
    What did not run, or has no value, is left out; so is the number of runs that diverged where none did.
    """
    hypotheses = results["hypotheses.csv"].set_index("hypothesis")
    of_baseline = results["variants.csv"].set_index("variant").loc[baseline]
    values = {"accuracy": of_baseline["accuracy_mean"], "shifts": of_baseline["shift_consistency_mean"]}
    for name, key in DIFFERENCES.items():
        values[name] = hypotheses.loc[key, "difference"] if headline.has_run(hypotheses, key) else math.nan
    metrics: dict[str, Any] = {name: as_reported(value) for name, value in values.items() if not math.isnan(value)}
    for outcome, count in headline.outcome_counts(hypotheses).items():
        metrics[outcome.replace(" ", "_")] = count
    if len(results["diverged.csv"]):
        metrics["diverged"] = len(results["diverged.csv"])
    return metrics


def of_variants(results: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, float]]:
    """Variant → mean test accuracy, and the number of its runs that diverged, where one did."""
    variants, diverged = results["variants.csv"], results["diverged.csv"]
    means = zip(variants["variant"], variants["accuracy_mean"], strict=True)
    metrics: dict[str, dict[str, float]] = {str(key): {"accuracy": round(float(mean), DIGITS)} for key, mean in means}
    for key, number in diverged["variant"].value_counts(sort=False).items():
        metrics.setdefault(str(key), {})["diverged"] = int(number)
    return metrics


def as_reported(fraction: float) -> float:
    """A hundredth of a percentage point is the last digit, of the number as the tables have it."""
    return round(round(100 * round(float(fraction), DIGITS), 2) / 100, 4)

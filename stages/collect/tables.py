"""The tidy tables: one row a run, and what is computed from those rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from stages.collect.hard_images import hardest_images
from stages.collect.read import CURVES, Variant
from stages.shared.inference import intervals
from stages.shared.params import Params

COSTS = ["parameters", "macs", "receptive_field_height", "receptive_field_width"]
RUN_COLUMNS = ["variant", "seed", "test_accuracy", "test_loss", "train_accuracy", "val_accuracy"]
PROBES = [
    "ece",
    "nll",
    "effective_field",
    "field_height",
    "field_width",
    "equivariance_error_first",
    "equivariance_error_last",
]
PROBES += ["position_r2", "position_r2_shuffled", "position_share"]
RUN_COLUMNS += ["shift_consistency", "shifted_accuracy", *PROBES, *COSTS]
MEASURES = {
    "accuracy": "test_accuracy",
    "shift_consistency": "shift_consistency",
    "shifted_accuracy": "shifted_accuracy",
}
DIFFERENCE = ["difference", "low", "high", "direction"]
SHIFT_DIFFERENCE = [f"shift_{name}" for name in DIFFERENCE]
DIGITS = 6  # of a fraction, as written


def runs(variants: Sequence[Variant]) -> pd.DataFrame:
    """One row for each variant and seed; rounded as written, so that all that is computed from runs.csv agrees to the last digit."""
    rows = []
    for variant in variants:
        height, width = variant.metrics["receptive_field"] or (None, None)
        for run in variant.metrics["runs"]:
            measured = {**run, **variant.probes[run["seed"]]}
            costs = (variant.metrics["parameters"], variant.metrics["macs"], height, width)
            rows.append({"variant": variant.key, **measured, **dict(zip(COSTS, costs, strict=True))})
    table = pd.DataFrame(rows).reindex(columns=RUN_COLUMNS)
    measures = [name for name in RUN_COLUMNS[2:] if name not in COSTS]
    return table.astype(dict.fromkeys(COSTS, "Int64") | dict.fromkeys(measures, float)).round(
        dict.fromkeys(measures, DIGITS)
    )


def diverged(variants: Sequence[Variant]) -> pd.DataFrame:
    """One row for each run that diverged, with the epoch; they are in no other table."""
    rows = [(variant.key, seed, epoch) for variant in variants for seed, epoch in variant.diverged.items()]
    return pd.DataFrame(rows, columns=["variant", "seed", "epoch"])


def variants(settings: Params, runs: pd.DataFrame) -> pd.DataFrame:
    """One row for each variant: every measure with its interval, costs, and the paired difference from the baseline."""
    rows = []
    for key, own in runs.groupby("variant", sort=False):
        row: dict[str, Any] = {"variant": key, "n_seeds": len(own)}
        for name, column in MEASURES.items():
            made = intervals.estimate(own[column], settings.inference.confidence)
            row |= {
                f"{name}_mean": made.mean,
                f"{name}_sd": made.sd,
                f"{name}_low": made.low,
                f"{name}_high": made.high,
            }
        against = _difference(settings, runs, str(key), settings.baseline) if key != settings.baseline else {}
        rows.append(
            row | {name: own[name].iloc[0] for name in COSTS} | {name: against.get(name) for name in DIFFERENCE}
        )
    table = pd.DataFrame(rows)
    return table.astype(dict.fromkeys(COSTS, "Int64") | dict.fromkeys(DIFFERENCE[:3], float))


def effects(settings: Params, runs: pd.DataFrame, judged: pd.DataFrame) -> pd.DataFrame:
    """The effects with their verdicts, and beside them what the interval over seeds says, for shift consistency too."""
    said = [_difference(settings, runs, row["variant"], row["reference"]) for row in judged.to_dict("records")]
    beside = pd.DataFrame(said, index=judged.index, columns=["direction", *SHIFT_DIFFERENCE])
    return judged.join(beside)


def hard_images(settings: Params, variants: Sequence[Variant], labels: np.ndarray) -> pd.DataFrame:
    """The test images that most runs get wrong, the hardest first, with the commonest wrong answer (the first of several)."""
    fair = [variant for variant in variants if settings.variants[variant.key].run.sample.labels == "published"]
    correct, predicted = (
        np.concatenate([getattr(variant, name) for variant in fair]) for name in ("correct", "predicted")
    )
    images, failures = hardest_images(correct, settings.probe.hard_images)
    rows = []
    for rank, (image, failed) in enumerate(zip(images, failures, strict=True), 1):
        wrong = predicted[:, image][predicted[:, image] != labels[image]]
        answer = int(np.bincount(wrong).argmax()) if len(wrong) else None
        rows.append(
            {
                "rank": rank,
                "image": image,
                "label": labels[image],
                "predicted": answer,
                "failures": failed,
                "runs": len(correct),
            }
        )
    return pd.DataFrame(rows).astype({"predicted": "Int64"})


def curves(variants: Sequence[Variant]) -> pd.DataFrame:
    """Loss and accuracy of every variant, seed and epoch."""
    tables = [variant.curves.assign(variant=variant.key) for variant in variants]
    return pd.concat(tables, ignore_index=True)[["variant", *CURVES]]


def confusion(variants: Sequence[Variant], labels: np.ndarray) -> pd.DataFrame:
    """How often class `true` was called `predicted`, summed over seeds; pairs that never occur have no row."""
    tables = []
    for variant in variants:
        n_classes = 1 + int(max(labels.max(), variant.predicted.max()))
        counts = np.bincount((labels * n_classes + variant.predicted).ravel())
        seen = np.flatnonzero(counts)
        pairs = {"true": seen // n_classes, "predicted": seen % n_classes}
        tables.append(pd.DataFrame({"variant": variant.key, **pairs, "count": counts[seen]}))
    return pd.concat(tables, ignore_index=True)


def _difference(settings: Params, runs: pd.DataFrame, variant: str, reference: str) -> dict[str, Any]:
    """Test accuracy and shift consistency of a variant minus those of a reference, paired on the seeds that both finished."""
    row: dict[str, Any] = {}
    for column, prefix in (("test_accuracy", ""), ("shift_consistency", "shift_")):
        one, other = (
            dict(zip(own["seed"], own[column], strict=True))
            for own in (runs[runs["variant"] == key] for key in (variant, reference))
        )
        one, other = ({seed: arm[seed] for seed in one.keys() & other.keys()} for arm in (one, other))
        made = intervals.estimate(intervals.paired_differences(one, other).values(), settings.inference.confidence)
        said = intervals.direction(made.low, made.high, made.n, settings.inference.min_seeds)
        row |= {
            "n_seeds": made.n,
            f"{prefix}difference": made.mean,
            f"{prefix}low": made.low,
            f"{prefix}high": made.high,
            f"{prefix}direction": said,
        }
    return row

"""The tidy tables: one row a run, and what is computed from those rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int, Shaped

from stages.shared.inference import intervals
from stages.shared.metrics import METRICS, is_fraction, n_images
from stages.shared.params import Params
from stages.shared.run_files import CURVES, VariantResults

COSTS = ["parameters", "macs", "receptive_field_height", "receptive_field_width"]
MEASURED = [metric.column for metric in METRICS.values()]
DIFFERENCE = ["difference", "low", "high", "direction"]
SHIFT_DIFFERENCE = [f"shift_{name}" for name in DIFFERENCE]
DIGITS = 6  # of a fraction, as written


def runs(variants: Sequence[VariantResults]) -> pd.DataFrame:
    """One row for each variant and seed. device: the kind that trained it, cpu or cuda.

    Rounded as written, so that everything that is computed from runs.csv agrees to the last digit.
    """
    rows = []
    for variant in variants:
        height, width = variant.costs["receptive_field"] or (None, None)
        costs = dict(zip(COSTS, (variant.costs["parameters"], variant.costs["macs"], height, width), strict=True))
        rows += [
            {"variant": variant.key, **variant.metrics[seed], **variant.probes[seed], **costs} for seed in variant.seeds
        ]
    table = pd.DataFrame(rows).reindex(columns=["variant", "seed", "device", *MEASURED, *COSTS])
    types = dict.fromkeys(COSTS, "Int64") | dict.fromkeys(MEASURED, float)
    return table.astype(types).round(dict.fromkeys(MEASURED, DIGITS))


def diverged(variants: Sequence[VariantResults]) -> pd.DataFrame:
    """One row for each run that diverged, with the epoch; they are in no other table."""
    rows = [(variant.key, seed, epoch) for variant in variants for seed, epoch in variant.diverged.items()]
    return pd.DataFrame(rows, columns=["variant", "seed", "epoch"])


def unmeasured(variants: Sequence[VariantResults]) -> pd.DataFrame:
    """One row for each probe that has no value for a variant, under its first seed that finished, and why."""
    rows = []
    for variant in variants:
        reasons = variant.probes[variant.seeds[0]].get("reasons", {})
        rows += [(variant.key, column, reasons[column]) for column in sorted(reasons)]
    return pd.DataFrame(rows, columns=["variant", "column", "reason"])


def variants(settings: Params, runs: pd.DataFrame, n_test: int) -> pd.DataFrame:
    """One row for each variant: every metric with its interval, costs, and the paired difference from the baseline.

    n_test: how many test images there are.
    """
    rows = []
    for key, variant_runs in runs.groupby("variant", sort=False):
        row: dict[str, Any] = {"variant": key, "n_seeds": len(variant_runs)}
        for name, metric in METRICS.items():
            if metric.summarised:
                of = n_images(metric.column, n_test, settings.chosen_protocol.probe_images)
                estimate = intervals.estimate(variant_runs[metric.column], settings.inference.confidence, of)
                if is_fraction(metric.column):
                    estimate = estimate.within(0, 1)
                row |= {f"{name}_mean": estimate.mean, f"{name}_sd": estimate.sd}
                row |= {f"{name}_low": estimate.low, f"{name}_high": estimate.high}
        difference: dict[str, Any] = {}
        if key != settings.baseline:
            difference = _difference(settings, runs, str(key), settings.baseline, n_test)
        row |= {name: variant_runs[name].iloc[0] for name in COSTS}
        rows.append(row | {name: difference.get(name) for name in DIFFERENCE})
    return pd.DataFrame(rows).astype(dict.fromkeys(COSTS, "Int64") | dict.fromkeys(DIFFERENCE[:3], float))


def effects(settings: Params, runs: pd.DataFrame, judged: pd.DataFrame, n_test: int) -> pd.DataFrame:
    """The effects with their verdicts, and beside them what the interval over seeds says, for shift consistency too."""
    differences = [
        _difference(settings, runs, row["variant"], row["reference"], n_test) for row in judged.to_dict("records")
    ]
    return judged.join(pd.DataFrame(differences, index=judged.index, columns=["direction", *SHIFT_DIFFERENCE]))


def longer(settings: Params, runs: pd.DataFrame, longer_runs: pd.DataFrame) -> pd.DataFrame:
    """One row for each variant that was trained again and longer: its accuracies then, and what it gained, by seed."""
    rows, splits = [], ("train", "val", "test")
    for key, now in longer_runs.groupby("variant", sort=False):
        before = runs[runs["variant"] == key].set_index("seed")
        row: dict[str, Any] = {"variant": key}
        for split in splits:
            column = f"{split}_accuracy"
            arms = (now.set_index("seed")[column].to_dict(), before[column].to_dict())
            gain = intervals.paired_difference(*arms, settings.inference.confidence)
            row |= {"n_seeds": gain.n, column: now[column].mean(), f"{split}_gain": gain.mean}
            row |= {f"{split}_gain_low": gain.low, f"{split}_gain_high": gain.high}
        rows.append(row)
    columns = [name for s in splits for name in (f"{s}_accuracy", f"{s}_gain", f"{s}_gain_low", f"{s}_gain_high")]
    return pd.DataFrame(rows, columns=["variant", "n_seeds", *columns])


def hard_images(settings: Params, variants: Sequence[VariantResults], labels: np.ndarray) -> pd.DataFrame:
    """The test images that most runs get wrong, the hardest first, with the commonest wrong answer.

    Of several wrong answers as common, the first. Runs on random labels do not count, unless all are.
    """
    published = [variant for variant in variants if settings.variants[variant.key].run.sample.labels == "published"]
    counted = published or list(variants)
    correct = np.stack([answers for variant in counted for answers in variant.correct.values()])
    predicted = np.stack([answers for variant in counted for answers in variant.predicted.values()])
    images, failures = hardest_images(correct, settings.probe.hard_images)
    rows = []
    for rank, (image, n_failures) in enumerate(zip(images, failures, strict=True), 1):
        wrong = predicted[:, image][predicted[:, image] != labels[image]]
        answer = int(np.bincount(wrong).argmax()) if len(wrong) else None
        row = {"rank": rank, "image": image, "label": labels[image], "predicted": answer}
        rows.append(row | {"failures": n_failures, "runs": len(correct)})
    return pd.DataFrame(rows).astype({"predicted": "Int64"})


def hardest_images(
    correct: Shaped[np.ndarray, "run image"], count: int
) -> tuple[Int[np.ndarray, " chosen"], Int[np.ndarray, " chosen"]]:
    """Indices of the `count` images that the most runs get wrong, the hardest first, and how many runs each.

    correct: (runs, N), bool or 0 and 1. Images with equal failures keep their order. Fewer than `count` where N is
    smaller.
    """
    failures = (~correct.astype(bool)).sum(0)
    order = np.argsort(-failures, kind="stable")[:count]
    return order, failures[order]


def curves(variants: Sequence[VariantResults]) -> pd.DataFrame:
    """Loss and accuracy of every variant, seed and epoch."""
    tables = [variant.curves.assign(variant=variant.key) for variant in variants]
    return pd.concat(tables, ignore_index=True)[["variant", "seed", *CURVES]]


def shifts(variants: Sequence[VariantResults]) -> pd.DataFrame:
    """Accuracy of every variant and seed on the first test images, shifted by (dy, dx) pixels."""
    tables = [variant.shifts.assign(variant=variant.key) for variant in variants]
    return pd.concat(tables, ignore_index=True)[["variant", "seed", "dy", "dx", "accuracy"]]


def confusion(variants: Sequence[VariantResults], labels: np.ndarray) -> pd.DataFrame:
    """How often class `true` was called `predicted`, summed over seeds; pairs that never occur have no row."""
    tables = []
    for variant in variants:
        predicted = np.stack(list(variant.predicted.values()))
        n_classes = 1 + int(max(labels.max(), predicted.max()))
        counts = np.bincount((labels * n_classes + predicted).ravel())
        pairs = np.flatnonzero(counts)
        columns = {"true": pairs // n_classes, "predicted": pairs % n_classes, "count": counts[pairs]}
        tables.append(pd.DataFrame({"variant": variant.key, **columns}))
    return pd.concat(tables, ignore_index=True)


def _difference(settings: Params, runs: pd.DataFrame, variant: str, reference: str, n_test: int) -> dict[str, Any]:
    """Test accuracy and shift consistency of a variant minus a reference's, paired on the seeds that both finished."""
    row: dict[str, Any] = {}
    inference = settings.inference
    arms = [runs[runs["variant"] == key].set_index("seed") for key in (variant, reference)]
    for column, prefix in (("test_accuracy", ""), ("shift_consistency", "shift_")):
        by_seed, reference_by_seed = (arm[column].to_dict() for arm in arms)
        of = n_images(column, n_test, settings.chosen_protocol.probe_images)
        estimate = intervals.paired_difference(by_seed, reference_by_seed, inference.confidence, of)
        direction = intervals.direction(estimate.low, estimate.high, estimate.n, inference.min_seeds)
        row |= {"n_seeds": estimate.n, f"{prefix}difference": estimate.mean, f"{prefix}direction": direction}
        row |= {f"{prefix}low": estimate.low, f"{prefix}high": estimate.high}
    return row

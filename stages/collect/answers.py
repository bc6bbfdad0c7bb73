"""What comparisons are made of: for each metric, a number for every variant, seed and test image, or one for each seed."""

from collections.abc import Sequence

import numpy as np

from stages.collect.read import Variant
from stages.shared.inference.arms import Arm

OF_IMAGES = {
    "shift_consistency": "consistency",
    "shifted_accuracy": "shifted",
}  # metric → its table in the probe's file


def answers(variants: Sequence[Variant], metric: str) -> dict[str, Arm]:
    """Variant → its arm, of the seeds that finished. A variant in which the metric has no meaning is left out."""
    arms = {variant.key: _arm(variant, metric) for variant in variants}
    return {key: arm for key, arm in arms.items() if arm is not None}


def _arm(variant: Variant, metric: str) -> Arm | None:
    seeds = [run["seed"] for run in variant.metrics["runs"]]
    if not seeds:
        return {}
    if metric == "accuracy":
        return dict(zip(seeds, variant.correct, strict=True))
    values = [variant.probes[seed].get(metric) for seed in seeds]
    if any(value is None for value in values):
        return None
    if metric in OF_IMAGES:
        return dict(zip(variant.probes, variant.by_image[OF_IMAGES[metric]], strict=True))
    return {seed: np.array([value]) for seed, value in zip(seeds, values, strict=True)}

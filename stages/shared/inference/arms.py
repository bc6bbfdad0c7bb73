"""An arm of a comparison: what one variant answered under each seed."""

from collections.abc import Mapping, Sequence

import numpy as np

Arm = Mapping[int, np.ndarray]  # seed → (images,), or (1,) where a metric has one number a seed


def shared(arms: Sequence[Arm]) -> list[Arm]:
    """The same arms, each with the seeds that all of them have."""
    seeds = sorted(set.intersection(*(set(arm) for arm in arms)))
    return [{seed: arm[seed] for seed in seeds} for arm in arms]

"""Which test images most runs get wrong. No torch: it works on what the runs have left."""

import numpy as np
from jaxtyping import Int, Shaped


def hardest_images(
    correct: Shaped[np.ndarray, "run image"], count: int
) -> tuple[Int[np.ndarray, " chosen"], Int[np.ndarray, " chosen"]]:
    """Indices of the `count` images that the most runs get wrong, the hardest first, and how many runs each.

    correct: (runs, N), of bool or 0 and 1. Images with as many failures stand in their own order. Fewer than `count` where N is smaller.
    """
    failures = (~correct.astype(bool)).sum(0)
    order = np.argsort(-failures, kind="stable")[:count]
    return order, failures[order]

"""What can be checked only now that the images are known."""

import numpy as np

from stages import params
from stages.params import Params
from stages.provenance import StageError


def check_variants(settings: Params, height: int, width: int) -> None:
    """Raises StageError, naming variant and layer, if a net of the protocol has no pixels left on a canvas of this size."""
    mistakes = []
    for key, variant in settings.active_variants.items():
        if variant.run.architecture.connectivity not in ("conv", "locally_connected"):
            continue
        try:
            params.map_sizes(variant.run.architecture, height, width)
        except ValueError as error:
            mistakes.append(f"  variants.{key}: {error}; lessen kernel, stride, pooling or depth, or give them as [height, width]")
    if mistakes:
        raise StageError("\n".join([f"params.yaml: these images are {height}×{width} with their margin; that is too small for", *mistakes]))


def check_classes(train_counts: np.ndarray, classes: list[str], protocol: str) -> None:
    """Raises StageError if the train split has no image of some class."""
    absent = [name for name, count in zip(classes, train_counts, strict=True) if count == 0]
    if absent:
        raise StageError(
            f"the train split of {train_counts.sum()} images has none of class {', '.join(absent)}; raise protocols.{protocol}.train_size in params.yaml"
        )

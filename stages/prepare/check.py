"""What can be checked only now that the images are known."""

import numpy as np

from stages.shared.architectures import geometry
from stages.shared.params import Params
from stages.shared.stage_command import StageError


def check_variants(settings: Params, height: int, width: int, canvas_height: int, canvas_width: int) -> None:
    """Raises StageError, naming the variant, if a net of the protocol has no pixels left, or patches do not tile the image."""
    mistakes = []
    for key, variant in settings.active_variants.items():
        side = geometry.patch_side(variant.run.sample.layout)
        if side is not None and not geometry.patches_fit(side, height, width):
            mistakes.append(
                f"  variants.{key}: patches of {side} do not tile images of {height}×{width}; choose another sample.layout"
            )
        if variant.run.architecture.connectivity not in ("conv", "locally_connected"):
            continue
        try:
            geometry.map_sizes(variant.run.architecture, canvas_height, canvas_width)
        except ValueError as error:
            mistakes.append(
                f"  variants.{key}: {error}; lessen kernel, stride, pooling or depth, or give them as [height, width]"
            )
    if mistakes:
        raise StageError(
            "\n".join(
                [
                    f"params.yaml: these images are {canvas_height}×{canvas_width} with their margin; that does not do for",
                    *mistakes,
                ]
            )
        )


def check_samples(settings: Params, train_size: int) -> None:
    """Raises StageError, naming the variant, if one of the protocol asks for more train images than there are."""
    sizes = {key: variant.run.sample.train_size for key, variant in settings.active_variants.items()}
    mistakes = [
        f"  variants.{key}.run.sample.train_size = {size}"
        for key, size in sizes.items()
        if isinstance(size, int) and size > train_size
    ]
    if mistakes:
        raise StageError(
            "\n".join(
                [
                    f"params.yaml: protocol {settings.protocol!r} prepares {train_size} train images; too few for",
                    *mistakes,
                ]
            )
        )


def check_classes(train_counts: np.ndarray, classes: list[str], protocol: str) -> None:
    """Raises StageError if the train split has no image of some class."""
    absent = [name for name, count in zip(classes, train_counts, strict=True) if count == 0]
    if absent:
        raise StageError(
            f"the train split of {train_counts.sum()} images has none of class {', '.join(absent)}; raise protocols.{protocol}.train_size in params.yaml"
        )

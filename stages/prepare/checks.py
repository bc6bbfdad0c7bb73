"""Checks of params.yaml that need the images: whether the protocol's nets and samples are possible with them."""

import numpy as np

from stages.shared.architectures import geometry
from stages.shared.architectures.closed_form import closed_form
from stages.shared.params import Params
from stages.shared.splits import train_and_val_rows
from stages.shared.stage_command import StageError


def check_variants(settings: Params, channels: int, height: int, width: int) -> None:
    """Raises StageError, naming the variants, if a net is impossible with these images or patches do not tile them.

    channels, height, width: of the images without the margin.
    """
    margin = settings.chosen_protocol.margin
    canvas_height, canvas_width = geometry.canvas(height, width, margin)
    mistakes = []
    for key, variant in settings.active_variants.items():
        side = geometry.patch_side(variant.run.sample.layout)
        if side is not None and not geometry.patches_fit(side, height, width):
            mistakes.append(
                f"variants.{key}: patches of {side} do not tile images of {height}×{width}; "
                "choose another sample.layout"
            )
        reach = geometry.scatter_reach(variant.run.sample.layout)
        try:
            closed_form(
                variant.run.architecture, (channels, *geometry.canvas(height, width, margin + reach)), classes=1
            )
        except ValueError as error:
            mistakes.append(f"variants.{key}.run.architecture: {error}")
    _refuse(f"these images are {canvas_height}×{canvas_width} with their margin; this does not fit", mistakes)


def check_samples(settings: Params, n_images: int, has_val_set: bool) -> None:
    """Raises StageError, naming the variants, if a sample has more train images than the protocol leaves.

    n_images: that there are to train and, without a val set, to validate too.
    """
    protocol = settings.chosen_protocol
    train_size = protocol.images_to_train(n_images, has_val_set)
    sizes = {key: variant.run.sample.train_size for key, variant in settings.active_variants.items()}
    mistakes = [
        f"variants.{key}.run.sample.train_size = {size}"
        for key, size in sizes.items()
        if isinstance(size, int) and size > train_size
    ]
    _refuse(f"protocol {settings.protocol!r} has {train_size} train images; too few for", mistakes)


def check_classes(settings: Params, labels: np.ndarray, classes: list[str], has_val_set: bool) -> None:
    """Raises StageError, naming the classes, if a seed draws no train image of a class.

    labels: of all images that there are to train and, without a val set, to validate too.
    """
    protocol = settings.chosen_protocol
    train_size = protocol.images_to_train(len(labels), has_val_set)
    val_size = 0 if has_val_set else protocol.val_size
    for seed in protocol.seeds:
        rows, _ = train_and_val_rows(labels, train_size, val_size, seed)
        counts = np.bincount(labels[rows], minlength=len(classes))
        absent = [name for name, count in zip(classes, counts, strict=True) if count == 0]
        if absent:
            raise StageError(
                f"the {train_size} train images of seed {seed} have none of class {', '.join(absent)}; "
                f"raise protocols.{settings.protocol}.train_size in params.yaml"
            )


def _refuse(reason: str, mistakes: list[str]) -> None:
    """Raises StageError with the reason and the mistakes, if there are any."""
    if mistakes:
        raise StageError("\n  ".join([f"params.yaml: {reason}", *mistakes]))

"""Refuse, before anything is trained, what is impossible with the prepared images: nets, patches, sample sizes.

`constants` are those of the prepared images (`load_constants`).
"""

from collections.abc import Iterable
from typing import Any

from stages.shared.architectures.closed_form import closed_form
from stages.shared.architectures.geometry import patch_side, patches_fit
from stages.shared.params import Params
from stages.shared.prepared_data import shape_of
from stages.shared.run_records import PlannedRun
from stages.shared.stage_command import StageError


def check_variants(settings: Params, constants: dict[str, Any]) -> None:
    """Raises StageError, naming the variants, if a net is impossible with these images or patches do not tile them."""
    _, canvas_height, canvas_width = constants["shape"]
    height, width = canvas_height - 2 * constants["margin"][0], canvas_width - 2 * constants["margin"][1]
    mistakes = []
    for key, variant in settings.active_variants.items():
        sample, architecture = variant.run.sample, variant.run.architecture
        side = patch_side(sample.layout)
        if side is not None and not patches_fit(side, height, width):
            mistakes.append(
                f"variants.{key}: patches of {side} do not tile images of {height}×{width}; "
                "choose another sample.layout"
            )
        try:
            closed_form(architecture, shape_of(sample, constants), classes=1)
        except ValueError as error:
            mistakes.append(f"variants.{key}.run.architecture: {error}")
    _refuse(f"these images are {canvas_height}×{canvas_width} with their margin; this does not fit", mistakes)


def check_samples(settings: Params, constants: dict[str, Any]) -> None:
    """Raises StageError, naming the variants, if a sample has more train images than the protocol leaves."""
    counts = constants["class_counts"]
    train_size = settings.chosen_protocol.images_to_train(sum(counts["train"]), "val" in counts)
    sizes = {key: variant.run.sample.train_size for key, variant in settings.active_variants.items()}
    mistakes = [
        f"variants.{key}.run.sample.train_size = {size}"
        for key, size in sizes.items()
        if isinstance(size, int) and size > train_size
    ]
    _refuse(f"protocol {settings.protocol!r} has {train_size} train images; too few for", mistakes)


def check_own_nets(missing: Iterable[PlannedRun], constants: dict[str, Any]) -> None:
    """Raises StageError, with a line for each variant to train whose own net cannot be trained on these images."""
    owners = {run.variant: run.spec for run in missing if run.spec.architecture.own_module}
    if not owners:
        return
    from stages.shared import own_nets  # imports torch, which takes seconds

    n_classes = len(constants["classes"])
    nets = {
        variant: (spec.architecture.own_module, shape_of(spec.sample, constants), n_classes)
        for variant, spec in owners.items()
    }
    _refuse("an own net cannot be trained; nothing was trained", own_nets.mistakes(nets))


def _refuse(reason: str, mistakes: list[str]) -> None:
    """Raises StageError with the reason and the mistakes, if there are any."""
    if mistakes:
        raise StageError("\n  ".join([f"params.yaml: {reason}", *mistakes]))

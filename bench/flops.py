"""Floating-point operations of training, from the closed form, and so the same for every contestant."""

from stages.shared.architectures.closed_form import closed_form
from stages.shared.params import Architecture

HOW = (
    "Floating-point operations of a training step, for one image: two for each multiply-accumulate of convolutions and "
    "linear layers, once forward, once for the gradient of the weights, once for the gradient of a layer's input; the "
    "first layer's input needs none. Nothing else is counted."
)


def training_flops(architecture: Architecture, shape: tuple[int, int, int], classes: int) -> int:
    """2 · (3 · MACs − MACs of the first layer), of one image. shape: (channels, height, width)."""
    return 2 * (3 * closed_form(architecture, shape, classes).macs - first_layer_macs(architecture, shape))


def first_layer_macs(architecture: Architecture, shape: tuple[int, int, int]) -> int:
    """Multiply-accumulates of the first convolution or linear layer.

    They are those of a net with that layer alone, minus those of its linear layer to one class.
    """
    units = architecture.channels[0]
    alone = architecture.model_copy(
        update={
            "channels": (units,),
            "hidden": (),
            "head": "global_average",
            "reduce_at": tuple(layer for layer in architecture.reduce_at if layer == 1),
        }
    )
    return closed_form(alone, shape, 1).macs - units

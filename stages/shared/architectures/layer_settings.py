"""The layers of a net of convolutions and locally connected layers, each with all its settings."""

from math import prod
from typing import Literal, NamedTuple

from stages.shared.params.architecture import Architecture, LayerChange

Pair = tuple[int, int]
UNCHANGED = LayerChange()


class Layer(NamedTuple):
    """One layer. Pairs are (height, width). stride and pooling are its own: 1 and none where it reduces nothing.

    groups: of a convolution; as many as it has input channels, where depthwise. tile: output positions that share a
    filter, where it is locally connected.
    """

    number: int
    outputs: int
    connectivity: Literal["conv", "separable", "locally_connected"]
    kernel: Pair
    dilation: Pair
    padding: Literal["zero", "valid", "reflect", "circular"]
    stride: Pair
    pooling: Literal["max", "average", "blur", "none"]
    pool_size: Pair
    norm: Literal["none", "batch", "layer", "group"]
    groups: int | Literal["depthwise"]
    tile: Pair
    dropout: float

    @property
    def span(self) -> Pair:
        """Pixels from the first to the last that one filter sees, both counted."""
        (height, width), (rows, columns) = self.kernel, self.dilation
        return rows * (height - 1) + 1, columns * (width - 1) + 1

    def groups_of(self, inputs: int) -> int:
        return inputs if self.groups == "depthwise" else self.groups


def pair(value: int | Pair) -> Pair:
    """A number stands for (number, number)."""
    return (value, value) if isinstance(value, int) else value


def layers_of(architecture: Architecture) -> list[Layer]:
    """Every layer: the base, the stride and the pooling where reduce_at names it, and what its entry changes."""
    layers = []
    for number, outputs in enumerate(architecture.channels, 1):
        change = architecture.layers[number - 1] if number <= len(architecture.layers) else UNCHANGED
        reduces = number in architecture.reduce_at
        values = {name: getattr(architecture, name) for name in LayerChange.model_fields}
        values |= {} if reduces else {"stride": 1, "pooling": "none"}
        values |= change.model_dump(exclude_none=True)
        pairs = {name: pair(values[name]) for name in ("kernel", "dilation", "stride", "pool_size", "tile")}
        layers.append(Layer(number=number, outputs=outputs, **values | pairs))
    return layers


def blocks_of(layers: list[Layer], length: int) -> list[list[Layer]]:
    """The layers in blocks of so many, counted from the last; those that are left in front stand alone, as a stem."""
    n_stem = len(layers) % length if length else len(layers)
    stem = [[layer] for layer in layers[:n_stem]]
    return stem + [layers[start : start + length] for start in range(n_stem, len(layers), length or 1)]


def is_residual(block: list[Layer], residual: int) -> bool:
    """Whether a shortcut leads around the block."""
    return bool(residual) and len(block) == residual


def stride_of(block: list[Layer]) -> Pair:
    return prod(layer.stride[0] for layer in block), prod(layer.stride[1] for layer in block)

"""Sizes of feature maps and grids of tokens, from the settings alone, and which settings do not go together."""

from typing import NamedTuple

from stages.shared.architectures.layer_settings import Layer, Pair, blocks_of, is_residual, layers_of, pair
from stages.shared.params.architecture import LAYERED, TRANSFORMERS, Architecture

Shape = tuple[int, int, int]


def map_sizes(architecture: Architecture, shape: Shape) -> list[Pair]:
    """Height and width of the map after each layer and its pooling, or of the grid of tokens after each block.

    shape: (channels, height, width) of an image on its canvas. Empty for a net without maps.
    Raises ValueError, naming the layer, if nothing is left of a map, or a setting does not go with the others.
    """
    if architecture.connectivity in LAYERED:
        return [size.after for size in layer_sizes(architecture, shape)]
    if architecture.connectivity in TRANSFORMERS:
        return [token_grid(architecture, shape)] * len(architecture.channels)
    return []


class LayerSizes(NamedTuple):
    """inputs: channels. Sizes (height, width) of the map that a layer gets, after its connection, and after pooling."""

    inputs: int
    before: Pair
    connected: Pair
    after: Pair


def layer_sizes(architecture: Architecture, shape: Shape) -> list[LayerSizes]:
    """Of every layer. Raises ValueError as `map_sizes` does."""
    inputs, *size = shape
    before, sizes = (size[0], size[1]), []
    for block in blocks_of(layers_of(architecture), architecture.residual):
        _check_block(block, architecture.residual)
        for layer in block:
            _check_channels(architecture, layer, inputs)
            _check_padding(layer, before)
            connected = _windows(layer, 0, before[0]), _windows(layer, 1, before[1])
            after = connected
            if layer.pooling != "none":
                after = connected[0] // layer.pool_size[0], connected[1] // layer.pool_size[1]
            if min(after) < 1:
                raise ValueError(
                    f"layer {layer.number}: the feature map vanishes "
                    f"({before[0]}×{before[1]} → {max(0, after[0])}×{max(0, after[1])}); reduce kernel, stride, "
                    "pooling or depth, or give them as [height, width]"
                )
            sizes.append(LayerSizes(inputs, before, connected, after))
            inputs, before = layer.outputs, after
    return sizes


def _windows(layer: Layer, axis: int, before: int) -> int:
    """Output positions of the connection along an axis; 0 or less where the filter is larger than the map."""
    windows = before - layer.span[axis] + 1 if layer.padding == "valid" else before
    return (windows - 1) // layer.stride[axis] + 1


def _check_padding(layer: Layer, before: Pair) -> None:
    """Reflection can add at most size − 1 pixels on a side, circular padding size: the map must be large enough."""
    for axis in (0, 1):
        added = layer.span[axis] // 2  # on the side with more
        if before[axis] < {"reflect": added + 1, "circular": added}.get(layer.padding, 0):
            raise ValueError(
                f"layer {layer.number}: {layer.padding} padding of {added} pixels needs a larger map than "
                f"{before[0]}×{before[1]}"
            )


def _check_channels(architecture: Architecture, layer: Layer, inputs: int) -> None:
    groups, where = layer.groups_of(inputs), f"layer {layer.number}"
    if layer.connectivity == "conv" and (inputs % groups or layer.outputs % groups):
        raise ValueError(
            f"{where}: groups {layer.groups} do not divide its {inputs} input and {layer.outputs} output channels"
        )
    if layer.connectivity != "conv" and layer.groups != 1:
        raise ValueError(f"{where}: groups {layer.groups} have no effect where connectivity is {layer.connectivity}")
    if layer.connectivity != "locally_connected" and layer.tile != (1, 1):
        raise ValueError(f"{where}: a tile has no effect where connectivity is {layer.connectivity}")
    if layer.norm == "group" and layer.outputs % architecture.norm_groups:
        raise ValueError(f"{where}: norm_groups {architecture.norm_groups} do not divide its {layer.outputs} channels")


def _check_block(block: list[Layer], residual: int) -> None:
    """A residual block must keep its map's size, except for strides and a pooling after the sum."""
    if not is_residual(block, residual):
        return
    where = f"layers {block[0].number} to {block[-1].number}, a residual block"
    shrinking = [layer.number for layer in block if layer.padding == "valid" and layer.span != (1, 1)]
    if shrinking:
        raise ValueError(f"{where}: padding valid at layer {shrinking[0]} leaves a smaller map than the shortcut has")
    pooled = [layer.number for layer in block[:-1] if layer.pooling != "none"]
    if pooled:
        raise ValueError(f"{where}: layer {pooled[0]} has a pooling; only the last layer of a block may, after the sum")


def token_grid(architecture: Architecture, shape: Shape) -> Pair:
    """Rows and columns of the patches. Raises ValueError if the patches, widths or heads do not go together."""
    _, height, width = shape
    rows, columns = pair(architecture.patch)
    if height % rows or width % columns:
        raise ValueError(f"patch {rows}×{columns} does not tile the {height}×{width} pixels of an image on its canvas")
    widths = sorted(set(architecture.channels))
    if len(widths) > 1:
        raise ValueError(f"channels {list(architecture.channels)} should be alike, as many numbers as there are blocks")
    if architecture.connectivity == "attention" and widths[0] % architecture.heads:
        raise ValueError(f"heads {architecture.heads} do not divide the width of {widths[0]} channels")
    return height // rows, width // columns

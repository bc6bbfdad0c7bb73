"""A trained net as a list of simple layers with rounded weights, as the page runs it.

A layer is a mapping: its `op`, its settings, and the names of its tensors. Maps are (channels, height, width).

    op            settings
    normalise     mean, std: of each channel, in the unit of the pixels
    pad           mode (zero, reflect, circular), sides (top, bottom, left, right)
    convolution   weight (outputs, inputs / groups, height, width), bias or null, stride, dilation, groups
    local         weight (tiles, fan in, outputs), bias (tiles, 1, outputs), kernel, stride, dilation, tile
                  the fan in counts the channels of a pixel first, then columns, then rows
    dense         weight (outputs, inputs), bias; a map is read channel by channel, row by row
    affine        weight, bias: of each channel
    group_norm    weight, bias, groups, eps
    activation    kind (relu, gelu, tanh)
    pool          kind (max, average, blur), size
    global        kind (average, max)
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from stages.shared.architectures.layer_settings import Layer, layers_of
from stages.shared.params.architecture import Architecture
from stages.shared.try_it_nets import bits_of, n_weights

EPSILON = 1e-5  # of torch's norms
LARGEST = 127  # of a weight of 8 bits

LayerOp = dict[str, Any]


@dataclass(frozen=True)
class Rounded:
    """A tensor whose numbers are rounded.

    stored: as float32, float16 or int8. scales: of the rows of an int8 tensor, else None; a row is what has one index
    on the first axis.
    """

    stored: np.ndarray
    scales: np.ndarray | None

    @property
    def values(self) -> np.ndarray:
        """In float32."""
        numbers = self.stored.astype(np.float32)
        if self.scales is None:
            return numbers
        return numbers * self.scales.reshape(-1, *[1] * (numbers.ndim - 1))


@dataclass(frozen=True)
class Net:
    """layers: see the module. tensors: name → its rounded numbers. size: how many weights were trained."""

    layers: list[LayerOp]
    tensors: dict[str, Rounded]
    size: int
    bits: int


def read_net(architecture: Architecture, weights: Path) -> Net:
    """The net of a weights.safetensors, rounded. architecture: one that try_it_nets.kind_of knows."""
    size = n_weights(weights)
    arrays = {name: array.astype(np.float32) for name, array in load_file(weights).items()}
    mean, std = (arrays.pop(f"normalise.{name}").ravel().tolist() for name in ("mean", "std"))
    reader = _Reader(arrays, bits_of(size))
    is_dense = architecture.connectivity == "fully_connected"
    layers = _dense_layers(architecture, reader) if is_dense else _layers_of_maps(architecture, len(mean), reader)
    net = Net([{"op": "normalise", "mean": mean, "std": std}, *layers], reader.tensors, size, reader.bits)
    assert not reader.modules, "every tensor belongs to a layer"
    return net


def rounded_to(bits: int, array: np.ndarray) -> Rounded:
    """To 32 bits (as they are), to 16 (float16) or to 8: from float16 to whole numbers with a scale for each row."""
    if bits == 32:
        return Rounded(array, None)
    half = array.astype(np.float16)
    if bits == 16:
        return Rounded(half, None)
    rows = half.astype(np.float32).reshape(len(half), -1)
    largest = np.abs(rows).max(axis=1)
    scales = np.where(largest > 0, largest / LARGEST, 1).astype(np.float32)
    return Rounded(np.rint(rows / scales[:, None]).astype(np.int8).reshape(array.shape), scales)


class _Reader:
    """Hands out the modules of a net in its order, and keeps their tensors rounded under short names."""

    def __init__(self, arrays: dict[str, np.ndarray], bits: int) -> None:
        by_module: dict[str, dict[str, np.ndarray]] = {}
        for name, array in arrays.items():
            module, _, role = name.rpartition(".")
            by_module.setdefault(module, {})[role] = array
        self.modules = [by_module[module] for module in sorted(by_module, key=_place)]
        self.tensors: dict[str, Rounded] = {}
        self.bits = bits

    def next(self) -> dict[str, np.ndarray]:
        """Role (weight, bias, running_mean, …) → tensor, of the next module."""
        return self.modules.pop(0)

    def named(self, module: dict[str, np.ndarray], bits: int | None = None) -> dict[str, str | None]:
        """Keep the weight and the bias of a module. Returns their names; None for a bias that is not there.

        bits: to which their numbers are rounded, if not to those of the net.
        """
        names: dict[str, str | None] = {"weight": None, "bias": None}
        for role in names:
            if role in module:
                name = f"{role}_{len(self.tensors)}"
                names[role], self.tensors[name] = name, rounded_to(bits or self.bits, module[role])
        return names


def _place(module: str) -> list[tuple[int, str]]:
    """Sort key of a module's name: "features.2" stands before "features.10", and "head.1" behind both."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in module.split(".")]


def _dense_layers(architecture: Architecture, reader: _Reader) -> Iterator[LayerOp]:
    for _ in architecture.channels:
        yield {"op": "dense", **reader.named(reader.next())}
        yield from _norm(architecture.norm, architecture.norm_groups, reader)
        yield {"op": "activation", "kind": architecture.activation}
    yield {"op": "dense", **reader.named(reader.next())}


def _layers_of_maps(architecture: Architecture, inputs: int, reader: _Reader) -> Iterator[LayerOp]:
    for layer in layers_of(architecture):
        yield from _connection(layer, inputs, reader)
        yield from _norm(layer.norm, architecture.norm_groups, reader)
        yield {"op": "activation", "kind": architecture.activation}
        if layer.pooling != "none":
            yield {"op": "pool", "kind": layer.pooling, "size": list(layer.pool_size)}
        inputs = layer.outputs
    if architecture.head != "flatten":
        yield {"op": "global", "kind": architecture.head.removeprefix("global_")}
    for _ in architecture.hidden:
        yield {"op": "dense", **reader.named(reader.next())}
        yield {"op": "activation", "kind": architecture.activation}
    yield {"op": "dense", **reader.named(reader.next())}


def _connection(layer: Layer, inputs: int, reader: _Reader) -> Iterator[LayerOp]:
    """The padding and the convolution or locally connected layer. inputs: channels."""
    rows, columns = layer.span[0] - 1, layer.span[1] - 1
    if layer.padding != "valid" and (rows or columns):
        top, left = rows // 2, columns // 2
        yield {"op": "pad", "mode": layer.padding, "sides": [top, rows - top, left, columns - left]}
    names = reader.named(reader.next())
    settings = {"stride": list(layer.stride), "dilation": list(layer.dilation)}
    if layer.connectivity == "locally_connected":
        yield {"op": "local", **names, **settings, "kernel": list(layer.kernel), "tile": list(layer.tile)}
        return
    groups = inputs if layer.connectivity == "separable" else layer.groups_of(inputs)
    yield {"op": "convolution", **names, **settings, "groups": groups}
    if layer.connectivity == "separable":
        yield {"op": "convolution", **reader.named(reader.next()), "stride": [1, 1], "dilation": [1, 1], "groups": 1}


def _norm(kind: str, groups: int, reader: _Reader) -> Iterator[LayerOp]:
    if kind == "none":
        return
    module = reader.next()
    if kind == "batch":
        scale = module["weight"] / np.sqrt(module["running_var"] + EPSILON)
        shift = module["bias"] - module["running_mean"] * scale
        yield {"op": "affine", **reader.named({"weight": scale, "bias": shift}, bits=32)}
    else:
        yield {"op": "group_norm", **reader.named(module), "groups": 1 if kind == "layer" else groups, "eps": EPSILON}

"""Runs the layers of net_layers.py on one image: the numbers behind the still picture of the nets that can be tried."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import erf

from stages.figures.net_layers import LayerOp, Net

BLUR = np.array([1.0, 2.0, 1.0]) / 4
PAD_MODES: dict[str, Any] = {"zero": "constant", "reflect": "reflect", "circular": "wrap"}
ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda maps: np.maximum(maps, 0),
    "gelu": lambda maps: maps * (1 + erf(maps / np.sqrt(2))) / 2,
    "tanh": np.tanh,
}


def probabilities(net: Net, image: np.ndarray) -> np.ndarray:
    """(K,): of each class. image: (C, H, W), in the unit of the prepared pixels."""
    tensors = {name: rounded.values.astype(np.float64) for name, rounded in net.tensors.items()}
    maps = image.astype(np.float64)
    for layer in net.layers:
        of_layer = {role: tensors.get(layer.get(role, "")) for role in ("weight", "bias")}
        maps = OPS[layer["op"]](layer, of_layer, maps)
    grown = np.exp(maps - maps.max())
    answer: np.ndarray = grown / grown.sum()
    return answer


Tensors = dict[str, Any]  # weight and bias, or None


def _of_channels(values: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """(C,) → a shape that meets the channels of maps (C, …)."""
    return np.asarray(values).reshape(-1, *[1] * (maps.ndim - 1))


def _normalise(layer: LayerOp, _: Tensors, maps: np.ndarray) -> np.ndarray:
    return (maps - _of_channels(layer["mean"], maps)) / _of_channels(layer["std"], maps)


def _pad(layer: LayerOp, _: Tensors, maps: np.ndarray) -> np.ndarray:
    top, bottom, left, right = layer["sides"]
    return np.pad(maps, ((0, 0), (top, bottom), (left, right)), mode=PAD_MODES[layer["mode"]])


def _windows(layer: LayerOp, kernel: list[int], maps: np.ndarray) -> np.ndarray:
    """What a filter of this kernel sees at each output position: (C, new H, new W, kernel H, kernel W)."""
    (rows, columns), (down, right) = layer["dilation"], layer["stride"]
    span = rows * (kernel[0] - 1) + 1, columns * (kernel[1] - 1) + 1
    return sliding_window_view(maps, span, axis=(1, 2))[:, ::down, ::right, ::rows, ::columns]


def _convolution(layer: LayerOp, tensors: Tensors, maps: np.ndarray) -> np.ndarray:
    weight, groups = tensors["weight"], layer["groups"]
    windows = _windows(layer, list(weight.shape[2:]), maps)
    parts = zip(np.split(windows, groups), np.split(weight, groups), strict=True)
    outputs = np.concatenate([np.einsum("cyxij,ocij->oyx", seen, filters, optimize=True) for seen, filters in parts])
    return outputs if tensors["bias"] is None else outputs + _of_channels(tensors["bias"], outputs)


def _local(layer: LayerOp, tensors: Tensors, maps: np.ndarray) -> np.ndarray:
    windows = _windows(layer, layer["kernel"], maps)
    _, height, width, *_ = windows.shape
    seen = windows.transpose(1, 2, 3, 4, 0).reshape(height, width, -1)
    tile_height, tile_width = min(layer["tile"][0], height), min(layer["tile"][1], width)
    n_columns = -(-width // tile_width)
    tiles = (np.arange(height) // tile_height)[:, None] * n_columns + np.arange(width) // tile_width
    outputs = np.einsum("yxf,yxfo->oyx", seen, tensors["weight"][tiles])
    return np.asarray(outputs + tensors["bias"][tiles, 0].transpose(2, 0, 1))


def _dense(_: LayerOp, tensors: Tensors, maps: np.ndarray) -> np.ndarray:
    return np.asarray(tensors["weight"] @ maps.ravel() + tensors["bias"])


def _affine(_: LayerOp, tensors: Tensors, maps: np.ndarray) -> np.ndarray:
    return maps * _of_channels(tensors["weight"], maps) + _of_channels(tensors["bias"], maps)


def _group_norm(layer: LayerOp, tensors: Tensors, maps: np.ndarray) -> np.ndarray:
    groups = maps.reshape(layer["groups"], -1)
    centred = groups - groups.mean(axis=1, keepdims=True)
    scaled = centred / np.sqrt(groups.var(axis=1, keepdims=True) + layer["eps"])
    return _affine(layer, tensors, scaled.reshape(maps.shape))


def _activation(layer: LayerOp, _: Tensors, maps: np.ndarray) -> np.ndarray:
    return ACTIVATIONS[layer["kind"]](maps)


def _pool(layer: LayerOp, _: Tensors, maps: np.ndarray) -> np.ndarray:
    height, width = layer["size"]
    maps = maps[:, : maps.shape[1] // height * height, : maps.shape[2] // width * width]
    if layer["kind"] != "blur":
        blocks = sliding_window_view(maps, (height, width), axis=(1, 2))[:, ::height, ::width]
        return np.asarray(blocks.max(axis=(3, 4)) if layer["kind"] == "max" else blocks.mean(axis=(3, 4)))
    maps = np.pad(maps, ((0, 0), (0, height - 1), (0, width - 1)), mode="edge")
    maps = sliding_window_view(maps, (height, width), axis=(1, 2)).max(axis=(3, 4))
    for axis, size in ((1, height), (2, width)):
        if size > 1:
            edges = [(0, 0)] * 3
            edges[axis] = (1, 1)
            maps = sliding_window_view(np.pad(maps, edges, mode="edge"), 3, axis=axis) @ BLUR
    return maps[:, ::height, ::width]


def _global(layer: LayerOp, _: Tensors, maps: np.ndarray) -> np.ndarray:
    return np.asarray(maps.max(axis=(1, 2)) if layer["kind"] == "max" else maps.mean(axis=(1, 2)))


OPS: dict[str, Callable[[LayerOp, Tensors, np.ndarray], np.ndarray]] = {
    "normalise": _normalise,
    "pad": _pad,
    "convolution": _convolution,
    "local": _local,
    "dense": _dense,
    "affine": _affine,
    "group_norm": _group_norm,
    "activation": _activation,
    "pool": _pool,
    "global": _global,
}

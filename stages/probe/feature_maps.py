"""Pictures of a net: its first filters, and what each layer makes of a few images. Small arrays to draw."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Num
from torch import Tensor, nn

from stages.probe.geometry import unknown_windows
from stages.probe.layers import activations
from stages.shared.architectures.layers import LocallyConnected2d
from stages.shared.architectures.own_net import OwnFeatures, WholeNet

Picture = Float[np.ndarray, "..."]


def feature_maps(
    model: nn.Sequential, images: Num[Tensor, "batch channel height width"], channels: int
) -> dict[str, Picture]:
    """The first `channels` channels after each layer: maps (N, channels, h, w), or units (N, channels)."""
    return {name: np.ascontiguousarray(maps[:, :channels].numpy()) for name, maps in activations(model, images).items()}


def one_of_each_class(labels: Int[Tensor, " batch"], classes: int) -> Int[Tensor, " class"]:
    """Index of the first image of each of the first `classes` classes that have one."""
    present = labels.unique()[:classes]
    return torch.stack([(labels == label).nonzero()[0, 0] for label in present])


def first_filters(model: nn.Sequential, shape: tuple[int, int, int], channels: int, places: int) -> Picture:
    """Weights of the first `channels` filters of the first layer, on the net's own pixel grid.

    Convolution: (filters, C, ky, kx). Locally connected: (rows, columns, filters, C, ky, kx), of `places` evenly spaced
    rows and columns of tiles, the first and the last among them, or of all where there are fewer.
    Fully connected: (units, C, H, W). shape: (C, H, W) of an image. One filter of NaN, (1, C, 1, 1), for a user's own
    net whose first layer is not known to be a convolution of the image.
    """
    if isinstance(model[1], OwnFeatures | WholeNet) and not _begins_with_convolution(model[1]):
        return np.full((1, shape[0], 1, 1), np.nan)
    first = next(module for module in model.modules() if type(module) in FILTERS)
    filters: Picture = np.ascontiguousarray(FILTERS[type(first)](first, shape, channels, places).detach().numpy())
    return filters


def _begins_with_convolution(features: nn.Module) -> bool:
    """Whether the first module of an own net that has weights is a convolution of all channels of the image."""
    if isinstance(features, WholeNet) or unknown_windows(features):
        return False
    convolutions = (module for module in features.modules() if isinstance(module, nn.Conv2d))
    return next((module.groups == 1 for module in convolutions), False)


def _convolution(layer: Any, _: tuple[int, int, int], channels: int, __: int) -> Tensor:
    return layer.weight[:channels]


def _local(layer: Any, shape: tuple[int, int, int], channels: int, places: int) -> Tensor:
    rows, columns = (np.unique(np.linspace(0, size - 1, places).round().astype(int)) for size in layer.grid)
    at = torch.from_numpy(rows[:, None] * layer.grid[1] + columns)
    weight = layer.weight[at]  # row, column, offset · in, out
    return weight.unflatten(2, (*layer.kernel_size, shape[0])).permute(0, 1, 5, 4, 2, 3)[:, :, :channels]


def _linear(layer: Any, shape: tuple[int, int, int], channels: int, _: int) -> Tensor:
    return layer.weight[:channels].unflatten(1, shape)


FILTERS: dict[type[nn.Module], Callable[[Any, tuple[int, int, int], int, int], Tensor]] = {
    nn.Conv2d: _convolution,
    LocallyConnected2d: _local,
    nn.Linear: _linear,
}

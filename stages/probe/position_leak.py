"""How much does a feature map tell about absolute position?

Islam et al. 2020, arXiv:2001.08248, train a small convolutional net on frozen maps of many layers to draw a map of
positions. Here a linear read-out of the last map alone says from the channels at one place where that place is.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Num
from torch import Tensor

from stages.probe.layers import Unmeasurable

Maps = Float[Tensor, "batch channel height width"]


def without_position(
    images: Num[Tensor, "batch channel height width"], generator: np.random.Generator
) -> Num[Tensor, "batch channel height width"]:
    """Images (N, C, H, W) with the pixels of each in a random order, so that all places have the same distribution.

    The grey values stay. What a map then tells about position comes from the net, not from the images.
    """
    n, _, height, width = images.shape
    order = generator.permuted(np.tile(np.arange(height * width), (n, 1)), axis=1)
    return torch.gather(images.flatten(2), 2, torch.from_numpy(order)[:, None].expand(-1, images.shape[1], -1)).view_as(
        images
    )


class ReadOut(NamedTuple):
    """r2: in [0, 1], the mean of both axes. channels: how many of the map's the read-out uses."""

    r2: float
    channels: int


def read_out_of_position(maps: Maps, folds: int, penalty: float, active_share: float) -> ReadOut:
    """Ridge regression of a position's (y, x) on its channels, scored on held-out images.

    maps: (N, C, h, w). penalty: of the squared weights. A channel is used if it is active (not 0) at `active_share` of
    the positions or more, whichever fold is held out: one that hardly ever is has next to no spread, and standardised
    by it a single held-out value could be thousands of deviations large. R² of an axis is at least 0, which a read-out
    reaches by naming the middle everywhere; where no channel is used it is 0.
    Raises Unmeasurable where the map has one position, or there are fewer images than folds.
    """
    n, channels, height, width = maps.shape
    _check(maps)
    if n < folds:
        raise Unmeasurable(f"{n} images are fewer than {folds} folds")
    units = maps.double().permute(0, 2, 3, 1).reshape(n, height * width, channels).numpy()
    fitted_and_held = [(np.delete(np.arange(n), held), held) for held in np.array_split(np.arange(n), folds)]
    active = (units != 0).mean(1)  # image, channel
    used = np.min([active[fitted].mean(0) for fitted, _ in fitted_and_held], axis=0) >= active_share
    units = units[:, :, used]
    places = np.stack(
        [axis.ravel() for axis, size in zip(np.indices((height, width)), (height, width), strict=True) if size > 1], 1
    )
    targets = np.tile(places.astype(float), (n, 1, 1))
    predicted = np.empty_like(targets)
    for fitted, held in fitted_and_held:
        read_out = _ridge(np.concatenate(units[fitted]), np.concatenate(targets[fitted]), penalty)
        predicted[held] = read_out(units[held])
    error, spread = ((targets - predicted) ** 2).sum((0, 1)), ((targets - targets.mean((0, 1))) ** 2).sum((0, 1))
    return ReadOut(float(np.maximum(0, 1 - error / spread).mean()), int(used.sum()))


def _ridge(units: np.ndarray, targets: np.ndarray, penalty: float) -> Callable[[np.ndarray], np.ndarray]:
    """The ridge regression of targets (n, t) on standardised units (n, C): a function (…, C) → (…, t).

    scikit-learn has it, but takes as long to import as most variants take to probe.
    """
    mean, spread = units.mean(0), units.std(0)
    scale = np.where(spread > 0, spread, 1)  # a channel that never varies tells nothing at any scale
    standard = (units - mean) / scale
    weights = np.linalg.solve(
        standard.T @ standard + penalty * np.eye(units.shape[1]), standard.T @ (targets - targets.mean(0))
    )
    return lambda new: (new - mean) / scale @ weights + targets.mean(0)


def position_share(maps: Maps) -> float:
    """Share of the variance within maps that belongs to the position and not to the image, channels together.

    maps: (N, C, h, w), N ≥ 2. Of d = map − its mean over positions, by image and channel, η² is N · Σ (mean of d over
    images)² / Σ d². Where nothing depends on position, its expectation is 1/N however neighbours correlate, so this
    returns (N η² − 1) / (N − 1), which is then 0 on average, and 1 where all images give one map.
    Raises Unmeasurable where the map has one position or does not vary over positions.
    """
    _check(maps)
    n = len(maps)
    if n < 2:
        raise Unmeasurable("the share of position in the variance needs two images")
    within = maps.double().flatten(2).numpy()
    within = within - within.mean(2, keepdims=True)
    total = float((within**2).sum())
    if total == 0:
        raise Unmeasurable("the feature map does not vary over positions")
    eta_squared = n * float((within.mean(0) ** 2).sum()) / total
    return (n * eta_squared - 1) / (n - 1)


def _check(maps: Maps) -> None:
    if not maps.isfinite().all():
        raise Unmeasurable("the last feature map is not finite")
    if maps.shape[2] * maps.shape[3] < 2:
        raise Unmeasurable("the last feature map has one position")

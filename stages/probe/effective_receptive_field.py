"""How much does each pixel move the central unit of the last map? Source: Luo et al. 2016, arXiv:1701.04128."""

import numpy as np
import torch
from jaxtyping import Float, Int, Num
from torch import Tensor, nn

from stages.probe.geometry import NO_FEATURES, Unmeasurable
from stages.probe.layers import BATCH, normalised
from stages.shared.architectures.own_net import WholeNet

Field = Float[np.ndarray, "height width"]


def effective_receptive_field(model: nn.Sequential, images: Num[Tensor, "batch channel height width"]) -> Field:
    """Mean over images and their channels of |∂ centre / ∂ normalised pixel|, (H, W).

    centre: the unit at (h // 2, w // 2) of the last map, summed over its channels. A fully connected net's last
    hidden units count as channels of a map of one position. images: (N, C, H, W).
    Raises Unmeasurable for a user's own net without `features`.
    """
    normalise, features, _ = model
    if isinstance(features, WholeNet):
        raise Unmeasurable(NO_FEATURES)
    total = torch.zeros(images.shape[2:], dtype=torch.float64)
    for batch in images.split(BATCH):
        pixels = normalised(normalise, batch).requires_grad_()
        maps = features(pixels)
        centre = maps if maps.ndim == 2 else maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2]
        (gradient,) = torch.autograd.grad(centre.sum(), pixels, materialize_grads=True)
        total += gradient.abs().mean(1).double().sum(0)
    field: Field = (total / len(images)).numpy()
    return field


def effective_size(field: Field, share: float) -> float:
    """Edge, in pixels, of a square as large as the fewest pixels that together hold `share` of the field's total.

    A field that is even over an r×r square has √share · r. Along one axis (a signal) it is a length. 0 where no pixel
    moves the unit. The definition is this project's own, after Ding et al. 2022, arXiv:2203.06717, table 10, who take
    the smallest rectangle around the centre that holds the share; the pixels counted here need not lie together.
    """
    largest_first = np.sort(field, axis=None)[::-1]
    cumulative = np.cumsum(largest_first)
    total = cumulative[-1]
    if total == 0:
        return 0.0
    return _edge(1 + float(np.searchsorted(cumulative, share * total)), field)


def size_of_even_field(field: Field, share: float) -> float:
    """`effective_size` of a field that is even over the pixels that can move the unit: those of `support`."""
    height, width = support(field)
    return _edge(share * height * width, field)


def size_by_luo(field: Field, share: float) -> float:
    """Edge of a square with as many pixels as move the unit by more than (1 − share) of what the central one does.

    With share 0.9545, which a Gaussian holds within two standard deviations, this is the size of Luo et al. 2016
    (section 3, figure 3), who compare with the centre and not with the maximum. The centre is that of `support`; where
    it lies between pixels, their mean stands for it. A field that is even over an r×r square has r.
    """
    rows, columns = np.flatnonzero(field.any(1)), np.flatnonzero(field.any(0))
    if not len(rows):
        return 0.0
    centre = np.ix_(_middle(rows), _middle(columns))
    return _edge(float((field > (1 - share) * field[centre].mean()).sum()), field)


def _middle(moved: Int[np.ndarray, " pixel"]) -> list[int]:
    ends = int(moved[0] + moved[-1])
    return sorted({ends // 2, (ends + 1) // 2})


def _edge(pixels: float, field: Field) -> float:
    """Of a square of so many pixels; along one axis (a signal) it is a length."""
    axes = sum(size > 1 for size in field.shape)
    return float(pixels ** (1 / max(axes, 1)))


def support(field: Field) -> tuple[int, int]:
    """Height and width of the bounding box of the pixels that move the unit at all.

    Over enough images it is the theoretical receptive field, or what of it lies on the image.
    """
    return _extent(np.flatnonzero(field.any(1))), _extent(np.flatnonzero(field.any(0)))


def _extent(moved: Int[np.ndarray, " pixel"]) -> int:
    return int(moved[-1] - moved[0]) + 1 if len(moved) else 0

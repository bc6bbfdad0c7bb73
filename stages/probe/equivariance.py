"""Does a feature map follow a shift of the image, away from the border? Source: Lenc and Vedaldi 2015."""

import torch
from jaxtyping import Num
from torch import Tensor, nn

from stages.probe.geometry import interior, total_stride
from stages.probe.layers import BATCH, Unmeasurable, layers, normalised


def first_layer_error(model: nn.Sequential, images: Num[Tensor, "batch channel height width"]) -> float:
    """`equivariance_error` of the first layer, before any pooling, for a shift by its stride, mostly one pixel."""
    normalise, features, head = model
    first = next(iter(layers(features).values()), features)  # a linear model has no layer before its head
    return equivariance_error(nn.Sequential(normalise, first, head), images)


def equivariance_error(model: nn.Sequential, images: Num[Tensor, "batch channel height width"]) -> float:
    """‖φ(Tx) − Tφ(x)‖ / ‖φ(x)‖ of the last feature map φ, over all images, channels and positions away from the border.

    T shifts down and right by the total stride, the least shift that moves the map by whole positions (by one), along
    each axis of more than one pixel. Only positions count whose field touches neither padding nor a pixel that the
    shift brought in, so 0 is exact equivariance whatever the padding. x: what the net sees, permuted or not.
    Raises Unmeasurable where there is no map, or no such position, or the map is 0 everywhere.
    """
    normalise, features, _ = model
    sizes = images.shape[2:]
    if any(isinstance(module, nn.Flatten) for module in features.modules()):
        raise Unmeasurable("a fully connected net has no feature map")
    shift = [total_stride(features, axis) if sizes[axis] > 1 else 0 for axis in (0, 1)]
    rows, columns = (_kept(features, axis, sizes[axis], shift[axis]) for axis in (0, 1))
    gap = size = 0.0
    with torch.inference_mode():
        for batch in images.split(BATCH):
            still, moved = (features(normalised(normalise, x)) for x in (batch, torch.roll(batch, shift, (2, 3))))
            expected = torch.roll(still, [int(pixels > 0) for pixels in shift], (2, 3))[:, :, rows, columns].double()
            gap += (moved[:, :, rows, columns] - expected).square().sum().item()
            size += expected.square().sum().item()
    if size == 0:
        raise Unmeasurable("the feature map is 0 at every position away from the border")
    return float((gap / size) ** 0.5)


def _kept(features: nn.Module, axis: int, pixels: int, shift: int) -> slice:
    """Positions that see neither padding nor what the shift brought in; all of them along an axis without a shift."""
    if not shift:
        return slice(None)
    first, last = interior(features, axis, pixels, shift)
    if last < first:
        raise Unmeasurable(
            f"every position of the map sees the border or beyond: {('height', 'width')[axis]} {pixels}, shift {shift}"
        )
    return slice(first, last + 1)

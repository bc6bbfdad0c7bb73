"""Does a feature map follow a shift of the image, away from the border? Source: Lenc and Vedaldi 2015."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn

from stages.probe.geometry import Unmeasurable, interior, total_stride
from stages.probe.layers import BATCH, layers, normalised

Images = Num[Tensor, "batch channel height width"]
Maps = Float[Tensor, "batch channel height width"]


class PixelErrors(NamedTuple):
    """How far the map of a shifted image is from three others, relative to the map's size.

    shifted: from the image's own map, shifted along. still: from that map where it was. unrelated: from the map of
    another image.
    """

    shifted: float
    still: float
    unrelated: float


def first_layer_error(model: nn.Sequential, images: Images) -> float:
    """`equivariance_error` of the first layer, before any pooling, for a shift by its stride, mostly one pixel."""
    normalise, features, head = model
    first = next(iter(layers(features).values()), features)  # a linear model has no layer before its head
    return equivariance_error(nn.Sequential(normalise, first, head), images)


def equivariance_error(model: nn.Sequential, images: Images) -> float:
    """‖φ(Tx) − Tφ(x)‖ / ‖φ(x)‖ of the last feature map φ, over all images, channels and positions away from the border.

    T shifts down and right by the total stride, the least shift that moves the map by whole positions (by one), along
    each axis of more than one pixel. Only positions count whose field touches neither padding nor a pixel that the
    shift brought in, so 0 is exact equivariance whatever the padding. The field of a token is here its patch, though
    attention and mixing bring in all others. x: what the net sees, permuted or not.
    Raises Unmeasurable where there is no map, or no such position, or the map is 0 everywhere.
    """
    return _errors(model, images, lambda axis: total_stride(model[1], axis)).shifted


def pixel_errors(model: nn.Sequential, images: Images) -> PixelErrors:
    """The same for a shift by one pixel, which moves a map of total stride s by 1/s of a position.

    The expected map is interpolated linearly between its neighbouring positions, which is exact for s = 1. Linear,
    because it reads no position but these two, so that nothing from the border comes in; a Fourier shift would need the
    map to be periodic. It also keeps a map non-negative that ends in a ReLU. What a position has lost to subsampling no
    interpolation brings back: that is the error that is measured (Zhang 2019; for shifts by parts of a position, Karras
    et al. 2021, arXiv:2106.12423).

    The two others are what to hold it against. still: the error if the map stayed where it is, that is, how far the
    shift moves the map at all. unrelated: the error if the map of the next image stood in its place, over all images;
    it would be √2 if the maps of two images were uncorrelated.
    Raises Unmeasurable as `equivariance_error` does.
    """
    return _errors(model, images, lambda axis: 1)


def _errors(model: nn.Sequential, images: Images, pixels: Callable[[int], int]) -> PixelErrors:
    """pixels: axis → how far the image is shifted along it; an axis of one pixel (a signal) is not shifted."""
    normalise, features, _ = model
    sizes = images.shape[2:]
    if any(isinstance(module, nn.Flatten) for module in features.modules()):
        raise Unmeasurable("a fully connected net has no feature map")
    shift = [pixels(axis) if sizes[axis] > 1 else 0 for axis in (0, 1)]
    rows, columns = (_valid_positions(features, axis, sizes[axis], shift[axis]) for axis in (0, 1))
    gaps, size = torch.zeros(3, dtype=torch.float64), 0.0
    with torch.inference_mode():
        for batch, others in zip(images.split(BATCH), torch.roll(images, 1, 0).split(BATCH), strict=True):
            seen = batch, torch.roll(batch, shift, (2, 3)), others
            still, moved, other = (features(normalised(normalise, x)).double() for x in seen)
            along = still
            for axis in (0, 1):
                along = _shifted(along, axis, shift[axis] / total_stride(features, axis))
            gaps += (torch.stack([along, still, other]) - moved)[..., rows, columns].square().sum((1, 2, 3, 4))
            size += still[..., rows, columns].square().sum().item()
    if size == 0:
        raise Unmeasurable("the feature map is 0 at every position away from the border")
    return PixelErrors(*(gaps / size).sqrt().tolist())


def _shifted(maps: Maps, axis: int, positions: float) -> Maps:
    """Down or right by at most one position, between two of them interpolated. What enters at the far side is void."""
    return (1 - positions) * maps + positions * torch.roll(maps, 1, 2 + axis)


def _valid_positions(features: nn.Module, axis: int, pixels: int, shift: int) -> slice:
    """Positions that, in the shifted image and beside it in the still one, see neither padding nor what came in.

    All of them along an axis without a shift.
    """
    if not shift:
        return slice(None)
    first, last = interior(features, axis, pixels, shift)
    first = max(first, interior(features, axis, pixels, 0)[0] + 1)  # the neighbour before it is read too
    if last < first:
        raise Unmeasurable(
            f"every position of the map sees the border or beyond: {('height', 'width')[axis]} {pixels}, shift {shift}"
        )
    return slice(first, last + 1)

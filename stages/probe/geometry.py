"""Where the positions of a feature map lie on the image, read from the modules themselves."""

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

from torch import nn

from stages.shared.architectures.closed_form import BLUR_TAPS
from stages.shared.architectures.layer_settings import pair
from stages.shared.architectures.layers import BlurPool2d, LocallyConnected2d


class Step(NamedTuple):
    """One sliding window along one axis."""

    before: int  # padding, in pixels
    after: int
    span: int
    stride: int
    multiple: int  # the map is first cut to a multiple of this size


def total_stride(features: nn.Module, axis: int) -> int:
    """Pixels between the fields of two neighbouring positions of the last map; axis 0 is vertical."""
    return prod(step.stride for step in steps(features, axis))


def interior(features: nn.Module, axis: int, size: int, first: int) -> tuple[int, int]:
    """First and last position of the last map whose field touches no padding and no pixel before pixel `first`.

    size: pixels along the axis. If there is no such position, the last is below the first.
    """
    last = size - 1
    for before, after, span, stride, multiple in steps(features, axis):
        size = size // multiple * multiple
        last = min(last, size - 1)
        size = (size + before + after - span) // stride + 1
        first = -(-(first + before) // stride)
        last = (last + before - span + 1) // stride
    return first, last


def steps(module: nn.Module, axis: int) -> list[Step]:
    """The windows of a module in their order. A residual block's shortcut is left out: it sees less than the block.

    Attention and mixing have none: the patches alone decide where a token lies.
    """
    steps_of_type = STEPS.get(type(module))
    if steps_of_type:
        return steps_of_type(module, axis)
    return [step for name, child in module.named_children() if name not in SHORTCUTS for step in steps(child, axis)]


def _padding(module: Any, axis: int) -> list[Step]:
    left, right, top, bottom = module.padding
    before, after = ((top, bottom), (left, right))[axis]
    return [Step(before, after, 1, 1, 1)]


def _convolution(module: Any, axis: int) -> list[Step]:
    return [Step(module.padding[axis], module.padding[axis], _span(module, axis), module.stride[axis], 1)]


def _local(module: Any, axis: int) -> list[Step]:
    return [Step(0, 0, _span(module, axis), module.stride[axis], 1)]


def _span(module: Any, axis: int) -> int:
    return int(module.dilation[axis] * (module.kernel_size[axis] - 1) + 1)


def _pooling(module: Any, axis: int) -> list[Step]:
    size = pair(module.kernel_size)[axis]
    return [Step(0, 0, size, size, 1)]


def _blur(module: Any, axis: int) -> list[Step]:
    size = module.pool_size[axis]
    return (
        [Step(0, size - 1, size, 1, size), Step(BLUR_TAPS // 2, BLUR_TAPS // 2, BLUR_TAPS, size, 1)] if size > 1 else []
    )


SHORTCUTS = ("downsample", "shortcut")  # torchvision's name, and this project's
STEPS: dict[type[nn.Module], Callable[[Any, int], list[Step]]] = {
    nn.ZeroPad2d: _padding,
    nn.ReflectionPad2d: _padding,
    nn.CircularPad2d: _padding,
    nn.Conv2d: _convolution,
    LocallyConnected2d: _local,
    nn.MaxPool2d: _pooling,
    nn.AvgPool2d: _pooling,
    BlurPool2d: _blur,
}

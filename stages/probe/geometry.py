"""Where the positions of a feature map lie on the image, read from the modules themselves."""

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

from torch import nn

from stages.shared.architectures.closed_form import BLUR_TAPS
from stages.shared.architectures.layer_settings import pair
from stages.shared.architectures.layers import BlurPool2d, LocallyConnected2d
from stages.shared.architectures.own_net import OwnFeatures, WholeNet


class Unmeasurable(ValueError):
    """A probe has no meaning for this model; the text is the reason."""


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


def unknown_windows(module: nn.Module) -> str:
    """The type of the first module in a user's own net whose windows are unknown; empty where all are known.

    Known is what stands in `torch.nn` and is in STEPS or POINTWISE, in plain sequences.
    """
    if type(module) in (nn.Sequential, OwnFeatures):
        return next(filter(None, map(unknown_windows, module.children())), "")
    has_odd_padding = isinstance(getattr(module, "padding", 0), str)  # "same"
    is_known = type(module) in STEPS or isinstance(module, POINTWISE)
    is_plain = is_known and not has_odd_padding and not getattr(module, "ceil_mode", False)
    return "" if is_plain else type(module).__name__


def _own(module: Any, axis: int) -> list[Step]:
    unknown = unknown_windows(module)
    if unknown:
        raise Unmeasurable(f"an own net with {unknown} in its features: where their positions lie is unknown")
    return [step for child in module.children() for step in steps(child, axis)]


def _whole(_: Any, __: int) -> list[Step]:
    raise Unmeasurable(NO_FEATURES)


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
    size, stride, padding = (pair(value)[axis] for value in (module.kernel_size, module.stride, module.padding))
    span = pair(getattr(module, "dilation", 1))[axis] * (size - 1) + 1
    return [Step(padding, padding, span, stride, 1)]


def _blur(module: Any, axis: int) -> list[Step]:
    size = module.pool_size[axis]
    return (
        [Step(0, size - 1, size, 1, size), Step(BLUR_TAPS // 2, BLUR_TAPS // 2, BLUR_TAPS, size, 1)] if size > 1 else []
    )


# Modules of a user's own net that leave every position where it is.
POINTWISE: tuple[type[nn.Module], ...] = (nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d, nn.Dropout, nn.Dropout2d)
POINTWISE += (nn.Identity, nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Hardswish)
NO_FEATURES = "an own net without features and head has no feature map to look at"
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
    OwnFeatures: _own,
    WholeNet: _whole,
}

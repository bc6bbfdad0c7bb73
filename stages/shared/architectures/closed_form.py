"""What a specification costs and sees, without building it: parameters, MACs, map sizes, receptive field."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from stages.shared.architectures.geometry import map_sizes, pair
from stages.shared.params import Architecture

BLUR_TAPS = 3


@dataclass(frozen=True)
class ClosedForm:
    """parameters: trainable numbers. macs: multiply-accumulates of one image, of convolutions and linear layers.

    map_sizes: (height, width) after each layer. receptive_field: pixels (height, width) that one unit of the last
    map sees; None where every unit sees the whole image by construction.
    """

    parameters: int
    macs: int
    map_sizes: list[tuple[int, int]]
    receptive_field: tuple[int, int] | None


def closed_form(architecture: Architecture, shape: tuple[int, int, int], classes: int) -> ClosedForm:
    """shape: (channels, height, width) of an image on its canvas. Raises ValueError if a feature map vanishes."""
    return COUNTERS[architecture.connectivity](architecture, shape, classes)


def receptive_field(architecture: Architecture) -> tuple[int, int]:
    """r = 1 + Σ_l (k_l − 1) Π_{i<l} s_i along each axis, poolings counted as layers. Source: Araujo et al. 2019."""
    return _field_along(architecture, 0), _field_along(architecture, 1)


def _field_along(architecture: Architecture, axis: int) -> int:
    field, jump = 1, 1
    for layer in range(1, len(architecture.channels) + 1):
        for span, stride in _windows(architecture, layer, axis):
            field += (span - 1) * jump
            jump *= stride
    return field


def _windows(architecture: Architecture, layer: int, axis: int) -> list[tuple[int, int]]:
    """(pixels spanned, stride) of the convolution of a layer and of the pooling after it."""
    span = pair(architecture.dilation)[axis] * (pair(architecture.kernel)[axis] - 1) + 1
    if layer not in architecture.reduce_at:
        return [(span, 1)]
    pool = pair(architecture.pool_size)[axis]
    poolings = {
        "none": [],
        "max": [(pool, pool)],
        "average": [(pool, pool)],
        "blur": [(pool, 1), (BLUR_TAPS if pool > 1 else 1, pool)],
    }
    return [(span, pair(architecture.stride)[axis]), *poolings[architecture.pooling]]


def _convolutional(architecture: Architecture, shape: tuple[int, int, int], classes: int) -> ClosedForm:
    channels, height, width = shape
    sizes = map_sizes(architecture, height, width)
    sizes_before = [(height, width), *sizes[:-1]]
    kernel_height, kernel_width = pair(architecture.kernel)
    parameters = macs = 0
    for layer, (inputs, outputs) in enumerate(pairwise([channels, *architecture.channels]), 1):
        positions = _positions(architecture, layer, sizes_before[layer - 1])
        fan_in = kernel_height * kernel_width * inputs
        n_filters = outputs if architecture.connectivity == "conv" else positions * outputs
        macs += positions * fan_in * outputs
        parameters += (fan_in + 1) * n_filters + _norm_parameters(architecture, outputs)
    last_height, last_width = sizes[-1] if architecture.head == "flatten" else (1, 1)
    widths = [architecture.channels[-1] * last_height * last_width, *architecture.hidden, classes]
    head_parameters, head_macs = _linear_layers(widths)
    return ClosedForm(parameters + head_parameters, macs + head_macs, sizes, receptive_field(architecture))


def _positions(architecture: Architecture, layer: int, before: tuple[int, int]) -> int:
    """Output positions of the convolution of a layer, before any pooling. before: (height, width) of its input."""
    reduce_at = (1,) if layer in architecture.reduce_at else ()
    convolution = architecture.model_copy(update={"channels": (1,), "pooling": "none", "reduce_at": reduce_at})
    height, width = map_sizes(convolution, *before)[0]
    return height * width


def _norm_parameters(architecture: Architecture, units: int) -> int:
    return 2 * units if architecture.norm == "batch" else 0


def _linear_layers(widths: list[int]) -> tuple[int, int]:
    """Parameters and multiply-accumulates of the linear layers between these widths."""
    layers = list(pairwise(widths))
    return sum((inputs + 1) * outputs for inputs, outputs in layers), sum(
        inputs * outputs for inputs, outputs in layers
    )


def _fully_connected(architecture: Architecture, shape: tuple[int, int, int], classes: int) -> ClosedForm:
    channels, height, width = shape
    parameters, macs = _linear_layers([channels * height * width, *architecture.channels, classes])
    return ClosedForm(parameters + _norm_parameters(architecture, sum(architecture.channels)), macs, [], None)


def _resnet18(_: Architecture, shape: tuple[int, int, int], classes: int) -> ClosedForm:
    """ResNet-18 with a 3×3 stem of stride 1 and no first pooling. Source: He et al. 2016, table 1 and section 4.2."""
    channels, height, width = shape
    parameters, macs = 9 * channels * 64 + 2 * 64, height * width * 9 * channels * 64
    sizes, field, jump = [(height, width)], 3, 1
    inputs = 64
    for outputs, first_stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for convolution in range(4):  # two blocks of two
            stride = first_stride if convolution == 0 else 1
            height, width = (height - 1) // stride + 1, (width - 1) // stride + 1
            parameters += 9 * inputs * outputs + 2 * outputs
            macs += height * width * 9 * inputs * outputs
            if stride > 1:  # the shortcut is a 1×1 convolution
                parameters += inputs * outputs + 2 * outputs
                macs += height * width * inputs * outputs
            field, jump = field + 2 * jump, jump * stride
            sizes.append((height, width))
            inputs = outputs
    return ClosedForm(parameters + (512 + 1) * classes, macs + 512 * classes, sizes, (field, field))


# Connectivity → (architecture, shape of an image, classes) → its closed form.
COUNTERS: dict[str, Callable[[Architecture, tuple[int, int, int], int], ClosedForm]] = {
    "conv": _convolutional,
    "locally_connected": _convolutional,
    "fully_connected": _fully_connected,
    "resnet18": _resnet18,
}

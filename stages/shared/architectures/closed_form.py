"""What a specification costs and sees, worked out without building it: parameters, MACs, map sizes, receptive field."""

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
    field = []
    for axis in (0, 1):
        reach, jump = 1, 1
        for layer in range(1, len(architecture.channels) + 1):
            for span, stride in _steps(architecture, layer, axis):
                reach += (span - 1) * jump
                jump *= stride
        field.append(reach)
    return field[0], field[1]


def _steps(architecture: Architecture, layer: int, axis: int) -> list[tuple[int, int]]:
    """(pixels spanned, stride) of the convolution of a layer and of what pools after it."""
    kernel, dilation, stride, pool = (
        pair(v)[axis] for v in (architecture.kernel, architecture.dilation, architecture.stride, architecture.pool_size)
    )
    span = dilation * (kernel - 1) + 1
    if layer not in architecture.reduce_at:
        return [(span, 1)]
    pooling = {
        "none": [],
        "max": [(pool, pool)],
        "average": [(pool, pool)],
        "blur": [(pool, 1), (BLUR_TAPS if pool > 1 else 1, pool)],
    }
    return [(span, stride), *pooling[architecture.pooling]]


def _convolutional(architecture: Architecture, shape: tuple[int, int, int], classes: int) -> ClosedForm:
    channels, height, width = shape
    sizes = map_sizes(architecture, height, width)
    area = pair(architecture.kernel)[0] * pair(architecture.kernel)[1]
    shared = architecture.connectivity == "conv"
    parameters = macs = 0
    for layer, ((fan, units), before) in enumerate(
        zip(pairwise([channels, *architecture.channels]), [(height, width), *sizes], strict=False), 1
    ):
        positions = _positions(architecture, layer, before)
        macs += positions * area * fan * units
        parameters += (1 if shared else positions) * (area * fan + 1) * units
        parameters += 2 * units * (architecture.norm == "batch")
    last = sizes[-1][0] * sizes[-1][1] if architecture.head == "flatten" else 1
    head = list(pairwise([architecture.channels[-1] * last, *architecture.hidden, classes]))
    parameters += sum((fan + 1) * units for fan, units in head)
    macs += sum(fan * units for fan, units in head)
    return ClosedForm(parameters, macs, sizes, receptive_field(architecture))


def _positions(architecture: Architecture, layer: int, before: tuple[int, int]) -> int:
    """Output positions of the convolution of a layer, before any pooling."""
    unpooled = architecture.model_copy(
        update={"channels": (1,), "pooling": "none", "reduce_at": (1,) if layer in architecture.reduce_at else ()}
    )
    height, width = map_sizes(unpooled, *before)[0]
    return height * width


def _fully_connected(architecture: Architecture, shape: tuple[int, int, int], classes: int) -> ClosedForm:
    channels, height, width = shape
    steps = list(pairwise([channels * height * width, *architecture.channels, classes]))
    norms = 2 * sum(architecture.channels) * (architecture.norm == "batch")
    return ClosedForm(
        sum((fan + 1) * units for fan, units in steps) + norms, sum(fan * units for fan, units in steps), [], None
    )


def _resnet18(_: Architecture, shape: tuple[int, int, int], classes: int) -> ClosedForm:
    """ResNet-18 with a 3×3 stem of stride 1 and no first pooling. Source: He et al. 2016, table 1 and section 4.2."""
    fan, height, width = shape
    size = (height, width)
    layers = [(fan, 64, 3, 1)]  # in, out, kernel, stride
    shortcuts = []
    for units, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        before = layers[-1][1]
        layers += [(before, units, 3, stride), (units, units, 3, 1), (units, units, 3, 1), (units, units, 3, 1)]
        if stride > 1:
            shortcuts.append((before, units, 1, stride))
    sizes, macs, reach, jump = [], 0, 1, 1
    for fan, units, kernel, stride in layers:
        size = ((size[0] - 1) // stride + 1, (size[1] - 1) // stride + 1)
        area = size[0] * size[1]
        macs += area * kernel * kernel * fan * units
        macs += sum(area * a * b for a, b, _, s in shortcuts if (a, b, s) == (fan, units, stride) and s > 1)
        reach, jump = reach + (kernel - 1) * jump, jump * stride
        sizes.append(size)
    parameters = sum(kernel * kernel * fan * units + 2 * units for fan, units, kernel, _ in layers + shortcuts)
    return ClosedForm(parameters + 513 * classes, macs + 512 * classes, sizes, (reach, reach))


COUNTERS = {
    "conv": _convolutional,
    "locally_connected": _convolutional,
    "fully_connected": _fully_connected,
    "resnet18": _resnet18,
}

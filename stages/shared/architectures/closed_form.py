"""What a specification costs and sees, without building it: parameters, MACs, map sizes, receptive field."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, prod

from stages.shared.architectures.layer_settings import Layer, Pair, blocks_of, is_residual, layers_of, pair
from stages.shared.architectures.maps import Shape, layer_sizes, map_sizes, token_grid
from stages.shared.params.architecture import Architecture

BLUR_TAPS = 3


@dataclass(frozen=True)
class ClosedForm:
    """parameters: trainable numbers. macs: multiply-accumulates of one image, of convolutions, linear layers and the
    products of attention.

    map_sizes: (height, width) after each layer, or the grid of tokens after each block. receptive_field: pixels
    (height, width) that one unit of the last map sees; None where every unit sees the whole image by construction, and
    of a user's own net, of which it is unknown.
    """

    parameters: int
    macs: int
    map_sizes: list[Pair]
    receptive_field: Pair | None


def closed_form(architecture: Architecture, shape: Shape, classes: int) -> ClosedForm:
    """shape: (channels, height, width) of an image on its canvas.

    Raises ValueError, naming the layer, if a feature map vanishes or a setting does not go with the others.
    """
    return COUNTERS[architecture.connectivity](architecture, shape, classes)


def receptive_field(architecture: Architecture) -> Pair:
    """r = 1 + Σ_l (k_l − 1) Π_{i<l} s_i along each axis, poolings counted as layers. Source: Araujo et al. 2019.

    A residual block's field is that of its layers; the shortcut sees less.
    """
    layers = layers_of(architecture)
    return _field_along(layers, 0), _field_along(layers, 1)


def _field_along(layers: list[Layer], axis: int) -> int:
    field, jump = 1, 1
    for layer in layers:
        for span, stride in _windows(layer, axis):
            field += (span - 1) * jump
            jump *= stride
    return field


def _windows(layer: Layer, axis: int) -> list[tuple[int, int]]:
    """(pixels spanned, stride) of the connection of a layer and of the pooling after it."""
    pool = layer.pool_size[axis]
    poolings = {
        "none": [],
        "max": [(pool, pool)],
        "average": [(pool, pool)],
        "blur": [(pool, 1), (BLUR_TAPS if pool > 1 else 1, pool)],
    }
    return [(layer.span[axis], layer.stride[axis]), *poolings[layer.pooling]]


def _layered(architecture: Architecture, shape: Shape, classes: int) -> ClosedForm:
    sizes = layer_sizes(architecture, shape)
    parameters = macs = 0
    for block in blocks_of(layers_of(architecture), architecture.residual):
        sizes_of_block = [sizes[layer.number - 1] for layer in block]
        for layer, size in zip(block, sizes_of_block, strict=True):
            positions = prod(size.connected)
            filters, products = CONNECTIONS[layer.connectivity](layer, size.inputs, size.connected)
            macs += positions * products
            parameters += filters + _norm_parameters(layer.norm, layer.outputs)
        first, last = sizes_of_block[0], sizes_of_block[-1]
        if is_residual(block, architecture.residual) and projects(block, first.inputs):
            macs += prod(last.connected) * first.inputs * block[-1].outputs
            parameters += first.inputs * block[-1].outputs + _norm_parameters(block[-1].norm, block[-1].outputs)
    head_parameters, head_macs = _head(architecture, sizes[-1].after, classes)
    maps = map_sizes(architecture, shape)
    return ClosedForm(parameters + head_parameters, macs + head_macs, maps, receptive_field(architecture))


def projects(block: list[Layer], inputs: int) -> bool:
    """Whether the shortcut around a block is a 1×1 convolution, since the block changes the shape of its map.

    Source: He et al. 2016, section 3.3, option B.
    """
    strides = [stride for layer in block for stride in layer.stride]
    return inputs != block[-1].outputs or max(strides) > 1


def _convolution(layer: Layer, inputs: int, _: Pair) -> tuple[int, int]:
    fan_in = prod(layer.kernel) * inputs // layer.groups_of(inputs)
    return (fan_in + 1) * layer.outputs, fan_in * layer.outputs


def _separable(layer: Layer, inputs: int, _: Pair) -> tuple[int, int]:
    """A filter for each input channel, and 1×1 convolutions of what these give. Source: Chollet 2017."""
    depthwise = prod(layer.kernel) * inputs
    return depthwise + (inputs + 1) * layer.outputs, depthwise + inputs * layer.outputs


def _locally_connected(layer: Layer, inputs: int, connected: Pair) -> tuple[int, int]:
    fan_in = prod(layer.kernel) * inputs
    tiles = ceil(connected[0] / layer.tile[0]) * ceil(connected[1] / layer.tile[1])
    return tiles * (fan_in + 1) * layer.outputs, fan_in * layer.outputs


# (layer, input channels, size of its map) → parameters, and multiply-accumulates of one position.
CONNECTIONS: dict[str, Callable[[Layer, int, Pair], tuple[int, int]]] = {
    "conv": _convolution,
    "separable": _separable,
    "locally_connected": _locally_connected,
}


def _norm_parameters(norm: str, units: int) -> int:
    return 0 if norm == "none" else 2 * units


def _head(architecture: Architecture, last_map: Pair, classes: int) -> tuple[int, int]:
    """Parameters and multiply-accumulates of what follows the last map."""
    positions = prod(last_map) if architecture.head == "flatten" else 1
    return _linear_layers([architecture.channels[-1] * positions, *architecture.hidden, classes])


def _linear_layers(widths: list[int]) -> tuple[int, int]:
    """Parameters and multiply-accumulates of the linear layers between these widths."""
    layers = list(pairwise(widths))
    return sum((inputs + 1) * outputs for inputs, outputs in layers), sum(
        inputs * outputs for inputs, outputs in layers
    )


def _fully_connected(architecture: Architecture, shape: Shape, classes: int) -> ClosedForm:
    _check_norm_of_units(architecture)
    parameters, macs = _linear_layers([prod(shape), *architecture.channels, classes])
    norms = _norm_parameters(architecture.norm, sum(architecture.channels))
    return ClosedForm(parameters + norms, macs, [], None)


def _check_norm_of_units(architecture: Architecture) -> None:
    norm, groups, units = architecture.norm, architecture.norm_groups, list(architecture.channels)
    if norm == "group" and any(width % groups for width in units):
        raise ValueError(f"norm_groups {groups} do not divide the units {units}")
    least = {"layer": 2, "group": 2 * groups}.get(norm, 1)
    if units and min(units) < least:
        of_groups = f" and norm_groups {groups}" if norm == "group" else ""
        raise ValueError(
            f"a norm over one unit alone leaves 0; with norm {norm}{of_groups} every layer needs {least} units or more"
        )


def _tokens(architecture: Architecture, shape: Shape, classes: int) -> ClosedForm:
    """Patches, blocks that mix tokens and then channels, a norm, and the head."""
    grid, width, depth = token_grid(architecture, shape), architecture.channels[0], len(architecture.channels)
    tokens, patch = prod(grid), shape[0] * prod(pair(architecture.patch))
    learned = tokens * width if has_positions(architecture) else 0
    mixing_parameters, mixing_macs = MIXINGS[architecture.connectivity](architecture, tokens, width)
    mlp_parameters, mlp_macs = _linear_layers([width, architecture.mlp_ratio * width, width])
    norm = 2 * width  # in front of each part of a block, and behind the last block
    parameters = (patch + 1) * width + learned + depth * (mixing_parameters + mlp_parameters + 2 * norm) + norm
    macs = tokens * patch * width + depth * (mixing_macs + tokens * mlp_macs)
    head_parameters, head_macs = _head(architecture, grid, classes)
    return ClosedForm(parameters + head_parameters, macs + head_macs, map_sizes(architecture, shape), None)


def has_positions(architecture: Architecture) -> bool:
    """Whether each token gets a learned vector of its own. A mixer tells its tokens apart without."""
    return architecture.connectivity == "attention" and architecture.positions == "learned"


def _attention(_: Architecture, tokens: int, width: int) -> tuple[int, int]:
    """Queries, keys and values, the two products of tokens with tokens, and the projection of the heads."""
    parameters, macs = _linear_layers([width, 3 * width])
    projection_parameters, projection_macs = _linear_layers([width, width])
    products = 2 * tokens * tokens * width
    return parameters + projection_parameters, tokens * (macs + projection_macs) + products


def _token_mixing(architecture: Architecture, tokens: int, width: int) -> tuple[int, int]:
    parameters, macs = _linear_layers([tokens, architecture.mlp_ratio * tokens, tokens])
    return parameters, width * macs


# (architecture, tokens, width) → parameters and multiply-accumulates of what mixes the tokens of one block.
MIXINGS: dict[str, Callable[[Architecture, int, int], tuple[int, int]]] = {
    "attention": _attention,
    "mixer": _token_mixing,
}


def _resnet18(_: Architecture, shape: Shape, classes: int) -> ClosedForm:
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


def _own_net(architecture: Architecture, shape: Shape, classes: int) -> ClosedForm:
    """Not in closed form: the net is built and counted. Raises OwnNetError, a ValueError, if that fails."""
    from stages.shared.architectures import own_net  # imports torch, which nothing else here needs

    assert architecture.own_module is not None, "the settings of a net are checked"
    return ClosedForm(*own_net.counted(architecture.own_module, shape, classes), [], None)


# Connectivity → (architecture, shape of an image, classes) → its closed form.
COUNTERS: dict[str, Callable[[Architecture, Shape, int], ClosedForm]] = {
    "conv": _layered,
    "separable": _layered,
    "locally_connected": _layered,
    "fully_connected": _fully_connected,
    "attention": _tokens,
    "mixer": _tokens,
    "resnet18": _resnet18,
    "module": _own_net,
}

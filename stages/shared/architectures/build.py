"""From a specification to a torch module, with its weights drawn from a generator of its own."""

from collections.abc import Callable
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stages.shared.architectures import own_net
from stages.shared.architectures.closed_form import has_positions, projects
from stages.shared.architectures.layer_settings import Layer, Pair, blocks_of, is_residual, layers_of, pair, stride_of
from stages.shared.architectures.layers import BlurPool2d, GlobalAverage, LocallyConnected2d, Normalise, Residual
from stages.shared.architectures.maps import LayerSizes, Shape, layer_sizes, token_grid
from stages.shared.architectures.tokens import POSITION_SPREAD, Block, ChannelNorm, Positions, SelfAttention, TokenMLP
from stages.shared.params import Architecture

# (channels, groups of group norm) → module. Layer norm is over all channels and positions, as group norm of one group.
NORMS: dict[str, Callable[[int, int], nn.Module]] = {
    "none": lambda _, __: nn.Identity(),
    "batch": lambda channels, _: nn.BatchNorm2d(channels),
    "layer": lambda channels, _: nn.GroupNorm(1, channels),
    "group": lambda channels, groups: nn.GroupNorm(groups, channels),
}
NORMS_OF_UNITS = NORMS | {"batch": lambda units, _: nn.BatchNorm1d(units)}
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
}
PADDINGS = {"zero": nn.ZeroPad2d, "reflect": nn.ReflectionPad2d, "circular": nn.CircularPad2d}
# (channels, pool size) → module
POOLINGS: dict[str, Callable[[int, tuple[int, int]], nn.Module]] = {
    "max": lambda _, size: nn.MaxPool2d(size),
    "average": lambda _, size: nn.AvgPool2d(size),
    "blur": BlurPool2d,
    "none": lambda _, __: nn.Identity(),
}
HEADS: dict[str, Callable[[], nn.Module]] = {
    "flatten": nn.Identity,
    "global_average": GlobalAverage,
    "global_max": lambda: nn.AdaptiveMaxPool2d(1),
}


def build(
    architecture: Architecture,
    shape: Shape,
    classes: int,
    mean: list[float],
    std: list[float],
    generator: torch.Generator,
) -> nn.Sequential:
    """A module from pixels (N, C, H, W) in [0, 255] to logits (N, classes); weights drawn from `generator`.

    shape: (C, H, W). mean, std: of each channel, of pixels / 255.
    Its children are `normalise`, `features` (all layers, to the last feature map) and `head`.
    Raises ValueError, naming the layer, if a feature map vanishes.
    """
    if architecture.own_module is not None:
        return own_net.build(architecture.own_module, shape, classes, mean, std, generator)
    with torch.random.fork_rng(devices=[]):  # torch draws default weights from its global generator; ours replace them
        features, head = BUILDERS[architecture.connectivity](architecture, shape, classes)
    model = nn.Sequential()
    model.add_module("normalise", Normalise(mean, std))
    model.add_module("features", features)
    model.add_module("head", head)
    for module in model.modules():
        _draw_weights(module, generator)
    return model.to(memory_format=torch.channels_last)


def save_weights(model: nn.Module, path: Path) -> None:
    """Tensors that share their memory, as tied weights do, are saved as often as they have names."""
    state = model.state_dict().items()
    save_file({name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state}, path)


def trained(architecture: Architecture, shape: Shape, classes: int, weights: Path) -> nn.Sequential:
    """The net whose weights, and constants of its pixels, are in the file `weights`; in evaluation mode.

    Raises safetensors.SafetensorError if the file is damaged, RuntimeError if it belongs to another architecture.
    """
    channels = shape[0]
    model = build(architecture, shape, classes, [0.0] * channels, [1.0] * channels, torch.Generator())
    model.load_state_dict(load_file(weights))
    return model.eval()


def logits_of(model: nn.Module, pixels: Tensor) -> Tensor:
    """(N, C, H, W) pixels of any type to (N, classes) logits, in the memory format that the CPU convolves fastest."""
    logits: Tensor = model(_channels_last(pixels))
    return logits


def _channels_last(pixels: Tensor) -> Tensor:
    """The same pixels with the strides of channels last, also where there is one channel.

    torch's `contiguous` leaves the strides of one channel as they are. The weights of a 1×1 convolution do not tell the
    formats apart either, so that its output would have channels first, and pooling would take four times as long.
    """
    images, channels, height, width = pixels.shape
    return pixels.movedim(1, 3).flatten().view(images, height, width, channels).movedim(3, 1)


def _draw_weights(module: nn.Module, generator: torch.Generator) -> None:
    """U(−1/√fan_in, 1/√fan_in) for weights and biases alike: torch's default for linear and convolutional layers.

    Norms keep 1 and 0.
    """
    if isinstance(module, Positions):
        nn.init.normal_(module.vectors, 0, POSITION_SPREAD, generator=generator)
    if not isinstance(module, nn.Conv2d | nn.Linear | LocallyConnected2d):
        return
    fan_in = module.fan_in if isinstance(module, LocallyConnected2d) else module.weight[0].numel()
    for parameter in module.parameters(recurse=False):
        nn.init.uniform_(parameter, -(fan_in**-0.5), fan_in**-0.5, generator=generator)


def _layered(architecture: Architecture, shape: Shape, classes: int) -> tuple[nn.Module, nn.Module]:
    sizes, features = layer_sizes(architecture, shape), nn.Sequential()
    for block in blocks_of(layers_of(architecture), architecture.residual):
        if is_residual(block, architecture.residual):
            *inner, last = block
            modules = [module for layer in inner for module in _layer(architecture, layer, sizes[layer.number - 1])]
            modules += _connected(architecture, last, sizes[last.number - 1])
            shortcut = _shortcut(architecture, block, sizes[block[0].number - 1].inputs)
            features.append(Residual(nn.Sequential(*modules), shortcut))
            features.extend(_after_connection(architecture, last))
        else:
            features.extend(_layer(architecture, block[0], sizes[block[0].number - 1]))
    return features, _head(architecture, sizes[-1].after, classes)


def _layer(architecture: Architecture, layer: Layer, size: LayerSizes) -> list[nn.Module]:
    return [*_connected(architecture, layer, size), *_after_connection(architecture, layer)]


def _connected(architecture: Architecture, layer: Layer, size: LayerSizes) -> list[nn.Module]:
    return [*_connection(layer, size), NORMS[layer.norm](layer.outputs, architecture.norm_groups)]


def _after_connection(architecture: Architecture, layer: Layer) -> list[nn.Module]:
    """The activation, the pooling and the dropout."""
    rest: list[nn.Module] = [ACTIVATIONS[architecture.activation]()]
    if layer.pooling != "none":
        rest.append(POOLINGS[layer.pooling](layer.outputs, layer.pool_size))
    if layer.pooling == "max" and architecture.activation == "relu":
        rest.reverse()  # the two commute, and the pooled map is smaller
    return [*rest, *_dropout(layer.dropout)]


def _dropout(share: float) -> list[nn.Module]:
    return [nn.Dropout(share)] if share else []


def _shortcut(architecture: Architecture, block: list[Layer], inputs: int) -> nn.Module:
    """What the block's layers are added to: its input, through a 1×1 convolution where the shapes differ."""
    if not projects(block, inputs):
        return nn.Identity()
    last = block[-1]
    projection = _convolution(inputs, last.outputs, (1, 1), stride_of(block), bias=False)
    return nn.Sequential(projection, NORMS[last.norm](last.outputs, architecture.norm_groups))


def _convolution(inputs: int, outputs: int, kernel: Pair, stride: Pair, **more: Any) -> nn.Module:
    """torch's convolution; `more` are its other settings.

    A 1×1 convolution with a stride becomes two modules: one picks the pixels that it reads, the other convolves them
    without a stride. The sums are the same. oneDNN's strided one writes past its memory where few channels come in:
    https://github.com/uxlfoundation/oneDNN/issues/6035
    """
    if kernel == (1, 1) and stride != (1, 1):
        pixels_read = nn.AvgPool2d(1, stride)  # the average of one pixel
        return nn.Sequential(pixels_read, nn.Conv2d(inputs, outputs, kernel, **more))
    return nn.Conv2d(inputs, outputs, kernel, stride, **more)


def _connection(layer: Layer, size: LayerSizes) -> list[nn.Module]:
    """The padding, if it needs a module, and the convolution or locally connected layer of a map of size.before."""
    pads = _pads(layer)
    if layer.connectivity == "locally_connected":
        padded = (size.before[0] + pads.top + pads.bottom, size.before[1] + pads.left + pads.right)
        settings = (layer.kernel, padded, layer.stride, layer.dilation, layer.tile)
        return [*_padding(layer, pads), LocallyConnected2d(size.inputs, layer.outputs, *settings)]
    groups = size.inputs if layer.connectivity == "separable" else layer.groups_of(size.inputs)
    outputs = size.inputs if layer.connectivity == "separable" else layer.outputs
    is_even = pads.left == pads.right and pads.top == pads.bottom
    own_padding = (pads.top, pads.left) if layer.padding == "zero" and is_even else (0, 0)
    convolution = _convolution(
        size.inputs, outputs, layer.kernel, layer.stride, padding=own_padding, dilation=layer.dilation, groups=groups,
        bias=layer.connectivity == "conv",
    )  # fmt: skip
    # A convolution pads with zeros itself, in less time, if both sides get as many.
    modules = [] if any(own_padding) else _padding(layer, pads)
    if layer.connectivity == "conv":
        return [*modules, convolution]
    return [*modules, nn.Sequential(convolution, nn.Conv2d(size.inputs, layer.outputs, 1))]


class _Pads(NamedTuple):
    """Pixels added on each side, in the order of torch's padding modules."""

    left: int
    right: int
    top: int
    bottom: int


def _pads(layer: Layer) -> _Pads:
    """As many that a stride of 1 keeps the size; of an odd number, one more at the right and at the bottom."""
    if layer.padding == "valid":
        return _Pads(0, 0, 0, 0)
    rows, columns = layer.span[0] - 1, layer.span[1] - 1
    top, left = rows // 2, columns // 2
    return _Pads(left, columns - left, top, rows - top)


def _padding(layer: Layer, pads: _Pads) -> list[nn.Module]:
    return [PADDINGS[layer.padding](pads)] if any(pads) else []


def _head(architecture: Architecture, last_map: tuple[int, int], classes: int) -> nn.Sequential:
    """From the last map to logits."""
    height, width = last_map if architecture.head == "flatten" else (1, 1)
    head = nn.Sequential(HEADS[architecture.head](), nn.Flatten())
    widths = [architecture.channels[-1] * height * width, *architecture.hidden]
    for inputs, outputs in pairwise(widths):
        head.extend([nn.Linear(inputs, outputs), ACTIVATIONS[architecture.activation]()])
        head.extend(_dropout(architecture.dropout))
    head.append(nn.Linear(widths[-1], classes))
    return head


def _fully_connected(architecture: Architecture, shape: Shape, classes: int) -> tuple[nn.Module, nn.Module]:
    features = nn.Sequential(nn.Flatten())
    widths = [prod(shape), *architecture.channels]
    for inputs, outputs in pairwise(widths):
        norm = NORMS_OF_UNITS[architecture.norm](outputs, architecture.norm_groups)
        features.extend([nn.Linear(inputs, outputs), norm, ACTIVATIONS[architecture.activation]()])
        features.extend(_dropout(architecture.dropout))
    return features, nn.Linear(widths[-1], classes)


def _tokens(architecture: Architecture, shape: Shape, classes: int) -> tuple[nn.Module, nn.Module]:
    """A vision transformer or a mixer; its head takes the grid of tokens as a feature map."""
    grid, width = token_grid(architecture, shape), architecture.channels[0]
    patch = pair(architecture.patch)
    features = nn.Sequential(nn.Conv2d(shape[0], width, patch, patch))
    if has_positions(architecture):
        features.append(Positions(width, *grid))
    for _ in architecture.channels:
        if architecture.connectivity == "attention":
            mix: nn.Module = SelfAttention(width, architecture.heads)
        else:
            mix = TokenMLP(prod(grid), architecture.mlp_ratio, ACTIVATIONS[architecture.activation]())
        mlp = architecture.mlp_ratio, ACTIVATIONS[architecture.activation](), architecture.dropout
        features.append(Block(width, mix, *mlp))
    features.append(ChannelNorm(width))
    return features, _head(architecture, grid, classes)


def _resnet18(_: Architecture, shape: Shape, classes: int) -> tuple[nn.Module, nn.Module]:
    """torchvision's ResNet-18 for small images: a 3×3 stem of stride 1, and no first pooling."""
    from torchvision.models import resnet18

    net = resnet18(num_classes=classes)
    net.conv1 = nn.Conv2d(shape[0], 64, 3, padding=1, bias=False)
    features = nn.Sequential(net.conv1, net.bn1, net.relu, net.layer1, net.layer2, net.layer3, net.layer4)
    return features, nn.Sequential(net.avgpool, nn.Flatten(), net.fc)


# Connectivity → (architecture, shape of an image, classes) → features and head.
BUILDERS: dict[str, Callable[[Architecture, Shape, int], tuple[nn.Module, nn.Module]]] = {
    "conv": _layered,
    "separable": _layered,
    "locally_connected": _layered,
    "fully_connected": _fully_connected,
    "attention": _tokens,
    "mixer": _tokens,
    "resnet18": _resnet18,
}

"""From a specification to a torch module, with its weights drawn from a generator of its own."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stages.shared.architectures.geometry import map_sizes, pair
from stages.shared.architectures.layers import BlurPool2d, GlobalAverage, LocallyConnected2d, Normalise
from stages.shared.params import Architecture

NORMS: dict[str, Callable[[int], nn.Module]] = {"none": lambda _: nn.Identity(), "batch": nn.BatchNorm2d}
NORMS_OF_UNITS: dict[str, Callable[[int], nn.Module]] = {"none": lambda _: nn.Identity(), "batch": nn.BatchNorm1d}
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
    shape: tuple[int, int, int],
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
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)


def trained(architecture: Architecture, shape: tuple[int, int, int], classes: int, weights: Path) -> nn.Sequential:
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
    """U(−1/√fan_in, 1/√fan_in) for weights and biases alike: torch's default for linear and convolutional layers."""
    if not isinstance(module, nn.Conv2d | nn.Linear | LocallyConnected2d):
        return
    fan_in = module.fan_in if isinstance(module, LocallyConnected2d) else module.weight[0].numel()
    for parameter in module.parameters(recurse=False):
        nn.init.uniform_(parameter, -(fan_in**-0.5), fan_in**-0.5, generator=generator)


def _convolutional(
    architecture: Architecture, shape: tuple[int, int, int], classes: int
) -> tuple[nn.Module, nn.Module]:
    channels, height, width = shape
    sizes = [(height, width), *map_sizes(architecture, height, width)]
    features = nn.Sequential()
    for layer, (inputs, outputs) in enumerate(pairwise([channels, *architecture.channels]), 1):
        reduces = layer in architecture.reduce_at
        features.extend(_connection(architecture, inputs, outputs, sizes[layer - 1], reduces))
        features.append(NORMS[architecture.norm](outputs))
        rest: list[nn.Module] = [ACTIVATIONS[architecture.activation]()]
        if reduces:
            rest.append(POOLINGS[architecture.pooling](outputs, pair(architecture.pool_size)))
        if architecture.pooling == "max" and architecture.activation == "relu":
            rest.reverse()  # the two commute, and the pooled map is smaller
        features.extend(rest)
    height, width = sizes[-1] if architecture.head == "flatten" else (1, 1)
    head = nn.Sequential(HEADS[architecture.head](), nn.Flatten())
    widths = [architecture.channels[-1] * height * width, *architecture.hidden]
    for inputs, outputs in pairwise(widths):
        head.extend([nn.Linear(inputs, outputs), ACTIVATIONS[architecture.activation]()])
    head.append(nn.Linear(widths[-1], classes))
    return features, head


def _connection(
    architecture: Architecture, inputs: int, outputs: int, in_size: tuple[int, int], reduces: bool
) -> list[nn.Module]:
    """The padding, if it needs a module, and the convolution or locally connected layer of maps of in_size."""
    kernel, dilation = pair(architecture.kernel), pair(architecture.dilation)
    stride = pair(architecture.stride) if reduces else (1, 1)
    pads = _pads(architecture)
    shares_weights = architecture.connectivity == "conv"
    if shares_weights and architecture.padding == "zero" and pads.left == pads.right and pads.top == pads.bottom:
        # A convolution pads with zeros itself, in less time, if both sides get as many.
        return [nn.Conv2d(inputs, outputs, kernel, stride, padding=(pads.top, pads.left), dilation=dilation)]
    padding = [PADDINGS[architecture.padding](pads)] if any(pads) else []
    if shares_weights:
        return [*padding, nn.Conv2d(inputs, outputs, kernel, stride, dilation=dilation)]
    padded = (in_size[0] + pads.top + pads.bottom, in_size[1] + pads.left + pads.right)
    return [*padding, LocallyConnected2d(inputs, outputs, kernel, padded, stride, dilation)]


class _Pads(NamedTuple):
    """Pixels added on each side, in the order of torch's padding modules."""

    left: int
    right: int
    top: int
    bottom: int


def _pads(architecture: Architecture) -> _Pads:
    """As many that a stride of 1 keeps the size; of an odd number, one more at the right and at the bottom."""
    if architecture.padding == "valid":
        return _Pads(0, 0, 0, 0)
    kernel, dilation = pair(architecture.kernel), pair(architecture.dilation)
    rows, columns = dilation[0] * (kernel[0] - 1), dilation[1] * (kernel[1] - 1)
    top, left = rows // 2, columns // 2
    return _Pads(left, columns - left, top, rows - top)


def _fully_connected(
    architecture: Architecture, shape: tuple[int, int, int], classes: int
) -> tuple[nn.Module, nn.Module]:
    channels, height, width = shape
    features = nn.Sequential(nn.Flatten())
    widths = [channels * height * width, *architecture.channels]
    for inputs, outputs in pairwise(widths):
        norm = NORMS_OF_UNITS[architecture.norm](outputs)
        features.extend([nn.Linear(inputs, outputs), norm, ACTIVATIONS[architecture.activation]()])
    return features, nn.Linear(widths[-1], classes)


def _resnet18(_: Architecture, shape: tuple[int, int, int], classes: int) -> tuple[nn.Module, nn.Module]:
    """torchvision's ResNet-18 for small images: a 3×3 stem of stride 1, and no first pooling."""
    from torchvision.models import resnet18

    net = resnet18(num_classes=classes)
    net.conv1 = nn.Conv2d(shape[0], 64, 3, padding=1, bias=False)
    features = nn.Sequential(net.conv1, net.bn1, net.relu, net.layer1, net.layer2, net.layer3, net.layer4)
    return features, nn.Sequential(net.avgpool, nn.Flatten(), net.fc)


# Connectivity → (architecture, shape of an image, classes) → features and head.
BUILDERS: dict[str, Callable[[Architecture, tuple[int, int, int], int], tuple[nn.Module, nn.Module]]] = {
    "conv": _convolutional,
    "locally_connected": _convolutional,
    "fully_connected": _fully_connected,
    "resnet18": _resnet18,
}

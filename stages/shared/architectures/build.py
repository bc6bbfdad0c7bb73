"""A specification made into a module, its weights drawn from a generator of its own."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

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
    Its children are `normalise`, `features` (the layers, to the last feature map) and `head`.
    Raises ValueError, naming the layer, if a feature map vanishes.
    """
    with torch.random.fork_rng(devices=[]):  # torch draws default weights; ours replace them
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


def load_weights(model: nn.Module, path: Path) -> None:
    """Raises safetensors.SafetensorError if the file is damaged, RuntimeError if it belongs to another architecture."""
    model.load_state_dict(load_file(path))


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
    for layer, (fan, units) in enumerate(pairwise([channels, *architecture.channels]), 1):
        pads = _pads(architecture)
        reduces = layer in architecture.reduce_at
        # A convolution pads with zeros by itself, in less time, where both sides get as many.
        own = architecture.connectivity == "conv" and architecture.padding == "zero" and pads[::2] == pads[1::2]
        if any(pads) and not own:
            features.append(PADDINGS[architecture.padding](pads))
        size, zeros = (sizes[layer - 1], pads[2::-2]) if own else (_padded(sizes[layer - 1], pads), (0, 0))
        features.append(_connection(architecture, fan, units, size, zeros, reduces))
        features.append(NORMS[architecture.norm](units))
        after: list[nn.Module] = [ACTIVATIONS[architecture.activation]()]
        if reduces:
            after.append(POOLINGS[architecture.pooling](units, pair(architecture.pool_size)))
        if architecture.pooling == "max" and architecture.activation == "relu":
            after.reverse()  # the two commute, and the pooled map is smaller
        features.extend(after)
    last = sizes[-1] if architecture.head == "flatten" else (1, 1)
    head = nn.Sequential(HEADS[architecture.head](), nn.Flatten())
    widths = [architecture.channels[-1] * last[0] * last[1], *architecture.hidden]
    for fan, units in pairwise(widths):
        head.extend([nn.Linear(fan, units), ACTIVATIONS[architecture.activation]()])
    head.append(nn.Linear(widths[-1], classes))
    return features, head


def _connection(
    architecture: Architecture, fan: int, units: int, in_size: tuple[int, int], zeros: tuple[int, int], reduces: bool
) -> nn.Module:
    kernel, dilation = pair(architecture.kernel), pair(architecture.dilation)
    stride = pair(architecture.stride) if reduces else (1, 1)
    if architecture.connectivity == "conv":
        return nn.Conv2d(fan, units, kernel, stride=stride, padding=zeros, dilation=dilation)
    return LocallyConnected2d(fan, units, kernel, in_size, stride=stride, dilation=dilation)


def _pads(architecture: Architecture) -> tuple[int, int, int, int]:
    """Pixels added left, right, top and bottom, so that a stride of 1 keeps the size."""
    if architecture.padding == "valid":
        return 0, 0, 0, 0
    top, left = (d * (k - 1) // 2 for d, k in zip(pair(architecture.dilation), pair(architecture.kernel), strict=True))
    bottom, right = (
        d * (k - 1) - d * (k - 1) // 2
        for d, k in zip(pair(architecture.dilation), pair(architecture.kernel), strict=True)
    )
    return left, right, top, bottom


def _padded(size: tuple[int, int], pads: tuple[int, int, int, int]) -> tuple[int, int]:
    return size[0] + pads[2] + pads[3], size[1] + pads[0] + pads[1]


def _fully_connected(
    architecture: Architecture, shape: tuple[int, int, int], classes: int
) -> tuple[nn.Module, nn.Module]:
    features = nn.Sequential(nn.Flatten())
    widths = [shape[0] * shape[1] * shape[2], *architecture.channels]
    for fan, units in pairwise(widths):
        features.extend(
            [nn.Linear(fan, units), NORMS_OF_UNITS[architecture.norm](units), ACTIVATIONS[architecture.activation]()]
        )
    return features, nn.Linear(widths[-1], classes)


def _resnet18(_: Architecture, shape: tuple[int, int, int], classes: int) -> tuple[nn.Module, nn.Module]:
    """torchvision's ResNet-18 for small images: a 3×3 stem of stride 1, and no first pooling."""
    from torchvision.models import resnet18

    net = resnet18(num_classes=classes)
    net.conv1 = nn.Conv2d(shape[0], 64, 3, padding=1, bias=False)
    features = nn.Sequential(net.conv1, net.bn1, net.relu, net.layer1, net.layer2, net.layer3, net.layer4)
    return features, nn.Sequential(net.avgpool, nn.Flatten(), net.fc)


BUILDERS: dict[str, Callable[[Architecture, tuple[int, int, int], int], tuple[nn.Module, nn.Module]]] = {
    "conv": _convolutional,
    "locally_connected": _convolutional,
    "fully_connected": _fully_connected,
    "resnet18": _resnet18,
}


def logits_of(model: nn.Module, pixels: Tensor) -> Tensor:
    """(N, C, H, W) pixels of any type to (N, classes) logits, in the memory format that the CPU convolves fastest."""
    logits: Tensor = model(_channels_last(pixels))
    return logits


def _channels_last(pixels: Tensor) -> Tensor:
    """The same pixels with the strides of channels last, also where there is one channel.

    torch's `contiguous` leaves the strides of one channel as they are. A 1×1 convolution, whose weights do not tell the
    formats apart either, then answers with channels first, which takes the pooling four times as long.
    """
    images, channels, height, width = pixels.shape
    return pixels.movedim(1, 3).flatten().view(images, height, width, channels).movedim(3, 1)

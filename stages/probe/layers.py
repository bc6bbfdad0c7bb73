"""The layers of a model's `features` one by one, and what they give: no hooks, nothing left behind in the model."""

from itertools import pairwise

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn

from stages.probe.geometry import NO_FEATURES, Unmeasurable, unknown_windows
from stages.shared.architectures.layers import BlurPool2d, LocallyConnected2d, Residual
from stages.shared.architectures.own_net import OwnFeatures, WholeNet
from stages.shared.architectures.tokens import Block

BATCH = 100  # images at once: bounds the memory; results do not depend on it but in the last bits
BEFORE = (nn.Flatten, nn.ZeroPad2d, nn.ReflectionPad2d, nn.CircularPad2d)  # belong to the connection that follows
# A Sequential is a stage of ResNet, a separable layer, or a 1×1 convolution with a stride.
CONNECTIONS = (nn.Conv2d, LocallyConnected2d, nn.Linear, nn.Sequential, Residual, Block)
POOLINGS = (nn.MaxPool2d, nn.AvgPool2d, BlurPool2d)


def layers(features: nn.Module) -> dict[str, nn.Sequential]:
    """The modules of `features` as layer_1, pool_1, layer_2, …, which in this order compute what `features` computes.

    A layer holds its padding, connection, norm and activation; a block with a shortcut, or of a transformer, is one
    layer. A linear model has no layer before its head, and a user's own net without `features` none at all.
    """
    if isinstance(features, WholeNet):
        return {}
    if isinstance(features, OwnFeatures):
        return layers(features[0]) if _is_like_ours(features[0]) else {"layer_1": nn.Sequential(features)}
    parts: dict[str, nn.Sequential] = {}
    waiting: list[nn.Module] = []
    depth = 0
    for module in features.children():
        if isinstance(module, BEFORE):
            waiting.append(module)
        elif isinstance(module, CONNECTIONS):
            depth += 1
            parts[f"layer_{depth}"] = nn.Sequential(*waiting, module)
            waiting = []
        elif isinstance(module, POOLINGS):
            parts[f"pool_{depth}"] = nn.Sequential(module)
        else:
            parts[list(parts)[-1]].append(module)
            if f"pool_{depth}" in parts:  # a ReLU behind the max pooling, with which it commutes, is the layer's too
                parts[f"layer_{depth}"].append(module)
    return parts


def _is_like_ours(features: nn.Module) -> bool:
    """Whether the modules of an own net stand as in this project's: each layer begins with its connection, and nothing
    but dropout stands between a pooling and the next one."""
    modules = list(features.children())
    if not modules or unknown_windows(features) or not isinstance(modules[0], (*BEFORE, *CONNECTIONS)):
        return False
    after_pooling = [after for module, after in pairwise(modules) if isinstance(module, POOLINGS)]
    return all(isinstance(module, (*BEFORE, *CONNECTIONS, nn.Dropout, nn.Dropout2d)) for module in after_pooling)


def activations(model: nn.Sequential, images: Num[Tensor, "batch channel height width"]) -> dict[str, Tensor]:
    """What each of `layers` gives for the images: maps (N, C, h, w), or units (N, K) of a fully connected layer."""
    normalise, features, _ = model
    outputs = {}
    with torch.inference_mode():
        maps = normalised(normalise, images)
        for name, layer in layers(features).items():
            maps = layer(maps)
            outputs[name] = maps
    return outputs


def last_map(model: nn.Sequential, images: Num[Tensor, "batch channel height width"]) -> Tensor:
    """The last feature map, (N, C, h, w). Raises Unmeasurable if the features are units without a place."""
    normalise, features, _ = model
    if isinstance(features, WholeNet):
        raise Unmeasurable(NO_FEATURES)
    with torch.inference_mode():
        maps = torch.cat([features(normalised(normalise, batch)) for batch in images.split(BATCH)])
    if maps.ndim != 4:
        raise Unmeasurable("a fully connected net has no feature map")
    return maps


def normalised(normalise: nn.Module, images: Tensor) -> Float[Tensor, "batch channel height width"]:
    """In the memory format that the CPU convolves fastest."""
    pixels: Tensor = normalise(images.contiguous(memory_format=torch.channels_last))
    return pixels

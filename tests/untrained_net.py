"""Nets as params.yaml describes them, with drawn weights, and images of noise."""

import torch

from stages.shared import params
from stages.shared.architectures.build import build

SETTINGS = params.load()
BASE = SETTINGS.architecture
# A variant of each architecture: those that differ in the sample or the recipe alone have the same net.
DISTINCT = {variant.run.architecture.model_dump_json(): key for key, variant in reversed(SETTINGS.variants.items())}
DISTINCT = sorted(DISTINCT.values())
# Changes of the base, for images of 32×32 pixels and more: every kind of layer, alone and beside others.
NETS = {
    "kernels of 5, 3 and 3": {
        "channels": (4, 6, 8),
        "layers": ({"kernel": 5}, {}, {"kernel": (1, 3)}),
        "reduce_at": (1,),
    },
    "a layer's own everything": {
        "channels": (4, 8),
        "layers": (
            {"stride": 2, "pooling": "average", "pool_size": (2, 1), "norm": "batch"},
            {"dilation": 2, "padding": "reflect", "pooling": "none", "norm": "group", "dropout": 0.5},
        ),
    },
    "strided 1×1": {
        "channels": (4, 8),
        "layers": ({}, {"kernel": 1, "stride": 2, "pooling": "none"}),
        "reduce_at": (2,),
    },
    "locally connected on top of convolutions": {
        "channels": (4, 6),
        "layers": ({}, {"connectivity": "locally_connected"}),
    },
    "tiles": {"connectivity": "locally_connected", "channels": (4, 6), "tile": (4, 8)},
    "tiles with smaller ones at the edge": {"connectivity": "locally_connected", "channels": (3, 4), "tile": 5},
    "one tile for the whole map": {"connectivity": "locally_connected", "channels": (3, 4), "tile": 1000},
    "grouped": {"channels": (8, 12), "layers": ({}, {"groups": 4})},
    "depthwise": {"channels": (8, 8), "layers": ({}, {"groups": "depthwise", "kernel": 5})},
    "separable": {"connectivity": "separable", "channels": (6, 8), "norm": "batch"},
    "separable, even kernel, strided": {
        "connectivity": "separable",
        "channels": (6, 8),
        "kernel": 4,
        "padding": "circular",
        "stride": 2,
        "pooling": "none",
    },
    "layer norm": {"norm": "layer"},
    "group norm": {"norm": "group", "head": "global_max"},
    "dropout": {"dropout": 0.3, "hidden": (12,)},
    "residual": {
        "channels": (6, 6, 6, 8, 8),
        "residual": 2,
        "norm": "batch",
        "reduce_at": (1, 5),
        "head": "global_average",
    },
    "residual, every layer": {"channels": (6, 6), "residual": 1, "padding": "circular"},
    "residual, strided": {"channels": (6, 6, 8, 8), "residual": 2, "stride": 2, "reduce_at": (3,), "pooling": "none"},
    "residual, separable": {"connectivity": "separable", "channels": (6, 6, 6), "residual": 2, "reduce_at": (3,)},
    "residual, locally connected": {
        "connectivity": "locally_connected",
        "channels": (3, 3, 3),
        "residual": 2,
        "reduce_at": (1,),
    },
    "attention": {"connectivity": "attention", "channels": (16, 16), "patch": 4, "head": "global_average"},
    "attention without positions": {
        "connectivity": "attention",
        "channels": (8,),
        "patch": (8, 4),
        "heads": 2,
        "positions": "none",
        "activation": "gelu",
    },
    "attention, dropout": {"connectivity": "attention", "channels": (8, 8), "dropout": 0.2, "hidden": (5,)},
    "mixer": {"connectivity": "mixer", "channels": (12, 12, 12), "patch": 8, "head": "global_average"},
    "mixer, flat": {"connectivity": "mixer", "channels": (6,), "mlp_ratio": 3},
    "units with layer norm and dropout": {
        "connectivity": "fully_connected",
        "channels": (9, 5),
        "norm": "layer",
        "dropout": 0.2,
    },
    "units with group norm": {"connectivity": "fully_connected", "channels": (8, 16), "norm": "group"},
}


def changed(**changes):
    """The base architecture with these changes, checked."""
    return params.Architecture.model_validate(BASE.model_dump() | changes)


# Probes of few images with few bins and pictures.
SMALL_PROBE = SETTINGS.probe.model_copy(
    update={
        "calibration_draws": 20,
        "shifts_of_image": 4,
        "luo_share": 0.9545,
        "bins": 5,
        "images": 12,
        "field_share": 0.5,
        "folds": 3,
        "ridge_penalty": 1.0,
    }
    | {"active_share": 0.01, "drawn_images": 2, "drawn_channels": 3, "drawn_places": 2}
)


def untrained_net(shape, seed=0, classes=4, **changes):
    """The base net with these changes, for images of this shape, in evaluation mode."""
    mean, std = [0.5] * shape[0], [0.3] * shape[0]
    architecture = changed(**changes)
    return build(architecture, shape, classes, mean, std, torch.Generator().manual_seed(seed)).eval()


def noise_images(count, *shape):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator)

"""Nets as params.yaml describes them, with drawn weights, and images of noise."""

import torch

from stages.shared import params
from stages.shared.architectures.build import build

SETTINGS = params.load()
BASE = SETTINGS.architecture
# A variant of each architecture: those that differ in the sample or the recipe alone have the same net.
DISTINCT = {variant.run.architecture.model_dump_json(): key for key, variant in reversed(SETTINGS.variants.items())}
DISTINCT = sorted(DISTINCT.values())
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
    architecture = BASE.model_copy(update=changes)
    return build(architecture, shape, classes, mean, std, torch.Generator().manual_seed(seed)).eval()


def noise_images(count, *shape):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator)

"""A user's own net gets every probe that its structure allows, and of the others a reason."""

import math

import numpy as np
import pytest
import torch
from own_net import HEAD, own_architecture, use_folder
from untrained_net import BASE, SMALL_PROBE, noise_images

from stages.probe.measures import measures
from stages.shared.architectures.build import build

SHAPE, CLASSES = (1, 24, 20), 4
OF_LOGITS = {"ece", "ece_by_sampling", "nll"}
# Features of these modules, for images of one channel. The head takes four channels at any number of positions.
OF_FEATURES = """
from torch import nn


class Shifted(nn.Module):
    def forward(self, maps):
        return maps.roll(1, 3)


class Net(nn.Module):
    def __init__(self, shape, classes):
        super().__init__()
        self.features = FEATURES
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))

    def forward(self, images):
        return self.head(self.features(images))
"""


@pytest.fixture
def modules(monkeypatch, tmp_path):
    return use_folder(monkeypatch, tmp_path, my_net=HEAD)


def measured(architecture):
    nets = [build(architecture, SHAPE, CLASSES, [0.5], [0.3], torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    model, untrained = (net.eval() for net in nets)
    labels = torch.arange(20) % CLASSES
    return measures(model, untrained, noise_images(20, *SHAPE), labels, 0, SMALL_PROBE)


def of_features(modules, features):
    (modules / "my_net.py").write_text(OF_FEATURES.replace("FEATURES", features))
    return measured(own_architecture())


def test_the_template_has_every_probe_of_the_same_net_of_this_project(modules):
    own, twin = (
        measured(own_architecture("template.py", width=4)),
        measured(BASE.model_copy(update={"channels": (4, 8)})),
    )
    assert own.reasons == twin.reasons == {}
    assert own.scalars == pytest.approx(twin.scalars, rel=1e-4)
    assert own.arrays.keys() == twin.arrays.keys()
    for name, array in twin.arrays.items():
        np.testing.assert_allclose(own.arrays[name], array, rtol=1e-3, atol=1e-5, err_msg=name)


def test_a_net_without_features_has_the_probes_of_its_logits_and_says_so(modules):
    whole = measured(own_architecture())
    assert {name for name, value in whole.scalars.items() if value is not None} == OF_LOGITS
    assert set(whole.reasons) == whole.scalars.keys() - OF_LOGITS
    assert set(whole.reasons.values()) == {"an own net without features and head has no feature map to look at"}
    assert np.isnan(whole.arrays["effective_field"]).all()
    assert np.isnan(whole.arrays["filters"]).all()
    assert not [name for name in whole.arrays if name.startswith("map_")]


def test_features_with_a_module_of_the_users_own_have_all_but_what_needs_its_windows(modules):
    own = of_features(modules, "nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), Shifted())")
    assert set(own.reasons.values()) == {
        "an own net with Shifted in its features: where their positions lie is unknown"
    }
    assert all(name.startswith("equivariance_error") for name in own.reasons)
    assert (own.scalars["field_height"], own.scalars["field_width"]) == (3, 3)
    assert own.scalars["position_share"] is not None
    assert own.arrays["map_layer_1"].shape == (2, 3, 24, 20), "all of it is one layer"
    assert np.isnan(own.arrays["filters"]).all()


PLAIN = "nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(3, 2, 1))"


def test_the_windows_of_poolings_that_overlap_are_known(modules):
    """A window of 3 with a stride of 2 behind a convolution: the field has 3 + 2 pixels, and the map follows by 2."""
    own = of_features(modules, PLAIN)
    assert own.reasons == {}
    assert (own.scalars["field_height"], own.scalars["field_width"]) == (5, 5)
    assert own.scalars["equivariance_error_last"] == pytest.approx(0, abs=1e-6)
    assert own.arrays["map_pool_1"].shape == (2, 3, 12, 10)


@pytest.mark.parametrize(
    "features",
    [
        "nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 4, 3))",
        "nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.BatchNorm2d(4))",
        "nn.Conv2d(1, 4, 3, padding='same')",
        "nn.Conv2d(1, 4, 3)",
    ],
)
def test_what_does_not_stand_as_in_this_projects_nets_is_drawn_as_one_layer(features, modules):
    own = of_features(modules, features)
    assert [name for name in own.arrays if name.startswith("map_")] == ["map_layer_1"]
    is_known = "same" not in features
    assert (own.scalars["equivariance_error_last"] is not None) == is_known
    assert math.isfinite(own.scalars["effective_field"])

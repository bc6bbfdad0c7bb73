"""The gradient of the centre unit, on nets whose gradient is known."""

import numpy as np
import pytest
import torch
from torch import nn
from untrained_net import BASE, noise_images, untrained_net

from stages.probe.effective_receptive_field import (
    effective_receptive_field,
    effective_size,
    size_by_luo,
    size_of_even_field,
    support,
)
from stages.shared.architectures.closed_form import receptive_field


def convolution(*filters):
    """A signal's convolution with the given filters, each on one channel."""
    layer = nn.Conv2d(1, len(filters), (1, len(filters[0])), bias=False)
    layer.weight.data = torch.tensor(filters).view(len(filters), 1, 1, -1)
    return layer


def test_field_of_a_convolution_is_the_size_of_its_summed_filters_around_the_centre():
    # Filters sum to (1, −2, 4). The map of 7 pixels has 5 positions; the centre, 2, sees pixels 2 to 4.
    model = nn.Sequential(nn.Identity(), nn.Sequential(convolution([1.0, -3.0, 0.0], [0.0, 1.0, 4.0])), nn.Identity())
    assert effective_receptive_field(model, torch.zeros(3, 1, 1, 7)).tolist() == [[0, 0, 1, 2, 4, 0, 0]]


def test_field_is_a_mean_of_sizes_over_images_and_channels():
    # |a| − 2b has the gradients ±1 (0 at a = 0) and −2: no signs may cancel, neither over images nor over channels.
    class Mixed(nn.Module):
        def forward(self, images):
            return images[:, :1].abs() - 2 * images[:, 1:]

    images = torch.tensor([5.0, -5.0, 0.0, 7.0]).view(4, 1, 1, 1).expand(4, 2, 1, 1)
    model = nn.Sequential(nn.Identity(), Mixed(), nn.Identity())
    assert effective_receptive_field(model, images).tolist() == [[(3 / 4 + 2) / 2]]


def test_field_does_not_depend_on_how_many_images_go_at_once_and_leaves_no_gradient_in_the_weights(monkeypatch):
    model, images = untrained_net((1, 16, 16)), noise_images(7, 1, 16, 16)
    at_once = effective_receptive_field(model, images)
    assert all(parameter.grad is None for parameter in model.parameters())
    monkeypatch.setattr("stages.probe.effective_receptive_field.BATCH", 3)
    assert effective_receptive_field(model, images) == pytest.approx(at_once, rel=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"kernel": (5, 3)},
        {"kernel": (3, 1), "dilation": (2, 1)},
        {"stride": 2, "pooling": "none"},
        {"pooling": "average", "activation": "tanh"},
        {"pooling": "blur"},
        {"padding": "circular", "norm": "batch"},
        {"connectivity": "locally_connected", "padding": "valid"},
        {"channels": (8, 8, 8), "reduce_at": (2,), "pool_size": (2, 3)},
    ],
    ids=str,
)
def test_support_over_many_noise_images_is_the_theoretical_receptive_field(changes):
    field = effective_receptive_field(untrained_net((2, 36, 36), **changes), noise_images(60, 2, 36, 36))
    assert support(field) == receptive_field(BASE.model_copy(update=changes))


def test_a_hidden_unit_of_a_fully_connected_net_sees_the_whole_image():
    model = untrained_net((3, 9, 11), connectivity="fully_connected", channels=(20, 10))
    assert support(effective_receptive_field(model, noise_images(10, 3, 9, 11))) == (9, 11)


def test_support_is_the_bounding_box_of_what_is_not_zero():
    field = np.zeros((6, 8))
    assert support(field) == (0, 0)
    field[1, 2] = field[4, 3] = 0.5
    assert support(field) == (4, 2)


def test_effective_size_of_a_signal_is_the_length_of_the_fewest_pixels_that_hold_the_share():
    signal = np.array([[1.0, 8, 2, 4, 1]])  # total 16; 8 + 4 is 0.75 of it
    assert [effective_size(signal, share) for share in (0.5, 0.75, 0.76)] == [1, 2, 3]


def test_effective_size_of_an_even_square_is_its_edge_times_the_root_of_the_share():
    field = np.zeros((20, 30))
    assert effective_size(field, 0.5) == 0, "no pixel moves the unit"
    field[3:13, 7:17] = 2.5
    assert effective_size(field, 0.64) == pytest.approx(8)


def test_an_even_field_has_the_size_that_it_is_compared_with_by_either_measure():
    field = np.zeros((20, 30))
    assert size_of_even_field(field, 0.5) == size_by_luo(field, 0.9545) == 0, "no pixel moves the unit"
    field[3:13, 7:17] = 2.5
    assert size_of_even_field(field, 0.64) == pytest.approx(8) == effective_size(field, 0.64)
    assert size_by_luo(field, 0.9545) == pytest.approx(10)
    assert size_of_even_field(np.ones((1, 12)), 0.25) == 3, "a signal has a length"


def test_the_size_by_luo_counts_pixels_above_a_share_of_the_central_one():
    # Half of the centre, 10, is 5: more is 10, 20 and 6. The maximum beside the centre does not count as one.
    field = np.array([[1.0, 6, 10, 20, 5, 0]])
    assert support(field) == (1, 5)
    assert size_by_luo(field, 0.5) == 3
    # Of four pixels the centre lies between the middle two: the mean of 6 and 2 is 4.
    assert size_by_luo(np.array([[3.0, 6, 2, 5]]), 0.25) == 2  # above 3: 6 and 5


def test_a_gaussian_field_has_the_size_of_luo_in_closed_form():
    # exp(−r² / 2σ²) > 1 − 0.9545 inside r = σ √(2 ln(1 / 0.0455)): a disc of π r² pixels.
    y, x = np.mgrid[-60:61, -60:61]
    field = np.exp(-(y**2 + x**2) / (2 * 10**2))
    radius = 10 * np.sqrt(2 * np.log(1 / 0.0455))
    assert size_by_luo(field, 0.9545) == pytest.approx(np.sqrt(np.pi) * radius, rel=0.01)

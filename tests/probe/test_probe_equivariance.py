"""Equivariance of maps whose error is known, and which positions are away from the border."""

import pytest
import torch
from torch import nn
from untrained_net import BASE, noise_images, untrained_net

from stages.probe.equivariance import equivariance_error, first_layer_error, pixel_errors
from stages.probe.geometry import interior, total_stride
from stages.probe.layers import Unmeasurable
from stages.shared.architectures.closed_form import closed_form, receptive_field

SPECS = {
    "base": {},
    "average": {"pooling": "average"},
    "blur": {"pooling": "blur"},
    "stride": {"stride": 2, "pooling": "none"},
    "strided pool": {"stride": 2, "reduce_at": (2,)},
    "odd kernels": {"kernel": (2, 5), "dilation": (2, 1)},
    "odd pools": {"pool_size": (3, 1), "channels": (8, 8, 8)},
    "batch norm": {"norm": "batch", "activation": "gelu"},
    "blur one axis": {"pooling": "blur", "pool_size": (1, 2)},
}
PADDINGS = ("zero", "valid", "reflect", "circular")


class Ramp(nn.Module):
    """Adds its column to every pixel: a map that knows where it is."""

    def forward(self, images):
        return images + torch.arange(float(images.shape[3]))


def test_error_of_a_map_of_columns_by_hand():
    # φ(0) = 0 1 2 3, whatever the shift. T by one: · 0 1 2 expected, · 1 2 3 found: √(3 · 1² / (1² + 2² + 3²)).
    model = nn.Sequential(nn.Identity(), nn.Sequential(Ramp()), nn.Identity())
    assert equivariance_error(model, torch.zeros(5, 1, 1, 4)) == pytest.approx((3 / 14) ** 0.5)


def row(*pixels):
    return torch.tensor(pixels, dtype=torch.float32).view(1, 1, 1, -1)


def subsampled_by_2(pooling):
    return nn.Sequential(nn.Identity(), nn.Sequential(pooling), nn.Identity())


def test_errors_of_a_shift_by_one_pixel_by_hand():
    # Maxima of pairs: 4 2 6. Shifted by one pixel the image is 5 4 0 2 1 6, and its map 5 2 6. The first position reads
    # the pixel that came in, so that two count. Between the old positions lie (4 + 2) / 2 and (2 + 6) / 2.
    images = torch.cat([row(4, 0, 2, 1, 6, 5), row(0, 0, 0, 0, 0, 0)])
    shifted, still, unrelated = pixel_errors(subsampled_by_2(nn.MaxPool2d((1, 2))), images)
    size = 2**2 + 6**2
    assert shifted == pytest.approx((((2 - 3) ** 2 + (6 - 4) ** 2) / size) ** 0.5)
    assert still == 0, "the map of 2 and 6 stayed where it was"
    assert unrelated == pytest.approx(((2**2 + 6**2 + 2**2 + 6**2) / size) ** 0.5), "each against the other's zeros"


def test_an_average_follows_a_ramp_by_half_a_position_and_no_interpolation_brings_back_what_a_stride_leaves_out():
    ramp, comb = row(*range(10)), row(*[0, 8] * 5)
    assert pixel_errors(subsampled_by_2(nn.AvgPool2d((1, 2))), ramp).shifted == pytest.approx(0, abs=1e-6)
    stride = nn.Conv2d(1, 1, 1, stride=(1, 2))
    nn.init.ones_(stride.weight)
    nn.init.ones_(stride.bias)  # the still map is 1 1 1 1 1, the shifted one 9 9 9 9 9
    assert pixel_errors(subsampled_by_2(stride), comb).shifted == pytest.approx(8)


def test_maps_of_unrelated_images_are_the_root_of_two_apart_where_they_are_uncorrelated():
    images = torch.randn(300, 4, 9, 9, generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(nn.Identity(), nn.Sequential(nn.Identity()), nn.Identity())
    assert pixel_errors(model, images).unrelated == pytest.approx(2**0.5, abs=0.02)
    assert pixel_errors(model, images).shifted == 0


def test_the_next_image_is_found_across_batches(monkeypatch):
    model, images = untrained_net((1, 32, 32)), noise_images(7, 1, 32, 32)
    at_once = pixel_errors(model, images)
    monkeypatch.setattr("stages.probe.equivariance.BATCH", 3)
    assert pixel_errors(model, images) == pytest.approx(at_once, rel=1e-5)


def test_blurring_aliases_less_than_max_pooling_and_max_pooling_less_than_a_stride():
    images = noise_images(12, 1, 40, 40)
    blur, pool, stride = (
        pixel_errors(untrained_net((1, 40, 40), **changes), images).shifted
        for changes in ({"pooling": "blur"}, {}, {"stride": 2, "pooling": "none"})
    )
    assert 0 < blur < pool < stride


def test_without_subsampling_a_pixel_moves_the_map_by_a_position():
    model, images = untrained_net((1, 20, 20), pooling="none"), noise_images(4, 1, 20, 20)
    shifted, still, unrelated = pixel_errors(model, images)
    assert shifted < 1e-6 < 0.1 < min(still, unrelated)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("name", SPECS)
def test_every_convolutional_net_is_equivariant_away_from_the_border(name, padding):
    model = untrained_net((2, 65, 47), **SPECS[name] | {"padding": padding})
    assert equivariance_error(model, noise_images(6, 2, 65, 47)) < 1e-6
    assert first_layer_error(model, noise_images(6, 2, 65, 47)) < 1e-6


@pytest.mark.parametrize("size", [72, 70, 69])
@pytest.mark.parametrize("name", SPECS)
def test_the_interior_is_all_that_is_equivariant_under_zero_padding(name, size):
    """Brute force: the rows on which a shifted and a still map agree."""
    model = untrained_net((2, size, size), **SPECS[name])
    shift = total_stride(model.features, 0)
    images = noise_images(12, 2, size, size)
    with torch.inference_mode():
        still, moved = (model.features(model.normalise(x)) for x in (images, torch.roll(images, shift, 2)))
    first, last = interior(model.features, 0, size, shift)
    columns = slice(*interior(model.features, 1, size, 0))  # the sides are zero-padded in both
    agree = (moved - torch.roll(still, 1, 2))[..., columns].abs().amax((0, 1, 3)) < 1e-5
    assert agree.nonzero().flatten().tolist() == list(range(first, last + 1))
    assert 0 < first < last < len(agree)


# Blur pooling's fields end a pixel before the even size that it cuts to.
@pytest.mark.parametrize("name", sorted(set(SPECS) - {"blur", "blur one axis"}))
def test_an_image_has_an_interior_from_the_size_of_the_receptive_field_up(name):
    features = untrained_net((1, 72, 72), **SPECS[name] | {"padding": "valid"}).features
    for axis, field in enumerate(receptive_field(BASE.model_copy(update=SPECS[name]))):
        # A span of that size holds the field of a position only where the strides let one begin.
        spans = [interior(features, axis, start + field, start) for start in range(24, 48)]
        smaller = [interior(features, axis, start + field - 1, start) for start in range(24, 48)]
        assert any(first == last for first, last in spans)
        assert all(first > last for first, last in smaller)


def test_resnet_geometry_counts_the_path_and_not_the_shortcut():
    features = untrained_net((1, 32, 32), connectivity="resnet18").features
    assert total_stride(features, 0) == 8
    _, field = closed_form(BASE.model_copy(update={"connectivity": "resnet18"}), (1, 32, 32), 4).receptive_field
    spans = [interior(features, 1, start + field, start) for start in range(200, 208)]
    assert sorted(last - first for first, last in spans) == [-1] * 7 + [0]


def test_circular_padding_without_subsampling_commutes_with_every_shift_on_the_whole_map():
    images = noise_images(4, 1, 14, 15)
    for padding, exact in (("circular", True), ("zero", False)):
        model = untrained_net((1, 14, 15), padding=padding, pooling="none")
        with torch.inference_mode():
            still, moved = (model.features(model.normalise(x)) for x in (images, torch.roll(images, (3, -5), (2, 3))))
        assert torch.allclose(moved, torch.roll(still, (3, -5), (2, 3)), atol=1e-6) == exact
        assert equivariance_error(model, images) < 1e-6


def test_filters_of_their_own_at_every_place_are_not_equivariant_and_equal_ones_are():
    model, images = untrained_net((1, 32, 32), connectivity="locally_connected"), noise_images(10, 1, 32, 32)
    assert min(first_layer_error(model, images), equivariance_error(model, images)) > 0.5
    for parameter in model.features.parameters():
        parameter.data = parameter.data[:1].expand_as(parameter).clone()
    assert max(first_layer_error(model, images), equivariance_error(model, images)) < 1e-6


def test_a_signal_shifts_along_its_one_axis():
    flat = {"kernel": (1, 5), "pool_size": (1, 2)}
    assert equivariance_error(untrained_net((2, 1, 60), **flat), noise_images(5, 2, 1, 60)) < 1e-6
    local = untrained_net((2, 1, 60), **flat, connectivity="locally_connected")
    assert equivariance_error(local, noise_images(5, 2, 1, 60)) > 0.3


def test_the_first_layer_shifts_by_its_own_stride():
    model = untrained_net((1, 32, 32), stride=(2, 3), pooling="none")
    assert first_layer_error(model, noise_images(5, 1, 32, 32)) < 1e-6


def test_where_there_is_no_error_the_reason_is_named():
    units = untrained_net((1, 12, 12), connectivity="fully_connected", channels=(8,))
    for error in (equivariance_error, first_layer_error, pixel_errors):
        with pytest.raises(Unmeasurable, match="no feature map"):
            error(units, noise_images(2, 1, 12, 12))
    all_border = untrained_net((1, 12, 12), kernel=5)
    with pytest.raises(Unmeasurable, match=r"every position .* height 12, shift 4"):
        equivariance_error(all_border, noise_images(2, 1, 12, 12))
    assert first_layer_error(all_border, noise_images(2, 1, 12, 12)) < 1e-6
    dead = untrained_net((1, 32, 32))
    for parameter in dead.features.parameters():
        parameter.data = -parameter.data.abs()
    with pytest.raises(Unmeasurable, match="is 0 at every position"):
        equivariance_error(dead, torch.full((2, 1, 32, 32), 255, dtype=torch.uint8))

"""All probes on every net: numbers, or the reason why there is none."""

import numpy as np
import pytest
import torch
from untrained_net import BASE, DISTINCT, NETS, SETTINGS, SMALL_PROBE, changed, noise_images, untrained_net

from stages.probe.equivariance import equivariance_error, pixel_errors
from stages.probe.measures import measures

LABELS = torch.arange(30) % 4
PIXEL_PROBES = {f"equivariance_error_{of}" for of in ("pixel", "still", "unrelated", "untrained")}
MAP_PROBES = {"equivariance_error_first", "equivariance_error_last"} | PIXEL_PROBES
MAP_PROBES |= {"position_r2", "position_r2_shuffled", "position_share"}
MAP_PROBES |= {"map_channels", "position_channels", "position_channels_shuffled"}


def probed(architecture=BASE, shape=(1, 16, 16), seed=0, **changes):
    model, before = (untrained_net(shape, seed=weights, **architecture.model_dump()) for weights in (0, 1))
    images = noise_images(len(LABELS), *shape)
    return measures(model, before, images, LABELS, seed, SMALL_PROBE.model_copy(update=changes))


@pytest.mark.parametrize("key", DISTINCT)
def test_every_net_gives_finite_numbers_or_a_reason(key):
    architecture = SETTINGS.variants[key].run.architecture
    scalars, arrays, reasons = probed(architecture, (2, 32, 36))
    assert {name for name, value in scalars.items() if value is None} == set(reasons)
    assert all(np.isfinite(value) for value in scalars.values() if value is not None)
    assert all(np.isfinite(array).all() for array in arrays.values())
    without = {"fully_connected": MAP_PROBES, "resnet18": {"equivariance_error_last"} | PIXEL_PROBES}
    # Every position of a net of nine layers sees the border.
    kind = "resnet18" if len(architecture.channels) == 9 else architecture.connectivity
    assert set(reasons) == without.get(kind, set())
    assert scalars["field_height"] <= 32
    assert arrays["effective_field"].shape == (32, 36)


@pytest.mark.parametrize("name", NETS)
def test_every_kind_of_layer_gives_finite_numbers_or_a_reason(name):
    architecture = changed(**NETS[name])
    scalars, arrays, reasons = probed(architecture, (2, 64, 64))
    assert {name for name, value in scalars.items() if value is None} == set(reasons)
    assert all(np.isfinite(value) for value in scalars.values() if value is not None)
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert set(reasons) == (MAP_PROBES if architecture.connectivity == "fully_connected" else set())
    if architecture.connectivity in ("attention", "mixer"):
        assert scalars["field_height"] == scalars["field_width"] == 64


def test_a_shift_by_a_patch_moves_the_map_of_attention_unless_it_knows_positions():
    error = {}
    for positions in ("none", "learned"):
        net = untrained_net((1, 64, 64), connectivity="attention", channels=(16, 16), positions=positions, patch=8)
        for module in net.modules():
            if hasattr(module, "vectors"):
                module.vectors.data *= 50
        error[positions] = equivariance_error(net, noise_images(10, 1, 64, 64))
    assert error["none"] < 0.2 < error["learned"]


def test_a_signal_is_probed_along_its_one_axis():
    architecture = BASE.model_copy(update={"kernel": (1, 5), "pool_size": (1, 2), "norm": "batch"})
    scalars, arrays, reasons = probed(architecture, (2, 1, 60))
    assert reasons == {}
    assert (scalars["field_height"], scalars["field_width"]) == (1, 16)  # (5−1) + (2−1) + (5−1)·2 + (2−1)·2 + 1
    assert arrays["filters"].shape == (3, 2, 1, 5)


def test_calibration_is_measured_on_all_images():
    assert probed().arrays["reliability"][:, 0].sum() == len(LABELS)


def test_the_net_before_training_is_measured_beside_the_trained_one():
    images = noise_images(len(LABELS), 1, 16, 16)[:12]
    scalars = probed().scalars
    for name, weights in (("pixel", 0), ("untrained", 1)):
        expected = pixel_errors(untrained_net((1, 16, 16), seed=weights), images).shifted
        assert scalars[f"equivariance_error_{name}"] == pytest.approx(expected)


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    first, again, other = probed(), probed(), probed(seed=1)
    assert again.scalars == first.scalars
    assert all(np.array_equal(again.arrays[name], array) for name, array in first.arrays.items())
    differing = {name for name, value in first.scalars.items() if other.scalars[name] != value}
    assert {"position_r2_shuffled", "position_share"} <= differing
    assert differing <= {"position_r2_shuffled", "position_share", "position_channels_shuffled", "ece_by_sampling"}


def test_too_few_images_for_the_folds_is_a_reason():
    scalars, _, reasons = probed(folds=13)
    assert scalars["position_r2"] is None
    assert reasons["position_r2"] == reasons["position_channels"] == "12 images are fewer than 13 folds"
    assert scalars["position_share"] is not None

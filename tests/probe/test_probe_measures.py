"""All probes on every variant: numbers, or the reason why there is none."""

import numpy as np
import pytest
import torch

from stages.probe.measures import measures
from stages.shared import params
from stages.shared.architectures.build import build
from stages.train.data import Split
from stages.train.evaluate import evaluate

SETTINGS = params.load()
SMALL = {
    "calibration_images": "all", "bins": 5, "images": 12, "field_share": 0.5, "folds": 3, "ridge_penalty": 1.0,
    "drawn_images": 2, "drawn_channels": 3, "drawn_places": 2,
}  # fmt: skip
PROBE = SETTINGS.probe.model_copy(update=SMALL)
LABELS = torch.arange(30) % 4


def probed(architecture, shape, settings=PROBE):
    mean, std = [0.5] * shape[0], [0.3] * shape[0]
    model = build(architecture, shape, 4, mean, std, torch.Generator().manual_seed(0)).eval()
    images = torch.randint(0, 256, (len(LABELS), *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return model, images, measures(model, images, LABELS, np.random.default_rng(0), settings)


@pytest.mark.parametrize("shape", [(3, 20, 26), (1, 32, 32)], ids=str)
@pytest.mark.parametrize("key", SETTINGS.variants)
def test_every_variant_gives_finite_numbers_or_a_reason(key, shape):
    architecture = SETTINGS.variants[key].run.architecture
    _, _, (scalars, arrays, reasons) = probed(architecture, shape)
    assert {name for name, value in scalars.items() if value is None} == set(reasons)
    assert all(np.isfinite(value) for value in scalars.values() if value is not None)
    assert all(np.isfinite(array).all() for array in arrays.values())
    if architecture.connectivity == "fully_connected":
        expected = {
            "equivariance_error_first",
            "equivariance_error_last",
            "position_r2",
            "position_r2_shuffled",
            "position_share",
        }
        assert set(reasons) == expected
    elif shape == (1, 32, 32):
        assert set(reasons) == ({"equivariance_error_last"} if architecture.connectivity == "resnet18" else set())
    assert scalars["field_height"] <= shape[1]
    assert arrays["effective_field"].shape == shape[1:]


def test_a_signal_is_probed_along_its_one_axis():
    architecture = SETTINGS.architecture.model_copy(update={"kernel": (1, 5), "pool_size": (1, 2), "norm": "batch"})
    _, _, (scalars, arrays, reasons) = probed(architecture, (2, 1, 60))
    assert reasons == {}
    assert (scalars["field_height"], scalars["field_width"]) == (1, 16)  # (5−1) + (2−1) + (5−1)·2 + (2−1)·2 + 1
    assert arrays["filters"].shape == (3, 2, 1, 5)


def test_the_likelihood_is_the_loss_that_training_measures():
    model, images, result = probed(SETTINGS.architecture, (1, 16, 16))
    loss, _ = evaluate(model, Split(images, LABELS))
    assert result.scalars["nll"] == pytest.approx(loss, rel=1e-5)
    assert result.arrays["reliability"][:, 0].sum() == len(LABELS)


def test_settings_bound_the_images_that_are_scored():
    _, _, result = probed(SETTINGS.architecture, (1, 16, 16), PROBE.model_copy(update={"calibration_images": 7}))
    assert result.arrays["reliability"][:, 0].sum() == 7


def test_the_same_generator_gives_the_same_bits_and_another_does_not():
    model, images, first = probed(SETTINGS.architecture, (1, 16, 16))
    again = measures(model, images, LABELS, np.random.default_rng(0), PROBE)
    other = measures(model, images, LABELS, np.random.default_rng(1), PROBE)
    assert again.scalars == first.scalars
    assert all(np.array_equal(again.arrays[name], array) for name, array in first.arrays.items())
    differing = {name for name, value in first.scalars.items() if other.scalars[name] != value}
    assert differing == {"position_r2_shuffled", "position_share"}


def test_too_few_images_for_the_folds_is_a_reason():
    _, _, result = probed(SETTINGS.architecture, (1, 16, 16), PROBE.model_copy(update={"folds": 13}))
    assert result.scalars["position_r2"] is None
    assert result.reasons["position_r2"] == "12 images are fewer than 13 folds"
    assert result.scalars["position_share"] is not None

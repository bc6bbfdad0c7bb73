"""Layers one by one, their maps, and filters that are what the first layer computes."""

import pytest
import torch

from stages.probe.feature_maps import feature_maps, first_filters, one_of_each_class
from stages.probe.layers import POOLINGS, Unmeasurable, activations, last_map, layers
from stages.shared import params
from stages.shared.architectures.build import build

SETTINGS = params.load()
BASE = SETTINGS.architecture


def built(shape=(2, 12, 14), **change):
    mean, std = [0.5] * shape[0], [0.3] * shape[0]
    return build(BASE.model_copy(update=change), shape, 4, mean, std, torch.Generator().manual_seed(0)).eval()


def noise(count, *shape):
    return torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_names_count_the_layers():
    assert list(layers(built().features)) == ["layer_1", "pool_1", "layer_2", "pool_2"]
    assert list(layers(built(padding="valid", reduce_at=(2,), norm="batch").features)) == [
        "layer_1",
        "layer_2",
        "pool_2",
    ]
    assert list(layers(built(stride=2, pooling="none").features)) == ["layer_1", "layer_2"]
    assert list(layers(built(connectivity="fully_connected", channels=(9, 8, 7)).features)) == [
        "layer_1",
        "layer_2",
        "layer_3",
    ]
    assert list(layers(built(connectivity="resnet18").features)) == [f"layer_{n}" for n in (1, 2, 3, 4, 5)]


@pytest.mark.parametrize(
    "key", [key for key, variant in SETTINGS.variants.items() if variant.run.architecture.channels]
)
def test_the_layers_in_order_are_the_features(key):
    model = build(
        SETTINGS.variants[key].run.architecture, (2, 12, 14), 4, [0.5] * 2, [0.3] * 2, torch.Generator().manual_seed(0)
    ).eval()
    parts = layers(model.features)
    modules = [module for name, layer in parts.items() for module in layer if not _is_shared(module, name, parts)]
    assert modules == list(model.features)
    images = noise(3, 2, 12, 14)
    given = list(activations(model, images).values())[-1]
    assert torch.equal(given, model.features(model.normalise(images.contiguous(memory_format=torch.channels_last))))
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())


def _is_shared(module, name, parts):
    """Whether it is a layer's ReLU that stands behind the layer's max pooling, and is counted there."""
    pool = parts.get(name.replace("layer", "pool"), ())
    return name.startswith("layer") and any(module is other for other in pool)


@pytest.mark.parametrize("pooling", ["max", "average", "blur"])
def test_a_layers_map_is_that_of_its_activation_and_pooling_it_gives_the_pools(pooling):
    model, images = built(activation="relu", pooling=pooling), noise(3, 2, 12, 14)
    given = activations(model, images)
    assert (given["layer_1"] >= 0).all()
    assert (given["layer_1"] == 0).any()
    pool = next(module for module in model.features if isinstance(module, POOLINGS))
    assert torch.equal(pool(given["layer_1"]), given["pool_1"])


def test_a_layer_does_not_overwrite_the_map_before_it():
    model, images = built(kernel=1, activation="relu", pooling="none"), noise(3, 2, 12, 14)
    given = activations(model, images)
    with torch.inference_mode():
        first = layers(model.features)["layer_1"](model.normalise(images))
    assert torch.allclose(given["layer_1"], first, atol=1e-6)
    assert (given["layer_2"] >= 0).all()


def test_last_map_does_not_depend_on_how_many_images_go_at_once(monkeypatch):
    model, images = built(), noise(7, 2, 12, 14)
    at_once = last_map(model, images)
    monkeypatch.setattr("stages.probe.layers.BATCH", 3)
    assert torch.allclose(last_map(model, images), at_once, atol=1e-6)
    with pytest.raises(Unmeasurable, match="no feature map"):
        last_map(built(connectivity="fully_connected"), images)


def test_feature_maps_keep_the_first_channels():
    maps = feature_maps(built(), noise(3, 2, 12, 14), 5)
    assert {name: array.shape for name, array in maps.items()} == {
        "layer_1": (3, 5, 12, 14),
        "pool_1": (3, 5, 6, 7),
        "layer_2": (3, 5, 6, 7),
        "pool_2": (3, 5, 3, 3),
    }
    units = feature_maps(built(connectivity="fully_connected", channels=(9, 3)), noise(3, 2, 12, 14), 5)
    assert {name: array.shape for name, array in units.items()} == {"layer_1": (3, 5), "layer_2": (3, 3)}


def test_one_image_of_each_class_is_the_first_of_it():
    labels = torch.tensor([4, 1, 4, 0, 1, 3])
    assert one_of_each_class(labels, 3).tolist() == [3, 1, 5]
    assert one_of_each_class(labels, 9).tolist() == [3, 1, 5, 0]


def weights_by_gradient(model, shape, channel, place):
    """∂ first layer's output at `place` / ∂ image, (C, H, W), before the activation's kink."""
    image = torch.zeros(1, *shape, requires_grad=True)
    layers(model.features)["layer_1"](image)[(0, channel, *place)].backward()
    return image.grad[0]


def test_filters_of_a_convolution_are_its_gradient():
    model = built(kernel=(3, 5), activation="tanh")
    filters = torch.from_numpy(first_filters(model, (2, 12, 14), 4, 3))
    assert filters.shape == (4, 2, 3, 5)
    for channel in range(4):
        seen = weights_by_gradient(model, (2, 12, 14), channel, (5, 7))[:, 4:7, 5:10]
        assert torch.allclose(seen / seen.abs().max(), filters[channel] / filters[channel].abs().max(), atol=1e-5)


def test_filters_of_a_locally_connected_layer_are_its_gradient_at_each_place():
    model = built(
        kernel=(3, 5), activation="tanh", connectivity="locally_connected", padding="valid", channels=(4,), reduce_at=()
    )  # 10×10 positions
    filters = torch.from_numpy(first_filters(model, (2, 12, 14), 4, 4))
    assert filters.shape == (4, 4, 4, 2, 3, 5)
    for row, y in enumerate((0, 3, 6, 9)):
        for column, x in enumerate((0, 3, 6, 9)):
            seen = weights_by_gradient(model, (2, 12, 14), 2, (y, x))[:, y : y + 3, x : x + 5]
            own = filters[row, column, 2]
            assert torch.allclose(seen / seen.abs().max(), own / own.abs().max(), atol=1e-5)


def test_filters_of_a_signal_stand_at_its_one_row():
    model = built((1, 1, 20), kernel=(1, 5), pool_size=(1, 2), connectivity="locally_connected")
    assert first_filters(model, (1, 1, 20), 2, 3).shape == (1, 3, 2, 1, 1, 5)


def test_filters_of_a_fully_connected_layer_lie_on_the_image():
    model = built(connectivity="fully_connected", channels=(6,), activation="tanh")
    filters = torch.from_numpy(first_filters(model, (2, 12, 14), 4, 3))
    seen = weights_by_gradient(model, (2, 12, 14), 3, ())
    assert filters.shape == (4, 2, 12, 14)
    assert torch.allclose(seen / seen.abs().max(), filters[3] / filters[3].abs().max(), atol=1e-5)

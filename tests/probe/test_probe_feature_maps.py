"""Layers one by one, their maps, and filters that are what the first layer computes."""

import pytest
import torch
from untrained_net import noise_images, untrained_net

from stages.probe.feature_maps import feature_maps, first_filters, one_of_each_class
from stages.probe.layers import POOLINGS, Unmeasurable, activations, last_map, layers
from stages.shared import params

VARIANTS = params.load().variants
WITH_LAYERS = [key for key, variant in VARIANTS.items() if variant.run.architecture.channels]
SHAPE = (2, 12, 14)
IMAGES = noise_images(3, *SHAPE)
FULLY_CONNECTED = {"connectivity": "fully_connected", "activation": "tanh"}


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, "layer_1 pool_1 layer_2 pool_2"),
        ({"padding": "valid", "reduce_at": (2,), "norm": "batch"}, "layer_1 layer_2 pool_2"),
        ({"stride": 2, "pooling": "none"}, "layer_1 layer_2"),
        ({**FULLY_CONNECTED, "channels": (9, 8, 7)}, "layer_1 layer_2 layer_3"),
        ({"connectivity": "resnet18"}, "layer_1 layer_2 layer_3 layer_4 layer_5"),
    ],
    ids=str,
)
def test_names_count_the_layers(changes, names):
    assert list(layers(untrained_net(SHAPE, **changes).features)) == names.split()


@pytest.mark.parametrize("key", WITH_LAYERS)
def test_the_layers_in_order_are_the_features(key):
    images = noise_images(3, 2, 28, 28)  # large enough for every variant
    model = untrained_net((2, 28, 28), **VARIANTS[key].run.architecture.model_dump())
    parts = layers(model.features)
    modules = [module for name, layer in parts.items() for module in layer if not _is_shared(module, name, parts)]
    assert modules == list(model.features)
    last = list(activations(model, images).values())[-1]
    assert torch.equal(last, model.features(model.normalise(images.contiguous(memory_format=torch.channels_last))))
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())


def _is_shared(module, name, parts):
    """Whether it is a layer's ReLU that stands behind the layer's max pooling, and is counted there."""
    pool = parts.get(name.replace("layer", "pool"), ())
    return name.startswith("layer") and any(module is other for other in pool)


@pytest.mark.parametrize("pooling", ["max", "average", "blur"])
def test_a_layers_map_is_that_of_its_activation_and_pooling_it_gives_the_pools(pooling):
    model = untrained_net(SHAPE, activation="relu", pooling=pooling)
    maps = activations(model, IMAGES)
    assert (maps["layer_1"] >= 0).all()
    assert (maps["layer_1"] == 0).any()
    pool = next(module for module in model.features if isinstance(module, POOLINGS))
    assert torch.equal(pool(maps["layer_1"]), maps["pool_1"])


def test_a_layer_does_not_overwrite_the_map_before_it():
    model = untrained_net(SHAPE, kernel=1, activation="relu", pooling="none")
    maps = activations(model, IMAGES)
    with torch.inference_mode():
        first = layers(model.features)["layer_1"](model.normalise(IMAGES))
    assert torch.allclose(maps["layer_1"], first, atol=1e-6)
    assert (maps["layer_2"] >= 0).all()


def test_last_map_does_not_depend_on_how_many_images_go_at_once(monkeypatch):
    model, images = untrained_net(SHAPE), noise_images(7, *SHAPE)
    at_once = last_map(model, images)
    monkeypatch.setattr("stages.probe.layers.BATCH", 3)
    assert torch.allclose(last_map(model, images), at_once, atol=1e-6)
    with pytest.raises(Unmeasurable, match="no feature map"):
        last_map(untrained_net(SHAPE, connectivity="fully_connected"), images)


def test_feature_maps_keep_the_first_channels():
    def shapes(**changes):
        maps = feature_maps(untrained_net(SHAPE, **changes), IMAGES, 5)
        return {name: array.shape for name, array in maps.items()}

    sizes = {"layer_1": (12, 14), "pool_1": (6, 7), "layer_2": (6, 7), "pool_2": (3, 3)}
    assert shapes() == {name: (3, 5, *size) for name, size in sizes.items()}
    assert shapes(**FULLY_CONNECTED, channels=(9, 3)) == {"layer_1": (3, 5), "layer_2": (3, 3)}


def test_one_image_of_each_class_is_the_first_of_it():
    labels = torch.tensor([4, 1, 4, 0, 1, 3])
    assert one_of_each_class(labels, 3).tolist() == [3, 1, 5]
    assert one_of_each_class(labels, 9).tolist() == [3, 1, 5, 0]


def gradient(model, channel, place):
    """∂ first layer's output at `place` / ∂ image, (C, H, W), before the activation's kink."""
    image = torch.zeros(1, *SHAPE, requires_grad=True)
    layers(model.features)["layer_1"](image)[(0, channel, *place)].backward()
    return image.grad[0]


def assert_proportional(one, other):
    assert torch.allclose(one / one.abs().max(), other / other.abs().max(), atol=1e-5)


def test_filters_of_a_convolution_are_its_gradient():
    model = untrained_net(SHAPE, kernel=(3, 5), activation="tanh")
    filters = torch.from_numpy(first_filters(model, SHAPE, 4, 3))
    assert filters.shape == (4, 2, 3, 5)
    for channel in range(4):
        assert_proportional(gradient(model, channel, (5, 7))[:, 4:7, 5:10], filters[channel])


def test_filters_of_a_locally_connected_layer_are_its_gradient_at_each_place():
    changes = {"connectivity": "locally_connected", "padding": "valid", "channels": (4,), "reduce_at": ()}
    model = untrained_net(SHAPE, kernel=(3, 5), activation="tanh", **changes)  # 10×10 positions
    filters = torch.from_numpy(first_filters(model, SHAPE, 4, 4))
    assert filters.shape == (4, 4, 4, 2, 3, 5)
    for row, y in enumerate((0, 3, 6, 9)):
        for column, x in enumerate((0, 3, 6, 9)):
            assert_proportional(gradient(model, 2, (y, x))[:, y : y + 3, x : x + 5], filters[row, column, 2])


def test_filters_of_a_signal_stand_at_its_one_row():
    model = untrained_net((1, 1, 20), kernel=(1, 5), pool_size=(1, 2), connectivity="locally_connected")
    assert first_filters(model, (1, 1, 20), 2, 3).shape == (1, 3, 2, 1, 1, 5)


def test_filters_of_a_fully_connected_layer_lie_on_the_image():
    model = untrained_net(SHAPE, **FULLY_CONNECTED, channels=(6,))
    filters = torch.from_numpy(first_filters(model, SHAPE, 4, 3))
    assert filters.shape == (4, *SHAPE)
    assert_proportional(gradient(model, 3, ()), filters[3])

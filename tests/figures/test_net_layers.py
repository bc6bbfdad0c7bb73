"""The nets that the page runs answer as torch does on the same weights: in the page's own code, and in the figure's."""

import numpy as np
import pytest
import torch
from browser_engine import Engine, architecture, torch_probabilities, trained_net

from stages.figures import net_layers
from stages.figures.net_answers import probabilities
from stages.figures.net_layers import read_net, rounded_to
from stages.figures.try_it import described
from stages.shared import try_it_nets

TOLERANCE = 1e-3
LOCAL = {"connectivity": "locally_connected"}
MLP = {"connectivity": "fully_connected"}
NETS = {
    "base": {},
    "one pixel": {"kernel": 1},
    "even kernel": {"kernel": [4, 2], "padding": "reflect"},
    "valid": {"padding": "valid"},
    "circular, dilated": {"padding": "circular", "dilation": [2, 1]},
    "reflect": {"padding": "reflect", "kernel": 5},
    "stride": {"stride": [2, 1], "pooling": "none"},
    "average": {"pooling": "average", "pool_size": [3, 2]},
    "blur": {"pooling": "blur", "pool_size": [2, 1]},
    "blur by 3": {"pooling": "blur", "pool_size": 3},
    "groups": {"groups": 2, "layers": [{"groups": 1}]},
    "depthwise": {"groups": "depthwise", "channels": [6, 12]},
    "separable": {"connectivity": "separable", "norm": "batch"},
    "batch norm": {"norm": "batch", "activation": "tanh", "dropout": 0.2},
    "layer norm": {"norm": "layer", "activation": "gelu"},
    "group norm": {"norm": "group"},
    "global average": {"head": "global_average", "hidden": [5]},
    "global max": {"head": "global_max"},
    "twelve layers": {"channels": [3] * 12},
    "locally connected": LOCAL,
    "locally connected, strided": LOCAL | {"stride": 2, "dilation": [1, 2], "pooling": "none", "norm": "batch"},
    "tiles": LOCAL | {"tile": [3, 4]},
    "a layer of each kind": {"layers": [LOCAL, {"connectivity": "separable"}]},
    "MLP": MLP,
    "MLP, batch norm": MLP | {"norm": "batch"},
    "MLP, layer norm": MLP | {"norm": "layer", "activation": "gelu", "dropout": 0.5},
}


@pytest.fixture(scope="module")
def engine():
    return Engine()


def images(shape):
    """One of noise, and one of a bright square."""
    noise = (255 * np.random.default_rng(0).random(shape)).astype(np.uint8)
    square = np.zeros(shape, dtype=np.uint8)
    square[:, 3:7, 2:9] = 255
    return [noise, square]


def assert_alike(engine, net, model, shape):
    number = engine.load(described(net))
    for image in images(shape):
        expected = torch_probabilities(model, image)
        by_page, _ = engine.run(number, image)
        assert np.abs(by_page - expected).max() < TOLERANCE
        assert np.abs(probabilities(net, image) - expected).max() < TOLERANCE
        assert expected.max() - expected.min() > 0.02, "a net that says the same of everything tests nothing"


@pytest.mark.parametrize("shape", [(1, 16, 14), (3, 15, 16)], ids=["grey", "RGB"])
@pytest.mark.parametrize("name", NETS)
def test_page_and_figure_answer_as_torch_does(engine, tmp_path, name, shape):
    settings, file = architecture(**NETS[name]), tmp_path / "weights.safetensors"
    model = trained_net(settings, shape, 5, file)
    net = read_net(settings, file)
    assert net.bits == 16
    assert net.size == sum(parameter.numel() for parameter in model.parameters())
    assert_alike(engine, net, model, shape)


@pytest.mark.parametrize("name", ["base", "MLP", "locally connected"])
def test_weights_of_eight_bits_are_the_same_numbers_in_the_page(engine, tmp_path, monkeypatch, name):
    monkeypatch.setattr(try_it_nets, "EXACT", 10)
    settings, file = architecture(**NETS[name]), tmp_path / "weights.safetensors"
    model = trained_net(settings, (1, 16, 14), 5, file)
    net = read_net(settings, file)
    assert net.bits == 8
    assert {tensor.stored.dtype for tensor in net.tensors.values()} == {np.dtype(np.int8)}
    with torch.no_grad():
        for parameter, tensor in zip(model.parameters(), net.tensors.values(), strict=True):
            parameter.copy_(torch.from_numpy(tensor.values))
    assert_alike(engine, net, model, (1, 16, 14))


def test_a_row_of_eight_bits_keeps_its_largest_weight_and_is_off_by_half_a_step_at_most():
    rows = np.array([[1.0, -0.5, 0.25], [0.0, 0.0, 0.0], [-8.0, 1.0, 0.031]], dtype=np.float32)
    rounded = rounded_to(8, rows)
    assert rounded.stored.tolist() == [[127, -64, 32], [0, 0, 0], [-127, 16, 0]]
    steps = np.array([[1.0], [0.0], [8.0]]) / 127
    assert (np.abs(rounded.values - rows) <= steps / 2 + 1e-7).all()


def test_rounding_to_sixteen_bits_changes_nothing_when_it_is_done_again():
    weights = np.random.default_rng(1).normal(size=(4, 5)).astype(np.float32)
    once = rounded_to(16, weights).values
    assert np.abs(once - weights).max() < 2e-3
    assert np.array_equal(rounded_to(16, once).values, once)


def test_modules_are_read_in_the_order_of_the_net():
    names = ["head.1", "features.10", "features.2.1", "features.2.0", "features.0"]
    expected = ["features.0", "features.2.0", "features.2.1", "features.10", "head.1"]
    assert sorted(names, key=net_layers._place) == expected


def test_the_page_shifts_with_zeros_and_shuffles_as_the_pipeline_does(engine):
    from stages.shared.pixel_order import permutation, rearranged

    image = np.arange(2 * 4 * 3).reshape(2, 4, 3) + 1
    down = engine.moved("shifted", image, 1, -1)
    assert down[0].tolist() == [[0, 0, 0], [2, 3, 0], [5, 6, 0], [8, 9, 0]]
    order = permutation("permuted", 4, 3, (0, 0), 3)
    assert np.array_equal(engine.moved("rearranged", image, order.tolist()), rearranged(image[None], order)[0])


def test_the_map_that_is_shown_is_that_after_the_first_activation(engine, tmp_path):
    settings, file = architecture(), tmp_path / "weights.safetensors"
    model = trained_net(settings, (1, 16, 14), 5, file)
    image = images((1, 16, 14))[0]
    number = engine.load(described(read_net(settings, file)))
    _, maps = engine.run(number, image)
    with torch.no_grad():
        expected = model.features[0](model.normalise(torch.from_numpy(image)[None])).relu()[0].numpy()
    assert np.abs(maps - expected).max() < 1e-3 * max(1.0, expected.max())

"""The numbers behind the pictures are those of the layers that the pipeline builds."""

from itertools import product

import numpy as np
import pytest
import torch

from stages.figures import windows
from stages.shared import params, paths
from stages.shared.architectures import build
from stages.shared.architectures.closed_form import receptive_field
from stages.shared.architectures.layer_settings import layers_of
from stages.shared.architectures.layers import BlurPool2d
from stages.shared.architectures.tokens import SelfAttention

BASE = params.load(paths.PARAMS).architecture
PLAIN = {"channels": (1,), "kernel": (1, 3), "reduce_at": (), "pooling": "none", "pool_size": (1, 2)}


def architecture(**changes):
    """The base of params.yaml with these changes."""
    return BASE.model_copy(update=changes)


def answers_to_unit_impulses(net, channels, pixels):
    """(outputs, inputs) of the real layers, their biases set to zero and each weight of every filter another number."""
    model = build.build(net, (channels, 1, pixels), 2, [0.0] * channels, [1 / 255] * channels, torch.Generator())
    features = [module for module in model.features if not isinstance(module, torch.nn.ReLU)]
    for module in torch.nn.Sequential(*features).modules():
        if getattr(module, "bias", None) is not None:
            torch.nn.init.zeros_(module.bias)
    impulses = torch.eye(channels * pixels).reshape(-1, channels, 1, pixels)
    with torch.no_grad():
        return torch.nn.Sequential(*features)(impulses).flatten(1).T.numpy()


def assert_same_structure(numbers, matrix):
    """Zero where no weight is drawn, and two entries alike exactly where the same weight is drawn."""
    assert numbers.shape == matrix.shape
    assert (matrix[numbers == 0] == 0).all()
    values = [set(matrix[numbers == number].round(6).tolist()) for number in np.unique(numbers[numbers > 0])]
    assert all(len(of_one) == 1 for of_one in values), "one number stands for one weight"
    assert len(set.union(*values)) == len(values), "other numbers stand for other weights"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"kernel": (1, 5)},
        {"kernel": (1, 4)},
        {"dilation": (1, 2)},
        {"stride": (1, 2), "reduce_at": (1,)},
        {"padding": "valid"},
        {"connectivity": "locally_connected"},
        {"connectivity": "locally_connected", "tile": (1, 3)},
    ],
    ids=str,
)
def test_the_matrix_of_a_layer_is_what_the_real_layer_answers_to_unit_impulses(changes):
    net = architecture(**PLAIN | changes)
    (layer,) = layers_of(net)
    assert_same_structure(windows.weights_of_signal(layer, 8), answers_to_unit_impulses(net, 1, 8))


def test_a_fully_connected_layer_is_dense_with_a_weight_of_its_own_everywhere():
    net = architecture(connectivity="fully_connected", channels=(6,))
    assert_same_structure(windows.all_to_all(6, 8), answers_to_unit_impulses(net, 1, 8))


def test_a_convolution_repeats_one_row_and_a_locally_connected_layer_repeats_none():
    """By hand, of four pixels: weights 1, 2, 3 at the left, on and right of a position."""
    (shared,) = layers_of(architecture(**PLAIN))
    assert windows.weights_of_signal(shared, 4).tolist() == [[2, 3, 0, 0], [1, 2, 3, 0], [0, 1, 2, 3], [0, 0, 1, 2]]
    (own,) = layers_of(architecture(**PLAIN | {"connectivity": "locally_connected"}))
    expected = [[2, 3, 0, 0], [4, 5, 6, 0], [0, 7, 8, 9], [0, 0, 10, 11]]
    assert windows.weights_of_signal(own, 4).tolist() == expected


def test_a_full_convolution_joins_every_pair_of_channels_and_a_depthwise_one_only_like_channels():
    net = architecture(**PLAIN | {"channels": (2,)})
    (full,) = layers_of(net)
    assert_same_structure(windows.weights_of_channels(full, 2, 5)[0], answers_to_unit_impulses(net, 2, 5))
    net = architecture(**PLAIN | {"channels": (2,), "connectivity": "separable"})
    (separable,) = layers_of(net)
    depthwise, pointwise = windows.weights_of_channels(separable, 2, 5)
    reaches = (depthwise > 0).astype(int)
    assert not reaches[:5, 5:].any()
    assert not reaches[5:, :5].any()
    joined = (pointwise > 0).astype(int) @ reaches > 0
    assert (joined == (answers_to_unit_impulses(net, 2, 5) != 0)).all()
    assert [len(np.unique(part[part > 0])) for part in (depthwise, pointwise)] == [2 * 3, 2 * 2]


@pytest.mark.parametrize(("padding", "kernel"), [*product(["zero", "reflect", "circular", "valid"], [(3, 3), (5, 4)])])
def test_padding_and_sliding_are_those_of_the_real_layer(padding, kernel):
    net = architecture(padding=padding, kernel=kernel, channels=(1,), reduce_at=())
    (layer,) = layers_of(net)
    grid = np.random.default_rng(0).random((7, 6))
    model = build.build(net, (1, 7, 6), 2, [0.0], [1 / 255], torch.Generator())
    convolution = next(module for module in model.features if isinstance(module, torch.nn.Conv2d))
    torch.nn.init.zeros_(convolution.bias)
    layers = [module for module in model.features if not isinstance(module, torch.nn.ReLU)]
    expected = torch.nn.Sequential(*layers)(torch.tensor(grid[None, None], dtype=torch.float32))[0, 0]
    slid = windows.slid(grid, convolution.weight[0, 0].detach().numpy().astype(float), layer)
    assert slid == pytest.approx(expected.detach().numpy(), abs=1e-6)


@pytest.mark.parametrize("pooling", ["max", "average", "blur"])
@pytest.mark.parametrize("size", [(2, 2), (1, 2), (3, 2)])
def test_pooling_is_that_of_the_real_module(pooling, size):
    (layer,) = layers_of(architecture(channels=(1,), reduce_at=(1,), pooling=pooling, pool_size=size))
    grid = np.random.default_rng(1).random((7, 9))
    expected = build.POOLINGS[pooling](1, size)(torch.tensor(grid[None, None], dtype=torch.float32))[0, 0]
    assert windows.pooled(grid, layer) == pytest.approx(expected.numpy(), abs=1e-6)


def test_the_blur_is_the_filter_of_blur_pooling():
    assert np.outer(windows.BLUR, windows.BLUR) == pytest.approx(BlurPool2d(1, 2).filter[0, 0].numpy())


@pytest.mark.parametrize(
    "changes",
    [
        {"channels": (1, 1, 1), "reduce_at": ()},
        {"channels": (1, 1)},
        {"channels": (1, 1, 1), "kernel": 5, "dilation": 2, "stride": 2, "pooling": "none"},
        {"channels": (1, 1), "pooling": "blur"},
        {"channels": (1,), "reduce_at": (1,), "pool_size": 4},
    ],
    ids=str,
)
def test_the_field_that_is_drawn_is_the_closed_form(changes):
    net = architecture(**changes)
    seen = windows.seen_by_one_unit(layers_of(net))
    assert seen[0][1] - seen[0][0] + 1 == receptive_field(net)[1]
    assert seen[-1][:2] == (0, 0)


def test_attention_weights_are_those_of_the_layer_whose_matrices_leave_the_tokens_as_they_are():
    tokens = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    attention = SelfAttention(3, 1)
    with torch.no_grad():
        attention.queries_keys_values.weight.copy_(torch.cat([torch.eye(3)] * 3))
        attention.projection.weight.copy_(torch.eye(3))
        for layer in (attention.queries_keys_values, attention.projection):
            layer.bias.zero_()
        expected = attention(tokens[None])[0].numpy()
    weights = windows.attention_weights(tokens.numpy().astype(float))
    assert weights @ tokens.numpy() == pytest.approx(expected, abs=1e-6)

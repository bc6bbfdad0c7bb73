"""Layers with settings of their own, groups, norms, shortcuts, tiles, attention and mixers: by hand, and by torch."""

import pytest
import torch
from pydantic import ValidationError
from torch.utils.flop_counter import FlopCounterMode
from untrained_net import NETS
from untrained_net import changed as spec

from stages.shared.architectures.build import build
from stages.shared.architectures.closed_form import closed_form
from stages.shared.architectures.layers import LocallyConnected2d
from stages.shared.architectures.tokens import SelfAttention

CANVAS = (1, 32, 32)


def built(architecture, classes=10):
    return build(architecture, CANVAS, classes, [0.3], [0.2], torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", NETS)
def test_closed_forms_agree_with_the_module_and_with_torchs_counter(name):
    """In evaluation as in training; the counter counts a multiplication and an addition as two."""
    architecture, images = spec(**NETS[name]), torch.rand(2, 1, 32, 32)
    model, costs = built(architecture, 7).eval(), closed_form(architecture, CANVAS, 7)
    assert sum(p.numel() for p in model.parameters()) == costs.parameters
    with FlopCounterMode(display=False) as counter:
        logits = model(images)
    if "edge" not in name:  # there the layer computes what it then cuts off
        assert counter.get_total_flops() == 2 * 2 * costs.macs
    features = model.features(images)
    assert list(features.shape[2:]) == [size for last in costs.map_sizes[-1:] for size in last]
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.abs().sum() > 0 for p in model.parameters())


BY_HAND = {
    # 5×5 and 3×3 of 1 → 4 → 6, 1×3 of 6 → 8; the pooling after the first leaves 16×16.
    "kernels of 5, 3 and 3": (25 + 1) * 4 + (36 + 1) * 6 + (18 + 1) * 8 + (16 * 16 * 8 + 1) * 10,
    # A filter for each of 8 × 4 tiles, then, on 16×16 positions, of 4 × 2.
    "tiles": 8 * 4 * (9 + 1) * 4 + 4 * 2 * (36 + 1) * 6 + (8 * 8 * 6 + 1) * 10,
    "grouped": (9 + 1) * 8 + (9 * 2 + 1) * 12 + (8 * 8 * 12 + 1) * 10,
    "separable": (9 + 2 * 6) + 2 * 6 + (9 * 6 + 7 * 8) + 2 * 8 + (8 * 8 * 8 + 1) * 10,
    # A stem and two blocks; from 6 to 8 channels the shortcut is a 1×1 convolution with a norm.
    "residual": (9 + 1) * 6 + 2 * (54 + 1) * 6 + (54 + 1) * 8 + (72 + 1) * 8
    + 6 * 8 + 2 * (3 * 6 + 3 * 8) + (8 + 1) * 10,
    # 64 tokens of 16 pixels; two blocks of queries, keys and values, projection, MLP and two norms; a last norm.
    "attention": 17 * 16 + 64 * 16 + 2 * (17 * 48 + 17 * 16 + 17 * 32 + 33 * 16 + 4 * 16) + 2 * 16 + 17 * 10,
    # 16 tokens of 64 pixels; three blocks of an MLP along the tokens, one along the channels, and two norms.
    "mixer": 65 * 12 + 3 * (17 * 32 + 33 * 16 + 13 * 24 + 25 * 12 + 4 * 12) + 2 * 12 + 13 * 10,
}  # fmt: skip


@pytest.mark.parametrize("name", BY_HAND)
def test_parameters_by_hand(name):
    assert closed_form(spec(**NETS[name]), CANVAS, 10).parameters == BY_HAND[name]


def test_multiply_accumulates_of_attention_and_of_a_mixer_by_hand():
    """64 tokens of 16 pixels, width 16: a block has 3·16·16 + 16·16 + 2·16·32 a token, and twice 64 · 64 · 16."""
    block = 64 * (3 * 256 + 256 + 2 * 512) + 2 * 64 * 64 * 16
    assert closed_form(spec(**NETS["attention"]), CANVAS, 10).macs == 64 * 16 * 16 + 2 * block + 160
    block = 12 * 2 * 16 * 32 + 16 * 2 * 12 * 24
    assert closed_form(spec(**NETS["mixer"]), CANVAS, 10).macs == 16 * 64 * 12 + 3 * block + 120


def test_layers_without_a_change_are_the_short_form():
    short, long = spec(reduce_at=(2,)), spec(reduce_at=(2,), layers=({"kernel": 3}, {"pooling": "max", "stride": 1}))
    ours, other = built(short).state_dict(), built(long).state_dict()
    assert all(torch.equal(ours[name], other[name]) for name in ours)
    assert closed_form(short, CANVAS, 10) == closed_form(long, CANVAS, 10)


def test_a_layers_stride_and_pooling_hold_whether_reduce_at_names_it_or_not():
    architecture = spec(channels=(4, 4, 4), reduce_at=(1, 2), layers=({"pooling": "none"}, {}, {"stride": 2}))
    assert closed_form(architecture, CANVAS, 10).map_sizes == [(32, 32), (16, 16), (8, 8)]


@pytest.mark.parametrize(("tile", "size"), [((2, 4), (8, 8)), (3, (7, 8)), (1000, (6, 5))])
def test_positions_of_a_tile_share_a_filter_and_no_others_do(tile, size):
    """Tiled, the layer is the untiled one with the tile's filter at each of its positions."""
    tile = (tile, tile) if isinstance(tile, int) else tile
    layer = LocallyConnected2d(2, 3, (3, 3), (size[0] + 2, size[1] + 2), tile=tile)
    single = LocallyConnected2d(2, 3, (3, 3), (size[0] + 2, size[1] + 2))
    generator = torch.Generator().manual_seed(0)
    for parameter in layer.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    columns = -(-size[1] // tile[1])
    owner = torch.tensor([[y // tile[0] * columns + x // tile[1] for x in range(size[1])] for y in range(size[0])])
    assert len(owner.unique()) == len(layer.weight)
    single.weight.data, single.bias.data = layer.weight[owner.flatten()], layer.bias[owner.flatten()]
    maps = torch.randn(4, 2, size[0] + 2, size[1] + 2, generator=generator)
    torch.testing.assert_close(layer(maps), single(maps))


def test_one_tile_for_the_whole_map_is_the_convolution():
    layer, convolution = LocallyConnected2d(2, 3, (3, 2), (9, 8), tile=(7, 7)), torch.nn.Conv2d(2, 3, (3, 2))
    layer.weight.data = convolution.weight.permute(2, 3, 1, 0).reshape(1, -1, 3).data
    layer.bias.data = convolution.bias.data.view(1, 1, 3)
    maps = torch.randn(4, 2, 9, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(layer(maps), convolution(maps))


def test_a_residual_block_adds_its_input():
    """With weights of 0 in the layers, what comes out is what went in; a ReLU leaves what is not negative."""
    model = built(spec(channels=(4, 4, 4), residual=2, reduce_at=()))
    stem, block = model.features[:3], model.features[3]
    for parameter in block.block.parameters():
        parameter.data.zero_()
    maps = stem(torch.rand(2, 1, 9, 9))
    torch.testing.assert_close(model.features[3:](maps), maps)


def test_attention_is_torchs():
    ours, width, heads = SelfAttention(12, 3), 12, 3
    torchs = torch.nn.MultiheadAttention(width, heads, batch_first=True)
    torchs.in_proj_weight.data, torchs.in_proj_bias.data = (
        ours.queries_keys_values.weight.data,
        ours.queries_keys_values.bias.data,
    )
    torchs.out_proj.load_state_dict(ours.projection.state_dict())
    tokens = torch.randn(2, 7, width, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(tokens), torchs(tokens, tokens, tokens)[0])


def test_without_positions_attention_is_blind_to_the_order_of_patches():
    """A pooled head then gives the same logits for shuffled patches; learned positions and a mixer tell them apart."""
    image = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    order = torch.randperm(8, generator=torch.Generator().manual_seed(1))
    shuffled = image.unflatten(2, (8, 4))[:, :, order].flatten(2, 3)
    nets = {
        "none": {"connectivity": "attention", "positions": "none"},
        "learned": {"connectivity": "attention"},
        "mixer": {"connectivity": "mixer"},
    }
    for name, changes in nets.items():
        model = built(spec(**changes, channels=(8, 8), head="global_average")).eval()
        same = torch.allclose(model(255 * image), model(255 * shuffled), atol=1e-5)
        assert same == (name == "none"), name


def test_layer_norm_is_over_channels_and_positions_of_an_image():
    maps = built(spec(norm="layer", channels=(6,), reduce_at=())).features[:2](torch.rand(3, 1, 9, 9))
    torch.testing.assert_close(maps.mean((1, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(maps.var((1, 2, 3), unbiased=False), torch.ones(3), atol=1e-2, rtol=0)


IMPOSSIBLE = {
    "groups": ({"layers": ({}, {"groups": 5})}, "layer 2: groups 5 do not divide its 16 input and 32 output channels"),
    "groups of one channel": ({"groups": 2}, "layer 1: groups 2 do not divide its 1 input and 16 output channels"),
    "depthwise": (
        {"layers": ({}, {"groups": "depthwise"}), "channels": (16, 24)},
        "layer 2: groups depthwise do not divide its 16 input and 24 output channels",
    ),
    "groups without a convolution": (
        {"connectivity": "locally_connected", "groups": 2},
        "layer 1: groups 2 have no effect where connectivity is locally_connected",
    ),
    "a tile of a convolution": ({"tile": 4}, "layer 1: a tile has no effect where connectivity is conv"),
    "norm groups": ({"norm": "group", "channels": (16, 6)}, "layer 2: norm_groups 4 do not divide its 6 channels"),
    "norm groups of units": (
        {"connectivity": "fully_connected", "norm": "group", "channels": (16, 6)},
        r"norm_groups 4 do not divide the units \[16, 6\]",
    ),
    "a norm of one unit": (
        {"connectivity": "fully_connected", "norm": "group", "channels": (16, 4)},
        "a norm over one unit alone leaves 0; with norm group and norm_groups 4 every layer needs 8 units or more",
    ),
    "a residual block without padding": (
        {"residual": 2, "padding": "valid"},
        "layers 1 to 2, a residual block: padding valid at layer 1 leaves a smaller map than the shortcut has",
    ),
    "a pooling inside a residual block": (
        {"residual": 2},
        "layers 1 to 2, a residual block: layer 1 has a pooling; only the last layer of a block may, after the sum",
    ),
    "patches": ({"connectivity": "attention", "patch": (4, 5)}, "patch 4×5 does not tile the 32×32 pixels"),
    "widths": ({"connectivity": "mixer"}, r"channels \[16, 32\] should be alike"),
    "heads": (
        {"connectivity": "attention", "channels": (16,), "heads": 3},
        "heads 3 do not divide the width of 16 channels",
    ),
}


@pytest.mark.parametrize(("changes", "reason"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_an_impossible_net_is_refused_by_name(changes, reason):
    architecture = spec(**changes)
    with pytest.raises(ValueError, match=reason):
        closed_form(architecture, CANVAS, 10)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"layers": ({}, {}, {})}, "layers has 3 entries, but channels has 2; an entry is a layer"),
        ({"residual": 3}, r"residual 3 is a block of more layers than channels has \(2\)"),
        ({"connectivity": "attention", "channels": ()}, "channels is empty, but a net with connectivity attention"),
        ({"layers": ({"kernal": 3},)}, "kernal"),
        ({"layers": ({"connectivity": "attention"},)}, "connectivity"),
    ],
)
def test_an_entry_that_cannot_be_is_refused(changes, reason):
    with pytest.raises(ValidationError, match=reason):
        spec(**changes)

"""The closed forms against the built modules, and the layers against hand-worked inputs."""

import pytest
import torch
from untrained_net import BASE, DISTINCT, SETTINGS
from untrained_net import changed as spec

from stages.shared.architectures.build import build, logits_of, save_weights, trained
from stages.shared.architectures.closed_form import closed_form, receptive_field
from stages.shared.architectures.layers import BlurPool2d, GlobalAverage, LocallyConnected2d, Normalise

CANVAS = (1, 32, 32)

# Worked out by hand on the 32×32 canvas with ten classes; the head behind two poolings sees 8×8 positions.
HEAD = (8 * 8 * 32 + 1) * 10
CNN = (9 + 1) * 16 + (9 * 16 + 1) * 32 + HEAD
POOLED = (9 + 1) * 16 + (9 * 16 + 1) * 32 + (32 + 1) * 10
LOCAL = 32 * 32 * (9 + 1) * 16 + 16 * 16 * (9 * 16 + 1) * 32 + HEAD
MLP = (1024 + 1) * 256 + (256 + 1) * 128 + (128 + 1) * 10
# A shortcut from 16 to 32 channels is a 1×1 convolution; the head is on 8×8 positions.
DEEP = (9 + 1) * 16 + 2 * (9 * 16 + 1) * 16 + (9 * 16 + 1) * 32 + 5 * (9 * 32 + 1) * 32 + HEAD


def tiled(side):
    """A filter for each tile of the 32×32 positions, then of the 16×16."""
    return (32 // side) ** 2 * (9 + 1) * 16 + (16 // side) ** 2 * (9 * 16 + 1) * 32 + HEAD


def tokens(depth, in_front, mixing, width):
    """Blocks, each of what mixes the tokens, an MLP as wide as they are and two norms, and a norm behind them."""
    return in_front + depth * (mixing + 2 * (width + 1) * width + 2 * 2 * width) + 2 * width


HEAD_OF_TOKENS = 64 * 10  # weights for each channel
PARAMETERS = {
    "cnn": CNN,
    "global_average": POOLED,
    "locally_connected": LOCAL,
    "fully_connected": MLP,
    "cnn_narrow": (9 + 1) * 13 + (9 * 13 + 1) * 27 + (8 * 8 * 27 + 1) * 10,
    "locally_connected_narrow": 32 * 32 * (9 + 1) * 1 + 16 * 16 * (9 * 1 + 1) * 2 + (16 * 16 * 2 + 1) * 10,
    "fully_connected_narrow": (1024 + 1) * 20 + (20 + 1) * 10,
    "fully_connected_wide": (1024 + 1) * 920 + (920 + 1) * 460 + (460 + 1) * 10,
    "kernel_1": (1 + 1) * 16 + (16 + 1) * 32 + HEAD,
    "kernel_5": (25 + 1) * 16 + (25 * 16 + 1) * 32 + HEAD,
    "kernel_7": (49 + 1) * 16 + (49 * 16 + 1) * 32 + HEAD,
    "dilated_3": CNN,
    "kernel_1_matched": (1 + 1) * 19 + (19 + 1) * 38 + (8 * 8 * 38 + 1) * 10,
    "kernel_5_matched": (25 + 1) * 13 + (25 * 13 + 1) * 26 + (8 * 8 * 26 + 1) * 10,
    "kernel_7_matched": (49 + 1) * 11 + (49 * 11 + 1) * 21 + (8 * 8 * 21 + 1) * 10,
    "three_kernels_3": (9 + 1) * 11 + 2 * (99 + 1) * 11 + (99 + 1) * 22 + (198 + 1) * (22 + 20) + (8 * 8 * 20 + 1) * 10,
    "depth_1": (9 + 1) * 32 + HEAD,
    "depth_3": CNN + (9 * 32 + 1) * 32,
    "depth_4": CNN + 2 * (9 * 32 + 1) * 32,
    "depth_1_matched": (9 + 1) * 39 + (8 * 8 * 39 + 1) * 10,
    "depth_3_matched": (9 + 1) * 13 + (9 * 13 + 1) * 26 + (9 * 26 + 1) * 25 + (8 * 8 * 25 + 1) * 10,
    "depth_4_matched": (9 + 1) * 11 + (9 * 11 + 1) * 22 + 2 * (9 * 22 + 1) * 22 + (8 * 8 * 22 + 1) * 10,
    "stride_2": CNN,
    "average_pool": CNN,
    "blur_pool": CNN,
    "pooled_none": POOLED,
    "pooled_stride_2": POOLED,
    "pooled_blur": POOLED,
    "padding_valid": (9 + 1) * 16 + (9 * 16 + 1) * 32 + (6 * 6 * 32 + 1) * 10,
    "padding_reflect": CNN,
    "padding_circular": CNN,
    "pooled_valid": POOLED,
    "pooled_circular": POOLED,
    "global_max": POOLED,
    "global_average_hidden": (9 + 1) * 16 + (9 * 16 + 1) * 32 + (32 + 1) * 476 + (476 + 1) * 10,
    "linear": 1024 * 10 + 10,
    "lab_cnn_3": (9 + 1) * 32 + (9 * 32 + 1) * 64 + (8 * 8 * 64 + 1) * 128 + (128 + 1) * 10,
    "lab_cnn_5": (25 + 1) * 32 + (25 * 32 + 1) * 64 + (8 * 8 * 64 + 1) * 128 + (128 + 1) * 10,
    "lab_cnn_7": (49 + 1) * 32 + (49 * 32 + 1) * 64 + (8 * 8 * 64 + 1) * 128 + (128 + 1) * 10,
    "lenet_3": (9 + 1) * 6 + (9 * 6 + 1) * 16 + (6 * 6 * 16 + 1) * 120 + (120 + 1) * 84 + (84 + 1) * 10,
    "lenet_5": (25 + 1) * 6 + (25 * 6 + 1) * 16 + (5 * 5 * 16 + 1) * 120 + (120 + 1) * 84 + (84 + 1) * 10,
    "lenet_7": (49 + 1) * 6 + (49 * 6 + 1) * 16 + (3 * 3 * 16 + 1) * 120 + (120 + 1) * 84 + (84 + 1) * 10,
    "lenet_3_padded": (9 + 1) * 6 + (9 * 6 + 1) * 16 + (8 * 8 * 16 + 1) * 120 + (120 + 1) * 84 + (84 + 1) * 10,
    "lenet_5_padded": (25 + 1) * 6 + (25 * 6 + 1) * 16 + (8 * 8 * 16 + 1) * 120 + (120 + 1) * 84 + (84 + 1) * 10,
    "one_layer": (9 + 1) * 32 + (15 * 15 * 32 + 1) * 100 + (100 + 1) * 10,
    "one_layer_padded": (9 + 1) * 32 + (16 * 16 * 32 + 1) * 100 + (100 + 1) * 10,
    "one_layer_64": (9 + 1) * 64 + (16 * 16 * 64 + 1) * 100 + (100 + 1) * 10,
    **{f"tile_{side}": tiled(side) for side in (2, 4, 8)},
    "attention": tokens(3, 17 * 22 + 64 * 22, 4 * 23 * 22, 22) + HEAD_OF_TOKENS * 22 + 10,
    "attention_without_positions": tokens(3, 17 * 22, 4 * 23 * 22, 22) + HEAD_OF_TOKENS * 22 + 10,
    "mixer": tokens(1, 17 * 24, 2 * 65 * 64, 24) + HEAD_OF_TOKENS * 24 + 10,
    "deep_plain": DEEP,
    "deep_residual": DEEP + 16 * 32,
    "deep_plain_norm": DEEP + 2 * (3 * 16 + 6 * 32),
    "deep_residual_norm": DEEP + 2 * (3 * 16 + 6 * 32) + 16 * 32 + 2 * 32,
    "separable": (9 + 2 * 19) + (9 * 19 + 20 * 38) + (8 * 8 * 38 + 1) * 10,
    "pooled_separable": (9 + 2 * 45) + (9 * 45 + 46 * 82) + (82 + 1) * 10,
    # Published for three channels and ten classes; the stem has one channel here.
    "resnet18": 11_173_962 - 2 * 64 * 9,
}


def built(architecture, shape=CANVAS, classes=10, seed=0):
    return build(architecture, shape, classes, [0.3] * shape[0], [0.2] * shape[0], torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("key", DISTINCT)
def test_variant_maps_images_to_logits_with_finite_gradients_and_its_parameter_count(key):
    architecture = SETTINGS.variants[key].run.architecture
    model = built(architecture)
    images = torch.randint(0, 256, (2, *CANVAS), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    logits = logits_of(model, images)
    assert logits.shape == (2, 10)
    logits.square().sum().backward()
    parameters = list(model.parameters())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in parameters)
    assert sum(p.numel() for p in parameters) == closed_form(architecture, CANVAS, 10).parameters == PARAMETERS[key]


@pytest.mark.parametrize(("channels", "kernel"), [(1, 1), (1, 3), (3, 3)])
def test_a_convolution_of_images_answers_with_channels_last(channels, kernel):
    model = built(spec(kernel=kernel), (channels, 8, 8))
    formats = []
    model.features[0].register_forward_hook(
        lambda _, __, maps: formats.append(maps.is_contiguous(memory_format=torch.channels_last))
    )
    logits_of(model, torch.zeros(2, channels, 8, 8, dtype=torch.uint8))
    assert formats == [True]


@pytest.mark.parametrize("head", ["global_average", "global_max"])
def test_a_pooled_head_hands_the_gradient_back_with_channels_last(head):
    leaf = torch.rand(2, 32, 7, 7).contiguous(memory_format=torch.channels_last).requires_grad_()
    maps, formats = leaf.clone(), []  # a leaf's own gradient is laid out as the leaf is
    maps.register_hook(lambda gradient: formats.append(gradient.is_contiguous(memory_format=torch.channels_last)))
    built(spec(head=head), (1, 28, 28)).head(maps).sum().backward()
    assert formats == [True]


def test_the_global_average_is_over_the_positions_of_each_map():
    maps = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]], [[0.0, 0.0], [0.0, 1.0]]]])
    assert GlobalAverage()(maps).tolist() == [[3.0, 0.25]]


SPECS = {
    "base": {},
    "a pair": {"kernel": (1, 5)},
    "dilated": {"dilation": 2},
    "even kernel": {"kernel": 4},
    "valid, strided": {"padding": "valid", "stride": 2, "pooling": "none"},
    "reflect, strided": {"padding": "reflect", "stride": (2, 1), "pool_size": (1, 2)},
    "circular, even": {"padding": "circular", "kernel": 2},
    "blur": {"pooling": "blur"},
    "average of three": {"pooling": "average", "pool_size": 3},
    "batch norm": {"norm": "batch"},
    "four layers, one pooled": {"channels": (4, 8, 8, 8), "reduce_at": (3,)},
    "global max": {"head": "global_max"},
    "hidden layers": {"hidden": (12, 5)},
    "hidden layer behind a pooled head": {"head": "global_average", "hidden": (12,), "norm": "batch"},
    "resnet": {"connectivity": "resnet18"},
    "units with norm": {"connectivity": "fully_connected", "channels": (8, 4), "norm": "batch"},
    "linear": {"connectivity": "fully_connected", "channels": (), "reduce_at": ()},
}
SHAPES = [(1, 32, 32), (3, 15, 22)]


def counted(model, shape):
    """MACs and sizes of the maps as hooks see them in the built module."""
    macs, sizes = [], []

    def count(module, inputs, output):
        if isinstance(module, torch.nn.Conv2d):
            macs.append(output[0].numel() * module.weight[0].numel())
        elif isinstance(module, torch.nn.Linear):
            macs.append(module.weight.numel())
        elif isinstance(module, LocallyConnected2d):
            macs.append(output[0].numel() * module.fan_in)

    for module in model.modules():
        module.register_forward_hook(count)
    for module in model.features:
        module.register_forward_hook(lambda module, inputs, output: sizes.append(tuple(output.shape[2:])))
    model.eval()(torch.zeros(1, *shape))
    return sum(macs), sizes[-1]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", SPECS)
def test_closed_forms_equal_the_built_module(name, shape):
    for connectivity in {SPECS[name].get("connectivity", kind) for kind in ("conv", "locally_connected")}:
        architecture = spec(**SPECS[name] | {"connectivity": connectivity})
        model, costs = built(architecture, shape, 7), closed_form(architecture, shape, 7)
        macs, last = counted(model, shape)
        assert sum(p.numel() for p in model.parameters()) == costs.parameters
        assert macs == costs.macs
        if costs.map_sizes:
            assert last == costs.map_sizes[-1]


# By hand, and as published where the source says. On 28×28 pixels without a margin, which two poolings reduce to 7×7.
# For LeNet its source says how many inputs the first fully connected layer has: 400, 256, 64, 784 and 784.
PUBLISHED = {
    "lab_cnn_3": ((9 + 1) * 32 + (9 * 32 + 1) * 64 + (7 * 7 * 64 + 1) * 128 + (128 + 1) * 10, 421_642),
    "lab_cnn_5": ((25 + 1) * 32 + (25 * 32 + 1) * 64 + (7 * 7 * 64 + 1) * 128 + (128 + 1) * 10, 454_922),
    "lab_cnn_7": ((49 + 1) * 32 + (49 * 32 + 1) * 64 + (7 * 7 * 64 + 1) * 128 + (128 + 1) * 10, 504_842),
    "lab_mlp": ((784 + 1) * 256 + (256 + 1) * 128 + (128 + 1) * 10, 235_146),
    "lenet_3": ((9 + 1) * 6 + (9 * 6 + 1) * 16 + (400 + 1) * 120 + (120 + 1) * 84 + (84 + 1) * 10, None),
    "lenet_5": ((25 + 1) * 6 + (25 * 6 + 1) * 16 + (256 + 1) * 120 + (120 + 1) * 84 + (84 + 1) * 10, None),
    "lenet_7": ((49 + 1) * 6 + (49 * 6 + 1) * 16 + (64 + 1) * 120 + (120 + 1) * 84 + (84 + 1) * 10, None),
    "lenet_3_padded": ((9 + 1) * 6 + (9 * 6 + 1) * 16 + (784 + 1) * 120 + (120 + 1) * 84 + (84 + 1) * 10, None),
    "lenet_5_padded": ((25 + 1) * 6 + (25 * 6 + 1) * 16 + (784 + 1) * 120 + (120 + 1) * 84 + (84 + 1) * 10, None),
    "one_layer": ((9 + 1) * 32 + (13 * 13 * 32 + 1) * 100 + (100 + 1) * 10, None),
    "one_layer_padded": ((9 + 1) * 32 + (14 * 14 * 32 + 1) * 100 + (100 + 1) * 10, None),
    "one_layer_64": ((9 + 1) * 64 + (14 * 14 * 64 + 1) * 100 + (100 + 1) * 10, None),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_nets_have_the_parameters_that_were_published(name):
    by_hand, published = PUBLISHED[name]
    architecture = SETTINGS.variants[name].run.architecture
    model = built(architecture, (1, 28, 28))
    assert published == SETTINGS.variants[name].published.parameters
    assert by_hand == (published or by_hand)
    assert closed_form(architecture, (1, 28, 28), 10).parameters == by_hand
    assert sum(p.numel() for p in model.parameters()) == by_hand
    assert logits_of(model, torch.zeros(2, 1, 28, 28, dtype=torch.uint8)).shape == (2, 10)


def test_a_linear_model_has_a_weight_a_pixel_and_class():
    linear = SETTINGS.variants["linear"].run.architecture
    costs, model = closed_form(linear, (1, 28, 28), 10), built(linear, (1, 28, 28))
    assert costs.parameters == sum(p.numel() for p in model.parameters()) == 784 * 10 + 10
    assert costs.macs == 784 * 10


def test_a_hidden_layer_of_the_head_bends():
    """Without an activation between them, two linear layers would be one."""
    model = built(spec(hidden=(6,)))
    assert [type(module).__name__ for module in model.head] == ["Identity", "Flatten", "Linear", "ReLU", "Linear"]


def test_a_signal_of_height_one_passes_with_flat_kernels():
    architecture = spec(kernel=(1, 5), pool_size=(1, 2))
    model = built(architecture, (2, 1, 40), 3)
    assert model(torch.zeros(4, 2, 1, 40)).shape == (4, 3)
    assert closed_form(architecture, (2, 1, 40), 3).map_sizes == [(1, 20), (1, 10)]
    assert receptive_field(architecture) == (1, 16)  # (5−1) + (2−1) + (5−1)·2 + (2−1)·2 + 1


# No field, paths of several signs, or the field of another entry.
WITHOUT_A_FIELD = {"units with norm", "linear", "blur", "resnet", "batch norm", "global max"}
WITHOUT_A_FIELD |= {"hidden layer behind a pooled head"}


@pytest.mark.parametrize("name", [name for name in SPECS if name not in WITHOUT_A_FIELD])
def test_theoretical_receptive_field_is_the_support_of_the_gradient(name):
    """Non-negative weights on non-negative inputs: no path cancels, so the support is the whole field."""
    pooling = SPECS[name].get("pooling", "average")
    architecture = spec(**SPECS[name] | {"padding": "valid", "pooling": pooling})
    size = 64
    model = built(architecture, (1, size, size))
    for parameter in model.parameters():
        parameter.data = parameter.data.abs() + 0.01
    image = torch.full((1, 1, size, size), 100.0, requires_grad=True)
    features = model.features(image)
    features[0, 0, features.shape[2] // 2, features.shape[3] // 2].backward()
    seen = image.grad[0, 0] != 0
    assert (int(seen.any(1).sum()), int(seen.any(0).sum())) == receptive_field(architecture)


def test_blur_pool_receptive_field_counts_the_blur():
    # conv 3: r=3, jump 1; max 2 stride 1: r=4; blur 3 stride 2: r=6, jump 2; conv 3: 10; max: 12; blur: 16
    assert receptive_field(spec(pooling="blur")) == (16, 16)


def test_vanishing_map_is_refused_naming_the_layer():
    with pytest.raises(ValueError, match=r"layer 2: the feature map vanishes \(2×2 → 0×0\)"):
        built(spec(padding="valid"), (1, 6, 6))


def test_locally_connected_with_one_filter_everywhere_is_the_convolution():
    generator = torch.Generator().manual_seed(0)
    for stride, dilation in (((1, 1), (1, 1)), ((2, 1), (1, 2)), ((3, 2), (2, 1))):
        conv = torch.nn.Conv2d(2, 3, (3, 2), stride=stride, dilation=dilation)
        local = LocallyConnected2d(2, 3, (3, 2), (9, 8), stride=stride, dilation=dilation)
        # conv: (out, in, ky, kx); local: (position, offset · in, out)
        shared = conv.weight.permute(2, 3, 1, 0).reshape(1, -1, 3)
        local.weight.data = shared.expand_as(local.weight).clone()
        local.bias.data = conv.bias.view(1, 1, 3).expand_as(local.bias).clone()
        maps = torch.randn(4, 2, 9, 8, generator=generator)
        torch.testing.assert_close(local(maps), conv(maps))


def test_blur_pool_halves_a_single_bright_pixel_by_hand():
    maps = torch.zeros(1, 1, 4, 4)
    maps[0, 0, 1, 1] = 16.0
    # Max of 2×2 windows spreads it to rows and columns 0–1; [1 2 1]/4 with the border repeated, at 0 and 2:
    # axis 0: (1·16 + 2·16 + 1·16)/4 = 16 at 0 and 16/4 = 4 at 2.
    expected = torch.tensor([[16.0, 4.0], [4.0, 1.0]])
    torch.testing.assert_close(BlurPool2d(1, 2)(maps)[0, 0], expected)


def test_normalise_gives_zero_for_the_mean_pixel_and_one_a_deviation_above():
    out = Normalise([0.2], [0.4])(torch.tensor([51, 153], dtype=torch.uint8).view(2, 1, 1, 1))
    torch.testing.assert_close(out.flatten(), torch.tensor([0.0, 1.0]))


def test_circular_stride_one_net_commutes_with_circular_shifts():
    features = built(spec(padding="circular", reduce_at=()), (1, 12, 12)).features
    image = torch.randn(1, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    shifted = torch.roll(image, (5, -3), (2, 3))
    torch.testing.assert_close(features(shifted), torch.roll(features(image), (5, -3), (2, 3)), atol=1e-6, rtol=1e-5)


def test_same_generator_seed_gives_the_same_weights_whatever_the_global_seed():
    torch.manual_seed(1)
    first = built(BASE).state_dict()
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    second = built(BASE).state_dict()
    other = built(BASE, seed=1).state_dict()
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["head.2.weight"], other["head.2.weight"])


def test_weights_stay_within_the_bound_of_their_fan_in():
    weight = built(spec(connectivity="locally_connected")).features[1].weight
    assert 0.3 < weight.abs().max() <= 1 / 3  # fan in 9


def test_weights_survive_the_file(tmp_path):
    model = built(spec(norm="batch"))
    save_weights(model, tmp_path / "w.safetensors")
    other = trained(spec(norm="batch"), CANVAS, 10, tmp_path / "w.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))
    with pytest.raises(RuntimeError, match="Missing key"):
        trained(spec(channels=(4, 4, 4)), CANVAS, 10, tmp_path / "w.safetensors")

"""Training by way of the spectrum against direct convolution in double precision, and where it is used."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from stages.shared import params
from stages.shared.architectures.build import build
from stages.shared.architectures.fourier import FourierConv2d, pays

CASES = [  # images, channels, filters, kernel, (height, width)
    (3, 4, 5, (5, 5), (14, 14)),  # an even period
    (3, 4, 5, (7, 7), (14, 14)),  # an odd one
    (1, 1, 1, (3, 3), (2, 2)),
    (2, 3, 4, (3, 7), (9, 6)),
    (2, 3, 4, (5, 1), (7, 8)),
    (4, 2, 3, (1, 9), (1, 30)),  # a signal
    (2, 2, 3, (7, 7), (3, 5)),  # the kernel is larger than the map
    (2, 2, 3, (1, 1), (4, 4)),
]


def layer(channels: int, filters: int, kernel: tuple[int, int], size: tuple[int, int]) -> FourierConv2d:
    torch.manual_seed(0)
    return FourierConv2d(channels, filters, kernel, size).to(memory_format=torch.channels_last)


@pytest.mark.parametrize(("images", "channels", "filters", "kernel", "size"), CASES)
def test_it_is_the_direct_convolution_and_so_are_its_gradients(images, channels, filters, kernel, size):
    ours = layer(channels, filters, kernel, size)
    maps = torch.randn(images, channels, *size, requires_grad=True)
    above = torch.randn(images, filters, *size)
    found = ours(maps)
    found.backward(above)
    exact = [tensor.detach().double().requires_grad_() for tensor in (maps, ours.weight, ours.bias)]
    expected = F.conv2d(*exact, padding=(kernel[0] // 2, kernel[1] // 2))
    expected.backward(above.double())
    pairs = [
        (found, expected),
        (maps.grad, exact[0].grad),
        (ours.weight.grad, exact[1].grad),
        (ours.bias.grad, exact[2].grad),
    ]
    for ours_has, truth in pairs:
        assert ours_has.shape == truth.shape
        assert (ours_has - truth).abs().max() <= 1e-5 * truth.abs().max()


def test_a_kernel_with_one_tap_shifts_the_map_and_lets_the_border_fall_off():
    ours = layer(1, 1, (5, 5), (6, 6))
    with torch.no_grad():
        ours.weight.zero_()
        ours.weight[0, 0, 2, 4] = 1  # two to the right of the middle
        ours.bias.fill_(3)
    maps = torch.arange(36.0).view(1, 1, 6, 6)
    expected = F.pad(maps[..., 2:], (0, 2)) + 3
    torch.testing.assert_close(ours(maps), expected, atol=1e-4, rtol=0)


def test_maps_of_the_data_need_no_gradient():
    ours = layer(3, 4, (5, 5), (8, 8))
    ours(torch.randn(2, 3, 8, 8)).sum().backward()
    assert ours.weight.grad.abs().sum() > 0


def test_the_same_step_gives_the_same_bits():
    def step() -> list[torch.Tensor]:
        ours = layer(16, 32, (7, 7), (14, 14))
        maps = torch.randn(64, 16, 14, 14).to(memory_format=torch.channels_last).requires_grad_()
        given = ours(maps)
        given.square().sum().backward()
        return [given, maps.grad, ours.weight.grad, ours.bias.grad]

    assert all(map(torch.equal, step(), step()))


@pytest.mark.parametrize("mode", ["evaluation", "bfloat16"])
def test_outside_training_in_float32_it_is_torchs_own_to_the_bit(mode):
    ours, maps = layer(16, 32, (7, 7), (14, 14)).train(mode != "evaluation"), torch.randn(8, 16, 14, 14)
    plain = nn.Conv2d(16, 32, 7, padding=3).to(memory_format=torch.channels_last)
    plain.load_state_dict(ours.state_dict())
    with torch.autocast("cpu", torch.bfloat16, enabled=mode == "bfloat16"):
        assert torch.equal(ours(maps), plain(maps))


def test_it_is_used_where_it_pays_and_nowhere_else():
    assert not pays(1, 32, (7, 7), (28, 28)), "one channel: the transforms cost more than they save"
    assert not pays(32, 64, (3, 3), (14, 14))
    assert pays(32, 64, (5, 5), (14, 14))
    assert pays(32, 64, (7, 7), (14, 14))


@pytest.mark.parametrize(
    ("changes", "used"),
    [
        ({}, True),
        ({"dilation": 2}, False),
        ({"padding": "circular"}, False),
        ({"padding": "valid"}, False),
        ({"stride": 2, "pooling": "none"}, False),
        ({"kernel": 6}, False),
    ],
)
def test_an_architecture_has_it_for_large_kernels_that_pad_zeros_and_keep_the_size(changes, used):
    architecture = params.load().architecture.model_copy(update={"kernel": 7, "channels": [32, 64], **changes})
    model = build(architecture, (1, 28, 28), 10, [0.5], [0.5], torch.Generator().manual_seed(0))
    kinds = [type(module) for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert kinds == [nn.Conv2d, FourierConv2d if used else nn.Conv2d]

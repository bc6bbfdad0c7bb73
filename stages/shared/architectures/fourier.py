"""A convolution that trains by way of the spectrum: the same function in fewer multiplications, where the kernel is large.

A convolution of maps is a product of their Fourier coefficients. On images of this size the transforms are products with small
matrices, which take less time than fast Fourier transforms would. Source: Mathieu et al. 2014, arXiv:1312.5851.
"""

import math
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

COST = 2.5  # of a multiplication here, in those of the direct convolution; about, as measured


def pays(in_channels: int, out_channels: int, kernel: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether the convolution of maps of this size (height, width), zeros all round, takes less time by way of its spectrum."""
    (height, width), (rows, columns) = size, _period(size, kernel)
    half = columns // 2 + 1
    direct = math.prod(size) * math.prod(kernel) * in_channels * out_channels
    products = 4 * rows * half * in_channels * out_channels
    transforms = (in_channels + out_channels) * half * height * (2 * width + 4 * rows)
    return direct > COST * (products + transforms)


class FourierConv2d(nn.Conv2d):
    """`nn.Conv2d` with a stride of 1 and zeros all round that keep the size, for an odd kernel; size: (height, width) of the maps.

    It is nn.Conv2d itself but for training on a CPU in float32. An output of evaluation depends on its own window to the last bit.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: tuple[int, int], size: tuple[int, int]) -> None:
        super().__init__(in_channels, out_channels, kernel, padding=(kernel[0] // 2, kernel[1] // 2))
        self._geometry = size, kernel

    @cached_property
    def _transforms(self) -> "_Transforms":
        """Made at the first step of training; a net that is probed or served never asks for them."""
        return _Transforms(*self._geometry)

    def forward(self, maps: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch filter height width"]:
        if not self.training or maps.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
            return super().forward(maps)
        convolved: Tensor = _Convolution.apply(maps, self.weight, self.bias, self._transforms)  # type: ignore[no-untyped-call]
        return convolved


def _period(size: tuple[int, int], kernel: tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) after which the maps may repeat without a window's reaching around to the other side."""
    return size[0] + kernel[0] // 2, size[1] + kernel[1] // 2


class _Transforms:
    """The Fourier transforms of maps and kernels as matrices, and back. A coefficient's real and imaginary part are two rows.

    Maps are (height, width, c), c what varies fastest: channel and image. Spectra are (half, 2 · rows, c): of `columns`
    frequencies along the width those up to the middle, the others being their conjugates.
    """

    def __init__(self, size: tuple[int, int], kernel: tuple[int, int]) -> None:
        self.size, (self.rows, columns) = size, _period(size, kernel)
        self.half, self.period = columns // 2 + 1, self.rows * columns
        along_width, along_height = (
            _angles(self.half, range(size[1]), columns),
            _angles(self.rows, range(size[0]), self.rows),
        )
        # Of a frequency and its conjugate only one is there, and counts for both; the first and the middle one are their own.
        share = (
            torch.tensor([1 if 2 * at in (0, columns) else 2 for at in range(self.half)], dtype=torch.float64)
            / self.period
        )
        self.width = torch.cat([along_width.cos(), -along_width.sin()]).float()
        self.height = _complex(along_height.cos(), -along_height.sin()).float()
        self.height_back = _complex(along_height.cos().T, along_height.sin().T).float()
        self.width_back = (share * along_width.T.cos()).float(), (share * -along_width.T.sin()).float()
        offsets = [range(-(k // 2), k // 2 + 1) for k in kernel]
        at = (
            _angles(self.half, offsets[1], columns)[:, None, None]
            + _angles(self.rows, offsets[0], self.rows)[:, :, None]
        )
        taps = torch.stack([at.cos(), at.sin()], 2).flatten(3)  # half, rows, 2, kernel area
        self.kernel = taps.flatten(0, 2).float()  # conjugate: torch's convolution is a correlation
        self.kernel_back = (taps * share[:, None, None, None]).flatten(0, 2).T.float()

    def spectrum(self, maps: Tensor) -> Tensor:
        """(N, C, height, width) to (half · rows, 2 · C, N)."""
        count, channels = maps.shape[:2]
        maps = maps.permute(0, 2, 3, 1).flatten(1).T.contiguous().view(*self.size, channels * count)
        rows = (self.width @ maps).view(2 * self.size[0], self.half, -1).transpose(0, 1)
        return torch.bmm(self.height.expand(self.half, -1, -1), rows).view(-1, 2 * channels, count)

    def maps(self, spectrum: Tensor) -> Tensor:
        """(half · rows, 2 · C, N) to (N, C, height, width), channels last."""
        height, width = self.size
        rows = torch.bmm(self.height_back.expand(self.half, -1, -1), spectrum.view(self.half, 2 * self.rows, -1))
        real, imaginary = rows.view(self.half, height, 2, -1).permute(2, 1, 0, 3)
        back = [matrix.expand(height, -1, -1) for matrix in self.width_back]
        maps = torch.bmm(back[0], real).baddbmm_(back[1], imaginary)
        return (
            maps.view(-1, spectrum.shape[2])
            .T.contiguous()
            .view(-1, height, width, spectrum.shape[1] // 2)
            .permute(0, 3, 1, 2)
        )


def _angles(frequencies: int, positions: range, period: int) -> Tensor:
    turns = torch.outer(torch.arange(frequencies), torch.tensor(positions)) % period  # exact
    return 2 * math.pi * turns.double() / period


def _complex(real: Tensor, imaginary: Tensor) -> Tensor:
    """The (2m, 2n) real matrix that does to pairs what the complex (m, n) one does to numbers."""
    return (
        torch.stack([torch.stack([real, -imaginary], 2), torch.stack([imaginary, real], 2)], 1).flatten(2).flatten(0, 1)
    )


class _Convolution(torch.autograd.Function):
    """maps (N, C, height, width), weight (K, C, kernel height, kernel width), bias (K,), to (N, K, height, width)."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor, transforms: _Transforms) -> Tensor:
        filters, channels = weight.shape[:2]
        spectrum = transforms.spectrum(maps)
        real, imaginary = (
            (transforms.kernel @ weight.flatten(2).flatten(0, 1).T).view(-1, 2, filters, channels).unbind(1)
        )
        kernel = torch.cat([torch.cat([real, -imaginary], 2), torch.cat([imaginary, real], 2)], 1)
        ctx.save_for_backward(spectrum, kernel)
        ctx.transforms, ctx.shape = transforms, weight.shape
        convolved = torch.bmm(kernel, spectrum)
        # A constant is the first coefficient and nothing else.
        convolved[0, :filters] += transforms.period * bias[:, None]
        return transforms.maps(convolved)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        spectrum, kernel = ctx.saved_tensors
        filters, channels = ctx.shape[:2]
        above = ctx.transforms.spectrum(gradient)
        below = ctx.transforms.maps(torch.bmm(kernel.mT, above)) if ctx.needs_input_grad[0] else None
        products = torch.bmm(above, spectrum.mT).unflatten(1, (2, filters)).unflatten(3, (2, channels))
        real = products[:, 0, :, 0] + products[:, 1, :, 1]
        imaginary = products[:, 1, :, 0] - products[:, 0, :, 1]
        weight = ctx.transforms.kernel_back @ torch.stack([real, imaginary], 1).view(-1, filters * channels)
        return below, weight.T.reshape(ctx.shape), above[0, :filters].sum(1), None

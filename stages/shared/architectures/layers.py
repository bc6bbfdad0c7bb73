"""Layers that torch lacks, or has slower: normalisation, local connection, a shortcut, two poolings."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Num
from torch import Tensor, nn

from stages.shared.architectures.layer_settings import pair


class Normalise(nn.Module):
    """Pixels, bytes or floats, to zero mean and unit variance.

    mean, std: of each channel of the train split, of pixels / 255. They are saved with the weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.register_buffer("mean", 255 * torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(std).view(-1, 1, 1))

    def forward(self, pixels: Num[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel height width"]:
        return (pixels.float() - self.mean) / self.std


class LocallyConnected2d(nn.Module):
    """A convolution whose filter differs at every output position, or from one tile of positions to the next.

    in_size: (height, width) of the input, already padded. tile: (rows, columns) of output positions that share a
    filter; those at the far edges have fewer. One position a tile is locality without weight sharing, one tile for the
    whole map is a convolution. Parameters: tiles × (in · kernel area + 1) × out. Multiply-accumulates are those of the
    convolution of the same shape. Source: LeCun 1989; Bartunov et al. 2018; Elsayed et al. 2020 for sharing in steps.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, int],
        in_size: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        tile: tuple[int, int] = (1, 1),
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.dilation = kernel_size, stride, dilation
        self.out_size = self._out_size(in_size, 0), self._out_size(in_size, 1)
        self.tile = min(tile[0], self.out_size[0]), min(tile[1], self.out_size[1])
        self.grid = -(-self.out_size[0] // self.tile[0]), -(-self.out_size[1] // self.tile[1])
        tiles = self.grid[0] * self.grid[1]
        self.fan_in = kernel_size[0] * kernel_size[1] * in_channels
        self.weight = nn.Parameter(torch.empty(tiles, self.fan_in, out_channels))
        self.bias = nn.Parameter(torch.empty(tiles, 1, out_channels))

    def _out_size(self, in_size: tuple[int, int], axis: int) -> int:
        span = self.dilation[axis] * (self.kernel_size[axis] - 1) + 1
        return (in_size[axis] - span) // self.stride[axis] + 1

    def forward(
        self, maps: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch filter new_height new_width"]:
        pixels = maps.permute(2, 3, 0, 1).contiguous()  # height, width, batch, channel
        rows, columns = range(self.kernel_size[0]), range(self.kernel_size[1])
        patches = torch.stack([self._at_offset(pixels, dy, dx) for dy in rows for dx in columns], 3).flatten(3)
        outputs = self._from_tiles(torch.baddbmm(self.bias, self._in_tiles(patches), self.weight), maps.shape[0])
        # Without this copy the layers that follow, which expect channels last, take twice as long.
        return outputs.permute(2, 3, 0, 1).contiguous(memory_format=torch.channels_last)

    def _in_tiles(self, patches: Tensor) -> Tensor:
        """(height, width, batch, fan in) → (tile, position in the tile · batch, fan in)."""
        if self.tile == (1, 1):
            return patches.flatten(0, 1)
        beside, below = (self.grid[axis] * self.tile[axis] - self.out_size[axis] for axis in (1, 0))
        patches = F.pad(patches, (0, 0, 0, 0, 0, beside, 0, below))
        tiles = patches.unflatten(1, (-1, self.tile[1])).unflatten(0, (-1, self.tile[0]))
        return tiles.transpose(1, 2).flatten(2, 4).flatten(0, 1)  # row, column of tiles, then what is in one

    def _from_tiles(self, outputs: Tensor, batch: int) -> Tensor:
        """(tile, position in the tile · batch, filter) → (height, width, batch, filter)."""
        if self.tile == (1, 1):
            return outputs.unflatten(0, self.out_size)
        tiles = outputs.unflatten(1, (*self.tile, batch)).unflatten(0, self.grid)
        return tiles.transpose(1, 2).flatten(2, 3).flatten(0, 1)[: self.out_size[0], : self.out_size[1]]

    def _at_offset(self, pixels: Tensor, dy: int, dx: int) -> Tensor:
        """Pixel (dy, dx) of the window of each output position, (new height, new width, batch, channel)."""
        top, left = dy * self.dilation[0], dx * self.dilation[1]
        rows = slice(top, top + (self.out_size[0] - 1) * self.stride[0] + 1, self.stride[0])
        columns = slice(left, left + (self.out_size[1] - 1) * self.stride[1] + 1, self.stride[1])
        return pixels[rows, columns]


class Residual(nn.Module):
    """A block of layers and a shortcut around them: their sum. Source: He et al. 2016, arXiv:1512.03385."""

    def __init__(self, block: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.block, self.shortcut = block, shortcut

    def forward(
        self, maps: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch new_channel new_height new_width"]:
        summed: Tensor = self.block(maps) + self.shortcut(maps)
        return summed


class BlurPool2d(nn.Module):
    """Max pooling that blurs with [1, 2, 1] before it subsamples, so that a shift aliases less.

    Gives the map size of max pooling: floor(size / pool_size). Source: Zhang 2019, arXiv:1904.11486.
    """

    filter: Tensor

    def __init__(self, channels: int, pool_size: int | tuple[int, int]) -> None:
        super().__init__()
        self.pool_size = pair(pool_size)
        vertical, horizontal = (torch.tensor([1.0, 2.0, 1.0]) / 4 if p > 1 else torch.ones(1) for p in self.pool_size)
        blur = torch.outer(vertical, horizontal).expand(channels, 1, -1, -1).contiguous()
        self.register_buffer("filter", blur, persistent=False)

    def forward(
        self, maps: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel new_height new_width"]:
        (pool_height, pool_width), (channels, height, width) = self.pool_size, maps.shape[1:]
        maps = maps[:, :, : height // pool_height * pool_height, : width // pool_width * pool_width]
        maps = F.pad(maps, (0, pool_width - 1, 0, pool_height - 1), mode="replicate")
        maps = F.max_pool2d(maps, self.pool_size, stride=1)
        beside, above = int(pool_width > 1), int(pool_height > 1)
        maps = F.pad(maps, (beside, beside, above, above), mode="replicate")
        return F.conv2d(maps, self.filter, stride=self.pool_size, groups=channels)


class GlobalAverage(nn.Module):
    """The mean of every map over its positions.

    nn.AdaptiveAvgPool2d returns a gradient with channels first, and the layers below, which have channels last, take
    twice as long with it.
    """

    def forward(self, maps: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel"]:
        return maps.permute(0, 2, 3, 1).flatten(1, 2).mean(1)

"""Layers of nets that cut the image into patches and mix these tokens: attention, and the MLPs of a mixer.

Tokens stay where they are on the grid of patches, as a feature map (N, C, rows, columns) with channels last, so that
every probe of a map serves for them too.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

Grid = Float[Tensor, "batch channel row column"]
Tokens = Float[Tensor, "batch token channel"]
POSITION_SPREAD = 0.02  # standard deviation of the first positions, as in Dosovitskiy et al. 2021


class Positions(nn.Module):
    """Adds a learned vector to each token. channels, rows, columns: of the grid."""

    def __init__(self, channels: int, rows: int, columns: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.empty(channels, rows, columns))

    def forward(self, maps: Grid) -> Grid:
        return maps + self.vectors


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each token of a grid."""

    def forward(self, maps: Grid) -> Grid:
        return super().forward(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class SelfAttention(nn.Module):
    """Multi-head self-attention over tokens, (N, T, width). Source: Vaswani et al. 2017.

    Raises ValueError unless the heads divide the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide a width of {width}")
        self.heads = heads
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)

    def forward(self, tokens: Tokens) -> Tokens:
        parts = self.queries_keys_values(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        queries, keys, values = (part.flatten(0, 1) for part in parts)  # batch · head, token, width of a head
        weights = torch.bmm(queries, keys.transpose(1, 2)).mul(queries.shape[2] ** -0.5).softmax(2)
        heads = torch.bmm(weights, values).unflatten(0, (-1, self.heads))
        mixed: Tensor = self.projection(heads.transpose(1, 2).flatten(2))
        return mixed


class TokenMLP(nn.Module):
    """An MLP along the tokens, the same for every channel: what mixes them. Source: Tolstikhin et al. 2021."""

    def __init__(self, tokens: int, ratio: int, activation: nn.Module) -> None:
        super().__init__()
        self.mlp = _mlp(tokens, ratio, activation)

    def forward(self, tokens: Tokens) -> Tokens:
        mixed: Tensor = self.mlp(tokens.transpose(1, 2)).transpose(1, 2)
        return mixed


class Block(nn.Module):
    """x + mix(norm(x)), then x + MLP(norm(x)): the block of a vision transformer, or of a mixer.

    mix: tokens to tokens. ratio: hidden units of the MLP for each channel.
    Source: Dosovitskiy et al. 2021, arXiv:2010.11929; Tolstikhin et al. 2021, arXiv:2105.01601.
    """

    def __init__(self, width: int, mix: nn.Module, ratio: int, activation: nn.Module, dropout: float) -> None:
        super().__init__()
        self.mixing = nn.Sequential(nn.LayerNorm(width), mix, nn.Dropout(dropout))
        self.mlp = nn.Sequential(nn.LayerNorm(width), *_mlp(width, ratio, activation), nn.Dropout(dropout))

    def forward(self, maps: Grid) -> Grid:
        rows = maps.shape[2:]
        tokens = maps.permute(0, 2, 3, 1).flatten(1, 2)
        tokens = tokens + self.mixing(tokens)
        tokens = tokens + self.mlp(tokens)
        return tokens.unflatten(1, rows).permute(0, 3, 1, 2)


def _mlp(units: int, ratio: int, activation: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(units, ratio * units), activation, nn.Linear(ratio * units, units))

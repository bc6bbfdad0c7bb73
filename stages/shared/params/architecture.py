"""The settings of a net."""

from typing import Literal, Self

from pydantic import model_validator

from stages.shared.params.fields import Block, Pair, Positive, Widths
from stages.shared.params.messages import mistake


class Architecture(Block):
    connectivity: Literal["conv", "locally_connected", "fully_connected", "resnet18"]
    channels: Widths
    kernel: Pair
    dilation: Pair
    padding: Literal["zero", "valid", "reflect", "circular"]
    reduce_at: tuple[Positive, ...]
    stride: Pair
    pooling: Literal["max", "average", "blur", "none"]
    pool_size: Pair
    norm: Literal["none", "batch"]
    activation: Literal["relu", "gelu", "tanh"]
    head: Literal["flatten", "global_average", "global_max"]
    hidden: Widths

    @model_validator(mode="after")
    def _layers_are_there(self) -> Self:
        depth = len(self.channels)
        absent = [layer for layer in self.reduce_at if layer > depth]
        if self.connectivity in ("conv", "locally_connected"):
            if not depth:
                raise mistake(f"channels is empty, but a net with connectivity {self.connectivity} needs a layer")
            if absent:
                raise mistake(
                    f"reduce_at {list(self.reduce_at)} names layer {absent[0]}, but channels has {depth} (1 to {depth})"
                )
        if len(set(self.reduce_at)) < len(self.reduce_at):
            raise mistake(f"reduce_at {list(self.reduce_at)} names a layer twice")
        return self

"""The settings of a net."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, model_validator

from stages.shared.params.fields import Block, Few, Natural, Pair, Positive, Widths, or_else
from stages.shared.params.messages import mistake

Padding = Literal["zero", "valid", "reflect", "circular"]
Pooling = Literal["max", "average", "blur", "none"]
Norm = Literal["none", "batch", "layer", "group"]
Groups = Annotated[Few | Literal["depthwise"], or_else("a whole number from 1 up to 1000, or depthwise")]
Dropout = Annotated[float, Field(ge=0, lt=1)]
LAYERED = ("conv", "separable", "locally_connected")  # connectivities of nets of layers, each of which may have another
TRANSFORMERS = ("attention", "mixer")  # of nets of blocks that mix tokens


class LayerChange(Block):
    """What one layer has unlike the others; None: as they have it.

    A stride or a pooling that stands here holds whether or not reduce_at names the layer.
    """

    connectivity: Literal["conv", "separable", "locally_connected"] | None = None
    kernel: Pair | None = None
    dilation: Pair | None = None
    padding: Padding | None = None
    stride: Pair | None = None
    pooling: Pooling | None = None
    pool_size: Pair | None = None
    norm: Norm | None = None
    groups: Groups | None = None
    tile: Pair | None = None
    dropout: Dropout | None = None


class OwnModule(Block):
    """A user's own net: a class in a file of modules/, and what it is called with, beside an image's shape and classes.

    In params.yaml, and wherever settings are written, `class_` is `class`.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    file: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*\.py$")]
    class_: Annotated[str, Field(alias="class", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    arguments: dict[str, JsonValue] = Field(default={})


class Architecture(Block):
    connectivity: Literal[
        "conv", "separable", "locally_connected", "fully_connected", "attention", "mixer", "resnet18", "module"
    ]
    channels: Widths
    kernel: Pair
    dilation: Pair
    padding: Padding
    reduce_at: tuple[Positive, ...]
    stride: Pair
    pooling: Pooling
    pool_size: Pair
    layers: tuple[LayerChange, ...]
    groups: Groups
    tile: Pair
    residual: Annotated[Natural, Field(le=1000)]
    norm: Norm
    norm_groups: Few
    activation: Literal["relu", "gelu", "tanh"]
    dropout: Dropout
    patch: Pair
    heads: Few
    positions: Literal["learned", "none"]
    mlp_ratio: Few
    head: Literal["flatten", "global_average", "global_max"]
    hidden: Widths
    module: OwnModule | None

    @property
    def own_module(self) -> OwnModule | None:
        """The user's own net, if this is one."""
        return self.module if self.connectivity == "module" else None

    @model_validator(mode="after")
    def _own_module_is_there(self) -> Self:
        if self.connectivity == "module" and self.module is None:
            raise mistake(
                "connectivity module needs `module`, your own net: {file: my_net.py, class: Net, arguments: {}}"
            )
        return self

    @model_validator(mode="after")
    def _layers_are_there(self) -> Self:
        depth = len(self.channels)
        absent = [layer for layer in self.reduce_at if layer > depth]
        if self.connectivity in (*LAYERED, *TRANSFORMERS) and not depth:
            raise mistake(f"channels is empty, but a net with connectivity {self.connectivity} needs a layer")
        if self.connectivity in LAYERED:
            if absent:
                raise mistake(
                    f"reduce_at {list(self.reduce_at)} names layer {absent[0]}, but channels has {depth} (1 to {depth})"
                )
            if len(self.layers) > depth:
                raise mistake(f"layers has {len(self.layers)} entries, but channels has {depth}; an entry is a layer")
            if self.residual > depth:
                raise mistake(f"residual {self.residual} is a block of more layers than channels has ({depth})")
        if len(set(self.reduce_at)) < len(self.reduce_at):
            raise mistake(f"reduce_at {list(self.reduce_at)} names a layer twice")
        return self

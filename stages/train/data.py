"""The prepared splits as tensors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from stages import paths


@dataclass(frozen=True)
class Split:
    """images: (N, C, H, W) uint8 on the canvas. labels: (N,) int64."""

    images: Tensor
    labels: Tensor


def load_splits(prepared: Path, layout: str) -> dict[str, Split]:
    return {name: Split(**load_file(prepared / layout / f"{name}.safetensors")) for name in ("train", "val", "test")}


def load_constants(prepared: Path) -> dict[str, Any]:
    """mean, std, class_counts, shape (C, H, W) and classes, as prepare wrote them."""
    constants: dict[str, Any] = paths.read_json(prepared / "constants.json")
    return constants

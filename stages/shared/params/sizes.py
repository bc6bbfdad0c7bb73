"""How large images and feature maps are, from the settings alone."""

import zipfile
from pathlib import Path
from typing import NamedTuple

from stages.shared import paths
from stages.shared.params.blocks import Architecture, Params


class Known(NamedTuple):
    """shape: (channels, height, width) of an image as published. classes: how many."""

    shape: tuple[int, int, int]
    classes: int


# None where only the user's file can tell.
DATASETS: dict[str, Known | None] = {
    "fashion_mnist": Known((1, 28, 28), 10),
    "mnist": Known((1, 28, 28), 10),
    "kmnist": Known((1, 28, 28), 10),
    "cifar10": Known((3, 32, 32), 10),
    "cifar100": Known((3, 32, 32), 100),
    "digits": Known((1, 8, 8), 10),
    "npz": None,
}


def raw_shape(settings: Params) -> tuple[int, int, int] | None:
    """(channels, height, width) of an image as published; None while the user's file is absent."""
    known = DATASETS[settings.data.dataset]
    return known.shape if known else _npz_shape(paths.USER / str(settings.data.file))


def image_shape(settings: Params) -> tuple[int, int, int] | None:
    """(channels, height, width) of the canvas: the image and its margin; None while the user's file is absent."""
    shape = raw_shape(settings)
    return None if shape is None else (shape[0], *canvas(*shape[1:], settings.protocol.margin))


def canvas(height: int, width: int, margin: int) -> tuple[int, int]:
    """Height and width with the margin around; an axis of one pixel (a signal) gets none."""
    return tuple(size if size == 1 else size + 2 * margin for size in (height, width))  # type: ignore[return-value]


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """A number stands for (number, number)."""
    return (value, value) if isinstance(value, int) else value


def patch_side(layout: str) -> int | None:
    """Pixels along a side of the patches that a layout shuffles, 1 for single pixels; None where nothing is moved."""
    return (
        {"original": None, "permuted": 1}[layout]
        if layout in ("original", "permuted")
        else int(layout.removeprefix("patches_"))
    )


def patches_fit(side: int, height: int, width: int) -> bool:
    """Whether patches tile the image; along an axis of one pixel (a signal) a patch has one pixel too."""
    return all(size == 1 or size % side == 0 for size in (height, width))


def map_sizes(architecture: Architecture, height: int, width: int) -> list[tuple[int, int]]:
    """Height and width of the feature map after each convolution (or locally connected) layer and its pooling.

    Raises ValueError, naming the layer, if nothing is left or reflection has too few pixels.
    """
    sizes = []
    for layer in range(1, len(architecture.channels) + 1):
        reduces = layer in architecture.reduce_at
        size = []
        for axis, before in enumerate((height, width)):
            reach = pair(architecture.dilation)[axis] * (pair(architecture.kernel)[axis] - 1)
            if architecture.padding in ("reflect", "circular") and (reach + 1) // 2 >= before + (
                architecture.padding == "circular"
            ):
                raise ValueError(
                    f"layer {layer}: {architecture.padding} padding of {(reach + 1) // 2} pixels needs a larger map than {height}×{width}"
                )
            span = before - reach if architecture.padding == "valid" else before
            stride = pair(architecture.stride)[axis] if reduces else 1
            after = (span - 1) // stride + 1 if span >= 1 else 0
            if reduces and architecture.pooling != "none":
                after //= pair(architecture.pool_size)[axis]
            size.append(after)
        if min(size) < 1:
            raise ValueError(f"layer {layer}: the feature map vanishes ({height}×{width} → {size[0]}×{size[1]})")
        height, width = size
        sizes.append((height, width))
    return sizes


def _npz_shape(path: Path) -> tuple[int, int, int] | None:
    """Shape of the user's images, from the file's header alone; None if it cannot be told (download says why)."""
    import numpy as np  # a tenth of a second that most datasets do without

    try:
        with zipfile.ZipFile(path) as archive, archive.open("images.npy") as header:
            version = np.lib.format.read_magic(header)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape = read(header)[0]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
    if len(shape) == 3:
        return 1, shape[1], shape[2]
    return (shape[3], shape[1], shape[2]) if len(shape) == 4 else None

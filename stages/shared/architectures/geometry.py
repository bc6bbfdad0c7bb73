"""Sizes of images, patches and feature maps, worked out from the settings alone. What is trained depends on them."""

from stages.shared.params.blocks import Architecture


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """A number stands for (number, number)."""
    return (value, value) if isinstance(value, int) else value


def canvas(height: int, width: int, margin: int) -> tuple[int, int]:
    """Height and width with the margin around; an axis of one pixel (a signal) gets none."""
    return tuple(size if size == 1 else size + 2 * margin for size in (height, width))  # type: ignore[return-value]


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

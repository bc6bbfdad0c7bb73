"""Sizes of images, patches and feature maps, from the settings alone. They decide what is trained."""

from stages.shared.params.architecture import Architecture


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """A number stands for (number, number)."""
    return (value, value) if isinstance(value, int) else value


def canvas(height: int, width: int, margin: int) -> tuple[int, int]:
    """Height and width with the margin around; an axis of one pixel (a signal) gets none."""
    return _with_margin(height, margin), _with_margin(width, margin)


def _with_margin(size: int, margin: int) -> int:
    return size if size == 1 else size + 2 * margin


def map_sizes(architecture: Architecture, height: int, width: int) -> list[tuple[int, int]]:
    """Height and width of the feature map after each convolution (or locally connected) layer and its pooling.

    Raises ValueError, naming the layer, if nothing is left or the padding needs more pixels than there are.
    """
    sizes = []
    for layer in range(1, len(architecture.channels) + 1):
        for axis, pixels in enumerate((height, width)):
            needed = _smallest_padded(architecture, axis)
            if pixels < needed:
                padding, added = architecture.padding, -(-_reach(architecture, axis) // 2)
                raise ValueError(
                    f"layer {layer}: {padding} padding of {added} pixels needs a larger map than {height}×{width}"
                )
        reduces = layer in architecture.reduce_at
        after = (_size_after(architecture, 0, height, reduces), _size_after(architecture, 1, width, reduces))
        if min(after) < 1:
            raise ValueError(f"layer {layer}: the feature map vanishes ({height}×{width} → {after[0]}×{after[1]})")
        height, width = after
        sizes.append(after)
    return sizes


def _smallest_padded(architecture: Architecture, axis: int) -> int:
    """The least pixels along an axis that can be padded: reflection repeats all but one, circular padding all."""
    added = -(-_reach(architecture, axis) // 2)  # on the side with more
    return {"reflect": added + 1, "circular": added}.get(architecture.padding, 0)


def _size_after(architecture: Architecture, axis: int, before: int, reduces: bool) -> int:
    """Pixels along an axis after one layer. reduces: whether this layer has the stride and the pooling."""
    windows = before - _reach(architecture, axis) if architecture.padding == "valid" else before
    if windows < 1:
        return 0
    if not reduces:
        return windows
    after = (windows - 1) // pair(architecture.stride)[axis] + 1
    return after if architecture.pooling == "none" else after // pair(architecture.pool_size)[axis]


def _reach(architecture: Architecture, axis: int) -> int:
    """Pixels between the first and the last that one filter sees."""
    return pair(architecture.dilation)[axis] * (pair(architecture.kernel)[axis] - 1)


def patch_side(layout: str) -> int | None:
    """Pixels along a side of the patches that a layout shuffles, 1 for single pixels; None where none are shuffled."""
    if layout == "original" or scatter_reach(layout):
        return None
    return 1 if layout == "permuted" else int(layout.removeprefix("patches_"))


def patches_fit(side: int, height: int, width: int) -> bool:
    """Whether patches tile the image; along an axis of one pixel (a signal) a patch has one pixel too."""
    return all(size == 1 or size % side == 0 for size in (height, width))


def scatter_reach(layout: str) -> int:
    """By how many pixels at most a layout moves each image along each axis; its canvas is larger by as many a side."""
    return int(layout.removeprefix("scattered_")) if layout.startswith("scattered_") else 0

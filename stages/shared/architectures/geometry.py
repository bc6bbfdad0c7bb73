"""Sizes of the canvas and of patches, from the settings alone. They decide what is trained."""


def canvas(height: int, width: int, margin: int) -> tuple[int, int]:
    """Height and width with the margin around; an axis of one pixel (a signal) gets none."""
    return _with_margin(height, margin), _with_margin(width, margin)


def _with_margin(size: int, margin: int) -> int:
    return size if size == 1 else size + 2 * margin


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

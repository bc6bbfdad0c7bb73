"""Parts that several figures use: axes with names of classes or plain numbers, and strips of images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from stages.eda.statistics import white
from stages.shared.drawing import style
from stages.shared.lettering.class_names import shown

LAYOUT_LOOKS: dict[str, dict[str, Any]] = {
    "original": {"color": style.BLUE, "marker": "o", "linestyle": "-"},
    "permuted": {"color": style.VERMILION, "marker": "s", "linestyle": (0, (4, 2))},
}
MOST_CLASSES_NAMED = 30  # on an axis
MOST_CLASSES_DRAWN = 12  # of more classes, only the first are drawn or listed
IMAGE_COLUMNS = 6  # mean images, or pairs, beside each other
CRISP_STRIP, CRISP_IMAGE = 1000, 400  # pixels along a strip, and along one image: no viewer blurs an edge
TITLE_INCHES = 0.26  # height of a title
SIGNAL_INCHES = 0.55  # height of images of one row, which are drawn as lines


def name_classes(axes: Axes, classes: Sequence[str]) -> None:
    """Put the names of the classes below the axis; numbers where there are too many."""
    n = len(classes)
    axes.set_xlim(-0.6, n - 0.4)
    if n > MOST_CLASSES_NAMED:
        axes.set_xlabel("class, in order")
        axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True))
        return
    names = [style.plain(name) for name in shown(classes, longest=18)]
    axes.set_xticks(range(n), names, rotation=35, ha="right", rotation_mode="anchor", fontsize=7.5 if n <= 12 else 6)


def plain_numbers(axis: Axis, multiples: tuple[float, ...] = (1.0, 2.0, 5.0)) -> None:
    """Ticks of a logarithmic axis at these multiples of the powers of ten, in plain numbers."""
    axis.set_major_locator(LogLocator(subs=multiples))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def grid(axes: Axes, both: bool = False) -> None:
    """Horizontal lines behind the drawing; with `both`, vertical ones too."""
    axes.grid(axis="both" if both else "y")
    axes.set_axisbelow(True)


def nothing_to_draw(axes: Axes, reason: str) -> None:
    """Write the reason in the middle of empty axes."""
    axes.text(0.5, 0.5, reason, ha="center", va="center", color=style.GREY, transform=axes.transAxes)
    axes.set_xticks([])


def image_title(axes: Axes, title: str, **keywords: Any) -> None:
    """A small title above an image."""
    axes.set_title(style.plain(title), fontweight="normal", pad=2, **keywords)


def image_panels(drawn: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, each with room for a title and an image at most `height` inches high."""
    lines = -(-drawn // columns)
    height = min(height, style.TALLEST / lines - TITLE_INCHES)
    size = (style.WIDTH, lines * (height + TITLE_INCHES))
    figure, panels = style.plt.subplots(lines, columns, figsize=size, squeeze=False)
    for axes in panels.ravel():
        axes.set_axis_off()
    return figure, list(panels.ravel()[:drawn])


def draw_pairs(figure: Figure, images: np.ndarray, others: np.ndarray, titles: Sequence[str]) -> None:
    """Draw pairs beside each other on an empty figure, the first image of each above the second.

    images, others: (n, C, H, W), as many as titles.
    """
    panels = figure.subplots(2, IMAGE_COLUMNS, squeeze=False)
    for axes in panels.ravel():
        axes.set_axis_off()
    for column, title in enumerate(titles[:IMAGE_COLUMNS]):
        image_title(panels[0, column], title, fontsize=7, loc="center")
        for axes, image in zip(panels[:, column], (images[column], others[column]), strict=True):
            draw_strip(axes, image[None] / white(images), 1)


def pairs_height(shape: tuple[int, ...]) -> float:
    """Inches of height that `draw_pairs` needs for images of this shape (N, C, H, W)."""
    return 2 * image_height(shape, style.WIDTH / IMAGE_COLUMNS - 0.12) + 0.35


def image_height(shape: tuple[int, ...], width: float) -> float:
    """Inches of height of an image (N, C, H, W) that is drawn `width` inches wide, within reason."""
    return SIGNAL_INCHES if _is_signal(shape) else float(np.clip(width * shape[-2] / shape[-1], 0.15, 2.0))


def draw_strip(axes: Axes, images: np.ndarray, places: int) -> None:
    """Draw images (n, C, H, W) in [0, 1] beside each other, with room for `places`; signals are drawn as lines."""
    if _is_signal(images.shape):
        for image in images:
            axes.plot(image.mean(axis=0).ravel(), linewidth=0.7, alpha=0.8)
        axes.set_ylim(-0.05, 1.05)
        return
    n, _, height, width = images.shape
    gap = max(1, round(width / 14)) if places > 1 else 0
    strip = np.ones((height, places * (width + gap) - gap, 3))
    for place in range(n):
        start = place * (width + gap)
        strip[:, start : start + width] = _coloured(images[place])
    factor = max(1, (CRISP_IMAGE if places == 1 else CRISP_STRIP) // max(strip.shape))
    crisp = strip.repeat(factor, axis=0).repeat(factor, axis=1)
    axes.imshow(crisp, interpolation="none", aspect="equal", vmin=0, vmax=1)
    axes.set_anchor("W" if places > 1 else "C")


def _coloured(image: np.ndarray) -> np.ndarray:
    """(C, H, W) → (H, W, 3): three channels are red, green and blue; of any other number the mean is drawn in grey."""
    picture = image if len(image) == 3 else np.repeat(image.mean(axis=0)[None], 3, axis=0)
    return picture.transpose(1, 2, 0)


def _is_signal(shape: tuple[int, ...]) -> bool:
    """Whether images (N, C, H, W) have several pixels along one axis and one along the other."""
    return min(shape[-2:]) == 1 < max(shape[-2:])

"""One panel for one level of a family. Each function draws it and returns its title and the remark below.

An empty title stands for the level's name. `levels` are all that get a panel, so that the panels have one scale.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from stages.figures import diagrams, training_data, windows
from stages.figures.results import Results
from stages.shared import pixel_order
from stages.shared.architectures.geometry import patch_side, scatter_reach
from stages.shared.architectures.layer_settings import Layer, blocks_of, is_residual, layers_of
from stages.shared.drawing import numbers, pictures, style
from stages.shared.params import Architecture, Run
from stages.shared.params.architecture import LAYERED

PIXELS = 10  # of the signal whose matrices are drawn
CHANNELS, SHORT = 3, 4  # channels, and pixels of each, where the matrices have several channels
GRID, PATCH, READER = 8, 2, (3, 4)  # pixels of an image, of a patch, and the position whose reading is drawn
MAP = 4  # positions along a side of the map that a head reads
BITS = {"float32": (1, 8, 23), "bfloat16": (1, 8, 7)}  # sign, power of two, digits
SIDE = 5  # pixels of the image that is padded, or more for a wider border


@dataclass(frozen=True)
class Level:
    """A variant under the name of its level in a family."""

    results: Results
    variant: str
    name: str

    @property
    def run(self) -> Run:
        return self.results.settings.variants[self.variant].run

    @property
    def architecture(self) -> Architecture:
        return self.run.architecture

    @property
    def layers(self) -> list[Layer]:
        """Empty for a net that is not made of layers."""
        return layers_of(self.architecture) if self.architecture.connectivity in LAYERED else []

    @property
    def connectivities(self) -> set[str]:
        return {layer.connectivity for layer in self.layers} or {self.architecture.connectivity}

    @property
    def layout(self) -> str:
        return self.run.sample.layout

    @property
    def n_images(self) -> int:
        return training_data.n_images(self.results, self.variant)


def original(axes: Axes, levels: list[Level]) -> tuple[str, str]:
    """A test image as it is, on the largest canvas of the levels."""
    return _on_canvas(axes, levels, example_image(levels[0].results), "original")


def layout(axes: Axes, level: Level, levels: list[Level]) -> tuple[str, str]:
    """The same image in the level's layout: the very order of pixels that the nets got."""
    image, constants = example_image(level.results), level.results.constants
    side, reach = patch_side(level.layout), scatter_reach(level.layout)
    if reach:
        return _on_canvas(axes, levels, image, f"moved by up to {numbers.plural(reach, 'pixel')}", reach)
    height, width = image.shape[1:]
    order = pixel_order.permutation(level.layout, height, width, (0, 0), constants["layout_seed"])
    title = "pixels shuffled" if side == 1 else f"{side}×{side} patches shuffled"
    return _on_canvas(axes, levels, pixel_order.rearranged(image[None], order)[0], title)


def _on_canvas(axes: Axes, levels: list[Level], image: np.ndarray, title: str, moved: int = 0) -> tuple[str, str]:
    """Draw the image in the middle of the largest canvas, moved to the lower right where a number says so."""
    reach = max(scatter_reach(level.layout) for level in levels)
    canvas, _ = _with_room(image, [reach if size > 1 else 0 for size in image.shape[1:]], moved)
    pictures.show_image(axes, canvas)
    return title, ""


def _with_room(image: np.ndarray, around: list[int], moved: int) -> tuple[np.ndarray, tuple[int, int]]:
    """The image (C, H, W) with so many pixels around it along each axis, and its first row and column there.

    moved: to the lower right, along the axes that have room.
    """
    (channels, height, width), (top, left) = image.shape, (room + moved * bool(room) for room in around)
    canvas = np.zeros((channels, height + 2 * around[0], width + 2 * around[1]))
    canvas[:, top : top + height, left : left + width] = image
    return canvas, (top, left)


def example_image(results: Results) -> np.ndarray:
    """The first test image of the probes, without its margin: (C, H, W) from 0 to 255."""
    images = results.pictures[results.baseline]["drawn_images"]
    height, width = results.constants["shape"][1:]
    top, left = ((size - wanted) // 2 for size, wanted in zip(images.shape[2:], (height, width), strict=True))
    rows, columns = results.constants["margin"]
    image = images[0, :, top + rows : top + height - rows, left + columns : left + width - columns]
    return pictures.in_bytes(image.astype(np.float64), results.constants["pixel_range"])


def n_images(axes: Axes, level: Level, levels: list[Level]) -> tuple[str, str]:
    """A square whose area is in proportion to the number of train images."""
    most = max(other.n_images for other in levels)
    side = (level.n_images / most) ** 0.5
    axes.add_patch(Rectangle(((1 - side) / 2, 1 - side), side, side, color=style.BLUE, linewidth=0))
    diagrams.limits(axes, 1, 1)
    return numbers.plural(level.n_images, "image"), ""


def shifted(axes: Axes, level: Level, levels: list[Level]) -> tuple[str, str]:
    """The image moved as far as augmentation may move it."""
    image, shift = example_image(level.results), level.run.recipe.augment_shift
    farthest = max(other.run.recipe.augment_shift for other in levels)
    canvas, (top, left) = _with_room(image, [farthest if size > 1 else 0 for size in image.shape[1:]], shift)
    pictures.show_image(axes, canvas)
    if shift and not pictures.is_signal(image.shape[1:]):
        scale = max(1, pictures.PIXELS // max(canvas.shape[1:]))
        place = (scale * (left - shift) - 0.5, scale * (top - shift) - 0.5)
        size = scale * image.shape[2], scale * image.shape[1]
        look = {"edgecolor": style.ORANGE, "linestyle": style.DASHED, "linewidth": 1.0}
        axes.add_patch(Rectangle(place, *size, fill=False, **look))  # type: ignore[arg-type]
    return f"moved by up to {numbers.plural(shift, 'pixel')}" if shift else "as they are", ""


def bits(axes: Axes, level: Level, levels: list[Level]) -> tuple[str, str]:
    counts = BITS[level.run.recipe.precision]
    hues = (style.INK, style.BLUE, style.ORANGE)
    diagrams.cells(axes, [[hue for hue, count in zip(hues, counts, strict=True) for _ in range(count)]])
    widest = max(sum(BITS[other.run.recipe.precision]) for other in levels)
    diagrams.limits(axes, widest, 1)
    return "", numbers.plural(sum(counts), "bit")


def chain(axes: Axes, level: Level, levels: list[Level]) -> tuple[str, str]:
    """The layers in a row, with an arc over each residual block."""
    residual, place, arcs = level.architecture.residual, 0.0, []
    for block in blocks_of(level.layers, residual):
        start = place - 0.15
        for layer in block:
            axes.add_patch(Rectangle((place, 0), 0.7, 1.6, color=style.BLUE, linewidth=0))
            if layer.norm != "none":
                axes.add_patch(Rectangle((place + 0.7, 0), 0.18, 1.6, color=style.GREEN, linewidth=0))
            place += 1.2
        if is_residual(block, residual):
            arcs.append((start, place - 0.15))
    for start, end in arcs:
        corners = [(start, 0.8), (start, -1.4), (end, -1.4), (end, 0.8)]
        codes = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
        axes.add_patch(PathPatch(Path(corners, codes), fill=False, edgecolor=style.VERMILION, linewidth=1.2))
    longest = max(len(other.layers) for other in levels)
    diagrams.limits(axes, 1.2 * longest + 0.4, 2.9, -0.3, -1.2)
    return "", numbers.plural(len(level.layers), "layer")


def matrix_of(level: Level) -> windows.Ints | None:
    """Which weight of the first layer joins which output and input of a signal; None for a net that has no such layer.

    A ResNet begins with a convolution.
    """
    if level.architecture.connectivity == "fully_connected":
        return windows.all_to_all(PIXELS, PIXELS)
    if level.architecture.connectivity == "resnet18":
        return windows.weights_of_signal(diagrams.PLAIN, PIXELS)
    if not level.layers or level.layers[0].span[1] >= PIXELS:
        return None
    layer = level.layers[0]
    padding = "valid" if layer.padding == "valid" else "zero"
    return windows.weights_of_signal(layer._replace(padding=padding, stride=(1, 1)), PIXELS)  # type: ignore[arg-type]


def matrix_key(level: Level) -> bytes | None:
    weights = matrix_of(level)
    return None if weights is None else weights.tobytes()


def matrix(axes: Axes, level: Level, _: list[Level]) -> tuple[str, str]:
    weights = matrix_of(level)
    assert weights is not None, "levels without a key get no panel"
    return "", numbers.plural(diagrams.matrix(axes, weights), "weight")


def channels(axes: Axes, level: Level, _: list[Level]) -> tuple[str, str]:
    """The matrices between a few channels, side by side where there are two."""
    layer = diagrams.PLAIN._replace(connectivity=level.layers[0].connectivity)
    drawn, left, weights = windows.weights_of_channels(layer, CHANNELS, SHORT), 0.0, 0
    for one in reversed(drawn):  # as a product is written: what comes first stands last
        diagrams.cells(axes, diagrams.by_weight(one), left)
        left += one.shape[1] + 2
        weights += len(np.unique(one[one > 0]))
    diagrams.limits(axes, left - 2, drawn[0].shape[0])
    return "", numbers.plural(weights, "weight")


def reader_key(level: Level) -> str | None:
    """How a position reads: what of the net decides it."""
    connectivity = level.architecture.connectivity
    return None if connectivity == "module" else connectivity


def reader(axes: Axes, level: Level, _: list[Level]) -> tuple[str, str]:
    """The pixels or patches that the outlined position reads, each in the colour of its weight."""
    connectivity, (row, column) = level.architecture.connectivity, READER
    if connectivity not in ("attention", "mixer", "fully_connected"):
        middle = np.zeros((GRID, GRID), dtype=np.int64)
        middle[row - 1 : row + 2, column - 1 : column + 2] = np.arange(1, 10).reshape(3, 3)
        diagrams.cells(axes, diagrams.by_weight(middle))
        below = "the same weights everywhere"
    elif connectivity == "fully_connected":
        diagrams.cells(axes, diagrams.by_weight(windows.all_to_all(GRID, GRID)))
        below = "a weight for each pixel"
    elif connectivity == "mixer":
        side = GRID // PATCH
        diagrams.cells(axes, diagrams.by_weight(windows.all_to_all(side, side)), side=PATCH)
        below = "a weight for each patch"
    else:
        diagrams.cells(axes, _attended(), side=PATCH)
        below = "weights from the image"
    if connectivity in ("attention", "mixer"):
        diagrams.frame(axes, column // PATCH * PATCH, row // PATCH * PATCH, PATCH, PATCH)
    elif connectivity != "fully_connected":
        diagrams.frame(axes, column, row, 1, 1)
    diagrams.limits(axes, GRID, GRID)
    return "", below


def _attended() -> list[list[str]]:
    """Tones for what the outlined patch of a bright disc takes from each patch, by attention."""
    side = GRID // PATCH
    disc = 1.5 * example_grid().reshape(side, PATCH, side, PATCH).swapaxes(1, 2).reshape(side**2, -1)
    weights = windows.attention_weights(disc)[READER[0] // PATCH * side + READER[1] // PATCH].reshape(side, side)
    return [[diagrams.mixed("#D6E6F2", style.BLUE, value) for value in row] for row in weights / weights.max()]


def head(axes: Axes, level: Level, _: list[Level]) -> tuple[str, str]:
    """The last map, each position in the colour of the weight that reads it."""
    weights = windows.all_to_all(MAP, MAP)
    if level.architecture.head != "flatten":
        weights = np.ones_like(weights)
    if level.architecture.head == "global_max":
        weights = np.zeros_like(weights)
        weights[1, 2] = 1
    diagrams.matrix(axes, weights)
    hidden = level.architecture.hidden
    return "", f"then {numbers.plural(hidden[0], 'hidden unit')}" if hidden else ""


def field(axes: Axes, level: Level, levels: list[Level]) -> tuple[str, str]:
    """What one unit of the last map sees along the width."""
    seen = [windows.seen_by_one_unit(other.layers) for other in levels]
    widest = max(maps[0][1] - maps[0][0] + 1 for maps in seen)
    return "", f"sees {numbers.plural(diagrams.field(axes, level.layers, widest, max(map(len, seen))), 'pixel')}"


def window(axes: Axes, level: Level, levels: list[Level]) -> tuple[str, str]:
    """The window of the first layer's filter, alone on a grid that is wide enough for every level."""
    spans = [size for other in levels for size in other.layers[0].span]
    layer = diagrams.PLAIN._replace(kernel=level.layers[0].kernel, dilation=level.layers[0].dilation)
    diagrams.taps(axes, layer, max(spans) + 2, middles=False)
    return "", numbers.plural(layer.kernel[0] * layer.kernel[1], "weight")


def border(axes: Axes, level: Level, levels: list[Level]) -> tuple[str, str]:
    widest = max(size for other in levels for size in other.layers[0].span)
    layer = diagrams.PLAIN._replace(kernel=level.layers[0].kernel, dilation=level.layers[0].dilation)
    diagrams.border(axes, layer._replace(padding=level.layers[0].padding), max(SIDE, widest // 2 + 2))
    return "", ""


def reducing(level: Level) -> Layer:
    """The first layer that makes its map smaller, or the first layer of all."""
    smaller = (layer for layer in level.layers if layer.pooling != "none" or max(layer.stride) > 1)
    return next(smaller, level.layers[0])


def example_grid() -> windows.Floats:
    """A bright ring, (GRID, GRID) from 0 to 1."""
    places = np.arange(GRID) - (GRID - 1) / 2
    distances = np.hypot(*np.meshgrid(places, places))
    return np.asarray(np.clip(1.4 - np.abs(distances - 2.6), 0, 1))


def example_map(axes: Axes, _: list[Level]) -> tuple[str, str]:
    diagrams.cells(axes, diagrams.greys(example_grid()))
    diagrams.limits(axes, GRID, GRID)
    return "the map", numbers.size(GRID, GRID)


def reduced(axes: Axes, level: Level, _: list[Level]) -> tuple[str, str]:
    """What the level's way of reducing leaves of the example map."""
    layer = reducing(level)
    rows, columns = layer.pool_size
    if layer.pooling != "none":  # what pools more than the example has is drawn as pooling all of it
        layer = layer._replace(pool_size=(min(rows, GRID), min(columns, GRID)))
    smaller = windows.pooled(example_grid(), layer)
    diagrams.cells(axes, diagrams.greys(smaller), side=GRID / max(smaller.shape))
    diagrams.limits(axes, GRID, GRID)
    return "", numbers.size(*smaller.shape)

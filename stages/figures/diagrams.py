"""Parts of pictures that show what a layer does: cells, matrices of weights, windows on a grid, receptive fields.

A colour is a weight: two cells of one colour have the same one. Light grey is zero, or a pixel that is not used.
Every drawing has one unit a pixel, and the vertical axis points down.
"""

import colorsys
import textwrap
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from stages.figures import windows
from stages.shared.architectures.layer_settings import Layer
from stages.shared.drawing import style

NOTHING = "#E6E6E6"
GOLDEN = (5**0.5 - 1) / 2  # of a turn of the hue from one weight to the next: neighbours in a row never look alike
TURN = 0.1357  # times the square of the number, so that neighbours in a column do not either
SMALL = 8  # points
CHARACTER = 0.063  # inches of one at that size
LINES = 2  # of a panel's title
STRIP = 1.3  # inches of a strip's height
FRAME = 1.2  # points of an outline
CELL = 0.55  # of the distance between two maps: the height of a cell
# A layer of one channel that changes nothing but by its 3×3 kernel.
PLAIN = Layer(1, 1, "conv", (3, 3), (1, 1), "zero", (1, 1), "none", (1, 1), "none", 1, (1, 1), 0.0)

Colours = Sequence[Sequence[str]]


def colour(number: int, count: int) -> str:
    """Of the weight with this number, from 1 to count: the palette's where it has enough, else a hue of its own."""
    if count <= len(style.PALETTE):
        return style.PALETTE[number - 1]
    lightness = 0.42 + 0.26 * ((number * GOLDEN**2) % 1)
    return to_hex(colorsys.hls_to_rgb((number * GOLDEN + number**2 * TURN) % 1, lightness, 0.62))


def by_weight(numbers: npt.NDArray[np.int64]) -> list[list[str]]:
    """A colour for each weight's number; 0, no weight, is light grey."""
    count = int(numbers.max())
    return [[colour(number, count) if number else NOTHING for number in row] for row in numbers.tolist()]


def cells(axes: Axes, colours: Colours, left: float = 0.0, top: float = 0.0, side: float = 1.0) -> None:
    """A grid of squares, the first at the upper left."""
    corners = [
        [(left + side * (column + dx), top + side * (row + dy)) for dx, dy in ((0, 0), (1, 0), (1, 1), (0, 1))]
        for row, line in enumerate(colours)
        for column in range(len(line))
    ]
    faces = [face for line in colours for face in line]
    axes.add_collection(PolyCollection(corners, facecolors=faces, edgecolors="white", linewidths=0.5))


def frame(axes: Axes, left: float, top: float, width: float, height: float) -> None:
    axes.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=style.INK, linewidth=FRAME, zorder=3))


def mixed(start: str, end: str, share: float) -> str:
    """The colour at this share of the way from one to the other."""
    ends = np.array([to_rgb(start), to_rgb(end)])
    red, green, blue = (1 - share) * ends[0] + share * ends[1]
    return to_hex((red, green, blue))


def greys(grid: windows.Floats) -> list[list[str]]:
    """Of values from 0, black, to 1, white."""
    return [[to_hex((value, value, value)) for value in row] for row in np.clip(grid, 0, 1).tolist()]


def limits(axes: Axes, width: float, height: float, left: float = 0.0, top: float = 0.0) -> None:
    """What of the plane the panel shows: squares are square, and nothing stands around them."""
    axes.set_xlim(left - 0.1, left + width + 0.1)
    axes.set_ylim(top + height + 0.1, top - 0.1)
    axes.set_aspect("equal")
    axes.set_axis_off()


def matrix(axes: Axes, numbers: npt.NDArray[np.int64]) -> int:
    """A layer as a matrix, outputs down and inputs across; returns how many weights it has."""
    cells(axes, by_weight(numbers))
    limits(axes, numbers.shape[1], numbers.shape[0])
    return len(np.unique(numbers[numbers > 0]))


def taps(axes: Axes, layer: Layer, side: int, middles: bool = True) -> tuple[int, int]:
    """The pixels that the middle output of an unpadded side × side image reads, each in the colour of its weight.

    middles: whether a dot stands in the middle of every window. Returns the height and width of the output.
    """
    layer = layer._replace(padding="valid")
    (rows, columns), (dy, dx), (down, across) = layer.kernel, layer.dilation, layer.stride
    positions = windows.slid(np.zeros((side, side)), np.ones(layer.kernel), layer).shape
    top, left = positions[0] // 2 * down, positions[1] // 2 * across
    numbers = np.zeros((side, side), dtype=np.int64)
    weights = np.arange(1, rows * columns + 1).reshape(rows, columns)
    numbers[top : top + layer.span[0] : dy, left : left + layer.span[1] : dx] = weights
    cells(axes, by_weight(numbers))
    if middles:
        y, x = np.mgrid[: positions[0], : positions[1]]
        places = x * across + layer.span[1] / 2, y * down + layer.span[0] / 2
        axes.scatter(*places, s=3, color=style.INK, linewidths=0, zorder=4)
    frame(axes, left, top, layer.span[1], layer.span[0])
    limits(axes, side, side)
    return positions[0], positions[1]


def border(axes: Axes, layer: Layer, side: int) -> None:
    """A side × side image with the border that the layer adds; each pixel has a colour, and its copies have it too."""
    pixels = windows.padded(np.arange(1, side**2 + 1).reshape(side, side), layer)
    shades = {number: _of_place(*divmod(number - 1, side), side) for number in range(1, side**2 + 1)}
    cells(axes, [[shades.get(number, NOTHING) for number in row] for row in pixels.tolist()])
    top, left = windows.pads_before(layer)
    frame(axes, left, top, side, side)
    # Every panel of a strip shows as much, with a border or without.
    rest = [layer.span[axis] - 1 if layer.padding == "valid" else 0 for axis in (0, 1)]
    limits(axes, pixels.shape[1] + rest[1], pixels.shape[0] + rest[0], -rest[1] / 2, -rest[0] / 2)


def _of_place(row: int, column: int, side: int) -> str:
    """Hues from left to right, ever lighter from top to bottom."""
    return to_hex(colorsys.hls_to_rgb(0.55 + 0.75 * column / side, 0.35 + 0.4 * row / side, 0.55))


def field(axes: Axes, layers: list[Layer], widest: int, most_maps: int) -> int:
    """Maps above each other, the image at the foot, with what one unit at the top sees in each; returns its pixels.

    widest, most_maps: pixels and maps that the panel has room for. A map's cell is as wide as the pixels from one to
    the next.
    """
    seen = windows.seen_by_one_unit(layers)
    above: tuple[float, float] | None = None
    for level, (first, last, jump) in reversed(list(enumerate(seen))):
        top, half = most_maps - 1.0 - level, (last - first + 1) * jump / 2
        hue, steps = style.BLUE if level else style.ORANGE, range(last - first + 1)
        outline = ((0, 0), (1, 0), (1, 1), (0, 1))
        corners = [[(jump * (cell + dx) - half, top + CELL * dy) for dx, dy in outline] for cell in steps]
        axes.add_collection(PolyCollection(corners, facecolors=hue, edgecolors="white", linewidths=0.5, zorder=2))
        if above:
            beam = [(-above[0], above[1]), (above[0], above[1]), (half, top), (-half, top)]
            axes.add_collection(PolyCollection([beam], facecolors=NOTHING, linewidths=0, zorder=1))
        above = half, top + CELL
    axes.set_xlim(-widest / 2 - 0.2, widest / 2 + 0.2)
    axes.set_ylim(most_maps - 1 + CELL, -0.1)
    axes.set_axis_off()
    first, last, _ = seen[0]
    return last - first + 1


def strip(panels: int, height: float = STRIP) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels beside each other."""
    figure, axes = style.plt.subplots(1, panels, figsize=(style.WIDTH, height), squeeze=False)
    return figure, list(axes[0])


def label(axes: Axes, title: str, below: str, panels: int) -> None:
    """The panel's title above it, in at most two lines, and a remark below. panels: beside each other."""
    room = max(8, int(style.WIDTH / panels / CHARACTER) - 2)
    lines = textwrap.wrap(style.plain(title, LINES * room), room, max_lines=LINES, placeholder="…")
    axes.set_title("\n".join(lines), fontsize=SMALL, fontweight="normal", loc="center", pad=3)
    if below:
        place = {"transform": axes.transAxes, "ha": "center", "va": "top", "fontsize": SMALL - 1}
        axes.text(0.5, -0.05, below, color=style.GREY, **place)  # type: ignore[arg-type]

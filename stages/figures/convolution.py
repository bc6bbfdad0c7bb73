"""What a convolution is, in pictures: six figures that need no results, drawn from the formulas in `windows`."""

from collections.abc import Callable, Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.figures import diagrams, windows
from stages.figures.results import Results
from stages.shared.architectures.layer_settings import Layer
from stages.shared.drawing import numbers, style

HEIGHT = 1.6  # inches of a figure
SIGNAL = 10  # pixels of the signal whose matrices are drawn
TILE = 5  # positions that share a filter, where sharing in tiles is drawn
EDGES = np.tile([-1.0, 0.0, 1.0], (3, 1))  # a filter that finds where an image becomes brighter to the right
OF_SIGNAL = diagrams.PLAIN._replace(kernel=(1, 3))
STRIDE = 2
FINE, COARSE = 2.5, 20.0  # pixels from one crest to the next of the waves that are sampled
LENGTH = 41  # pixels of these waves
POOLED = diagrams.PLAIN._replace(pooling="max", pool_size=(2, 2))
DEPTHS = {"one layer": [diagrams.PLAIN], "two layers": [diagrams.PLAIN] * 2, "three layers": [diagrams.PLAIN] * 3}
DEPTHS["three, two pooled"] = [POOLED, POOLED, diagrams.PLAIN]


def figures(_: Results) -> Iterator[tuple[str, Figure | str]]:
    yield "convolution-slide", slide()
    yield "convolution-matrices", matrices()
    yield "convolution-windows", window_settings()
    yield "convolution-padding", paddings()
    yield "convolution-fields", fields()
    yield "convolution-aliasing", aliasing()


def facts(_: Results) -> dict[str, str]:
    shared, own = (_n_weights(layer) for layer in (OF_SIGNAL, OF_SIGNAL._replace(connectivity="locally_connected")))
    stride, blur = kept_of_fine_wave()
    return {
        "convolution_pixels": str(SIGNAL),
        "convolution_dense": str(SIGNAL**2),
        "convolution_own": str(own),
        "convolution_shared": str(shared),
        "convolution_period": f"{FINE:g}",
        "convolution_false_period": f"{false_period():g}",
        "convolution_kept": numbers.percent_sign(stride, 0),
        "convolution_kept_blurred": numbers.percent_sign(blur, 0),
    }


def slide() -> Figure:
    """An image, a filter and the map that the filter makes of it, with one window and its answer outlined."""
    image = np.zeros((9, 9))
    image[2:7, 2:6] = 1.0
    answer = windows.slid(image, EDGES, diagrams.PLAIN)
    row, column = 4, 2
    figure, panels = diagrams.strip(3, HEIGHT)
    diagrams.cells(panels[0], diagrams.greys(0.35 + 0.5 * image))
    diagrams.frame(panels[0], column - 1, row - 1, *EDGES.shape)
    _signed_cells(panels[1], EDGES, 1)
    _signed_cells(panels[2], answer, 3)
    diagrams.frame(panels[2], column, row, 1, 1)
    for axes, grid in zip(panels, (image, EDGES, answer), strict=True):
        side = max(image.shape) if grid is not EDGES else 5.4
        diagrams.limits(axes, side, side, (grid.shape[1] - side) / 2, (grid.shape[0] - side) / 2)
    for (i, j), value in np.ndenumerate(EDGES):
        ink = "white" if value else style.INK
        panels[1].text(j + 0.5, i + 0.5, _signed(value), ha="center", va="center", color=ink)
    titles = {"image": "one window", "filter": "weights", "feature map": f"its answer: {_signed(answer[row, column])}"}
    for axes, (title, below) in zip(panels, titles.items(), strict=True):
        diagrams.label(axes, title, below, 3)
    return figure


def matrices() -> Figure:
    """The same layer of a signal as a matrix: dense, banded, in tiles, and with one row that repeats."""
    own = OF_SIGNAL._replace(connectivity="locally_connected")
    drawn = {
        "fully connected": windows.all_to_all(SIGNAL, SIGNAL),
        "locally connected": windows.weights_of_signal(own, SIGNAL),
        f"shared in tiles of {TILE}": windows.weights_of_signal(own._replace(tile=(1, TILE)), SIGNAL),
        "convolution": windows.weights_of_signal(OF_SIGNAL, SIGNAL),
    }
    figure, panels = diagrams.strip(len(drawn), HEIGHT)
    for axes, (title, weights) in zip(panels, drawn.items(), strict=True):
        count = diagrams.matrix(axes, weights)
        diagrams.label(axes, title, numbers.plural(count, "weight"), len(drawn))
    return figure


def window_settings() -> Figure:
    """Kernel, stride and dilation on a grid: the pixels of one window, and the middles of all."""
    plain = diagrams.PLAIN
    drawn = {
        "kernel 3×3": plain,
        "kernel 5×5": plain._replace(kernel=(5, 5)),
        "stride 2": plain._replace(stride=(STRIDE, STRIDE)),
        "dilation 2": plain._replace(dilation=(2, 2)),
    }
    figure, panels = diagrams.strip(len(drawn), HEIGHT)
    for axes, (title, layer) in zip(panels, drawn.items(), strict=True):
        height, width = diagrams.taps(axes, layer, 9)
        diagrams.label(axes, title, f"feature map {numbers.size(height, width)}", len(drawn))
    return figure


def paddings() -> Figure:
    """What each padding puts around an image before a kernel of five slides over it."""
    drawn = {
        name: diagrams.PLAIN._replace(kernel=(5, 5), padding=name) for name in ("valid", "zero", "reflect", "circular")
    }
    figure, panels = diagrams.strip(len(drawn), HEIGHT)
    for axes, (title, layer) in zip(panels, drawn.items(), strict=True):
        diagrams.border(axes, layer, 6)
        size = windows.slid(np.zeros((6, 6)), np.ones(layer.kernel), layer).shape
        diagrams.label(axes, title, f"feature map {numbers.size(*size)}", len(drawn))
    return figure


def fields() -> Figure:
    """What one unit sees of the image, after more and more layers and with pooling between them."""
    return field_strip(DEPTHS, HEIGHT)


def field_strip(drawn: dict[str, list[Layer]], height: float) -> Figure:
    """A panel for each net: its layers' receptive field along the width. drawn: title → layers."""
    seen = [windows.seen_by_one_unit(layers) for layers in drawn.values()]
    widest = max(maps[0][1] - maps[0][0] + 1 for maps in seen)
    figure, panels = diagrams.strip(len(drawn), height)
    for axes, (title, layers) in zip(panels, drawn.items(), strict=True):
        pixels = diagrams.field(axes, layers, widest, max(map(len, seen)))
        diagrams.label(axes, title, f"sees {numbers.plural(pixels, 'pixel')}", len(drawn))
    return figure


def aliasing() -> Figure:
    """A fine and a coarse wave, of which every second value is kept, as they are and blurred before."""
    figure, panels = style.plt.subplots(2, 2, figsize=(style.WIDTH, 2.1), sharex=True, sharey=True)
    ways: dict[str, Callable[[windows.Floats], windows.Floats]] = {}
    ways |= {f"stride {STRIDE}": np.asarray, f"blur, then stride {STRIDE}": windows.blurred}
    places, between = np.arange(LENGTH), np.linspace(0, LENGTH - 1, 20 * LENGTH)
    for row, (name, period) in zip(panels, (("fine wave", FINE), ("coarse wave", COARSE)), strict=True):
        for axes, (title, filtered) in zip(row, ways.items(), strict=True):
            kept = filtered(wave(period))[::STRIDE]
            axes.plot(between, np.cos(2 * np.pi * between / period), color=style.PALE, linewidth=0.8)
            axes.plot(places[::STRIDE], kept, "o-", color=style.VERMILION, markersize=3, linewidth=1.2)
            axes.set_title(f"{name}, {title}", fontsize=diagrams.SMALL, fontweight="normal")
            axes.set_yticks([])
            axes.set_xticks([])
            axes.spines[:].set_visible(False)
            axes.set_ylim(-1.15, 1.15)
    return figure


def wave(period: float) -> windows.Floats:
    """A cosine at each pixel, (LENGTH,)."""
    return np.asarray(np.cos(2 * np.pi * np.arange(LENGTH) / period))


def kept_of_fine_wave() -> tuple[float, float]:
    """How much of the fine wave's height is left by a stride, and by a blur before the stride; shares of it."""
    values = wave(FINE)
    inner = slice(1, -1)  # the ends, where the blur has no neighbour, do not count
    return tuple(  # type: ignore[return-value]
        float(np.abs(signal[::STRIDE][inner]).max()) for signal in (values, windows.blurred(values))
    )


def false_period() -> float:
    """Pixels from crest to crest of the wave that a stride makes of the fine one.

    From one kept value to the next the fine wave runs through STRIDE / FINE cycles. Whole cycles leave no trace in the
    kept values, so what is seen is the distance to the nearest whole number.
    """
    cycles = STRIDE / FINE
    return STRIDE / abs(cycles - round(cycles))


def _n_weights(layer: Layer) -> int:
    weights = windows.weights_of_signal(layer, SIGNAL)
    return len(np.unique(weights[weights > 0]))


def _signed_cells(axes: Axes, grid: windows.Floats, largest: float) -> None:
    """Blue above zero, orange below it, light grey at zero."""
    share = np.clip(np.abs(grid) / largest, 0, 1)
    towards = np.where(grid > 0, style.BLUE, style.VERMILION)
    colours = [
        [diagrams.mixed(diagrams.NOTHING, hue, part) for hue, part in zip(*line, strict=True)]
        for line in zip(towards, share, strict=True)
    ]
    diagrams.cells(axes, colours)


def _signed(value: float) -> str:
    return f"{value:+g}".replace("-", numbers.MINUS).replace("+0", "0")

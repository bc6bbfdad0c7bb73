"""What a layer does to a small grid or signal, in numpy: which weight meets which pixel, padding, pooling, fields.

Nothing is trained here: these are the formulas behind the pictures of a convolution. The tests compare each of them
with the layers that the pipeline builds.
"""

from itertools import product
from math import comb

import numpy as np
import numpy.typing as npt

from stages.shared.architectures.closed_form import BLUR_TAPS
from stages.shared.architectures.layer_settings import Layer, Pair

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

PAD_MODES = {"zero": "constant", "reflect": "reflect", "circular": "wrap"}  # the layer's padding → np.pad's name
# 1, 2, 1 over 4: what blur pooling slides over a map. Source: Zhang 2019.
BLUR = np.array([comb(BLUR_TAPS - 1, tap) for tap in range(BLUR_TAPS)]) / 2 ** (BLUR_TAPS - 1)


def pads_before(layer: Layer) -> Pair:
    """Pixels that padding adds above and at the left; of an odd number, one more is added on the other side."""
    return (0, 0) if layer.padding == "valid" else ((layer.span[0] - 1) // 2, (layer.span[1] - 1) // 2)


def padded(grid: npt.NDArray[np.generic], layer: Layer) -> npt.NDArray[np.generic]:
    """(H, W) with the border that the layer adds before it slides its filter."""
    if layer.padding == "valid":
        return grid
    before = pads_before(layer)
    widths = [(before[axis], layer.span[axis] - 1 - before[axis]) for axis in (0, 1)]
    return np.pad(grid, widths, mode=PAD_MODES[layer.padding])  # type: ignore[call-overload, no-any-return]


def slid(grid: Floats, weights: Floats, layer: Layer) -> Floats:
    """(H, W) → (H', W'): at every position the sum of weights times pixels. weights: (kernel height, kernel width)."""
    border, (rows, columns) = padded(grid, layer), layer.span
    windows = np.lib.stride_tricks.sliding_window_view(border, (rows, columns))
    taps = windows[:: layer.stride[0], :: layer.stride[1], :: layer.dilation[0], :: layer.dilation[1]]
    return np.asarray(np.einsum("ijkl,kl->ij", taps, weights), dtype=np.float64)


def weights_of_signal(layer: Layer, pixels: int) -> Ints:
    """(outputs, pixels) of a signal with one channel: the number of the weight that joins them, from 1; 0: none.

    Only padding zero and valid: a pixel that another padding repeats would meet two weights at once.
    """
    kernel, stride, dilation = layer.kernel[1], layer.stride[1], layer.dilation[1]
    left = pads_before(layer)[1]
    n_windows = pixels if layer.padding != "valid" else pixels - layer.span[1] + 1
    numbers = np.zeros(((n_windows - 1) // stride + 1, pixels), dtype=np.int64)
    for output, tap in product(range(len(numbers)), range(kernel)):
        pixel = output * stride + tap * dilation - left
        tile = output // layer.tile[1] if layer.connectivity == "locally_connected" else 0
        if 0 <= pixel < pixels:
            numbers[output, pixel] = tile * kernel + tap + 1
    return numbers


def all_to_all(outputs: int, inputs: int) -> Ints:
    """(outputs, inputs): a weight of its own for each pair, as in a fully connected layer."""
    return np.arange(1, outputs * inputs + 1).reshape(outputs, inputs)


def weights_of_channels(layer: Layer, channels: int, pixels: int) -> list[Ints]:
    """As `weights_of_signal`, for so many input and output channels, (channels · outputs, channels · pixels).

    A separable layer gives two matrices, of which the second follows the first: a filter for each channel, then 1×1.
    """
    of_pair = weights_of_signal(layer, pixels)
    filters, width = np.arange(channels**2).reshape(channels, channels), layer.kernel[1]
    if layer.connectivity != "separable":
        return [_blocks(of_pair, filters, width)]
    depthwise = _blocks(of_pair, np.where(np.eye(channels, dtype=bool), np.arange(channels), -1), width)
    return [depthwise, _blocks(np.eye(len(of_pair), dtype=np.int64), filters, 1)]


def _blocks(of_pair: Ints, filters: Ints, width: int) -> Ints:
    """The matrix of one pair of channels at every pair, its weights counted on by filter. −1: no filter, all zero."""
    rows = [
        np.hstack([np.where((of_pair > 0) & (number >= 0), of_pair + number * width, 0) for number in row])
        for row in filters
    ]
    return np.vstack(rows)


def pooled(grid: Floats, layer: Layer) -> Floats:
    """(H, W) → (H', W') by the layer's pooling; what does not fill a window at the far edges is left out.

    Without pooling, what the layer's stride keeps.
    """
    if layer.pooling == "none":
        return grid[:: layer.stride[0], :: layer.stride[1]]
    rows, columns = layer.pool_size
    height, width = grid.shape[0] // rows, grid.shape[1] // columns
    whole = grid[: height * rows, : width * columns]
    if layer.pooling == "blur":
        return _blur_pooled(whole, layer.pool_size)
    windows = whole.reshape(height, rows, width, columns)
    return np.asarray(windows.max(axis=(1, 3)) if layer.pooling == "max" else windows.mean(axis=(1, 3)))


def _blur_pooled(grid: Floats, size: Pair) -> Floats:
    """The maximum at every position, blurred, and of that every size-th row and column. Source: Zhang 2019."""
    maxima = np.pad(grid, [(0, size[0] - 1), (0, size[1] - 1)], mode="edge")
    maxima = np.lib.stride_tricks.sliding_window_view(maxima, size).max(axis=(2, 3))
    for axis, step in enumerate(size):
        if step > 1:
            maxima = np.apply_along_axis(blurred, axis, maxima)
    return maxima[:: size[0], :: size[1]]


def blurred(signal: Floats) -> Floats:
    """(n,) → (n,): each value becomes a mean of itself and its neighbours with the weights BLUR; the ends repeat."""
    return np.convolve(np.pad(signal, BLUR_TAPS // 2, mode="edge"), BLUR, mode="valid")


def seen_by_one_unit(layers: list[Layer]) -> list[tuple[int, int, int]]:
    """What one unit of the last map sees along the width: (first, last, jump) in each map, from the image up.

    first, last: positions in that map, counted from the unit's own, both seen. jump: pixels of the image from one
    position to the next. Borders do not count.
    """
    steps = [step for layer in layers for step in _steps(layer)]
    first = last = 0
    seen = [(first, last)]
    for span, stride, before in reversed(steps):
        first, last = first * stride - before, last * stride - before + span - 1
        seen.append((first, last))
    jumps = np.cumprod([1, *(stride for _, stride, _ in steps)]).tolist()
    return [(*ends, jump) for ends, jump in zip(reversed(seen), jumps, strict=True)]


def _steps(layer: Layer) -> list[tuple[int, int, int]]:
    """(span, stride, pixels before the first that the window's unit stands on) of the filter and of the pooling."""
    steps = [(layer.span[1], layer.stride[1], (layer.span[1] - 1) // 2)]
    pool = layer.pool_size[1]
    if layer.pooling == "blur":
        return [*steps, (pool, 1, 0), (BLUR_TAPS if pool > 1 else 1, pool, BLUR_TAPS // 2 if pool > 1 else 0)]
    return steps if layer.pooling == "none" else [*steps, (pool, pool, 0)]


def attention_weights(tokens: Floats) -> Floats:
    """(T, width) → (T, T): how much each token takes from each, if queries and keys are the tokens themselves.

    Source: Vaswani et al. 2017, eq. 1.
    """
    products = np.exp(tokens @ tokens.T * tokens.shape[1] ** -0.5)
    return np.asarray(products / products.sum(axis=1, keepdims=True))

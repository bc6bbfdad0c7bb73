"""The power spectrum: how an image's variance is spread over coarse and fine structure."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from stages.eda.drawing import LAYOUT_LOOKS, grid, nothing_to_draw, plain_numbers
from stages.eda.outputs import Finding, decimal, interval, share
from stages.eda.statistics import blocks, white
from stages.shared.drawing import style

BLOCK = 512  # images transformed at once, or fewer that have
BLOCK_VALUES = 1 << 22  # so many values
NYQUIST = 0.5  # cycles per pixel: the finest structure that pixels can hold


@dataclass(frozen=True)
class Slope:
    """Exponent of a power law, power ∝ frequency^value, with its t interval; NaN with fewer than three frequencies."""

    value: float
    low: float
    high: float


def power(images: np.ndarray) -> np.ndarray:
    """Mean power of each frequency, (H, W) in the order of numpy's fft. images: (N, C, H, W).

    The sum is the mean variance within an image and channel, since each image loses its mean. There is no window, so
    that opposite borders count as neighbours.
    """
    n, channels, height, width = images.shape
    total = np.zeros((height, width))
    for block in blocks(images, min(BLOCK_VALUES, BLOCK * images[0].size)):
        total += (np.abs(np.fft.fft2(block / white(images))) ** 2).sum(axis=(0, 1))
    mean_power = total / (n * channels * (height * width) ** 2)
    mean_power[0, 0] = 0
    return mean_power


def radial(power: np.ndarray) -> pd.DataFrame:
    """Mean power in rings around zero: frequency (cycles per pixel, up to Nyquist) and power.

    Each ring is one cycle per image wide. A signal has one axis, and its rings are single frequencies.
    """
    size = max(power.shape)
    vertical, horizontal = (np.fft.fftfreq(length) for length in power.shape)
    ring = np.rint(np.hypot(vertical[:, None], horizontal) * size).astype(int)
    rings = range(1, size // 2 + 1)
    return pd.DataFrame({"frequency": [r / size for r in rings], "power": [power[ring == r].mean() for r in rings]})


def slope(rings: pd.DataFrame, confidence: float) -> Slope:
    """Least squares of log power on log frequency; rings whose power is no more than rounding are left out."""
    with_power = rings[rings["power"] > np.finfo(float).eps * rings["power"].max()]
    if len(with_power) < 3:
        return Slope(np.nan, np.nan, np.nan)
    fit = stats.linregress(np.log(with_power["frequency"]), np.log(with_power["power"]))
    half_width = stats.t.ppf((1 + confidence) / 2, len(with_power) - 2) * fit.stderr
    return Slope(float(fit.slope), float(fit.slope - half_width), float(fit.slope + half_width))


def coarse_share(power: np.ndarray) -> float:
    """Share of the variance within an image that half the resolution can hold: below NYQUIST / 2 along both axes."""
    vertical, horizontal = (np.abs(np.fft.fftfreq(length)) for length in power.shape)
    coarse = (vertical[:, None] < NYQUIST / 2) & (horizontal < NYQUIST / 2)
    return float(power[coarse].sum() / power.sum()) if power.sum() > 0 else np.nan


def figure(original: pd.DataFrame, permuted: pd.DataFrame) -> Figure:
    """Radial power of both layouts, each divided by its sum, so that the two can be compared."""
    figure, axes = style.plt.subplots(figsize=(style.WIDTH, 2.6))
    rings_of = {"original": original[original["power"] > 0], "permuted": permuted[permuted["power"] > 0]}
    for layout, rings in rings_of.items():
        shares = rings["power"] / rings["power"].sum()
        axes.plot(rings["frequency"], shares, label=layout, markersize=3, **LAYOUT_LOOKS[layout])
    if all(rings.empty for rings in rings_of.values()):
        nothing_to_draw(axes, "no image varies within itself: there is no spectrum")
        return figure
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        plain_numbers(axis)
    axes.set_xlabel("frequency, cycles per pixel (logarithmic)")
    axes.set_ylabel("share of power (logarithmic)")
    axes.legend()
    grid(axes, both=True)
    return figure


def finding(original: Slope, permuted: Slope, coarse: float, size: tuple[int, int]) -> Finding:
    """How power falls with frequency. Bears on locality, and on what downsampling by two can keep.

    coarse: share of the variance that half the resolution holds. size: height and width.
    """
    coarse_sentence = (
        f"Half the resolution can hold {share(coarse)} of the variance within an image; "
        "the rest is lost in downsampling by two, unless channels keep it."
    )
    if np.isnan(coarse):
        coarse_sentence = "No image varies within itself, so that a lower resolution loses nothing."
    facts = {
        "spectrum_slope": decimal(original.value),
        "spectrum_slope_interval": interval(original.low, original.high),
        "spectrum_slope_permuted": decimal(permuted.value),
        "coarse_share": share(coarse),
        "spectrum_sentence": _sentence(original, permuted, size),
        "coarse_sentence": coarse_sentence,
    }
    return Finding(facts, {"original": asdict(original), "permuted": asdict(permuted), "coarse_share": coarse})


def _sentence(original: Slope, permuted: Slope, size: tuple[int, int]) -> str:
    if np.isnan(original.value):
        return "The images have too few frequencies for a slope of their power."
    along = "" if min(size) > 1 else " along the one axis that the images have"
    exponents = f"as frequency to the power {_with_interval(original)}"
    if not np.isnan(permuted.value):
        exponents += f"; permuted, the exponent is {_with_interval(permuted)}"
    if original.high < 0:
        falls, follows = "falls", "coarse structure outweighs fine, so that neighbours tend to be alike"
    elif original.low > 0:
        falls, follows = "rises", "fine structure outweighs coarse, so that neighbours tend to differ"
    else:
        falls, follows = "neither falls nor rises distinguishably", "coarse and fine structure weigh alike, as in noise"
    return f"Power{along} {falls}, {exponents}: {follows}."


def _with_interval(slope: Slope) -> str:
    return f"{decimal(slope.value)} {interval(slope.low, slope.high)}"

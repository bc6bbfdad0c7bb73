"""The power spectrum: how an image's variance is spread over coarse and fine structure."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

WHITE = 255
BLOCK = 512  # images transformed at once
NYQUIST = 0.5  # cycles per pixel: the finest structure that pixels can hold


@dataclass(frozen=True)
class Slope:
    """Exponent of a power law, power ∝ frequency^value, with its t interval; NaN with fewer than three frequencies."""

    value: float
    low: float
    high: float


def power(images: np.ndarray) -> np.ndarray:
    """Mean power of each frequency, (H, W) in the order of numpy's fft; their sum is the mean variance within an image and channel.

    images: uint8 (N, C, H, W). Each image loses its mean; there is no window, so that opposite borders count as neighbours.
    """
    n, channels, height, width = images.shape
    total = np.zeros((height, width))
    for start in range(0, n, BLOCK):
        block = images[start : start + BLOCK] / WHITE
        total += (np.abs(np.fft.fft2(block)) ** 2).sum(axis=(0, 1))
    made = total / (n * channels * (height * width) ** 2)
    made[0, 0] = 0
    return made


def radial(power: np.ndarray) -> pd.DataFrame:
    """Mean power in rings around zero: frequency (cycles per pixel, up to Nyquist) and power, each ring one cycle per image wide.

    A signal has one axis and its rings are single frequencies.
    """
    size = max(power.shape)
    ring = np.rint(_frequencies(power.shape) * size).astype(int)
    rings = range(1, size // 2 + 1)
    return pd.DataFrame({"frequency": [r / size for r in rings], "power": [power[ring == r].mean() for r in rings]})


def slope(table: pd.DataFrame, confidence: float) -> Slope:
    """Least squares of log power on log frequency; rings without power, beside rounding, are left out."""
    kept = table[table["power"] > np.finfo(float).eps * table["power"].max()]
    if len(kept) < 3:
        return Slope(np.nan, np.nan, np.nan)
    fit = stats.linregress(np.log(kept["frequency"]), np.log(kept["power"]))
    reach = stats.t.ppf((1 + confidence) / 2, len(kept) - 2) * fit.stderr
    return Slope(float(fit.slope), float(fit.slope - reach), float(fit.slope + reach))


def coarse_share(power: np.ndarray) -> float:
    """Share of the variance within an image that half the resolution can hold: below half of Nyquist along both axes."""
    vertical, horizontal = (np.abs(np.fft.fftfreq(length)) for length in power.shape)
    coarse = (vertical[:, None] < NYQUIST / 2) & (horizontal < NYQUIST / 2)
    return float(power[coarse].sum() / power.sum()) if power.sum() > 0 else np.nan


def _frequencies(shape: tuple[int, ...]) -> np.ndarray:
    """Distance of each frequency from zero, in cycles per pixel."""
    vertical, horizontal = (np.fft.fftfreq(length) for length in shape)
    return np.hypot(vertical[:, None], horizontal)

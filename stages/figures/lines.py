"""A line for each net that is compared along one setting, with its mean and interval at each place."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from stages.shared.drawing import style
from stages.shared.inference.intervals import Estimate

MARKERS = "osD^vPX"
LABEL = 40  # characters of a line's label


def draw(axes: Axes, places: np.ndarray, estimates: Sequence[Estimate], line: int, label: str) -> None:
    """Draw one line in percent. estimates: fractions, one a place. line: its number, which sets colour and marker."""
    means, lows, highs = (
        100 * np.array([getattr(estimate, part) for estimate in estimates]) for part in ("mean", "low", "high")
    )
    ends = np.nan_to_num(np.stack([means - lows, highs - means]))
    look: dict[str, Any] = {"color": colour(line), "marker": MARKERS[line % len(MARKERS)], "markersize": 4, "zorder": 3}
    axes.errorbar(places, means, yerr=ends, elinewidth=1.2, capsize=2.2, label=style.plain(label, LABEL), **look)


def colour(line: int) -> str:
    return style.PALETTE[line % len(style.PALETTE)]


def sideways(line: int, n_lines: int) -> float:
    """How far a line moves to the side, so that intervals at one place do not cover each other."""
    return 0.04 * (line - (n_lines - 1) / 2)


def logarithmic(axes: Axes, places: Iterable[float], form: str) -> None:
    """Make the horizontal axis logarithmic, with a tick at each place. form: of a tick's number, as of `format`."""
    ticks = sorted(set(places))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([format(tick, form) for tick in ticks])


def finish(axes: Axes) -> None:
    """Add the grid and the legend, when every line is drawn."""
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.legend(loc="best", fontsize=7)

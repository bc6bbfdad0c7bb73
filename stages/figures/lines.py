"""Accuracy of several nets along one setting: a line for each, its mean and interval at each place."""

import numpy as np
from matplotlib.axes import Axes

from stages.figures.results import Results
from stages.shared.drawing import style

MARKERS = "osD^vPX"


def draw(
    axes: Axes,
    results: Results,
    group: list[str],
    places: np.ndarray,
    number: int,
    label: str,
    measure: str = "accuracy",
) -> None:
    """group: variants in the order of places. number: of the line, which has a colour and a marker of its own."""
    made = [results.mean(key, measure) for key in group]
    means = 100 * np.array([one.mean for one in made])
    low, high = (100 * np.array(ends) for ends in ([one.low for one in made], [one.high for one in made]))
    colour = style.PALETTE[number % len(style.PALETTE)]
    errors = np.nan_to_num(np.stack([means - low, high - means]))
    axes.errorbar(
        places, means, yerr=errors, color=colour, marker=MARKERS[number % len(MARKERS)], markersize=4, elinewidth=1.2, capsize=2.2,
        label=style.plain(label, 40), zorder=3,
    )  # fmt: skip


def dodge(number: int, of: int) -> float:
    """A little to the side, so that intervals at one place do not cover each other."""
    return 0.04 * (number - (of - 1) / 2)


def finish(axes: Axes) -> None:
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.legend(loc="best", fontsize=7)

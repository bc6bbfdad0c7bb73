"""Does a net know how often it is right? A reliability diagram for each kind of net."""

import numpy as np
from matplotlib.figure import Figure

from stages.figures import probed
from stages.figures.results import Results
from stages.shared.drawing import numbers, style

PANELS = 3


def calibration(results: Results) -> Figure | None:
    """Accuracy against confidence in bins, first seed; a dot's area is its share of the images. None where nothing was measured."""
    tables = {key: results.pictures[key]["reliability"] for key in probed.kinds(results) if key in results.pictures}
    tables = {key: table for key, table in tables.items() if np.isfinite(table).all()}
    called = probed.called(results)
    if not tables:
        return None
    figure, grid = style.plt.subplots(
        1, max(PANELS, len(tables)), figsize=(style.WIDTH, 2.5), sharey=True, squeeze=False
    )
    for axes in grid[0, len(tables) :]:
        axes.set_axis_off()
    for axes, (key, table) in zip(grid[0], tables.items(), strict=False):
        count, confidence, accuracy = table[table[:, 0] > 0].T
        axes.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
        axes.plot(confidence, accuracy, color=results.names.colour(key), linewidth=0.9, zorder=2)
        axes.scatter(
            confidence,
            accuracy,
            s=4 + 120 * count / count.sum(),
            color=results.names.colour(key),
            alpha=0.75,
            linewidths=0,
            zorder=3,
        )
        made = probed.estimate(results, key, "ece")
        interval = f" {numbers.interval(made.low, made.high)}" if made.n > 1 else ""
        axes.set_title(
            f"{style.plain(called[key], 24)}\nECE {numbers.percent_sign(made.mean)}{interval}",
            fontsize=7,
            fontweight="normal",
        )
        axes.set_xlim(-0.03, 1.05)
        axes.set_ylim(-0.03, 1.05)
        axes.set_aspect("equal")
        axes.set_xlabel("confidence", fontsize=7)
        axes.tick_params(labelsize=6.5)
    grid[0, 0].set_ylabel("accuracy", fontsize=7)
    return figure

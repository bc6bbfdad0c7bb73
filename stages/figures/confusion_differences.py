"""Whose mistakes are whose: one confusion minus another."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.figures import confusion, probed
from stages.figures.results import Results
from stages.shared.drawing import numbers, style

MOST = 14  # classes that can be named beside a panel


def pairs(results: Results) -> list[tuple[str, str]]:
    """The baseline against the fully connected net, and its twin on permuted pixels against itself; those that ran."""
    connected, twin, baseline = (
        probed.of_kind(results, "fully_connected"),
        probed.shuffled_twin(results),
        results.settings.baseline,
    )
    found = [(baseline, connected)] if connected and connected != baseline else []
    return found + ([(twin, baseline)] if twin else [])


def difference(results: Results, variant: str, reference: str) -> np.ndarray:
    """(K, K) percentage points of the true class: below zero off the diagonal where the variant makes a mistake less often."""
    one, other = (confusion.row_shares(confusion.counts(results, key)) for key in (variant, reference))
    made: np.ndarray = 100 * (one - other)
    return made


def confusion_differences(results: Results) -> Figure | None:
    """A panel for each of `pairs`, all in one scale, symmetric around zero. None where there is no pair, or too many classes."""
    classes = results.constants["classes"]
    tables = {pair: difference(results, *pair) for pair in pairs(results)}
    if not tables or len(classes) > MOST:
        return None
    called = probed.called(results)
    limit = max(float(np.abs(table).max()) for table in tables.values()) or 1.0
    figure, grid = style.plt.subplots(1, 2, figsize=(style.WIDTH, 3.3), sharey=True, squeeze=False)
    for axes in grid[0, len(tables) :]:
        axes.set_axis_off()
    for axes, ((variant, reference), table) in zip(grid[0], tables.items(), strict=False):
        _panel(axes, table, limit)
        title = f"{style.plain(called[variant], 24)}\nminus {style.plain(called[reference], 24)}"
        axes.set_title(title, fontsize=7.5, fontweight="normal")
        axes.set_xticks(
            range(len(classes)),
            [style.plain(name, 14) for name in classes],
            rotation=45,
            ha="right",
            rotation_mode="anchor",
            fontsize=6.5,
        )
        axes.set_xlabel("predicted class", fontsize=7)
    grid[0, 0].set_yticks(range(len(classes)), [style.plain(name, 14) for name in classes], fontsize=6.5)
    grid[0, 0].set_ylabel("true class", fontsize=7)
    return figure


def _panel(axes: Axes, table: np.ndarray, limit: float) -> None:
    n = len(table)
    factor = max(1, 400 // n)
    axes.imshow(
        np.kron(table, np.ones((factor, factor))),
        cmap="RdBu",
        vmin=-limit,
        vmax=limit,
        interpolation="none",
        extent=(-0.5, n - 0.5, n - 0.5, -0.5),
    )
    for (row, column), value in np.ndenumerate(table):
        if round(abs(value)) >= 1:
            text, colour = numbers.plain(value, 0), "white" if abs(value) > 0.6 * limit else style.INK
            axes.text(column, row, text, ha="center", va="center", fontsize=5.5, color=colour)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)

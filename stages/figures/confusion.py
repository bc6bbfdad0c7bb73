"""Which classes the baseline takes for which."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.figures.results import Results
from stages.shared.drawing import style

NUMBERED = 12  # classes up to which each cell holds its number
NAMED = 40  # classes up to which each row has its name


def confusion(results: Results) -> Figure:
    """The baseline's confusion over all seeds, each row in percent of its class."""
    classes = results.constants["classes"]
    shares = row_shares(counts(results, results.settings.baseline))
    n = len(classes)
    side = float(np.clip(1.6 + 0.42 * n, 2.6, 5.6 if n > NUMBERED else 5.4))
    figure, axes = style.plt.subplots(figsize=(style.WIDTH, side), layout="compressed")
    image = axes.imshow(
        _crisp(100 * shares),
        cmap="Blues",
        vmin=0,
        vmax=100,
        interpolation="none",
        extent=(-0.5, n - 0.5, n - 0.5, -0.5),
    )
    if n <= NUMBERED:
        for (row, column), share in np.ndenumerate(shares):
            text = f"{100 * share:.1f}" if 0 < share < 0.9995 else f"{100 * share:.0f}"
            axes.text(
                column,
                row,
                text,
                ha="center",
                va="center",
                fontsize=6.5,
                color="white" if share > 0.55 else style.INK if share >= 0.005 else "#999999",
            )
    _name(axes, classes)
    which = ", by its number" if n > NAMED else ""
    axes.set_xlabel(f"predicted class{which}")
    axes.set_ylabel(f"true class{which}")
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, shrink=0.6, label="% of the true class", pad=0.02).outline.set_visible(False)  # type: ignore[operator]
    return figure


def counts(results: Results, variant: str) -> np.ndarray:
    """(K, K): true class by predicted class, summed over seeds."""
    n = len(results.constants["classes"])
    table = np.zeros((n, n), dtype=np.int64)
    own = results.confusion[results.confusion["variant"] == variant]
    table[own["true"], own["predicted"]] = own["count"]
    return table


def row_shares(table: np.ndarray) -> np.ndarray:
    """Each row divided by its sum; a class without a test image has a row of zeros."""
    totals = table.sum(axis=1, keepdims=True)
    return table / np.maximum(totals, 1)


def _crisp(values: np.ndarray) -> np.ndarray:
    """Enough pixels to a cell that no viewer blurs its edge."""
    factor = max(1, 600 // len(values))
    return np.kron(values, np.ones((factor, factor)))


def _name(axes: Axes, classes: list[str]) -> None:
    n = len(classes)
    if n > NAMED:
        step = 10
        axes.set_xticks(range(0, n, step))
        axes.set_yticks(range(0, n, step))
        return
    size = 7.5 if n <= NUMBERED else max(4.5, 8.5 - 0.1 * n)
    names = [style.plain(name, 22) for name in classes]
    axes.set_xticks(range(n), names, rotation=45, ha="right", rotation_mode="anchor", fontsize=size)
    axes.set_yticks(range(n), names, fontsize=size)
    axes.tick_params(length=0)

"""What a net's last feature map tells of position, and how far it is from following a shift of the image."""

import math

from matplotlib.figure import Figure

from stages.figures import probed
from stages.figures.results import Results
from stages.shared.drawing import rows, style

REST = 0.8  # inches beside the rows
COLUMNS = {
    "position_r2_shuffled": ("position by a linear\nread-out, R²", 1),
    "position_share": ("variance that belongs\nto the position, %", 100),
    "equivariance_error_last": ("equivariance error,\n% of the map", 100),
}


def leaks(results: Results) -> Figure | None:
    """A row for each net with a map, ordered by the first column. None where none has one."""
    first = next(iter(COLUMNS))
    ranked = probed.measured(results, results.nets, first)
    order = sorted(ranked, key=lambda key: -ranked[key].mean)
    if not order:
        return None
    figure, columns = rows.figure(len(order), len(COLUMNS), rest=REST)
    for place, (axes, (column, (title, unit))) in enumerate(zip(columns, COLUMNS.items(), strict=True)):
        rows.draw(
            axes,
            [_row(results, key, results.names.label(key), column, unit) for key in order],
            REST,
            labelled=place == 0,
        )
        axes.axvline(0, color=style.GREY, linewidth=0.7, zorder=1)
        axes.set_xlabel(title)
    return figure


def _row(results: Results, key: str, label: str, column: str, unit: float) -> rows.Row:
    made = probed.estimate(results, key, column)
    own = results.runs.loc[results.runs["variant"] == key, column].astype(float)
    values = [unit * value for value in own if not math.isnan(value)]
    return rows.Row(label, values, unit * made.mean, unit * made.low, unit * made.high, results.names.colour(key))

"""End an axis early where a few values lie far from all others."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes

from stages.shared.drawing import rows

# The limit is (1 + MARGIN) times the distance from the centre within which MOST of the rows lie. The axis ends there if
# a row lies more than FAR times as far as the limit.
FAR, MOST, MARGIN = 2.5, 0.7, 0.3
ARROW = "; an arrow: beyond the axis"  # for the label of an axis that was cut


def cut(axes: Axes, drawn: Sequence[rows.Row], centre: float = 0.0, whole: int = 0) -> bool:
    """End the axis where most rows lie, and mark each row that reaches beyond it by an arrow.

    centre: the value from which distances are measured. whole: so many of the first rows stay on the axis as a whole.
    Returns whether the axis was cut.
    """
    numbers = [
        [value for value in (*row.values, row.mean, row.low, row.high, *row.outer) if not math.isnan(value)]
        for row in drawn
    ]
    farthest = [max((value - centre for value in values), key=abs, default=0.0) for values in numbers]
    limit = (1 + MARGIN) * sorted(map(abs, farthest))[math.ceil(MOST * len(farthest)) - 1]
    limit = max(limit, (1 + MARGIN / 3) * max(map(abs, farthest[:whole]), default=0))
    if limit == 0 or max(map(abs, farthest)) <= FAR * limit:
        return False
    left, right = axes.get_xlim()
    axes.set_xlim(max(left, centre - limit), min(right, centre + limit))
    for place, (row, end) in enumerate(zip(drawn, farthest, strict=True)):
        if abs(end) > limit:
            x, marker = (0.99, ">") if end > 0 else (0.01, "<")
            in_rows = axes.get_yaxis_transform()
            axes.plot([x], [place], marker=marker, color=row.colour, markersize=5, transform=in_rows, zorder=5)
    return True

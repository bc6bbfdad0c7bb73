"""Where an axis ends, if a few values lie far off the others."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes

from stages.shared.drawing import rows

# The axis ends, if some values lie FAR times as far, at MOST of them, and a MARK further.
FAR, MOST, MARK = 2.5, 0.7, 0.3
ARROW = "; an arrow: beyond the axis"  # for the label of an axis that was cut


def cut(axes: Axes, drawn: Sequence[rows.Row], centre: float = 0.0, whole: int = 0) -> bool:
    """End the axis where most rows lie, and mark those that go beyond it by an arrow; returns whether it did.

    centre: what the axis is about. whole: so many of the first rows stay on it.
    """
    ends = [
        [value for value in (*row.values, row.mean, row.low, row.high, *row.outer) if not math.isnan(value)]
        for row in drawn
    ]
    farthest = [max((value - centre for value in values), key=abs) for values in ends]
    limit = (1 + MARK) * sorted(map(abs, farthest))[math.ceil(MOST * len(farthest)) - 1]
    limit = max(limit, (1 + MARK / 3) * max(map(abs, farthest[:whole]), default=0))
    if limit == 0 or max(map(abs, farthest)) <= FAR * limit:
        return False
    left, right = axes.get_xlim()
    axes.set_xlim(max(left, centre - limit), min(right, centre + limit))
    for place, (row, end) in enumerate(zip(drawn, farthest, strict=True)):
        if abs(end) > limit:
            x, marker = (0.99, ">") if end > 0 else (0.01, "<")
            axes.plot(
                [x],
                [place],
                marker=marker,
                color=row.colour,
                markersize=5,
                transform=axes.get_yaxis_transform(),
                zorder=5,
            )
    return True

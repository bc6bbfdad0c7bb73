"""Marks that answer to the pointer: an area over each that cannot be seen, with its name and numbers in the SVG.

The report's script shows them beside the mark that is pointed at or reached with the keyboard. Printed, a figure with
marks looks like one without.
"""

import re

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from matplotlib.transforms import ScaledTranslation, blended_transform_factory

# matplotlib writes an artist's gid as the id of its group; between name and numbers stands a sign that none holds.
START, BETWEEN = "mark\u241f", "\u241e"
GROUP = re.compile(f"<g id=([\"']){START}(.*?){BETWEEN}(.*?)\\1>")  # single quotes around a name that holds double ones
RADIUS = 0.075  # inches around a point
EDGE = 0.001  # of the figure's width, beside a row: matplotlib would cut an area that touches the figure's edge


def row(axes: Axes, place: float, name: str, numbers: str) -> None:
    """Mark the row of height 1 around this place of the vertical axis, as wide as the figure."""
    across = blended_transform_factory(_figure(axes).transFigure, axes.transData)
    _add(axes, Rectangle((EDGE, place - 0.5), 1 - 2 * EDGE, 1, transform=across), name, numbers)


def point(axes: Axes, x: float, y: float, name: str, numbers: str) -> None:
    """Mark what stands at (x, y) in data units. It may move with the limits of the axes."""
    place = ScaledTranslation(x, y, axes.transData)  # type: ignore[arg-type] # it takes any transform
    _add(axes, Circle((0, 0), RADIUS, transform=_figure(axes).dpi_scale_trans + place), name, numbers)


def _figure(axes: Axes) -> Figure:
    figure = axes.get_figure(root=True)
    assert figure is not None, "axes stand in a figure"
    return figure


def _add(axes: Axes, area: Artist, name: str, numbers: str) -> None:
    area.set(facecolor="none", edgecolor="none", zorder=10, clip_on=False, in_layout=False)
    area.set_gid(f"{START}{name}{BETWEEN}{numbers}")
    axes.add_artist(area)


def with_attributes(svg: str) -> str:
    """The SVG in which each mark is a group of the class `mark` with data-name and data-numbers."""
    return GROUP.sub(r'<g class="mark" data-name=\1\2\1 data-numbers=\1\3\1>', svg)

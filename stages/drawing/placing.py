"""Put a label beside each point so that no label covers another label, a point or a leader line."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from stages.drawing import style

ANGLES = np.deg2rad([0, 180, 90, 270, 30, 330, 150, 210, 60, 120, 240, 300])
DISTANCES = (5, 9, 14, 20, 27, 35, 44, 54, 65, 77, 90, 110, 130, 160)  # points, from the dot to the label's nearest edge
PAD = 1.5  # points between two labels


@dataclass(frozen=True)
class Point:
    """A label to place, at (x, y) in data units; low and high are the ends of its vertical interval, if it has one."""

    x: float
    y: float
    low: float
    high: float
    label: str
    colour: str


def place_labels(figure: Figure, axes: Axes, points: Sequence[Point], path: np.ndarray | None = None, size: float = 6.5) -> list[Text]:
    """Label the points, the most crowded first, each at the nearest free place; a leader line joins what stands apart.

    path: (n, 2) corners, in data units, of a drawn line that the labels keep off.
    The layout must be final: limits set and the layout engine off, or the texts would move apart from what was measured.
    """
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    unit = figure.dpi / 72
    centres = [axes.transData.transform((point.x, point.y)) for point in points]
    dots = [_dot(axes, point, 3.2 * unit) for point in points]
    frame = axes.get_window_extent(renderer)
    taken: list[Bbox] = []
    lines = [] if path is None else [_sampled(axes.transData.transform(path))]
    texts: dict[int, Text] = {}
    for index in sorted(range(len(points)), key=lambda i: (-_crowd(centres, i, 40 * unit), i)):
        point, centre = points[index], centres[index]
        text = axes.annotate(
            style.plain(point.label), (point.x, point.y), xytext=(0, 0), textcoords="offset points",
            fontsize=size, color=style.readable(point.colour), ha="center", va="center", zorder=6,
        )  # fmt: skip
        extent = text.get_window_extent(renderer)
        obstacles = [*taken, *dots]
        offset, distance = _free_place(centre, extent.width, extent.height, frame, obstacles, taken, lines, unit)
        text.set_position((float(offset[0] / unit), float(offset[1] / unit)))
        box = _box(centre + offset, extent.width, extent.height, PAD * unit)
        taken.append(box)
        if distance > 9:
            line = _leader(centre, box)
            lines.append(line)
            ends = axes.transData.inverted().transform(line[[0, -1]])
            axes.plot(ends[:, 0], ends[:, 1], color=point.colour, linewidth=0.5, alpha=0.7, zorder=2, scalex=False, scaley=False)
        texts[index] = text
    return [texts[index] for index in range(len(points))]


def _free_place(
    centre: np.ndarray, width: float, height: float, frame: Bbox,
    obstacles: list[Bbox], labels: list[Bbox], lines: list[np.ndarray], unit: float,
) -> tuple[np.ndarray, float]:  # fmt: skip
    """Offset of the label's centre in pixels, and its distance in points; the least bad place if none is free."""
    best: tuple[np.ndarray, float] = (np.array([0.0, 5 * unit + height]), 5)
    fewest: int | None = None
    for distance in DISTANCES:
        for angle in ANGLES:
            reach = distance * unit
            offset = np.array([np.cos(angle) * (reach + width / 2), np.sin(angle) * (reach + height / 2)])
            box = _box(centre + offset, width, height, PAD * unit)
            if box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1:
                continue
            clashes = sum(box.overlaps(other) for other in obstacles) + sum(_crosses(line, box) for line in lines)
            if distance > 9:
                leader = _leader(centre, box)
                clashes += sum(_crosses(leader, other) for other in labels)
            if clashes == 0:
                return offset, distance
            if fewest is None or clashes < fewest:
                best, fewest = (offset, distance), clashes
    return best


def _box(centre: np.ndarray, width: float, height: float, pad: float) -> Bbox:
    return Bbox.from_extents(centre[0] - width / 2 - pad, centre[1] - height / 2 - pad, centre[0] + width / 2 + pad, centre[1] + height / 2 + pad)


def _dot(axes: Axes, point: Point, radius: float) -> Bbox:
    """What a point and its interval cover, in pixels."""
    x, y = axes.transData.transform((point.x, point.y))
    low = axes.transData.transform((point.x, point.low))[1] if np.isfinite(point.low) else y
    high = axes.transData.transform((point.x, point.high))[1] if np.isfinite(point.high) else y
    return Bbox.from_extents(x - radius, min(low, y - radius), x + radius, max(high, y + radius))


def _leader(centre: np.ndarray, box: Bbox) -> np.ndarray:
    """Points along the straight line from a dot to the nearest point of its label's box."""
    end = np.array([np.clip(centre[0], box.x0, box.x1), np.clip(centre[1], box.y0, box.y1)])
    return _sampled(np.stack([centre, end]))


def _sampled(corners: np.ndarray) -> np.ndarray:
    """Points at most two pixels apart along a line through the corners."""
    parts = [np.linspace(one, other, 2 + int(np.hypot(*(other - one)) / 2)) for one, other in pairwise(corners)]
    return np.concatenate(parts) if parts else corners


def _crosses(line: np.ndarray, box: Bbox) -> bool:
    inside = (line[:, 0] > box.x0) & (line[:, 0] < box.x1) & (line[:, 1] > box.y0) & (line[:, 1] < box.y1)
    return bool(inside.any())


def _crowd(centres: list[np.ndarray], index: int, radius: float) -> int:
    return sum(bool(np.hypot(*(centre - centres[index])) < radius) for centre in centres)

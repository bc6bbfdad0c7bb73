"""Put a label beside each point so that no label covers another label or a point."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from stages.shared.drawing import style

# Directions from a point to its label: the sides first, then ever finer between them.
ANGLES = np.deg2rad([0, 180, 90, 270, 30, 330, 150, 210, 60, 120, 240, 300, *range(15, 360, 30), *range(10, 360, 20)])
# Points from the dot to the label's nearest edge.
DISTANCES = (5, 9, 14, 20, 27, 35, 44, 54, 65, 77, 90, 105, 122, 140, 160, 185, 215, 250)
NEAR = 9  # points up to which a label needs no leader line
LABEL = 30  # characters
PAD = 1.5  # points between two labels
CROSSING = 40  # points that a label goes further so that its leader line crosses one dot less, or half a label
RADIUS = 3.2  # points of a dot
STEPS = 80  # places along a leader line that are tested for crossings


@dataclass(frozen=True)
class Point:
    """A point at (x, y) in data units. low, high: the ends of its vertical interval; NaN without one.

    label: empty for a point that is drawn without one. The labels of other points do not cover it either.
    """

    x: float
    y: float
    low: float
    high: float
    label: str
    colour: str


def place_labels(
    figure: Figure, axes: Axes, points: Sequence[Point], path: np.ndarray | None = None, size: float = 6.5
) -> list[Text | None]:
    """Label the points, those with the fewest neighbours first, each at the nearest free place.

    A leader line joins a label and its point where they stand apart.
    path: (n, 2) corners, in data units, of a drawn line that the labels avoid where they can. size: of the font.
    Returns the texts in the order of the points; None for a point without a label or without a free place for it.
    The layout must be final, with limits set and the layout engine off, or the texts move after they are measured.
    """
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    unit = figure.dpi / 72
    centres = axes.transData.transform([(point.x, point.y) for point in points])
    frame = np.array(axes.get_window_extent(renderer).extents)
    dots = np.array([_dot(axes, point, RADIUS * unit) for point in points])
    labels = np.empty((0, 4))
    lines = np.empty((0, 2)) if path is None else _sampled(axes.transData.transform(path))
    texts: list[Text | None] = [None] * len(points)
    names = style.shortened([point.label for point in points], LABEL)
    for index in sorted(range(len(points)), key=lambda i: (_neighbours(centres, i, 40 * unit), i)):
        point, centre = points[index], centres[index]
        if not point.label:
            continue
        look: dict[str, Any] = {"color": style.readable(point.colour), "ha": "center", "va": "center", "zorder": 6}
        text = axes.annotate(
            names[index], (point.x, point.y), xytext=(0, 0), textcoords="offset points", fontsize=size, **look
        )
        extent = text.get_window_extent(renderer)
        place = _free_place(centre, extent.width, extent.height, frame, dots, labels, lines, unit)
        if place is None:
            text.remove()
            continue
        offset, box, leader = place
        text.set_position((float(offset[0] / unit), float(offset[1] / unit)))
        labels = np.vstack([labels, box])
        if leader is not None:
            lines = np.vstack([lines, leader])
            x, y = axes.transData.inverted().transform(leader[[0, -1]]).T
            axes.plot(x, y, color=point.colour, linewidth=0.5, alpha=0.7, zorder=2, scalex=False, scaley=False)
        texts[index] = text
    return texts


def _free_place(
    centre: np.ndarray,
    width: float,
    height: float,
    frame: np.ndarray,
    dots: np.ndarray,
    labels: np.ndarray,
    lines: np.ndarray,
    unit: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None] | None:
    """Offset of the label's centre, its box, and its leader line or None, all in pixels; None if no place is free.

    Of the free places it is the nearest one without crossings: no line crosses the box, and its leader line crosses
    nothing. A crossing counts as CROSSING points of distance, so a much nearer place with a crossing may be better.
    """
    half = np.array([width, height]) / 2 + PAD * unit
    others = dots[~_within(centre[None], dots)[0]]  # without the dots that cover this point: they cannot be avoided
    best, lowest = None, np.inf
    for distance in DISTANCES:
        if distance >= lowest:
            break
        offsets = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1) * (distance * unit + np.array([width, height]) / 2)
        boxes = np.hstack([centre + offsets - half, centre + offsets + half])
        inside = (boxes[:, :2] >= frame[:2]).all(1) & (boxes[:, 2:] <= frame[2:]).all(1)
        free = np.flatnonzero(inside & ~_overlap(boxes, np.vstack([dots, labels])).any(1))
        if not len(free):
            continue
        offsets, boxes = offsets[free], boxes[free]
        ends = np.clip(centre, boxes[:, :2], boxes[:, 2:])
        leaders = centre + np.linspace(0, 1, STEPS)[None, :, None] * (ends - centre)[:, None, :]
        crossings = np.where(np.any(_within(lines, boxes), axis=0), 2.0, 0.0)
        if distance > NEAR:
            crossings += 2.0 * _hits(leaders, labels) + _hits(leaders, others)
        first = int(np.argmin(crossings))
        if distance + CROSSING * crossings[first] < lowest:
            lowest = distance + CROSSING * crossings[first]
            best = offsets[first], boxes[first], leaders[first] if distance > NEAR else None
    return best


def _overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n, 4) and (m, 4) of left, bottom, right, top → (n, m)."""
    return np.all((boxes[:, None, :2] < others[None, :, 2:]) & (boxes[:, None, 2:] > others[None, :, :2]), axis=2)


def _within(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(n, 2) points and (m, 4) boxes → (n, m)."""
    return np.all((points[:, None] > boxes[None, :, :2]) & (points[:, None] < boxes[None, :, 2:]), axis=2)


def _hits(leaders: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """How many of (m, 4) boxes each of (n, steps, 2) lines crosses, (n,)."""
    inside = _within(leaders.reshape(-1, 2), boxes).reshape(*leaders.shape[:2], len(boxes))
    return np.asarray(inside.any(1).sum(1))


def _dot(axes: Axes, point: Point, radius: float) -> list[float]:
    """What a point and its interval cover, in pixels: left, bottom, right, top."""
    x, y = axes.transData.transform((point.x, point.y))
    low, high = (
        axes.transData.transform((point.x, end))[1] if np.isfinite(end) else y for end in (point.low, point.high)
    )
    return [x - radius, min(low, y - radius), x + radius, max(high, y + radius)]


def _sampled(corners: np.ndarray) -> np.ndarray:
    """Places at most two pixels apart along a line through the corners."""
    parts = [np.linspace(one, other, 2 + int(np.hypot(*(other - one)) / 2)) for one, other in pairwise(corners)]
    return np.concatenate(parts) if parts else corners


def _neighbours(centres: np.ndarray, index: int, radius: float) -> int:
    """How many points lie within the radius of one, itself included."""
    return int((np.hypot(*(centres - centres[index]).T) < radius).sum())

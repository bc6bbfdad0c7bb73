"""Widths that give one architecture the cost of another, so that a comparison holds the cost constant."""

from collections.abc import Iterator

from stages.architectures.closed_form import ClosedForm, closed_form
from stages.params import Architecture

WIDEST = 4  # times the channels that the search begins with
QUANTITIES = {
    "parameters": lambda costs: costs.parameters,
    "macs": lambda costs: costs.macs,
    "receptive_field": lambda costs: costs.receptive_field[0] * costs.receptive_field[1],
}


def deviation(quantity: str, costs: ClosedForm, target: ClosedForm) -> float:
    """Relative: 0.02 is two percent more than the target."""
    return QUANTITIES[quantity](costs) / QUANTITIES[quantity](target) - 1


def matched_channels(architecture: Architecture, target: int, shape: tuple[int, int, int], classes: int, tolerance: float) -> tuple[int, ...]:
    """Channels with which the architecture has `target` parameters, to a relative `tolerance`, in proportions like its own.

    shape: (channels, height, width) of an image on its canvas. Of all widths within the tolerance, those whose last
    layer is widened or narrowed most nearly as the others are. Raises ValueError, with the nearest, if none is within.
    """
    found = [(channels, closed_form(_with(architecture, channels), shape, classes).parameters) for channels in _candidates(architecture, target, shape, classes)]
    near = [channels for channels, parameters in found if abs(parameters / target - 1) <= tolerance]
    if not near:
        channels, parameters = min(found, key=lambda one: abs(one[1] - target))
        raise ValueError(f"no width gives {target} parameters to {tolerance:.0%}; the nearest is channels {list(channels)} with {parameters}")
    return min(near, key=lambda channels: abs(_scale(architecture, channels, -1) / _scale(architecture, channels, 0) - 1))


def _candidates(architecture: Architecture, target: int, shape: tuple[int, int, int], classes: int) -> Iterator[tuple[int, ...]]:
    """All layers but the last scaled alike; of the last, the two widths on either side of the target."""
    first = architecture.channels[0]
    for width in range(1, WIDEST * first + 1):
        others = tuple(max(1, round(units * width / first)) for units in architecture.channels[:-1])
        low, high = 1, WIDEST * max(architecture.channels) * max(1, target // 1000)
        while high - low > 1:  # parameters grow with the last layer's width
            middle = (low + high) // 2
            too_many = closed_form(_with(architecture, (*others, middle)), shape, classes).parameters > target
            low, high = (low, middle) if too_many else (middle, high)
        yield (*others, low)
        yield (*others, high)
        if not others:
            return


def _with(architecture: Architecture, channels: tuple[int, ...]) -> Architecture:
    return architecture.model_copy(update={"channels": channels})


def _scale(architecture: Architecture, channels: tuple[int, ...], layer: int) -> float:
    return channels[layer] / architecture.channels[layer]

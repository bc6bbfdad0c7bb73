"""Widths that give one architecture the cost of another, so that a comparison holds the cost constant."""

from collections.abc import Callable, Iterator
from typing import Literal

from stages.shared.architectures.closed_form import ClosedForm, closed_form
from stages.shared.params import Architecture

WIDEST = 4  # times the first width: where the search ends
MOST_TRIED = 4000  # widths of the first layer, evenly spaced
Widths = tuple[int, ...]
# Quantity → the numbers that must agree; none where it has no meaning.
QUANTITIES: dict[str, Callable[[ClosedForm], tuple[int, ...]]] = {
    "parameters": lambda costs: (costs.parameters,),
    "macs": lambda costs: (costs.macs,),
    "receptive_field": lambda costs: costs.receptive_field or (),
}


def deviation(quantity: str, costs: ClosedForm, target: ClosedForm) -> float:
    """How far `costs` is from the target, relative: 0.02 is two percent more.

    Of a receptive field, along the axis with the larger deviation; infinite if only one of the two has one.
    """
    values, target_values = QUANTITIES[quantity](costs), QUANTITIES[quantity](target)
    if len(values) != len(target_values):
        return float("inf")
    deviations = [value / wanted - 1 for value, wanted in zip(values, target_values, strict=True)]
    return max(deviations, key=abs, default=0.0)


def matched_widths(
    field: Literal["channels", "hidden"],
    quantity: Literal["parameters", "macs"],
    architecture: Architecture,
    target: ClosedForm,
    shape: tuple[int, int, int],
    classes: int,
    tolerance: float,
) -> Widths:
    """`field` of the architecture such that it has the target's quantity, to a relative `tolerance`.

    shape: (channels, height, width) of an image on its canvas. Of all widths within the tolerance, choose those that
    scale the last layer most nearly as the first, and of these the nearest to the target. Raises ValueError, with the
    nearest widths, if none is within the tolerance, or if the architecture has no such widths.
    """
    start: Widths = getattr(architecture, field)
    if architecture.connectivity == "resnet18" or not start:
        raise ValueError(f"it has no {field} to widen or narrow")

    def deviation_with(widths: Widths) -> float:
        return deviation(quantity, closed_form(architecture.model_copy(update={field: widths}), shape, classes), target)

    def skew(widths: Widths) -> float:
        return abs(widths[-1] / start[-1] / (widths[0] / start[0]) - 1)

    deviations = {widths: deviation_with(widths) for widths in _candidates(start, deviation_with)}
    matching = [widths for widths in deviations if abs(deviations[widths]) <= tolerance]
    if not matching:
        nearest = min(deviations, key=lambda widths: abs(deviations[widths]))
        raise ValueError(
            f"no {field} come within {tolerance * 100:g} %; "
            f"the nearest are {list(nearest)}, with {deviations[nearest] * 100:+.1f} %"
        )
    return min(matching, key=lambda widths: (skew(widths), abs(deviations[widths])))


def _candidates(start: Widths, deviation_with: Callable[[Widths], float]) -> Iterator[Widths]:
    """All layers but the last scaled alike; for the last, the two widths on either side of the target."""
    *others, _ = start
    for first in _first_widths(start[0]) if others else (1,):
        scaled = tuple(max(1, round(units * first / start[0])) for units in others)
        low, high = 1, 2
        while deviation_with((*scaled, high)) < 0:  # costs grow with the last layer's width
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            if deviation_with((*scaled, middle)) > 0:
                high = middle
            else:
                low = middle
        yield (*scaled, low)
        yield (*scaled, high)


def _first_widths(start: int) -> range:
    widest = WIDEST * start
    return range(1, widest + 1, -(-widest // MOST_TRIED))

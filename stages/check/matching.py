"""Widths that give one architecture the cost of another, so that a comparison holds the cost constant."""

from collections.abc import Callable, Iterator
from functools import partial
from math import lcm
from typing import Literal

from stages.shared.architectures.closed_form import ClosedForm, closed_form
from stages.shared.architectures.layer_settings import layers_of
from stages.shared.params import Architecture
from stages.shared.params.architecture import LAYERED, TRANSFORMERS

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
    if architecture.connectivity in ("resnet18", "module") or not start:
        raise ValueError(f"it has no {field} to widen or narrow")

    def deviation_with(widths: Widths) -> float:
        return deviation(quantity, closed_form(architecture.model_copy(update={field: widths}), shape, classes), target)

    def skew(widths: Widths) -> float:
        return abs(widths[-1] / start[-1] / (widths[0] / start[0]) - 1)

    step = 1 if field == "hidden" else _width_step(architecture)
    are_alike = field == "channels" and architecture.connectivity in TRANSFORMERS
    candidates = _alike if are_alike else _candidates
    deviations = {widths: deviation_with(widths) for widths in candidates(start, step, deviation_with)}
    matching = [widths for widths in deviations if abs(deviations[widths]) <= tolerance]
    if not matching:
        nearest = min(deviations, key=lambda widths: abs(deviations[widths]))
        raise ValueError(
            f"no {field} come within {tolerance * 100:g} %; "
            f"the nearest are {list(nearest)}, with {deviations[nearest] * 100:+.1f} %"
        )
    return min(matching, key=lambda widths: (skew(widths), abs(deviations[widths])))


def _width_step(architecture: Architecture) -> int:
    """What divides every width that the architecture can have: its groups of channels, or its heads.

    Raises ValueError where the widths of neighbouring layers depend on each other.
    """
    if architecture.connectivity == "attention":
        return architecture.heads
    layers = layers_of(architecture) if architecture.connectivity in LAYERED else []
    if any(layer.groups == "depthwise" for layer in layers):
        raise ValueError("its layers are depthwise; no widths are looked for")
    groups = {layer.groups_of(1) for layer in layers}
    normed_in_groups = architecture.norm == "group" or any(layer.norm == "group" for layer in layers)
    return lcm(*groups, architecture.norm_groups if normed_in_groups else 1)


def _alike(start: Widths, step: int, deviation_with: Callable[[Widths], float]) -> Iterator[Widths]:
    """The two widths on either side of the target, of all blocks alike."""
    for width in _around(lambda width: deviation_with((width,) * len(start)), step):
        yield (width,) * len(start)


def _candidates(start: Widths, step: int, deviation_with: Callable[[Widths], float]) -> Iterator[Widths]:
    """All layers but the last scaled alike; for the last, the two widths on either side of the target."""
    *others, _ = start
    for first in _first_widths(start[0], step) if others else (step,):
        scaled = tuple(max(1, round(units * first / start[0] / step)) * step for units in others)
        for last in _around(partial(_with_last, deviation_with, scaled), step):
            yield (*scaled, last)


def _with_last(deviation_with: Callable[[Widths], float], others: Widths, last: int) -> float:
    return deviation_with((*others, last))


def _around(deviation_with: Callable[[int], float], step: int) -> tuple[int, int]:
    """The two multiples of `step` on either side of the target. Costs grow with a width."""
    low, high = step, 2 * step
    while deviation_with(high) < 0:
        low, high = high, 2 * high
    while high - low > step:
        middle = (low + high) // 2 // step * step
        if deviation_with(middle) > 0:
            high = middle
        else:
            low = middle
    return low, high


def _first_widths(start: int, step: int) -> range:
    widest = WIDEST * start
    return range(step, widest + 1, -(-widest // (MOST_TRIED * step)) * step)

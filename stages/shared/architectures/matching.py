"""Widths that give one architecture the cost of another, so that a comparison holds the cost constant."""

from collections.abc import Callable, Iterator
from typing import Literal

from stages.shared.architectures.closed_form import ClosedForm, closed_form
from stages.shared.params import Architecture

WIDEST = 4  # times the widths that the search begins with
MOST = 4000  # widths of the first layer that are tried, evenly spaced
Widths = tuple[int, ...]
# Of each quantity, the numbers that have to agree; none where it has no meaning.
QUANTITIES: dict[str, Callable[[ClosedForm], tuple[int, ...]]] = {
    "parameters": lambda costs: (costs.parameters,),
    "macs": lambda costs: (costs.macs,),
    "receptive_field": lambda costs: costs.receptive_field or (),
}


def deviation(quantity: str, costs: ClosedForm, target: ClosedForm) -> float:
    """Relative: 0.02 is two percent more than the target. Of a receptive field, along the axis on which it deviates more.

    Infinite where one of the two has no receptive field.
    """
    ours, theirs = QUANTITIES[quantity](costs), QUANTITIES[quantity](target)
    if len(ours) != len(theirs):
        return float("inf")
    return max((one / other - 1 for one, other in zip(ours, theirs, strict=True)), key=abs, default=0.0)


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

    shape: (channels, height, width) of an image on its canvas. Of all widths within the tolerance, those whose last
    layer is widened or narrowed most nearly as the others are, and of these the nearest. Raises ValueError, with the
    nearest widths if none is within the tolerance, or if the architecture has no such widths.
    """
    begin: Widths = getattr(architecture, field)
    if architecture.connectivity == "resnet18" or not begin:
        raise ValueError(f"it has no {field} to widen or narrow")

    def off(widths: Widths) -> float:
        return deviation(quantity, closed_form(architecture.model_copy(update={field: widths}), shape, classes), target)

    def skew(widths: Widths) -> float:
        return abs(widths[-1] / begin[-1] / (widths[0] / begin[0]) - 1)

    found = {widths: off(widths) for widths in _candidates(begin, off)}
    near = [widths for widths, miss in found.items() if abs(miss) <= tolerance]
    if not near:
        widths, miss = min(found.items(), key=lambda one: abs(one[1]))
        raise ValueError(
            f"no {field} come within {tolerance * 100:g} %; the nearest are {list(widths)}, with {miss * 100:+.1f} %"
        )
    return min(near, key=lambda widths: (skew(widths), abs(found[widths])))


def _candidates(begin: Widths, off: Callable[[Widths], float]) -> Iterator[Widths]:
    """All layers but the last scaled alike; of the last, the two widths on either side of the target."""
    *others, _ = begin
    for first in range(1, WIDEST * begin[0] + 1, -(-WIDEST * begin[0] // MOST)) if others else (1,):
        scaled = tuple(max(1, round(units * first / begin[0])) for units in others)
        low, high = 1, 2
        while off((*scaled, high)) < 0:  # costs grow with the last layer's width
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if off((*scaled, middle)) > 0 else (middle, high)
        yield (*scaled, low)
        yield (*scaled, high)

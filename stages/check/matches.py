"""Which variants miss the cost that they are meant to share with another one, and the widths that would not."""

from typing import Literal

from stages.shared import params
from stages.shared.architectures.closed_form import ClosedForm, closed_form
from stages.shared.architectures.matching import deviation, matched_widths
from stages.shared.params import Architecture, Params, Quantity

NOUNS = {"parameters": "parameters", "macs": "multiply-accumulates"}


def misses(settings: Params) -> list[str]:
    """One line for each variant of the protocol and each quantity that it misses by more than inference.match_tolerance.

    Nothing where only the user's file tells how large the images are and how many classes there are: a warning, since
    the widths of params.yaml were chosen for one dataset and serve for others too.
    """
    known, shape = params.DATASETS[settings.data.dataset], params.image_shape(settings)
    if known is None or shape is None:
        return []
    lines = []
    for key, variant in settings.active_variants.items():
        for quantity, other in variant.matched.items():
            ours, theirs = variant.run.architecture, settings.variant(other).run.architecture
            line = _miss(quantity, ours, other, theirs, shape, known.classes, settings.inference.match_tolerance)
            if line:
                lines.append(f"variants.{key}: {line}")
    return lines


def _miss(
    quantity: Quantity,
    ours: Architecture,
    other: str,
    theirs: Architecture,
    shape: tuple[int, int, int],
    classes: int,
    tolerance: float,
) -> str:
    """Empty where the quantity agrees. A receptive field has to agree exactly: no width moves it."""
    costs, target = closed_form(ours, shape, classes), closed_form(theirs, shape, classes)
    off = deviation(quantity, costs, target)
    if quantity == "receptive_field":
        return f"{_field(costs)}, unlike {other}: {_field(target)}" if off else ""
    if abs(off) <= tolerance:
        return ""
    said = f"{abs(off) * 100:.1f} % {'more' if off > 0 else 'fewer'} {NOUNS[quantity]} than {other}"
    # A variant that keeps the other's layers is matched by what stands behind them.
    field: Literal["channels", "hidden"] = "hidden" if ours.hidden and ours.channels == theirs.channels else "channels"
    try:
        return f"{said}; {field} {list(matched_widths(field, quantity, ours, target, shape, classes, tolerance))} would match"
    except ValueError as error:
        return f"{said}; {error}"


def _field(costs: ClosedForm) -> str:
    return (
        "no receptive field"
        if costs.receptive_field is None
        else "a receptive field of {}×{}".format(*costs.receptive_field)
    )

"""Which variants miss the cost that they are meant to share with another, and which are too large to train."""

from typing import Literal

from stages.check.matching import deviation, matched_widths
from stages.shared import params
from stages.shared.architectures.closed_form import ClosedForm, closed_form
from stages.shared.params import Architecture, Params, ParamsError, Quantity

MOST_PARAMETERS = 250_000_000  # a gigabyte of them, and four while they are trained
UNKNOWN_CLASSES = 10  # assumed for a user's own images, whose classes are not known before they are read
NOUNS = {"parameters": "parameters", "macs": "multiply-accumulates"}


def refuse_too_large(settings: Params) -> None:
    """Raises ParamsError, naming each variant of the protocol with more than MOST_PARAMETERS."""
    lines = []
    for key, variant in settings.active_variants.items():
        shape, classes = known_image(settings, key)
        if shape is None:
            return
        count = closed_form(variant.run.architecture, shape, classes or UNKNOWN_CLASSES).parameters
        if count > MOST_PARAMETERS:
            lines.append(
                f"  variants.{key}: {count:,} parameters, more than {MOST_PARAMETERS:,}; "
                "reduce channels, hidden or kernel"
            )
    if lines:
        raise ParamsError("\n".join(["params.yaml: not every net can be trained; nothing was run", *lines]))


def missed_costs(settings: Params) -> list[str]:
    """One line for each quantity that a variant of the protocol misses by more than inference.match_tolerance.

    These are warnings: the widths of params.yaml were chosen for one dataset and serve for others too. A user's own
    images get none: their size and classes are not known before they are read.
    """
    lines = []
    for key, variant in settings.active_variants.items():
        shape, classes = known_image(settings, key)
        if shape is None or classes is None:
            return []
        for quantity, other in variant.matched.items():
            line = _miss(settings, quantity, key, other, shape, classes)
            if line:
                lines.append(f"variants.{key}: {line}")
    return lines


def known_image(settings: Params, variant: str) -> tuple[tuple[int, int, int] | None, int | None]:
    """(channels, height, width) of an image on the variant's canvas, and the number of classes, so far as known."""
    known = params.DATASETS[settings.data.dataset]
    return params.image_shape(settings, settings.variants[variant].run.sample.layout), known.classes if known else None


def _miss(settings: Params, quantity: Quantity, key: str, other: str, shape: tuple[int, int, int], classes: int) -> str:
    """Empty where the quantity agrees. A receptive field has to agree exactly: no width moves it."""
    architecture, target_architecture = (settings.variant(name).run.architecture for name in (key, other))
    if quantity == "receptive_field" and (architecture.own_module or target_architecture.own_module):
        return f"whether its receptive field is that of {other} is unknown: one of the two is an own net"
    costs, target = closed_form(architecture, shape, classes), closed_form(target_architecture, shape, classes)
    deviates_by = deviation(quantity, costs, target)
    tolerance = settings.inference.match_tolerance
    if quantity == "receptive_field":
        return f"{_field(costs)}, unlike {other}: {_field(target)}" if deviates_by else ""
    if abs(deviates_by) <= tolerance:
        return ""
    more_or_fewer = "more" if deviates_by > 0 else "fewer"
    miss = f"{abs(deviates_by) * 100:.1f} % {more_or_fewer} {NOUNS[quantity]} than {other}"
    field = _matching_field(architecture, target_architecture)
    try:
        widths = matched_widths(field, quantity, architecture, target, shape, classes, tolerance)
    except ValueError as error:
        return f"{miss}; {error}"
    return f"{miss}; {field} {list(widths)} would match"


def _matching_field(architecture: Architecture, target: Architecture) -> Literal["channels", "hidden"]:
    """A variant that keeps the other's layers is matched by the layers behind them."""
    return "hidden" if architecture.hidden and architecture.channels == target.channels else "channels"


def _field(costs: ClosedForm) -> str:
    if costs.receptive_field is None:
        return "no receptive field"
    height, width = costs.receptive_field
    return f"a receptive field of {height}×{width}"

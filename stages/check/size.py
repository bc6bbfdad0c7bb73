"""Which variants have more parameters than any machine that this project is for could train."""

from stages.shared import params
from stages.shared.architectures.closed_form import closed_form
from stages.shared.params import Params, ParamsError

MOST_PARAMETERS = 250_000_000  # a gigabyte of them, and four while they are trained


def refuse_too_large(settings: Params) -> None:
    """Raises ParamsError, naming each variant of the protocol that is too large. The classes of a user's own images are not known here: ten are taken."""
    known, shape = params.DATASETS[settings.data.dataset], params.image_shape(settings)
    if shape is None:
        return
    classes = known.classes if known else 10
    counts = {
        key: closed_form(variant.run.architecture, shape, classes).parameters
        for key, variant in settings.active_variants.items()
    }
    lines = [
        f"  variants.{key}: {count:,} parameters, more than {MOST_PARAMETERS:,}; lessen channels, hidden or kernel"
        for key, count in counts.items()
        if count > MOST_PARAMETERS
    ]
    if lines:
        raise ParamsError("\n".join(["params.yaml: not every net can be trained; nothing was run", *lines]))

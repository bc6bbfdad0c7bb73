"""Whether the users' own nets of the protocol can be trained."""

from stages.check.costs import UNKNOWN_CLASSES, known_image
from stages.shared.params import Params, ParamsError


def refuse_broken(settings: Params) -> None:
    """Raises ParamsError, with a line for each variant whose own net cannot be trained.

    A user's own images have no size before they are read: `train` checks the nets then, as it checks every own net.
    """
    nets = {}
    for key, variant in settings.active_variants.items():
        own = variant.run.architecture.own_module
        shape, classes = known_image(settings, key)
        if own is not None and shape is not None:
            nets[key] = own, shape, classes or UNKNOWN_CLASSES
    if not nets:
        return
    from stages.shared import own_nets  # imports torch, which takes seconds

    lines = own_nets.mistakes(nets)
    if lines:
        raise ParamsError("\n  ".join(["params.yaml: an own net cannot be trained; nothing was run", *lines]))

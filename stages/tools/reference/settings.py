"""What of the settings two results must share to be results of the same runs."""

from typing import Any

from stages.shared.params import Params


def trained_as(settings: Params, variant: str) -> Any:
    """All that decides how a variant is trained and probed; None if the protocol does not train it."""
    if variant not in settings.trained_variants:
        return None
    protocol = settings.chosen_protocol.model_dump(mode="json", exclude={"variants", "longer", "baseline"})
    run = settings.trained_variants[variant].run.model_dump(mode="json")
    return protocol, run, settings.data.model_dump(mode="json"), settings.probe.model_dump(mode="json")

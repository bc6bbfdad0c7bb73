"""What of the settings two results must share to be results of the same runs."""

from typing import Any

from stages.shared import paths
from stages.shared.params import Params
from stages.shared.run_records import unfinished_runs
from stages.train.runs import planned_runs


def trained_as(settings: Params, variant: str) -> Any:
    """All that decides how a variant is trained and probed; None if the protocol does not train it."""
    if variant not in settings.trained_variants:
        return None
    protocol = settings.chosen_protocol.model_dump(mode="json", exclude={"variants", "longer", "baseline"})
    run = settings.trained_variants[variant].run.model_dump(mode="json")
    return protocol, run, settings.data.model_dump(mode="json"), settings.probe.model_dump(mode="json")


def is_trained_here(settings: Params, variant: str) -> bool:
    """Whether data/runs has every run of the variant as these settings train it."""
    return not unfinished_runs(planned_runs(settings, [variant]), paths.RUNS)

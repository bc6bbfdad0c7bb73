"""What the figures are drawn from, read once."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

from stages import paths
from stages.figures.names import Names
from stages.inference import intervals
from stages.params import Params
from stages.provenance import StageError

MEASURES = {"accuracy": "test_accuracy", "shift_consistency": "shift_consistency"}


@dataclass(frozen=True)
class Results:
    """The tables of data/results with those of the probes; frames indexed by variant where it is unique."""

    settings: Params
    runs: pd.DataFrame
    variants: pd.DataFrame
    effects: pd.DataFrame
    contrasts: pd.DataFrame
    curves: pd.DataFrame
    confusion: pd.DataFrame
    shifts: dict[str, pd.DataFrame]
    filters: dict[str, np.ndarray]
    dataset: dict[str, Any]
    constants: dict[str, Any]

    @cached_property
    def names(self) -> Names:
        return Names(self.settings)

    @property
    def families(self) -> list[str]:
        """Families with at least two levels that ran, so that there is something to compare."""
        return [key for key in self.settings.families if len(self.settings.levels(key)) > 1]

    @property
    def shifts_were_probed(self) -> bool:
        """Whether any image was moved: without a margin there is nowhere to move it to."""
        return any(bool((table[["dy", "dx"]] != 0).any(axis=None)) for table in self.shifts.values())

    def per_seed(self, variant: str, measure: str) -> dict[int, float]:
        own = self.runs[self.runs["variant"] == variant]
        return dict(zip(own["seed"], own[MEASURES[measure]], strict=True))

    def mean(self, variant: str, measure: str = "accuracy") -> intervals.Estimate:
        return intervals.estimate(self.per_seed(variant, measure).values(), self.settings.inference.confidence)

    def differences(self, variant: str, reference: str, measure: str = "accuracy") -> dict[int, float]:
        return intervals.paired_differences(self.per_seed(variant, measure), self.per_seed(reference, measure))

    def estimate(self, differences: dict[int, float]) -> intervals.Estimate:
        return intervals.estimate(differences.values(), self.settings.inference.confidence)

    def direction(self, made: intervals.Estimate) -> str:
        return intervals.direction(made.low, made.high, made.n, self.settings.inference.min_seeds)


def load(settings: Params) -> Results:
    """Raises StageError if a file is missing, or if the results are not those of params.yaml's active variants."""
    tables = {name: _csv(paths.RESULTS / f"{name}.csv") for name in ("runs", "variants", "effects", "contrasts", "curves", "confusion")}
    active = list(settings.active_variants)
    if list(tables["variants"]["variant"]) != active:
        raise StageError(f"data/results holds {list(tables['variants']['variant'])}, but params.yaml asks for {active}; run `dvc repro collect`")
    tables["variants"] = tables["variants"].set_index("variant")
    shifts = {key: _csv(paths.PROBES / key / "shift.csv") for key in active}
    filters = {key: load_file(path)["filters"] for key in active if (path := paths.PROBES / key / "filters.safetensors").exists()}
    dataset, constants = (paths.read_json(_existing(path)) for path in (paths.RAW / "dataset.json", paths.PREPARED / "constants.json"))
    return Results(settings=settings, shifts=shifts, filters=filters, dataset=dataset, constants=constants, **tables)


def _csv(path: Path) -> pd.DataFrame:
    # A level may be called "none" or "NA": only an empty field is unknown.
    return pd.read_csv(_existing(path), keep_default_na=False, na_values=[""])


def _existing(path: Path) -> Path:
    if not path.exists():
        raise StageError(f"{path.relative_to(paths.ROOT)} is missing; run `dvc repro`")
    return path

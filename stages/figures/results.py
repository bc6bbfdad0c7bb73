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
from stages.provenance import StageError, need

MEASURES = {"accuracy": "test_accuracy", "shift_consistency": "shift_consistency"}


@dataclass(frozen=True)
class Results:
    """The tables of data/results with those of the probes; frames indexed by variant where it is unique."""

    settings: Params
    runs: pd.DataFrame
    variants: pd.DataFrame
    effects: pd.DataFrame
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
        return [key for key in self.settings.families if len(self.names.levels(key)) > 1]

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
    tables = {name: _csv(paths.RESULTS / f"{name}.csv", "collect") for name in ("runs", "variants", "effects", "contrasts", "curves", "confusion")}
    _check_fresh(settings, tables["runs"], tables["variants"], tables.pop("contrasts"))
    tables["variants"] = tables["variants"].set_index("variant")
    active = settings.active_variants
    shifts = {key: _csv(paths.PROBES / key / "shift.csv", f"probe@{key}") for key in active}
    filters = {key: load_file(path)["filters"] for key in active if (path := paths.PROBES / key / "filters.safetensors").exists()}
    described = {paths.RAW / "dataset.json": "download", paths.PREPARED / "constants.json": "prepare"}
    for path, stage in described.items():
        need(path, stage)
    dataset, constants = (paths.read_json(path) for path in described)
    return Results(settings=settings, shifts=shifts, filters=filters, dataset=dataset, constants=constants, **tables)


def _check_fresh(settings: Params, runs: pd.DataFrame, variants: pd.DataFrame, contrasts: pd.DataFrame) -> None:
    asked = {
        "variants": (list(variants["variant"]), list(settings.active_variants)),
        "seeds": (sorted(runs["seed"].unique().tolist()), sorted(settings.active_protocol.seeds)),
        "contrasts": (list(contrasts["contrast"]), list(settings.contrasts)),
    }
    for what, (found, wanted) in asked.items():
        if found != wanted:
            raise StageError(f"data/results holds the {what} {found}, but params.yaml asks for {wanted}; run `dvc repro collect`")


def _csv(path: Path, stage: str) -> pd.DataFrame:
    """A variant may be called "1", a level "none" or "NA": names stay text, and only an empty field is unknown."""
    need(path, stage)
    names = dict.fromkeys(("variant", "reference", "family", "level", "contrast", "title"), str)
    return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=names)

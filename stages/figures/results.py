"""What the figures are drawn from, read once."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.figures import pictures
from stages.figures.names import Names
from stages.shared import params, paths
from stages.shared.inference import intervals
from stages.shared.params import Hypothesis, Params
from stages.shared.stage_command import StageError, need

MEASURES = {
    "accuracy": "test_accuracy",
    "val_accuracy": "val_accuracy",
    "train_accuracy": "train_accuracy",
    "shift_consistency": "shift_consistency",
    "shifted_accuracy": "shifted_accuracy",
    "position_r2_shuffled": "position_r2_shuffled",
    "equivariance_error_last": "equivariance_error_last",
}
NOT_RUN = "not run"
TABLES = ("runs", "diverged", "variants", "effects", "hypotheses", "aa", "curves", "confusion", "hard_images")


@dataclass(frozen=True)
class Results:
    """The tables of data/results with those of the probes; frames indexed by variant, or hypothesis, where it is unique.

    settings: without the variants of which every seed diverged, which are in `diverged` alone.
    """

    settings: Params
    declared: dict[str, Hypothesis]
    runs: pd.DataFrame
    diverged: pd.DataFrame
    variants: pd.DataFrame
    effects: pd.DataFrame
    hypotheses: pd.DataFrame
    aa: pd.DataFrame
    curves: pd.DataFrame
    confusion: pd.DataFrame
    shifts: dict[str, pd.DataFrame]
    hard_images: pd.DataFrame
    hard_pixels: np.ndarray
    pictures: dict[str, dict[str, np.ndarray]]
    dataset: dict[str, Any]
    constants: dict[str, Any]

    @cached_property
    def names(self) -> Names:
        return Names(self.settings)

    @property
    def families(self) -> list[str]:
        """Families of which the reference and another level ran, one of which is at home there or the subject of one of its hypotheses.

        Without the latter, such as where a protocol has one learning rate alone, the comparison is another family's.
        """
        asked = {about.family for key, about in self.declared.items() if self.has_run(key)}
        levels = {key: self.names.levels(key) for key in self.settings.families}
        compared = {
            key: own for key, own in levels.items() if len(own) > 1 and self.settings.families[key].reference in own
        }
        return [
            key
            for key, own in compared.items()
            if key in asked or any(self.names.home(variant) == key for variant in own)
        ]

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
        """Paired over the seeds that both ran under."""
        one, other = self.per_seed(variant, measure), self.per_seed(reference, measure)
        shared = one.keys() & other.keys()
        return intervals.paired_differences(*({seed: arm[seed] for seed in shared} for arm in (one, other)))

    def contrast(self, key: str) -> dict[int, float]:
        """What a declared hypothesis compares, by seed: variant − reference, or the difference of two such differences."""
        about = self.declared[key]
        made = self.differences(about.contrast.variant, about.contrast.reference, about.metric)
        if about.contrast.minus is None:
            return made
        taken = self.differences(about.contrast.minus.variant, about.contrast.minus.reference, about.metric)
        shared = made.keys() & taken.keys()
        return intervals.paired_differences(*({seed: one[seed] for seed in shared} for one in (made, taken)))

    def has_run(self, key: str) -> bool:
        """Whether a hypothesis is declared, and was measured."""
        return key in self.hypotheses.index and not pd.isna(self.hypotheses.loc[key, "n_seeds"])

    def number(self, key: str) -> str:
        """ "H3": a hypothesis by its place in hypotheses.yaml."""
        return f"H{1 + list(self.declared).index(key)}"

    @property
    def primary(self) -> list[str]:
        """The variants that ran under every seed of the protocol: those of declared hypotheses."""
        protocol = self.settings.chosen_protocol
        return [key for key in self.variants.index if len(self.settings.seeds(key)) == len(protocol.seeds)]

    @property
    def nets(self) -> list[str]:
        """The variants that differ from the baseline in the architecture, and the learning rate that it was given, alone.

        Of an architecture that ran at several rates, the first in params.yaml: the others show what the rate does.
        """
        free = ("architecture", "recipe.lr")
        base = _but(self.settings, self.settings.baseline, *free)
        others = {key for group in self.alike_but("recipe.lr") for key in group[1:]} - {self.settings.baseline}
        return [key for key in self.variants.index if key not in others and _but(self.settings, key, *free) == base]

    def alike_but(self, *free: str) -> list[list[str]]:
        """Groups of two variants and more that differ in nothing but these settings, such as "sample.layout"."""
        groups: dict[str, list[str]] = {}
        for key in self.variants.index:
            groups.setdefault(_but(self.settings, key, *free), []).append(key)
        return [group for group in groups.values() if len(group) > 1]

    def estimate(self, differences: dict[int, float]) -> intervals.Estimate:
        return intervals.estimate(differences.values(), self.settings.inference.confidence)

    def direction(self, made: intervals.Estimate) -> str:
        return intervals.direction(made.low, made.high, made.n, self.settings.inference.min_seeds)


def load(settings: Params) -> Results:
    """Raises StageError if a file is missing, or if the results are not those of params.yaml's active variants."""
    declared = params.load_hypotheses(settings, paths.HYPOTHESES)
    tables = {name: _csv(paths.RESULTS / f"{name}.csv", "collect") for name in TABLES}
    settings = settings.without(set(tables["diverged"]["variant"]) - set(tables["runs"]["variant"]))
    _check_fresh(settings, tables, declared)
    tables["variants"] = tables["variants"].set_index("variant")
    tables["hypotheses"] = tables["hypotheses"].set_index("hypothesis")
    active = settings.active_variants
    shifts = {key: _csv(paths.PROBES / key / "shift.csv", f"probe@{key}") for key in active}
    described = {paths.RAW / "dataset.json": "download", paths.PREPARED / "constants.json": "prepare"}
    for path, stage in described.items():
        need(path, stage)
    dataset, constants = (paths.read_json(path) for path in described)
    drawn, pixels = (
        pictures.load(paths.PROBES, active),
        pictures.hard_pixels(paths.PREPARED / "test.safetensors", tables["hard_images"], constants["margin"]),
    )
    return Results(
        settings=settings, declared=declared, shifts=shifts, pictures=drawn, hard_pixels=pixels, dataset=dataset, constants=constants, **tables,
    )  # fmt: skip


def _but(settings: Params, key: str, *free: str) -> str:
    """All that a variant trains, as text, without these settings, or blocks, and without the number of its seeds."""
    run = settings.variants[key].run.model_dump(mode="json", exclude={"sample": {"seeds"}})
    for name in free:
        block, _, field = name.partition(".")
        if field:
            run[block].pop(field)
        else:
            run.pop(block)
    return json.dumps(run, sort_keys=True)


def _check_fresh(settings: Params, tables: dict[str, pd.DataFrame], declared: dict[str, Hypothesis]) -> None:
    active = list(settings.active_variants)
    begun = pd.concat([tables["runs"], tables["diverged"]]).groupby("variant")["seed"]
    seeds = {key: sorted(own.tolist()) for key, own in begun}
    asked = {
        "variants": (list(tables["variants"]["variant"]), active),
        "hypotheses": (list(tables["hypotheses"]["hypothesis"]), list(declared)),
    } | {f"seeds of {key}": (seeds.get(key, []), sorted(settings.seeds(key))) for key in active}
    for what, (found, wanted) in asked.items():
        if found != wanted:
            raise StageError(
                f"data/results holds the {what} {found}, but the settings ask for {wanted}; run `dvc repro collect`"
            )


def _csv(path: Path, stage: str) -> pd.DataFrame:
    """A variant may be called "1", a level "none" or "NA": names stay text, and only an empty field is unknown."""
    need(path, stage)
    names = dict.fromkeys(
        (
            "variant",
            "reference",
            "family",
            "level",
            "hypothesis",
            "metric",
            "direction",
            "verdict",
            "outcome",
            "reason",
        ),
        str,
    )
    return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=names)

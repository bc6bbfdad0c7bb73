"""Everything that figures, tables and sentences are made from, read once."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import safe_open
from safetensors.numpy import load_file

from stages.figures.names import Names
from stages.figures.trained_nets import TrainedNet, offered_images, trained_nets
from stages.shared import params, paths
from stages.shared.declared import claim_digest
from stages.shared.drawing import pictures
from stages.shared.inference import headline, intervals
from stages.shared.lettering import class_names
from stages.shared.metrics import METRICS, is_fraction, n_images
from stages.shared.params import Hypothesis, Params
from stages.shared.stage_command import StageError, need

TABLES = ["runs", "diverged", "variants", "effects", "hypotheses", "aa", "published"]
TABLES += ["curves", "confusion", "hard_images", "shifts", "longer", "longer_hypotheses", "unmeasured"]
INDEXED = {
    "variants": "variant",
    "longer": "variant",
    "hypotheses": "hypothesis",
    "longer_hypotheses": "hypothesis",
}
REFERENCE = "reference"  # the protocol whose results are published as those of scale
JUDGED = ["difference", "total_low", "total_high", "verdict", "outcome"]  # of a hypothesis
BASE = ("data", "sample", "architecture", "recipe")  # what every variant builds on
CONTROLS = "controls"  # the family whose variants test the benchmark
TEXT_COLUMNS = ["device", "variant", "reference", "family", "level", "hypothesis", "metric"]
TEXT_COLUMNS += ["direction", "verdict", "outcome", "reason", "declared", "kind", "key", "source"]


@dataclass(frozen=True)
class Results:
    """The tables of data/results, what the probes left to draw, and what describes the data.

    settings: without the variants of which every seed diverged; those are in `diverged` alone.
    declared: the hypotheses of hypotheses.yaml by key. variants, hypotheses: indexed by variant and by hypothesis.
    longer, longer_hypotheses: of the variants that were trained longer, under the same names.
    unmeasured: which probes have no value for a variant, and why.
    hard_pixels: the images of hard_images in the same order, (n, C, H, W) from 0 to 255, without their margin.
    pictures: variant → the arrays in pictures.safetensors of its first seed that finished.
    dataset, constants: dataset.json and constants.json; the latter with the names of the classes as they are shown.
    trained: the nets that a reader may try. offered_images, offered_labels: test images to try them on.
    reference: what is published of the hypotheses at another scale, by their keys; empty where nothing is that has the
    same data. reference_train_size: of each seed there.
    """

    settings: Params
    declared: dict[str, Hypothesis]
    runs: pd.DataFrame
    diverged: pd.DataFrame
    variants: pd.DataFrame
    effects: pd.DataFrame
    hypotheses: pd.DataFrame
    aa: pd.DataFrame
    longer: pd.DataFrame
    longer_hypotheses: pd.DataFrame
    published: pd.DataFrame
    curves: pd.DataFrame
    confusion: pd.DataFrame
    shifts: pd.DataFrame
    unmeasured: pd.DataFrame
    hard_images: pd.DataFrame
    hard_pixels: np.ndarray
    pictures: dict[str, dict[str, np.ndarray]]
    dataset: dict[str, Any]
    constants: dict[str, Any]
    trained: dict[str, TrainedNet]
    offered_images: np.ndarray
    offered_labels: np.ndarray
    reference: pd.DataFrame
    reference_train_size: int

    @cached_property
    def names(self) -> Names:
        return Names(self.settings)

    @property
    def families(self) -> list[str]:
        """Families to compare: the reference ran, another level ran, and the comparison belongs to this family.

        It does where a variant has the family as its first, or where a measured hypothesis is about the family.
        """
        of_hypotheses = {hypothesis.family for key, hypothesis in self.declared.items() if self.has_run(key)}
        families = []
        for family, description in self.settings.families.items():
            levels = self.names.levels(family)
            is_first = any(self.names.first_family(variant) == family for variant in levels)
            if len(levels) > 1 and description.reference in levels and (is_first or family in of_hypotheses):
                families.append(family)
        return families

    @property
    def shifts_were_probed(self) -> bool:
        """Whether any image was shifted. Without a margin none can be."""
        return bool((self.shifts[["dy", "dx"]] != 0).any(axis=None))

    def per_seed(self, variant: str, column: str = "test_accuracy") -> dict[int, float]:
        """Seed → value of a column of runs.csv."""
        runs = self._runs_of.get(variant, self.runs[:0])
        return dict(zip(runs["seed"], runs[column].astype(float), strict=True))

    @cached_property
    def _runs_of(self) -> dict[str, pd.DataFrame]:
        """Variant → its rows of runs.csv."""
        return {str(variant): rows for variant, rows in self.runs.groupby("variant", sort=False)}

    def mean(self, variant: str, column: str = "test_accuracy") -> intervals.Estimate:
        """Mean over a variant's seeds with its interval; NaN where a seed has no value."""
        values = self.per_seed(variant, column).values()
        estimate = intervals.estimate(values, self.settings.inference.confidence, self.n_images(column))
        return estimate.within(0, 1) if is_fraction(column) else estimate

    def means(self, variants: list[str], column: str) -> dict[str, intervals.Estimate]:
        """The mean of each variant that has a value in every seed."""
        estimates = {variant: self.mean(variant, column) for variant in variants}
        return {variant: estimate for variant, estimate in estimates.items() if not np.isnan(estimate.mean)}

    def differences(self, variant: str, reference: str, column: str = "test_accuracy") -> np.ndarray:
        """variant − reference for each seed that both ran under, in ascending order of the seeds."""
        tables = intervals.on_shared_seeds(self.per_seed(variant, column), self.per_seed(reference, column))
        return (tables[0] - tables[1]).ravel()

    def mean_difference(self, variant: str, reference: str, column: str = "test_accuracy") -> intervals.Estimate:
        differences = self.differences(variant, reference, column)
        return intervals.estimate(differences, self.settings.inference.confidence, self.n_images(column))

    def contrast(self, key: str) -> np.ndarray:
        """What a hypothesis compares, by seed: variant − reference, or one such difference minus others."""
        contrast, column = self.declared[key].contrast, METRICS[self.declared[key].metric].column
        tables = intervals.on_shared_seeds(*(self.per_seed(variant, column) for variant in contrast.variants))
        return intervals.difference_of_pairs(tables).ravel()

    def estimate(self, values: Iterable[float]) -> intervals.Estimate:
        """Mean of one value a seed, with its interval."""
        return intervals.estimate(values, self.settings.inference.confidence)

    def n_images(self, column: str) -> int | None:
        """How many test images a value in a column of runs.csv is a mean over, if it is one."""
        n_test = sum(self.constants["class_counts"]["test"])
        return n_images(column, n_test, self.settings.chosen_protocol.probe_images)

    def direction(self, estimate: intervals.Estimate) -> str:
        return intervals.direction(estimate.low, estimate.high, estimate.n, self.settings.inference.min_seeds)

    def has_run(self, key: str) -> bool:
        """Whether a hypothesis is declared and was measured."""
        return headline.has_run(self.hypotheses, key)

    def number(self, key: str) -> str:
        """Return "H3" for the third hypothesis of hypotheses.yaml."""
        return f"H{1 + list(self.declared).index(key)}"

    def connectivity(self, variant: str) -> str:
        return self.settings.variants[variant].run.architecture.connectivity

    def permuted_twin(self, variant: str) -> str | None:
        """The variant that is the same but for its pixels, which are permuted: the control of what it assumes."""
        if self.settings.variants[variant].run.sample.layout != "original":
            return None
        for group in self.alike_except("sample.layout"):
            layouts = {self.settings.variants[key].run.sample.layout: key for key in group}
            if variant in group:
                return layouts.get("permuted")
        return None

    @property
    def baseline(self) -> str:
        return self.settings.baseline

    @property
    def with_all_seeds(self) -> list[str]:
        """The variants that ran under every seed of the protocol: those that declared hypotheses are about."""
        n_seeds = len(self.settings.chosen_protocol.seeds)
        return [variant for variant in self.without_controls if len(self.settings.seeds(variant)) == n_seeds]

    @property
    def without_controls(self) -> list[str]:
        """The variants with results: the baseline, and those whose first family is not `controls`."""
        return [str(key) for key in self.variants.index if not self.is_control(key)]

    def is_control(self, variant: str) -> bool:
        return self.names.first_family(variant) == CONTROLS and variant != self.baseline

    @property
    def nets(self) -> list[str]:
        """The variants that differ from the baseline in nothing but the architecture and its learning rate.

        Where one architecture ran at several rates, only the first in params.yaml counts.
        """
        free = ("architecture", "recipe.lr")
        baseline = _run_without(self.settings, self.baseline, *free)
        other_rates = {variant for group in self.alike_except("recipe.lr") for variant in group[1:]} - {self.baseline}
        return [
            variant
            for variant in self.variants.index
            if variant not in other_rates and _run_without(self.settings, variant, *free) == baseline
        ]

    def alike_except(self, *free: str) -> list[list[str]]:
        """Groups of two or more variants that differ in nothing but these settings, such as "sample.layout"."""
        groups: dict[str, list[str]] = {}
        for variant in self.variants.index:
            groups.setdefault(_run_without(self.settings, variant, *free), []).append(variant)
        return [group for group in groups.values() if len(group) > 1]


def load(settings: Params) -> Results:
    """Read everything. Raises StageError if a file is missing, or if data/results belongs to other settings."""
    declared = params.load_hypotheses(settings, paths.HYPOTHESES)
    tables = {name: _read_csv(paths.RESULTS / f"{name}.csv") for name in TABLES}
    settings = settings.without(set(tables["diverged"]["variant"]) - set(tables["runs"]["variant"]))
    _check_settings(settings, tables, declared)
    for name, column in INDEXED.items():
        tables[name] = tables[name].set_index(column)
    dataset, constants = paths.RAW / "dataset.json", paths.PREPARED / "constants.json"
    need(dataset, "download")
    need(constants, "prepare")
    described = paths.read_json(constants)
    described["classes"] = class_names.shown(described["classes"])
    reference, reference_train_size = _reference(settings, declared)
    images, labels = offered_images()
    return Results(
        settings=settings,
        declared=declared,
        pictures={variant: _pictures(variant, tables["runs"]) for variant in settings.active_variants},
        hard_pixels=pictures.in_bytes(
            hard_pixels(paths.PREPARED / "test.safetensors", tables["hard_images"], described["margin"]),
            described["pixel_range"],
        ),
        dataset=paths.read_json(dataset),
        constants=described,
        trained=trained_nets(settings),
        offered_images=images,
        offered_labels=labels,
        reference=reference,
        reference_train_size=reference_train_size,
        **tables,
    )


def _reference(settings: Params, declared: dict[str, Hypothesis]) -> tuple[pd.DataFrame, int]:
    """The published hypotheses.csv and its train images a seed: the rows of the same claims about the same variants.

    No row where it is of other data or another base, or is this very protocol. Learning rates may differ.
    """
    folder = paths.REFERENCE / REFERENCE
    nothing = pd.DataFrame(columns=["hypothesis", "n_seeds", *JUDGED]).set_index("hypothesis"), 0
    if settings.protocol == REFERENCE or not (folder / "hypotheses.csv").exists():
        return nothing
    published = params.load(folder / "params.yaml")
    size = published.chosen_protocol.train_size
    has_other_base = any(getattr(published, block) != getattr(settings, block) for block in BASE)
    if has_other_base or size == "all":
        return nothing
    claims = params.load_hypotheses(published, folder / "hypotheses.yaml")
    table = _read_csv(folder / "hypotheses.csv").set_index("hypothesis")

    def is_same(key: str) -> bool:
        if claim_digest(declared[key]) != claim_digest(claims[key]):
            return False
        variants = declared[key].contrast.variants
        here, there = ([_run_without(of, variant, "recipe.lr") for variant in variants] for of in (settings, published))
        return here == there

    in_both = [key for key in table.index if key in declared and key in claims]
    return table.loc[list(filter(is_same, in_both))], size


def hard_pixels(test: Path, hard_images: pd.DataFrame, margin: list[int]) -> np.ndarray:
    """The images that hard_images.csv names, without their margin: (n, C, H, W). No other image is read."""
    with safe_open(test, framework="numpy") as file:
        images = file.get_slice("images")
        _, _, height, width = images.get_shape()
        rows, columns = slice(margin[0], height - margin[0]), slice(margin[1], width - margin[1])
        return np.stack([images[int(row) : int(row) + 1][0][:, rows, columns] for row in hard_images["image"]])


def _pictures(variant: str, runs: pd.DataFrame) -> dict[str, np.ndarray]:
    """What the probe of the variant's first finished seed left to draw."""
    seed = runs.loc[runs["variant"] == variant, "seed"].min()
    path = paths.PROBES / variant / f"seed_{seed}" / "pictures.safetensors"
    need(path, "probe")
    return load_file(path)


def _run_without(settings: Params, variant: str, *free: str) -> str:
    """All that a variant trains as text, without these settings or blocks, and without its number of seeds."""
    run = settings.variants[variant].run.model_dump(mode="json", exclude={"sample": {"seeds"}})
    for name in free:
        block, _, field = name.partition(".")
        if field:
            run[block].pop(field)
        else:
            run.pop(block)
    return json.dumps(run, sort_keys=True)


def _check_settings(settings: Params, tables: dict[str, pd.DataFrame], declared: dict[str, Hypothesis]) -> None:
    variants = list(settings.active_variants)
    runs = pd.concat([tables["runs"], tables["diverged"]]).groupby("variant")["seed"]
    seeds = {variant: sorted(column.tolist()) for variant, column in runs}
    compared: dict[str, tuple[list[Any], list[Any]]] = {
        "variants": (list(tables["variants"]["variant"]), variants),
        "hypotheses": (list(tables["hypotheses"]["hypothesis"]), list(declared)),
    }
    for variant in variants:
        compared[f"seeds of {variant}"] = (seeds.get(variant, []), sorted(settings.seeds(variant)))
    for what, (present, wanted) in compared.items():
        if present != wanted:
            raise StageError(
                f"data/results holds the {what} {present}, but the settings ask for {wanted}; run `dvc repro collect`"
            )


def _read_csv(path: Path) -> pd.DataFrame:
    """A variant may be called "1" and a level "none" or "NA": names stay text, and only an empty field is unknown."""
    need(path, "collect")
    return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(TEXT_COLUMNS, str))

"""Which variants the probes are shown of, and what they measured."""

import math

from stages.figures.results import Results
from stages.shared.inference import intervals


def called(results: Results) -> dict[str, str]:
    """Variant → what it is called where there is little room: those of `kinds` by their net, the others by their level."""
    return {key: results.names.short(key) for key in results.variants.index} | {
        key: results.names.net(key) for key in kinds(results)
    }


def estimate(results: Results, variant: str, column: str) -> intervals.Estimate:
    """A column of runs.csv over a variant's seeds; NaN where a seed has none."""
    own = results.runs.loc[results.runs["variant"] == variant, column]
    return intervals.estimate(own.astype(float), results.settings.inference.confidence)


def measured(results: Results, variants: list[str], column: str) -> dict[str, intervals.Estimate]:
    """Of those variants in every seed of which the probe has a meaning."""
    made = {key: estimate(results, key, column) for key in variants}
    return {key: one for key, one in made.items() if not math.isnan(one.mean)}


def difference(results: Results, variant: str, reference: str, column: str) -> intervals.Estimate:
    """variant − reference, paired over the seeds that both ran under."""
    one, other = (
        dict(zip(own["seed"], own[column].astype(float), strict=True))
        for own in (results.runs[results.runs["variant"] == key] for key in (variant, reference))
    )
    shared = one.keys() & other.keys()
    return results.estimate(
        intervals.paired_differences(*({seed: arm[seed] for seed in shared} for arm in (one, other)))
    )


def kinds(results: Results) -> list[str]:
    """The baseline, and of every other kind of net the first that differs from it in the architecture alone."""
    found = {results.names.net(results.settings.baseline): results.settings.baseline}
    for key in results.nets:
        if has_layers(results, key):
            found.setdefault(results.names.net(key), key)
    return list(found.values())


def of_kind(results: Results, connectivity: str) -> str | None:
    """The one of `kinds` that is so connected, if one is."""
    return next(
        (key for key in kinds(results) if results.settings.variants[key].run.architecture.connectivity == connectivity),
        None,
    )


def has_layers(results: Results, key: str) -> bool:
    """Whether a net is more than a linear model."""
    architecture = results.settings.variants[key].run.architecture
    return bool(architecture.channels) or architecture.connectivity == "resnet18"


def shuffled_twin(results: Results) -> str | None:
    """The baseline trained on permuted pixels, if it ran."""
    for group in results.alike_but("sample.layout"):
        if results.settings.baseline in group:
            return next((key for key in group if results.settings.variants[key].run.sample.layout == "permuted"), None)
    return None


def compared(results: Results) -> list[str]:
    """The variants that differ from the baseline in architecture or layout alone: those of which the probes tell a net's nature."""
    twins = {key for group in results.alike_but("sample.layout") if set(group) & set(results.nets) for key in group}
    return [key for key in results.variants.index if key in results.nets or key in twins]

"""What of somebody else's published results holds: their numbers beside ours, and a verdict for each of their claims."""

import pandas as pd

from stages.figures import hypotheses, sentences
from stages.figures.results import Results
from stages.shared.drawing import numbers
from stages.shared.drawing.tables import cell, pipe_tables
from stages.shared.params import Published


def published(results: Results) -> list[str]:
    """The variants that somebody else has published numbers of, and that ran."""
    return [key for key, variant in results.settings.active_variants.items() if variant.published is not None]


def section(results: Results) -> str:
    """Markdown; where nothing of the kind ran, how to run it."""
    keys = published(results)
    if not keys:
        known = {key for key, variant in results.settings.variants.items() if variant.published is not None}
        elsewhere = [name for name, protocol in results.settings.protocols.items() if known & set(protocol.variants)]
        if not elsewhere:
            return "No variant of `params.yaml` has published numbers to compare with.\n"
        named = sentences.joined([f"`protocol: *{name}`" for name in elsewhere])
        return f"The published results were not replicated in this run: set {named} in `params.yaml` and say `make repro`.\n"
    claims = [f"- {hypotheses.sentence(results, key)}" for key in _claims(results, keys)]
    numbers_are = "@tbl-published and @tbl-published-parameters set the published numbers beside those measured here"
    parts = [f"{numbers_are} over {sentences.seeds(results)}. {_order(results, keys)}"]
    parts += ["\n".join(claims)] if claims else []
    return "\n\n".join([*parts, table(results)])


def table(results: Results) -> str:
    keys = published(results)
    labels = [cell(results.names.label(key)) for key in keys]
    accuracy = pd.DataFrame(
        {
            "Variant": labels,
            "Published, %": [numbers.percent(_about(results, key).accuracy) for key in keys],
            "Summary there": [cell(_about(results, key).summary) for key in keys],
            "Here, %": [
                f"{numbers.percent(made.mean)} {numbers.interval(made.low, made.high)}"
                for made in map(results.mean, keys)
            ],
        }
    )
    parameters = pd.DataFrame(
        {
            "Variant": labels,
            "Parameters published": [numbers.count(_about(results, key).parameters) for key in keys],
            "Counted here": [numbers.count(results.variants.loc[key, "parameters"]) for key in keys],
        }
    )
    caption = f"Published test accuracy of one seed, and what its summary says, beside the mean here with its {sentences.confidence(results)} interval."
    return (
        pipe_tables(accuracy, "tbl-published", caption)
        + "\n"
        + pipe_tables(
            parameters,
            "tbl-published-parameters",
            "The parameters of the same networks, as published and as counted in closed form.",
        )
    )


def frame(results: Results) -> pd.DataFrame:
    keys = published(results)
    about = [_about(results, key).model_dump() for key in keys]
    measured = results.variants.loc[keys, ["accuracy_mean", "accuracy_low", "accuracy_high", "parameters"]]
    return (
        pd.DataFrame(about)
        .add_prefix("published_")
        .assign(**{name: measured[name].to_numpy() for name in measured})
        .assign(variant=keys)
    )


def _claims(results: Results, keys: list[str]) -> list[str]:
    """The hypotheses about nothing but published variants."""
    return [key for key, about in results.declared.items() if set(about.contrast.variants) <= set(keys)]


def _order(results: Results, keys: list[str]) -> str:
    """Whether the ranking by accuracy is the published one."""
    theirs = sorted(keys, key=lambda key: -_about(results, key).accuracy)
    ours = sorted(keys, key=lambda key: -results.mean(key).mean)
    listed = sentences.joined([sentences.named(results, key) for key in ours])
    same = "the same order as published" if ours == theirs else "not the order that was published"
    return f"By mean accuracy, the highest first, they are {listed}: {same}."


def _about(results: Results, key: str) -> Published:
    """Of a variant of `published`."""
    about = results.settings.variants[key].published
    assert about is not None
    return about

"""A published result beside ours: its numbers, and a verdict for each of its claims."""

import pandas as pd

from stages.figures import hypotheses, wording
from stages.figures.results import Results
from stages.shared.drawing import numbers
from stages.shared.drawing.tables import cell, csv, pipe_tables
from stages.shared.params import Published


def texts(results: Results) -> dict[str, str]:
    files = {"replication.md": section(results)}
    if published(results):
        files |= {"tables/published.md": tables(results), "tables/published.csv": csv(_rows_of_csv(results))}
    return files


def published(results: Results) -> dict[str, Published]:
    """The published numbers of the variants that ran and have such numbers."""
    variants = results.settings.active_variants.items()
    return {variant: settings.published for variant, settings in variants if settings.published is not None}


def section(results: Results) -> str:
    """The report's section; where no such variant ran, how to run them."""
    if not published(results):
        return _how_to_run(results)
    claims = [f"- {hypotheses.sentence(results, key)}" for key in _claims(results)]
    tables_named = "@tbl-published and @tbl-published-parameters set the published numbers beside those measured here"
    parts = [f"{tables_named} over {wording.seeds(results)}. {_ranking(results)}", "\n".join(claims), tables(results)]
    return "\n\n".join(filter(None, parts))


def tables(results: Results) -> str:
    """Accuracies and numbers of parameters, published and here."""
    there = published(results)
    labels = [cell(results.names.label(variant)) for variant in there]
    here = [results.mean(variant) for variant in there]
    accuracy = {
        "Variant": labels,
        "Published, %": [numbers.percent(numbers_there.accuracy) for numbers_there in there.values()],
        "Summary there": [cell(numbers_there.summary) for numbers_there in there.values()],
        "Here, %": [f"{numbers.percent(one.mean)} {numbers.interval(one.low, one.high)}" for one in here],
    }
    parameters = {
        "Variant": labels,
        "Parameters published": [numbers.count(numbers_there.parameters) for numbers_there in there.values()],
        "Counted here": [numbers.count(results.variants.loc[variant, "parameters"]) for variant in there],
    }
    caption = (
        f"Published test accuracy of one seed, and what its summary says, beside the mean here with its "
        f"{wording.confidence(results)} interval."
    )
    parameters_caption = "The parameters of the same networks, as published and as counted in closed form."
    counted = pipe_tables(pd.DataFrame(parameters), "tbl-published-parameters", parameters_caption)
    return f"{pipe_tables(pd.DataFrame(accuracy), 'tbl-published', caption)}\n{counted}"


def _rows_of_csv(results: Results) -> pd.DataFrame:
    there = published(results)
    rows = pd.DataFrame([numbers_there.model_dump() for numbers_there in there.values()]).add_prefix("published_")
    for column in ("accuracy_mean", "accuracy_low", "accuracy_high", "parameters"):
        rows[column] = results.variants.loc[list(there), column].to_numpy()
    return rows.assign(variant=list(there))


def _how_to_run(results: Results) -> str:
    known = {variant for variant, settings in results.settings.variants.items() if settings.published is not None}
    protocols = [name for name, protocol in results.settings.protocols.items() if known & set(protocol.variants)]
    if not protocols:
        return "No variant of `params.yaml` has published numbers to compare with.\n"
    lines = wording.joined([f"`protocol: {name}`" for name in protocols])
    how = f"set {lines} in `params.yaml` and say `make repro`"
    return f"The published results were not replicated in this run: {how}.\n"


def _claims(results: Results) -> list[str]:
    """The hypotheses about nothing but published variants."""
    variants = published(results).keys()
    return [key for key, hypothesis in results.declared.items() if set(hypothesis.contrast.variants) <= variants]


def _ranking(results: Results) -> str:
    """Whether the ranking by accuracy is the published one."""
    there = published(results)
    ranked_there = sorted(there, key=lambda variant: -there[variant].accuracy)
    ranked_here = sorted(there, key=lambda variant: -results.mean(variant).mean)
    listed = wording.joined([wording.italic_label(results, variant) for variant in ranked_here])
    same = "the same order as published" if ranked_here == ranked_there else "not the order that was published"
    return f"By mean accuracy, the highest first, they are {listed}: {same}."

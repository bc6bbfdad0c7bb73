"""Runs that diverged: how many, of which variants, and in which epochs."""

import pandas as pd

from stages.figures import sentences
from stages.figures.results import Results
from stages.shared.drawing import numbers
from stages.shared.drawing.tables import cell, pipe_tables


def lost(results: Results) -> list[str]:
    """The variants without a finished run."""
    return [key for key in dict.fromkeys(results.diverged["variant"]) if key not in results.variants.index]


def sentence(results: Results) -> str:
    """How many runs have no accuracy, and which variants are therefore in no other table or figure."""
    if results.diverged.empty:
        return "Every run finished."
    diverged, variants = len(results.diverged), results.diverged["variant"].nunique()
    runs, have = numbers.plural(diverged + len(results.runs), "run"), "has" if diverged == 1 else "have"
    said = f"Of {runs}, {diverged}, of {numbers.plural(variants, 'variant')}, diverged and {have} no accuracy (@tbl-diverged)."
    if not lost(results):
        return said
    named = sentences.joined([sentences.named(results, key) for key in lost(results)])
    return f"{said} Without a run that finished, {named} {'is' if len(lost(results)) == 1 else 'are'} in no other table or figure."


def frame(results: Results) -> pd.DataFrame:
    """A row for each run that diverged, with its variant's name."""
    made = results.diverged.copy()
    made.insert(1, "label", [results.names.label(key) for key in made["variant"]])
    return made


def table(results: Results) -> str:
    """A row for each variant of which a run diverged; empty where none did."""
    if results.diverged.empty:
        return ""
    groups = {str(key): own for key, own in results.diverged.groupby("variant", sort=False)}
    shown = pd.DataFrame(
        {
            "Variant": [cell(results.names.label(key)) for key in groups],
            "Diverged": [f"{len(own)} of {len(results.settings.seeds(key))} seeds" for key, own in groups.items()],
            "Seed (epoch)": [
                ", ".join(f"{seed} ({epoch})" for seed, epoch in zip(own["seed"], own["epoch"], strict=True))
                for own in groups.values()
            ],
        }
    )
    return pipe_tables(
        shown,
        "tbl-diverged",
        "Runs whose loss was no longer finite: their seeds, and the epoch in which each diverged.",
    )

"""Was the training long enough? What the last epoch still added, and how far train and test accuracy lie apart."""

import pandas as pd

from stages.figures import sentences
from stages.figures.results import Results
from stages.shared.drawing import numbers
from stages.shared.drawing.tables import cell, pipe_tables

NAMED = 4  # variants, beyond which they are counted


def last_rise(results: Results) -> pd.Series:
    """By variant: validation accuracy after the last epoch minus that after the one before, mean over seeds; NaN after one epoch."""
    curves = results.curves.sort_values("epoch", kind="stable")
    by_run = curves.groupby(["variant", "seed"], sort=False)["val_accuracy"]
    rises = by_run.agg(lambda values: values.iloc[-1] - values.iloc[-2] if len(values) > 1 else float("nan"))
    return rises.groupby("variant").mean().reindex(results.variants.index)


def rising(results: Results) -> list[str]:
    """The variants that the last epoch still raised by more than the smallest effect of interest."""
    rises = last_rise(results)
    return [str(key) for key in rises.index[rises > results.settings.inference.smallest_effect]]


def sentence(results: Results) -> str:
    found, least = rising(results), f"{numbers.points(results.settings.inference.smallest_effect).lstrip('+')} points"
    if last_rise(results).isna().all():
        return "With one epoch nothing can be said of convergence."
    if not found:
        return f"In no variant did the last epoch raise the validation accuracy by more than {least}: longer training would add little."
    named = f"{len(found)} of {len(results.variants)} variants"
    if len(found) <= NAMED:
        named = sentences.joined([sentences.named(results, key) for key in found])
    return f"In {named}, the last epoch still raised the validation accuracy by more than {least}: longer training would raise it further (@tbl-convergence)."


def table(results: Results) -> str:
    made = frame(results)
    found = set(rising(results))
    rises = zip(made["variant"], made["last_rise"], strict=True)
    shown = pd.DataFrame(
        {
            "Variant": [cell(results.names.label(key)) for key in made["variant"]],
            "Train, %": [numbers.percent(value) for value in made["train_accuracy"]],
            "Test, %": [numbers.percent(value) for value in made["test_accuracy"]],
            "Gap": [numbers.points(value) for value in made["train_accuracy"] - made["test_accuracy"]],
            "Last epoch": [f"{numbers.points(rise)}{' (rising)' if key in found else ''}" for key, rise in rises],
        }
    )
    caption = "Accuracy on train and test images, means over the seeds, the gap between them, and what the last epoch added on the validation images, in points."
    return pipe_tables(shown, "tbl-convergence", caption)


def frame(results: Results) -> pd.DataFrame:
    keys = [str(key) for key in results.variants.index]
    train, test = ([results.mean(key, measure).mean for key in keys] for measure in ("train_accuracy", "accuracy"))
    return pd.DataFrame(
        {"variant": keys, "train_accuracy": train, "test_accuracy": test, "last_rise": last_rise(results).to_numpy()}
    )

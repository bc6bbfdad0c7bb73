"""The figures and tables of what the networks have learnt: every file exists whatever ran."""

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from stages.figures import (
    calibration,
    confusion_differences,
    feature_maps,
    fields,
    filters,
    gallery,
    leaks,
    probed,
    sentences,
)
from stages.figures.results import Results
from stages.shared.drawing import numbers, style
from stages.shared.drawing.tables import cell, pipe_tables

# File → its figure, and what is said where there is nothing to draw.
FIGURES: dict[str, tuple[Callable[[Results], Figure | None], str]] = {
    "filters": (filters.filters, "No variant's filters were probed."),
    "feature-maps": (feature_maps.feature_maps, "The baseline has no feature map."),
    "fields": (fields.fields, "No variant's receptive field was probed."),
    "leaks": (leaks.leaks, "No variant has a feature map with more than one position."),
    "calibration": (calibration.calibration, "No variant's calibration was measured."),
    "gallery": (gallery.gallery, "No run gets any test image wrong."),
    "confusion-differences": (
        confusion_differences.confusion_differences,
        "There are no two variants to compare, or too many classes to name.",
    ),
}
COLUMNS = [
    "ece",
    "nll",
    "effective_field",
    "equivariance_error_first",
    "equivariance_error_last",
    "position_r2",
    "position_r2_shuffled",
    "position_share",
]


def write_figures(results: Results, folder: Path) -> None:
    for name, (draw, otherwise) in FIGURES.items():
        figure = draw(results)
        if figure is None:
            style.note(otherwise, folder / f"{name}.svg")
        else:
            style.save(figure, folder / f"{name}.svg")


def write_tables(results: Results, folder: Path) -> None:
    (folder / "probes.md").write_text(probe_tables(results), encoding="utf-8")
    frame(results).to_csv(folder / "probes.csv", index=False, float_format="%.6f", lineterminator="\n")


def probe_tables(results: Results) -> str:
    """What the last maps of all nets are like, and how well one net of each kind knows what it knows."""
    keys, few = probed.compared(results), probed.kinds(results)
    twin = probed.shuffled_twin(results)
    few += [twin] if twin else []
    inside = pd.DataFrame(
        {
            "Variant": [cell(results.names.label(key)) for key in keys],
            "Sees": [numbers.size(*fields.theoretical(results, key)[:2]) for key in keys],
            "Effective": [_decimal(results, key, "effective_field", 1) for key in keys],
            "Error, %": [_percent(results, key, "equivariance_error_last") for key in keys],
            "Position, R²": [_decimal(results, key, "position_r2_shuffled", 2) for key in keys],
        }
    )
    known = pd.DataFrame(
        {
            "Variant": [cell(results.names.label(key)) for key in few],
            "Accuracy, %": [_percent(results, key, "test_accuracy", 2) for key in few],
            "ECE, %": [_percent(results, key, "ece", 2) for key in few],
            "NLL, nats": [_decimal(results, key, "nll", 3) for key in few],
        }
    )
    spread = f"Means ± SD over {sentences.seeds(results)}; a dash where a probe has no meaning."
    return (
        pipe_tables(
            inside,
            "tbl-probes",
            f"The last feature map: pixels that a unit sees, edge of its effective field in pixels, equivariance error, read-out of position. {spread}",
        )
        + "\n"
        + pipe_tables(
            known,
            "tbl-calibration",
            f"Calibration on the test images: expected calibration error and negative log-likelihood. {spread}",
        )
    )


def frame(results: Results) -> pd.DataFrame:
    """Every probe of every variant: its mean, SD and interval, with all digits."""
    lines = []
    for key in results.variants.index:
        line: dict[str, object] = {"variant": key, "label": results.names.label(key)}
        for column in COLUMNS:
            made = probed.estimate(results, key, column)
            line |= {f"{column}_{part}": getattr(made, part) for part in ("mean", "sd", "low", "high")}
        lines.append(line)
    return pd.DataFrame(lines)


def _percent(results: Results, key: str, column: str, digits: int = 1) -> str:
    made = probed.estimate(results, key, column)
    return (
        numbers.DASH
        if math.isnan(made.mean)
        else f"{numbers.percent(made.mean, digits)} ± {numbers.percent(made.sd, digits)}"
    )


def _decimal(results: Results, key: str, column: str, digits: int) -> str:
    made = probed.estimate(results, key, column)
    return (
        numbers.DASH
        if math.isnan(made.mean)
        else " ± ".join(numbers.plain(value, digits).lstrip("+") for value in (made.mean, made.sd))
    )

"""The EDA's tables: text for the page, and the same with all digits."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stages.eda import draw_images, position
from stages.eda.duplicates import Duplicates
from stages.eda.explained import Explained
from stages.eda.findings.finding import decimal
from stages.eda.locality import DIRECTIONS, Locality
from stages.eda.one_nn import OneNN
from stages.eda.outputs import Table
from stages.shared.drawing import numbers
from stages.shared.drawing.tables import cell

# Statistic, the fact that is its value, and the hypothesis on which it bears.
SUMMARY = (
    ("Always the largest class, test", "chance_accuracy", "what accuracy means"),
    ("Neighbours' correlation, across", "correlation_across", "locality"),
    ("… once permuted", "correlation_across_permuted", "locality"),
    ("Neighbours' correlation, down", "correlation_down", "locality"),
    ("… once permuted", "correlation_down_permuted", "locality"),
    ("Exponent of the power spectrum", "spectrum_slope", "locality"),
    ("… once permuted", "spectrum_slope_permuted", "locality"),
    ("Variance at half the resolution", "coarse_share", "downsampling"),
    ("Class explains of centroid across", "eta2_centroid_x", "translation"),
    ("Class explains of centroid down", "eta2_centroid_y", "translation"),
    ("Object touches the border", "border_share", "translation"),
    ("Intrinsic dimension", "intrinsic_dimension", "sample size"),
    ("1-NN, last doubling of the images", "nearest_neighbour_doubling", "sample size"),
    ("1-NN, test accuracy", "nearest_neighbour_accuracy", "nets against no net"),
    ("Test images also, or nearly, in train", "duplicates_test_share", "what accuracy means"),
)


def summary(facts: dict[str, str]) -> Table:
    rows = [(statistic, facts[name], bears_on) for statistic, name, bears_on in SUMMARY]
    shown = pd.DataFrame(rows, columns=["Statistic", "Value", "Bears on"])
    full = shown.assign(Fact=[name for _, name, _ in SUMMARY])
    return Table(shown, "What the images say before any net is trained, and the hypothesis on which it bears.", full)


def classes(counts: pd.DataFrame, statistics: pd.DataFrame, names: Sequence[str]) -> Table:
    full = pd.concat([pd.Series(names, name="class"), counts, statistics], axis=1)
    first = full.head(draw_images.CLASSES)
    shown = pd.DataFrame(
        {
            "Class": [cell(name) for name in first["class"]],
            **{split.capitalize(): [numbers.count(n) for n in first[split]] for split in counts},
            "Mean": [decimal(value, 3) for value in first["mean"]],
            "SD": [decimal(value, 3) for value in first["sd"]],
        }
    )
    note = "" if len(first) == len(full) else f" The first {len(first)} classes; the CSV has all {len(full)}."
    return Table(
        shown,
        f"Images of each class in each split, and the mean and SD of its pixels (0 to 1) in the sample.{note}",
        full,
    )


def correlation(found: Locality) -> Table:
    wide = found.table.pivot_table(
        index="distance", columns=["layout", "direction"], values="correlation", dropna=False
    )
    columns = [(layout, way) for layout in ("original", "permuted") for way in DIRECTIONS]
    full = wide.reindex(columns=pd.MultiIndex.from_tuples(columns))
    titles = {
        (layout, way): way.capitalize() + (", permuted" if layout == "permuted" else "") for layout, way in columns
    }
    shown = {titles[column]: [decimal(value) for value in full[column]] for column in columns}
    flat = full.set_axis([f"{layout}_{way}" for layout, way in columns], axis=1).rename_axis("distance").reset_index()
    caption = "Correlation of two pixels against their distance in pixels, mean over all pairs that vary."
    return Table(pd.DataFrame({"Distance": [str(d) for d in flat["distance"]], **shown}), caption, flat)


def place(measures: pd.DataFrame, explained: dict[str, Explained]) -> Table:
    names = list(position.MEASURES)
    full = pd.DataFrame(
        {
            "measure": names,
            "mean": [measures[name].mean() for name in names],
            "sd": [measures[name].std(ddof=0) for name in names],
            "eta_squared": [explained[name].share for name in names],
            "by_chance": [explained[name].by_chance for name in names],
        }
    )
    shown = pd.DataFrame(
        {
            "Measure": [text[0].upper() + text[1:] for text in position.MEASURES.values()],
            "Mean": [decimal(value) for value in full["mean"]],
            "SD": [decimal(value) for value in full["sd"]],
            "Explained, %": [numbers.percent(value, 1) for value in full["eta_squared"]],
            "By chance, %": [numbers.percent(value, 1) for value in full["by_chance"]],
        }
    )
    caption = "Where the object is, in pixels from the image's centre to the right and down, its size, and how much of the variance the class explains (η²)."
    return Table(shown, caption, full)


def components(shares: np.ndarray, needed: dict[float, int]) -> Table:
    shown = pd.DataFrame(
        {
            "Share of the variance, %": [f"{100 * share:g}" for share in needed],
            "Components": [f"{count:,}" for count in needed.values()],
        }
    )
    full = pd.DataFrame({"component": np.arange(1, len(shares) + 1), "share_of_variance": shares})
    return Table(
        shown,
        "The first principal components that hold a share of the variance of the pixels; the CSV has the share of each component.",
        full,
    )


def nearest_neighbour(found: OneNN, confidence: float) -> Table:
    table = found.table
    shown = pd.DataFrame(
        {
            "Train images": [f"{n:,}" for n in table["train_images"]],
            "Test accuracy, %": [numbers.percent(value) for value in table["accuracy"]],
            f"{100 * confidence:g} % interval": [
                numbers.interval(low, high) for low, high in zip(table["low"], table["high"], strict=True)
            ],
        }
    )
    return Table(shown, "The nearest neighbour by Euclidean distance of the pixels, and Wilson's interval.", table)


def duplicates(found: Duplicates) -> Table:
    rows = {
        "exact": "Pairs of equal images",
        "near": "Pairs of near-duplicates",
        "other_label": "Pairs with two labels",
        "images": "Images in a pair",
        "of": "Of images",
    }
    columns = {"Within train": found.within_train, "Train to test": found.train_to_test}
    full = pd.DataFrame(
        {"count": list(rows), **{title: [getattr(pairs, name) for name in rows] for title, pairs in columns.items()}}
    )
    shown = full.assign(count=list(rows.values())).rename(columns={"count": "Count"})
    shown[list(columns)] = shown[list(columns)].map(lambda n: f"{n:,}")
    return Table(
        shown,
        "Images that are there twice or nearly; from train to test, the images in a pair are those of the test set.",
        full,
    )

"""What is to be known of the class from where the object is, and how much the data move it."""

from dataclasses import asdict

import numpy as np
import pandas as pd

from stages.eda import position
from stages.eda.explained import Explained
from stages.eda.findings.finding import Finding, by_chance, decimal, joined, share
from stages.shared.drawing import numbers

AXES = {"x": "across", "y": "down"}
SIZES = {"box_width": "width", "box_height": "height"}


def place(
    measures: pd.DataFrame,
    explained: dict[str, Explained],
    paper: np.ndarray,
    threshold: float,
    size: tuple[int, int],
    confidence: float,
) -> Finding:
    """Bears on translation equivariance: whether position is itself a cue, which a net that averages over positions gives up."""
    touches = float(measures["touches_border"].mean()) if measures["touches_border"].notna().any() else np.nan
    sds = {axis: float(measures[f"centroid_{axis}"].std(ddof=0)) for axis in AXES}
    empty = int(measures["box_x"].isna().sum())
    facts = {f"eta2_{name}": share(explained[name].share) for name in position.MEASURES}
    facts |= {f"centroid_sd_{axis}": decimal(sds[axis]) for axis in AXES} | {
        "border_share": share(touches),
        "object_sentence": _object(paper, threshold, empty, len(measures)),
        "border_sentence": _border(touches),
        "position_sentence": _cue(explained, confidence),
        "size_sentence": _size(explained),
        "movement_sentence": _movement(sds, size),
    }
    values = {
        "explained": {name: asdict(found) for name, found in explained.items()},
        "mean": {name: float(measures[name].mean()) for name in position.MEASURES},
        "sd": {name: float(measures[name].std(ddof=0)) for name in position.MEASURES},
        "border_share": touches,
        "background": paper.tolist(),
        "images_without_object": empty,
    }
    return Finding(facts, values)


def _object(paper: np.ndarray, threshold: float, empty: int, n: int) -> str:
    value = joined([f"{value:g}" for value in paper])
    none = f" {numbers.plural(empty, 'image')} of {n:,} {'has' if empty == 1 else 'have'} none." if empty else ""
    return (
        f"The background is the median of the border's pixels ({value} of {position.WHITE}), and the object all pixels that differ from it "
        f"by more than {100 * threshold:g}{numbers.NBSP}% of the full scale.{none}"
    )


def _border(touches: float) -> str:
    if np.isnan(touches):
        return "No image has an object, so that none touches the border."
    if touches == 0:
        return "In no image does the object touch the border, so that a shift within the background crops nothing."
    where = "every image" if touches == 1 else f"{share(touches)} of the images"
    return f"In {where} the object touches the border: without a margin, a shift would crop it."


def _cue(explained: dict[str, Explained], confidence: float) -> str:
    found = {way: explained[f"centroid_{axis}"] for axis, way in AXES.items()}
    known = {way: one for way, one in found.items() if not np.isnan(one.p)}
    if not known:
        return "The centroid does not vary, or there are too few images or classes to compare: position is not shown to be a cue to the class."
    shares = joined([f"{share(one.share)} of how the centroid varies {way}" for way, one in known.items()])
    lead = f"The class explains {shares}, {by_chance(next(iter(known.values())))}"
    if min(one.p for one in known.values()) < (1 - confidence) / len(known):  # Bonferroni
        return f"{lead}. Position is itself a cue to the class, which a net with a weight for every position can use and one that averages over them gives up."
    return f"{lead}. Position is not shown to be a cue to the class, and a net that averages over positions is not shown to give anything up."


def _size(explained: dict[str, Explained]) -> str:
    known = {word: explained[name] for name, word in SIZES.items() if not np.isnan(explained[name].share)}
    if not known:
        return "The bounding box does not vary in size, or there are too few images or classes to compare: size is not shown to be a cue to the class."
    shares = joined([f"{share(one.share)} of how its {word} varies" for word, one in known.items()])
    return f"Of the bounding box, the class explains {shares}; size is no matter of translation, and a pooled net can still see it."


def _movement(sds: dict[str, float], size: tuple[int, int]) -> str:
    if all(np.isnan(sd) for sd in sds.values()):
        return "No image has a centroid, so that no movement can be measured."
    lengths = {"x": size[1], "y": size[0]}
    parts = [
        f"{decimal(sds[axis])} pixels {way} ({share(sds[axis] / lengths[axis])} of the image)"
        for axis, way in AXES.items()
    ]
    return f"From image to image the centroid moves with an SD of {joined(parts)}: that much translation, and no more, is in the data themselves."

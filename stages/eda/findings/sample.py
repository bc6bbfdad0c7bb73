"""Which images were looked at, how large their classes are, and how bright they are."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd

from stages.eda import draw_images
from stages.eda.dataset import Dataset
from stages.eda.explained import Explained
from stages.eda.findings.finding import Finding, by_chance, decimal, joined, share
from stages.shared.drawing import numbers
from stages.shared.drawing.tables import escape


def images(data: Dataset) -> Finding:
    n, total, margin = len(data.train), len(data.split_labels["train"]), max(data.margin)
    which = f"all {n:,}" if n == total else f"{n:,} of the {total:,}"
    around = (
        f"without the margin of {numbers.plural(margin, 'pixel')} around them"
        if margin
        else "which have no margin around them"
    )
    classes, shown = len(data.classes), min(len(data.classes), draw_images.CLASSES)
    facts = {
        "images": f"{n:,}",
        "test_images": f"{len(data.test):,}",
        "images_sentence": f"The statistics are of {which} train images of {escape(data.title)} in the original layout, {around}.",
        "classes_shown_sentence": f"The first {shown} of {classes} classes are shown."
        if shown < classes
        else f"All {classes} classes are shown."
        if classes > 1
        else "The only class is shown.",
    }
    return Finding(facts, {"train_images": n, "test_images": len(data.test), "margin": list(data.margin)})


def balance(counts: pd.DataFrame, test_labels: np.ndarray) -> Finding:
    """Bears on how every accuracy is to be read."""
    chance = float(np.mean(test_labels == int(counts["train"].to_numpy().argmax())))
    ranges = {str(split): (int(counts[split].min()), int(counts[split].max())) for split in counts}
    shown = numbers.percent_sign(chance)
    always = f"always naming the train split's largest class is right on {shown} of the test images, and every accuracy stands against that"
    if all(high - low <= 1 for low, high in ranges.values()):
        sentence = f"Within each split the classes are equally large, to one image at most; {always}."
    else:
        spread = joined(
            [
                f"from {low:,} to {high:,} in {split}" if low < high else f"{low:,} in {split}"
                for split, (low, high) in ranges.items()
            ]
        )
        sentence = f"The classes differ in size: the images of a class number {spread}; {always}."
    facts = {"chance_accuracy": shown, "balance_sentence": sentence}
    return Finding(
        facts, {"chance_accuracy": chance, "class_sizes": {split: list(sizes) for split, sizes in ranges.items()}}
    )


def brightness(
    mean: float, sd: float, statistics: pd.DataFrame, explained: Explained, classes: Sequence[str], confidence: float
) -> Finding:
    """Bears on what any net can read, whatever it assumes of images. mean, sd: of all pixels, in [0, 1]."""
    means = statistics["brightness_mean"].dropna()
    bright, dark = int(means.to_numpy().argmax()), int(means.to_numpy().argmin())
    if np.isnan(explained.p):
        verdict = "these are too few images or classes, or too much alike, to say whether brightness tells anything of the class"
    else:
        tells = (
            "tells something of the class, to every net alike"
            if explained.p < 1 - confidence
            else "is not shown to tell anything of the class"
        )
        verdict = f"the class explains {share(explained.share)} of the variance of brightness, {by_chance(explained)}, so that brightness alone {tells}"
    extremes = (
        f"The images of *{_name(classes, means, bright)}* are the brightest on average ({decimal(means.iloc[bright], 3)}), "
        f"those of *{_name(classes, means, dark)}* the darkest ({decimal(means.iloc[dark], 3)})"
    )
    facts = {
        "pixel_mean": decimal(mean, 3),
        "pixel_sd": decimal(sd, 3),
        "eta2_brightness": share(explained.share),
        "pixels_sentence": f"On a scale from 0, black, to 1, pixels have mean {decimal(mean, 3)} and SD {decimal(sd, 3)}.",
        "brightness_sentence": f"{extremes}; {verdict}.",
    }
    return Finding(facts, {"pixel_mean": mean, "pixel_sd": sd, "brightness_explained": asdict(explained)})


def _name(classes: Sequence[str], means: pd.Series, place: int) -> str:
    return escape(classes[int(means.index[place])])

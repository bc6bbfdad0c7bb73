"""How many images it takes: dimensions, the nearest neighbour as the images become more, and images that are there twice."""

from dataclasses import asdict

import numpy as np

from stages.eda.dimension import TwoNN
from stages.eda.duplicates import Duplicates, Pairs
from stages.eda.findings.finding import Finding, decimal, joined
from stages.eda.one_nn import OneNN
from stages.eda.verdict import ABOVE, BELOW, UNKNOWN
from stages.shared.drawing import numbers


def dimension(pixel_values: int, needed: dict[float, int], found: TwoNN) -> Finding:
    """Bears on sample size, and on every net alike: a permutation of the pixels changes none of these numbers."""
    components = (
        _components(needed)
        if all(needed.values())
        else "no principal component holds any variance, since all images are equal"
    )
    estimate = (
        f"TwoNN puts the intrinsic dimension at {decimal(found.dimension, 1)}"
        if not np.isnan(found.dimension)
        else "there are too few different images for an intrinsic dimension"
    )
    facts = {
        "pixel_values": f"{pixel_values:,}",
        "pca_components": components,
        "intrinsic_dimension": decimal(found.dimension, 1),
        "dimension_sentence": f"Of the {numbers.plural(pixel_values, 'value')} of an image, {components}; {estimate}. The permutation changes none of this: "
        "it says how much room there is for images to fill, to every net alike.",
    }
    values = {
        "components": {f"{part:g}": count for part, count in needed.items()},
        "intrinsic_dimension": found.dimension,
        "images_for_dimension": found.images,
        "pixel_values": pixel_values,
    }
    return Finding(facts, values)


def nearest_neighbour(found: OneNN) -> Finding:
    """Bears on sample size, and is the floor for what a net must add, be it fully connected or convolutional."""
    last = found.table.iloc[-1]
    n, accuracy = int(last["train_images"]), float(last["accuracy"])
    shown = f"{numbers.percent_sign(accuracy)} {numbers.interval(last['low'], last['high'])}"
    sentence = (
        f"The nearest of {numbers.plural(n, 'train image')} has the right label for {shown} of {numbers.plural(found.test_images, 'test image')}; "
        f"always naming the largest class is right on {numbers.percent_sign(found.chance)}. "
        "It compares pixel by pixel, so that the permutation changes nothing: what a net reaches beyond it, the net has learned."
    )
    facts = {
        "nearest_neighbour_accuracy": shown,
        "nearest_neighbour_doubling": f"{numbers.points(found.doubling)}{numbers.NBSP}points",
        "nearest_neighbour_sentence": sentence,
        "sample_size_sentence": _doubling(found, n),
    }
    values = {
        "accuracy": accuracy,
        "low": float(last["low"]),
        "high": float(last["high"]),
        "train_images": n,
        "doubling": found.doubling,
    }
    return Finding(facts, values | {"chance_accuracy": found.chance})


def duplicates(found: Duplicates, near: float, train_images: int) -> Finding:
    """Bears on what test accuracy means: a net that has seen a test image may remember instead of generalising."""
    inside, across = found.within_train, found.train_to_test
    facts = {
        f"duplicates_{where}_{kind}": f"{getattr(pairs, kind):,}"
        for where, pairs in (("train", inside), ("test", across))
        for kind in ("exact", "near")
    }
    facts |= {
        "duplicates_test_share": numbers.percent_sign(across.images / across.of),
        "near_sentence": f"Two images are near-duplicates if they are not equal but at most {near:g} times as far apart as the median train image is from "
        "its nearest neighbour.",
        "duplicates_sentence": f"Within {numbers.plural(train_images, 'train image')}, {_pairs(inside)} were found.",
        "leak_sentence": _leak(across, train_images),
    }
    return Finding(
        facts,
        {
            "within_train": asdict(inside),
            "train_to_test": asdict(across),
            "limit": found.limit,
            "median_distance": found.median,
        },
    )


def _components(needed: dict[float, int]) -> str:
    """Which number of components holds which share; the noun and "of the variance" stand once."""
    (first, count), *others = needed.items()
    lead = f"{numbers.plural(count, 'principal component')} {_hold(count, first)} of the variance"
    return joined([lead, *(f"{count:,} {_hold(count, part)}" for part, count in others)])


def _hold(count: int, part: float) -> str:
    return f"{'holds' if count == 1 else 'hold'} {100 * part:g}{numbers.NBSP}%"


def _doubling(found: OneNN, n: int) -> str:
    if found.verdict == UNKNOWN:
        return "There are too few train images to halve their number."
    half = int(found.table.iloc[-2]["train_images"])
    difference = f"{numbers.points(found.doubling)}{numbers.NBSP}points"
    follows = {ABOVE: "more images still help it", BELOW: "more images harm it"}.get(
        found.verdict, "more images are not shown to help it"
    )
    return f"With {numbers.plural(n, 'train image')} the nearest neighbour's accuracy is {found.verdict} that with {half:,} ({difference}): {follows}."


def _pairs(pairs: Pairs) -> str:
    total = pairs.exact + pairs.near
    labels = f" ({pairs.other_label:,} with two labels)" if total else ""
    return f"{numbers.plural(pairs.exact, 'pair')} of equal images and {numbers.plural(pairs.near, 'pair')} of near-duplicates{labels}"


def _leak(pairs: Pairs, train_images: int) -> str:
    among = f"among {numbers.plural(train_images, 'train image')}"
    if pairs.images == 0:
        return f"None of {numbers.plural(pairs.of, 'test image')} has an equal image or a near-duplicate {among}."
    return (
        f"Of {numbers.plural(pairs.of, 'test image')}, {pairs.images:,} ({numbers.percent_sign(pairs.images / pairs.of)}) "
        f"{'has' if pairs.images == 1 else 'have'} an equal image or a near-duplicate {among}, in {_pairs(pairs)}; so many could be right from memory alone."
    )

"""How many images does a net need? Accuracy against the number of train images, and the ratio at equal accuracy."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from stages.figures import lines, sentences
from stages.figures.results import Results
from stages.shared.drawing import numbers, style
from stages.shared.inference import intervals


def arms(results: Results) -> list[list[str]]:
    """Nets that were trained on two numbers of images or more: the variants of each, from few to many."""
    groups = results.alike_but("sample.train_size", "recipe.epochs")
    return [sorted(group, key=lambda key: images(results, key)) for group in groups]


def images(results: Results, key: str) -> int:
    asked = results.settings.variants[key].run.sample.train_size
    return sum(results.constants["class_counts"]["train"]) if asked == "protocol" else int(asked)


def sizes(results: Results) -> Figure:
    figure, axes = style.plt.subplots(figsize=(style.WIDTH, 3.3))
    groups = arms(results)
    labels = results.names.kinds([group[-1] for group in groups])
    for number, group in enumerate(groups):
        places = np.array([images(results, key) for key in group]) * np.exp(lines.dodge(number, len(groups)))
        lines.draw(axes, results, group, places, number, labels[number])
    axes.set_xscale("log")
    ticks = sorted({images(results, key) for group in groups for key in group})
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{tick:,}" for tick in ticks])
    axes.set_xlabel("train images (logarithmic)")
    axes.set_ylabel("test accuracy, %")
    lines.finish(axes)
    return figure


def sentence(results: Results) -> str:
    """How many images the baseline's net needs for what the others reach with all; empty where sizes were not varied."""
    groups = {group[-1]: group for group in arms(results)}
    own = groups.pop(results.settings.baseline, None)
    if own is None or not groups:
        return ""
    return " ".join(_against(results, own, other) for other in groups.values())


def _against(results: Results, own: list[str], other: list[str]) -> str:
    """The ratio is taken seed by seed, over the seeds that all the variants share."""
    most = images(results, other[-1])
    what = (
        f"what the {results.names.net(other[-1])} reaches with {most:,} images ({sentences.mean(results, other[-1])})"
    )
    curves = [results.per_seed(key, "accuracy") for key in own]
    goal = results.per_seed(other[-1], "accuracy")
    shared = set.intersection(*(set(curve) for curve in (*curves, goal)))
    needed = [
        size_at(goal[seed], [images(results, key) for key in own], [curve[seed] for curve in curves])
        for seed in sorted(shared)
    ]
    known = [math.log(most / size) for size in needed if not math.isnan(size)]
    net = f"The {results.names.net(own[-1])}"
    if len(known) < len(needed) or not known:
        ends = [results.mean(key).mean for key in (own[0], own[-1])]
        if results.mean(other[-1]).mean < min(ends):
            return f"{net} is above {what} with {images(results, own[0]):,} images already."
        if results.mean(other[-1]).mean > max(ends):
            return f"{net} stays below {what}, whatever its number of images."
        return (
            f"How many images {net[0].lower()}{net[1:]} needs for {what} differs too much from seed to seed to be said."
        )
    made = intervals.estimate(known, results.settings.inference.confidence)
    spread = f" [{math.exp(made.low):.1f}, {math.exp(made.high):.1f}]" if made.n > 1 else ""
    few = most / math.exp(made.mean)
    return f"{net} needs about {numbers.short_count(few)} images for {what}: {math.exp(made.mean):.1f}{spread} times fewer."


def size_at(accuracy: float, sizes: Sequence[int], accuracies: Sequence[float]) -> float:
    """The number of images at which a net reaches an accuracy: on a straight line, over the logarithm, between two sizes.

    sizes: ascending. NaN where the accuracy lies outside of all that was measured; of several crossings, the first.
    """
    for (size, low), (larger, high) in pairwise(zip(sizes, accuracies, strict=True)):
        if min(low, high) <= accuracy <= max(low, high):
            share = 0.0 if high == low else (accuracy - low) / (high - low)
            return math.exp((1 - share) * math.log(size) + share * math.log(larger))
    return math.nan

"""Accuracy when the training data changes: another order of the pixels, or fewer images."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure

from stages.figures import lines, wording
from stages.figures.results import Results
from stages.shared.architectures import geometry
from stages.shared.drawing import numbers, style


def figures(results: Results) -> Iterator[tuple[str, Figure | str]]:
    yield "structure", accuracy_by_layout(results)
    yield "sizes", accuracy_by_train_size(results)


def facts(results: Results) -> dict[str, str]:
    return {
        "sizes": sizes_sentence(results)
        or "For the baseline's network and another, the number of train images was not varied."
    }


def sections(results: Results) -> dict[str, bool]:
    return {"few": bool(nets_by_train_size(results))}


def nets_by_layout(results: Results) -> list[list[str]]:
    """For each net that ran on several layouts its variants, in the order of `_layout_rank`."""
    groups = results.alike_except("sample.layout")
    return [sorted(group, key=lambda variant: _layout_rank(results, variant)) for group in groups]


def accuracy_by_layout(results: Results) -> Figure | str:
    """A line for each net. Parallel lines: the permutation costs all the same. Lines that meet: it ends the lead."""
    nets = nets_by_layout(results)
    if not nets:
        return "No net ran on two orders of the pixels."
    variants = [variant for net in nets for variant in net]
    names = {_layout_rank(results, variant): _layout_name(results, variant) for variant in variants}
    ranks = sorted(names)
    labels = results.names.nets_with_heads([net[0] for net in nets])
    figure, axes = style.plt.subplots(figsize=(style.WIDTH, 3.3))
    for line, net in enumerate(nets):
        places = np.array([ranks.index(_layout_rank(results, variant)) for variant in net], dtype=float)
        estimates = [results.mean(variant) for variant in net]
        lines.draw(axes, places + lines.sideways(line, len(nets)), estimates, line, labels[line])
    axes.set_xticks(range(len(ranks)), [names[rank] for rank in ranks])
    axes.set_xlim(-0.3, len(ranks) - 0.7)
    axes.set_ylabel("test accuracy, %")
    lines.finish(axes)
    return figure


def nets_by_train_size(results: Results) -> list[list[str]]:
    """For each net that was trained on several numbers of images its variants, from few images to many."""
    groups = results.alike_except("sample.train_size")
    return [sorted(group, key=lambda variant: n_images(results, variant)) for group in groups]


def n_images(results: Results, variant: str) -> int:
    """On how many images a variant was trained."""
    train_size = results.settings.variants[variant].run.sample.train_size
    if train_size != "protocol":
        return train_size
    class_counts = results.constants["class_counts"]
    return results.settings.chosen_protocol.images_to_train(sum(class_counts["train"]), "val" in class_counts)


def accuracy_by_train_size(results: Results) -> Figure | str:
    """A line for each net, over a logarithmic number of images."""
    nets = nets_by_train_size(results)
    if not nets:
        return "No net was trained on two numbers of images."
    figure, axes = style.plt.subplots(figsize=(style.WIDTH, 3.3))
    labels = results.names.nets_with_heads([net[-1] for net in nets])
    for line, net in enumerate(nets):
        places = np.array([n_images(results, variant) for variant in net]) * np.exp(lines.sideways(line, len(nets)))
        lines.draw(axes, places, [results.mean(variant) for variant in net], line, labels[line])
    lines.logarithmic(axes, [n_images(results, variant) for net in nets for variant in net], ",")
    axes.set_xlabel("train images (logarithmic)")
    axes.set_ylabel("test accuracy, %")
    lines.finish(axes)
    return figure


def sizes_sentence(results: Results) -> str:
    """How many images the baseline's net needs for what each other net reaches with all; empty without such nets."""
    nets = {net[-1]: net for net in nets_by_train_size(results)}
    of_baseline = nets.pop(results.baseline, None)
    if of_baseline is None or not nets:
        return ""
    return " ".join(_needed_images(results, of_baseline, net[-1]) for net in nets.values())


def _needed_images(results: Results, net: list[str], other: str) -> str:
    """net: one net on ever more images. other: the variant whose accuracy the net should reach.

    The ratio of images is taken seed by seed, over the seeds that all these variants share.
    """
    all_images = n_images(results, other)
    sizes = [n_images(results, variant) for variant in net]
    accuracies = [results.per_seed(variant) for variant in net]
    goals = results.per_seed(other)
    seeds = sorted(set(goals).intersection(*accuracies))
    needed = [size_at(goals[seed], sizes, [by_seed[seed] for by_seed in accuracies]) for seed in seeds]
    known = [math.log(all_images / size) for size in needed if not math.isnan(size)]
    name = results.names.net(net[-1])
    goal = f"what the {results.names.net(other)} reaches with {all_images:,} images ({wording.mean(results, other)})"
    if not known or len(known) < len(seeds):
        means = [results.mean(variant).mean for variant in net]
        if results.mean(other).mean < min(means):
            return f"The {name} is above {goal} with {sizes[0]:,} images already."
        if results.mean(other).mean > max(means):
            return f"The {name} stays below {goal} at every number of images tried."
        return f"How many images the {name} needs for {goal} differs too much from seed to seed to be said."
    ratio = results.estimate(known)
    interval = f" [{math.exp(ratio.low):.1f}, {math.exp(ratio.high):.1f}]" if ratio.n > 1 else ""
    images = numbers.short_count(all_images / math.exp(ratio.mean))
    return f"The {name} needs about {images} images for {goal}: {math.exp(ratio.mean):.1f}{interval} times fewer."


def size_at(accuracy: float, sizes: Sequence[int], accuracies: Sequence[float]) -> float:
    """The number of images at which a net reaches an accuracy, on straight lines over the logarithm of the sizes.

    sizes: ascending. NaN where the accuracy lies outside of all that was measured; of several crossings, the first.
    """
    for (size, accuracy_here), (next_size, accuracy_next) in pairwise(zip(sizes, accuracies, strict=True)):
        low, high = sorted((accuracy_here, accuracy_next))
        if low <= accuracy <= high:
            share = 0.0 if high == low else (accuracy - accuracy_here) / (accuracy_next - accuracy_here)
            return math.exp((1 - share) * math.log(size) + share * math.log(next_size))
    return math.nan


def _layout_rank(results: Results, variant: str) -> tuple[int, int]:
    """Sort key for layouts: scattered images, the original ones, then ever smaller patches, single pixels last."""
    layout = results.settings.variants[variant].run.sample.layout
    side = geometry.patch_side(layout)
    return (1, -side) if side else (0, -geometry.scatter_reach(layout))


def _layout_name(results: Results, variant: str) -> str:
    layout = results.settings.variants[variant].run.sample.layout
    side, reach = geometry.patch_side(layout), geometry.scatter_reach(layout)
    if reach:
        return f"moved by up\nto {numbers.plural(reach, 'pixel')}"
    if layout == "permuted":
        return "pixels shuffled"
    return "original" if side is None else f"patches of {side}\nshuffled"

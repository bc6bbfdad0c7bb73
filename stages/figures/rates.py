"""Learning rates: validation accuracy of each net at each rate, and whether the order of the nets hangs on them."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from stages.figures import lines, sentences
from stages.figures.results import Results
from stages.shared.drawing import style


def arms(results: Results) -> list[list[str]]:
    """Nets that were trained at two learning rates or more: the variants of each, from low to high."""
    return [sorted(group, key=lambda key: rate(results, key)) for group in results.alike_but("recipe.lr")]


def rate(results: Results, key: str) -> float:
    return results.settings.variants[key].run.recipe.lr


def best(results: Results, group: list[str]) -> str:
    """The variant whose rate has the highest mean accuracy on the validation images; of several, the lowest rate."""
    return max(group, key=lambda key: results.mean(key, "val_accuracy").mean)


def rates(results: Results) -> Figure:
    figure, axes = style.plt.subplots(figsize=(style.WIDTH, 3.0))
    groups = arms(results)
    labels = _nets(results, groups)
    for number, group in enumerate(groups):
        places = np.array([rate(results, key) for key in group]) * np.exp(lines.dodge(number, len(groups)))
        lines.draw(axes, results, group, places, number, labels[number], "val_accuracy")
        chosen = group.index(best(results, group))
        mean = 100 * results.mean(group[chosen], "val_accuracy").mean
        axes.scatter(
            [places[chosen]],
            [mean],
            s=110,
            facecolors="none",
            edgecolors=style.PALETTE[number % len(style.PALETTE)],
            zorder=4,
        )
    axes.set_xscale("log")
    ticks = sorted({rate(results, key) for group in groups for key in group})
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{tick:g}" for tick in ticks])
    axes.set_xlabel("learning rate (logarithmic); a ring marks the best of each net")
    axes.set_ylabel("validation accuracy, %")
    lines.finish(axes)
    return figure


def given(results: Results, group: list[str]) -> str:
    """The variant whose rate the net has in the other families: the baseline, or the first in params.yaml."""
    return min(group, key=lambda key: (key != results.settings.baseline, list(results.variants.index).index(key)))


def sentence(results: Results) -> str:
    """Whether every net has its best rate, and whether the nets' order hangs on the rates; empty where rates were not varied."""
    groups = arms(results)
    if len(groups) < 2:
        return ""
    nets = _nets(results, groups)
    own, had = (
        {net: choose(results, group) for net, group in zip(nets, groups, strict=True)} for choose in (best, given)
    )
    placed = sentences.joined([_placed(results, net, own[net]) for net in _order(results, own)])
    said = f"With the learning rate that is best for it on the validation images, {placed}."
    off = [net for net in nets if own[net] != had[net]]
    if off:
        are = "That is not the rate of" if len(off) == 1 else "Those are not the rates of"
        same = (
            "the order is the same with those that they have"
            if _order(results, own) == _order(results, had)
            else "with those that they have, the order is another"
        )
        said += f" {are} {sentences.joined([f'the {net}' for net in off])} elsewhere in this report; {same}."
    else:
        said += " These are the rates that the nets have in the rest of this report."
    return f"{said} {_common(results, nets, groups, own)}".rstrip()


def _common(results: Results, nets: list[str], groups: list[list[str]], own: dict[str, str]) -> str:
    """At how many of the rates that all nets were given their order is the same."""
    shared = sorted(set.intersection(*({rate(results, key) for key in group} for group in groups)))
    if not shared:
        return ""
    at = {
        lr: dict(zip(nets, (next(key for key in group if rate(results, key) == lr) for group in groups), strict=True))
        for lr in shared
    }
    other = [f"{lr:g}" for lr in shared if _order(results, at[lr]) != _order(results, own)]
    if not other:
        return (
            f"The order is the same at one rate for all, whichever of the {len(shared)}."
            if len(shared) > 1
            else f"At {shared[0]:g} for all, the order is the same."
        )
    return f"At one rate for all, the order by mean accuracy would be another at {sentences.joined(other)}."


def _order(results: Results, found: dict[str, str]) -> list[str]:
    """The nets by mean test accuracy, the highest first."""
    return sorted(found, key=lambda net: -results.mean(found[net]).mean)


def _placed(results: Results, net: str, key: str) -> str:
    return f"the {net} reaches {sentences.mean(results, key)} test accuracy (at {rate(results, key):g})"


def _nets(results: Results, groups: list[list[str]]) -> list[str]:
    return results.names.kinds([given(results, group) for group in groups])

"""Learning rates: which is best for each net, and whether the order of the nets depends on the rate."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from stages.figures import lines, wording
from stages.figures.results import Results
from stages.shared.drawing import style


def figures(results: Results) -> Iterator[tuple[str, Figure | str]]:
    yield "rates", accuracy_by_rate(results)


def facts(results: Results) -> dict[str, str]:
    return {
        "recipe": sentence(results)
        or "The learning rate was not varied, so that the order of the nets is known for one rate alone."
    }


def sections(results: Results) -> dict[str, bool]:
    return {"rates": bool(nets_by_rate(results))}


def nets_by_rate(results: Results) -> list[list[str]]:
    """For each net that was trained at several learning rates its variants, from the lowest rate to the highest."""
    groups = results.alike_except("recipe.lr")
    return [sorted(group, key=lambda variant: rate(results, variant)) for group in groups]


def rate(results: Results, variant: str) -> float:
    return results.settings.variants[variant].run.recipe.lr


def best_rate(results: Results, net: list[str]) -> str:
    """The variant with the highest mean validation accuracy; where several share it, the one with the lowest rate."""
    return max(net, key=lambda variant: results.mean(variant, "val_accuracy").mean)


def usual_rate(results: Results, net: list[str]) -> str:
    """The variant with the rate that the net has in the other families: the baseline, or the first in params.yaml."""
    order = list(results.variants.index)
    return min(net, key=lambda variant: (variant != results.baseline, order.index(variant)))


def accuracy_by_rate(results: Results) -> Figure | str:
    """Validation accuracy of each net at each rate, with a ring around its best."""
    nets = nets_by_rate(results)
    if not nets:
        return "No net was trained at two learning rates."
    figure, axes = style.plt.subplots(figsize=(style.WIDTH, 3.0))
    for line, (label, net) in enumerate(zip(_names(results, nets), nets, strict=True)):
        places = np.array([rate(results, variant) for variant in net]) * np.exp(lines.sideways(line, len(nets)))
        estimates = [results.mean(variant, "val_accuracy") for variant in net]
        lines.draw(axes, places, estimates, line, label)
        best = net.index(best_rate(results, net))
        ring: dict[str, Any] = {"s": 110, "facecolors": "none", "edgecolors": lines.colour(line), "zorder": 4}
        axes.scatter([places[best]], [100 * estimates[best].mean], **ring)
    lines.logarithmic(axes, [rate(results, variant) for net in nets for variant in net], "g")
    axes.set_xlabel("learning rate (logarithmic); a ring marks the best of each net")
    axes.set_ylabel("validation accuracy, %")
    lines.finish(axes)
    return figure


def sentence(results: Results) -> str:
    """Each net at its best rate, and whether the order differs at other rates; empty with fewer than two nets."""
    nets = nets_by_rate(results)
    if len(nets) < 2:
        return ""
    names = _names(results, nets)
    best = {name: best_rate(results, net) for name, net in zip(names, nets, strict=True)}
    usual = {name: usual_rate(results, net) for name, net in zip(names, nets, strict=True)}
    reached = [
        f"the {name} reaches {wording.mean(results, best[name])} test accuracy (at {rate(results, best[name]):g})"
        for name in _order(results, best)
    ]
    parts = [
        f"With the learning rate that is best for it on the validation images, {wording.joined(reached)}.",
        _edges(best, dict(zip(names, nets, strict=True))),
        _usual_rates(results, best, usual),
        _common_rates(results, names, nets, best),
    ]
    return " ".join(filter(None, parts))


def _edges(best: dict[str, str], nets: dict[str, list[str]]) -> str:
    """Which nets are best at the lowest or the highest of their rates, so that a better one may lie beyond."""
    at_edge = [f"the {name}" for name, net in nets.items() if best[name] in (net[0], net[-1])]
    if not at_edge:
        return "Each of these rates lies inside those that were tried for its net."
    return f"For {wording.joined(at_edge)} it is the lowest or the highest that was tried; a better one may lie beyond."


def _usual_rates(results: Results, best: dict[str, str], usual: dict[str, str]) -> str:
    others = [f"the {name}" for name in best if best[name] != usual[name]]
    if not others:
        return "These are the rates that the nets have in the rest of this report."
    have = "has another rate" if len(others) == 1 else "have other rates"
    same = "the same order" if _order(results, best) == _order(results, usual) else "another order"
    subject = wording.capitalised(wording.joined(others))
    return f"{subject} {have} elsewhere in this report. With the rates that are used there, the nets are in {same}."


def _common_rates(results: Results, names: list[str], nets: list[list[str]], best: dict[str, str]) -> str:
    """At how many of the rates that all nets were trained at their order is the same."""
    by_rate = [{rate(results, variant): variant for variant in net} for net in nets]
    shared = sorted(set.intersection(*map(set, by_rate)))
    if not shared:
        return ""
    other_order = []
    for lr in shared:
        at_rate = {name: variants[lr] for name, variants in zip(names, by_rate, strict=True)}
        if _order(results, at_rate) != _order(results, best):
            other_order.append(f"{lr:g}")
    if other_order:
        return f"If all nets have one rate, their order by mean accuracy is different at {wording.joined(other_order)}."
    if len(shared) == 1:
        return f"If all nets have the rate {shared[0]:g}, the order is the same."
    return f"If all nets have one rate, the order is the same at each of the {len(shared)} rates that they share."


def _order(results: Results, variants: dict[str, str]) -> list[str]:
    """The names of the nets by the mean test accuracy of their variants, the highest first."""
    return sorted(variants, key=lambda name: -results.mean(variants[name]).mean)


def _names(results: Results, nets: list[list[str]]) -> list[str]:
    return results.names.nets_with_heads([usual_rate(results, net) for net in nets])

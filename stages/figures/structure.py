"""Does the order of the pixels change what an architecture buys? Accuracy by layout, a line for each net."""

import numpy as np
from matplotlib.figure import Figure

from stages.figures import lines
from stages.figures.results import Results
from stages.shared.architectures import geometry
from stages.shared.drawing import style


def arms(results: Results) -> list[list[str]]:
    """Nets that ran on two layouts or more: the variants of each, from the original to single pixels."""
    groups = results.alike_but("sample.layout")
    return [sorted(group, key=lambda key: _order(results, key)) for group in groups]


def structure(results: Results) -> Figure:
    """Parallel lines: the permutation takes as much from every net. Lines that meet: it takes the lead."""
    groups = arms(results)
    layouts = sorted({_order(results, key) for group in groups for key in group})
    names = {_order(results, key): _name(results, key) for group in groups for key in group}
    figure, axes = style.plt.subplots(figsize=(style.WIDTH, 3.3))
    labels = results.names.kinds([group[0] for group in groups])
    for number, group in enumerate(groups):
        places = np.array([layouts.index(_order(results, key)) for key in group], dtype=float) + lines.dodge(
            number, len(groups)
        )
        lines.draw(axes, results, group, places, number, labels[number])
    axes.set_xticks(range(len(layouts)), [names[layout] for layout in layouts])
    axes.set_xlim(-0.3, len(layouts) - 0.7)
    axes.set_ylabel("test accuracy, %")
    lines.finish(axes)
    return figure


def _order(results: Results, key: str) -> float:
    """The smaller what keeps its neighbours, the later: original, patches_14, …, patches_2, single pixels."""
    layout = results.settings.variants[key].run.sample.layout
    side = geometry.patch_side(layout)
    return -np.inf if side is None else -float(side)


def _name(results: Results, key: str) -> str:
    layout = results.settings.variants[key].run.sample.layout
    side = geometry.patch_side(layout)
    return "original" if side is None else "pixels shuffled" if layout == "permuted" else f"patches of {side}\nshuffled"

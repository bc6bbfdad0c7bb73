"""Nets to try: the page runs trained nets itself, and on paper a picture shows what they say of one image.

The page reads try-it.json: the nets with rounded weights, a few test images, and the order of shuffled pixels.
"""

import base64
import json
import textwrap
from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.figures.net_answers import probabilities
from stages.figures.net_layers import Net, Rounded
from stages.figures.results import Results
from stages.figures.trained_nets import TrainedNet
from stages.figures.wording import capitalised, joined
from stages.shared import try_it_nets
from stages.shared.drawing import numbers, pictures, style
from stages.shared.drawing.tables import escape
from stages.shared.lettering import class_names
from stages.shared.pixel_order import permutation, rearranged

LAYOUT = "permuted"  # of the shuffled pixels: the one of the variants that are trained on them
SHIFT = 2  # pixels, where the images have no margin
DRAWN_CLASSES = 12  # in the still picture
ROW_HEIGHT = 1.2  # inches


def figures(results: Results) -> Iterator[tuple[str, Figure | str]]:
    yield "try-it", still_picture(results)


def texts(results: Results) -> dict[str, str]:
    return {"try-it.json": json.dumps(page_data(results), sort_keys=True, ensure_ascii=False) + "\n"}


def facts(results: Results) -> dict[str, str]:
    trials = nets_to_try(results)
    if not trials:
        return {"try_nets": "There is none here.", "try_rounding": why_none(results)}
    each = [f"the {escape(name)} ({numbers.plural(trial.net.size, 'weight')})" for name, trial in trials.items()]
    seeds = sorted({trial.seed for trial in trials.values()})
    of_seed = f"seed {seeds[0]}" if len(seeds) == 1 else "the first seed that finished"
    rounded = [name for name, trial in trials.items() if trial.net.bits == 8]
    most = "Of each kind a small one is taken, and its weights are rounded to 16 bits"
    fewer = f" (those of the {escape(joined(rounded))} to 8)" if rounded else ""
    return {
        "try_nets": f"They are {joined(each)}, each as {of_seed} trained it.",
        "try_rounding": f"{most}{fewer}, so that the page stays small.",
    }


def why_none(results: Results) -> str:
    """Why no net can be tried, as a sentence."""
    if not _can_be_shown(results):
        return "The page draws images of up to 64 pixels a side, and no signals."
    return "The weights of the baseline and of the nets beside it are not there, or the page cannot run such nets."


def nets_to_try(results: Results) -> dict[str, TrainedNet]:
    """Name → net; none where the page cannot draw such images."""
    if not _can_be_shown(results):
        return {}
    names = results.names.nets_with_heads(list(results.trained))
    return dict(zip(names, results.trained.values(), strict=True))


def page_data(results: Results) -> dict[str, Any]:
    """All that the page is given, ready for JSON. Without a net to try it has no images."""
    trials = nets_to_try(results)
    if not trials:
        return {"nets": [], "images": []}
    low, high = results.constants["pixel_range"]
    return {
        "shape": results.constants["shape"],
        "range": [low, high],
        "classes": results.constants["classes"],
        "order": pixel_order(results).tolist(),
        "images": [
            {"label": label, **stored(image)}
            for image, label in zip(results.offered_images, results.offered_labels.tolist(), strict=True)
        ],
        "nets": [
            {
                "name": capitalised(name),
                "accuracy": numbers.percent_sign(trial.accuracy, 1),
                "size": numbers.plural(trial.net.size, "weight"),
                **described(trial.net),
            }
            for name, trial in trials.items()
        ],
    }


def described(net: Net) -> dict[str, Any]:
    """A net as report/try-it/engine.js loads it."""
    return {"layers": net.layers, "tensors": {name: _tensor(tensor) for name, tensor in net.tensors.items()}}


def _tensor(tensor: Rounded) -> dict[str, Any]:
    described = {"shape": list(tensor.stored.shape), **stored(tensor.stored)}
    return described if tensor.scales is None else described | {"scales": stored(tensor.scales)}


def stored(array: np.ndarray) -> dict[str, str]:
    """Numbers in base64, the least significant byte first, with the name of their type."""
    if array.dtype not in (np.uint8, np.int8, np.float16):
        array = array.astype(np.float32)
    little = array.astype(array.dtype.newbyteorder("<"))
    return {"type": array.dtype.name, "data": base64.b64encode(np.ascontiguousarray(little).tobytes()).decode()}


def pixel_order(results: Results) -> np.ndarray:
    """Of the shuffled pixels of a canvas, (H·W,): pixel i is taken from order[i]."""
    _, rows, columns = results.constants["shape"]
    vertical, horizontal = results.constants["margin"]
    size = rows - 2 * vertical, columns - 2 * horizontal
    return permutation(LAYOUT, *size, (vertical, horizontal), results.constants["layout_seed"])


def changed_images(results: Results, image: np.ndarray) -> dict[str, np.ndarray]:
    """What was done to an image (C, H, W) → the image: nothing, shifted down and right, shuffled."""
    down, right = (margin or SHIFT for margin in results.constants["margin"])
    shifted = np.zeros_like(image)
    shifted[:, down:, right:] = image[:, :-down, :-right]
    shift = f"{down} down, {right} right" if down != right else f"{down} down and right"
    return {
        "as it is": image,
        f"shifted\n{shift}": shifted,
        "shuffled": rearranged(image[None], pixel_order(results))[0],
    }


def still_picture(results: Results) -> Figure | str:
    """A row for each of `changed_images` of one test image: the image, and the probabilities of each net."""
    trials = nets_to_try(results)
    if not trials:
        return why_none(results)
    chosen = image_that_all_know(results, trials)
    rows, label = changed_images(results, results.offered_images[chosen]), int(results.offered_labels[chosen])
    answers = np.array([[probabilities(trial.net, image) for trial in trials.values()] for image in rows.values()])
    shown = _drawn_classes(answers, label)
    names = [style.plain(name) for name in class_names.shown(results.constants["classes"], longest=14)]
    size = style.WIDTH, ROW_HEIGHT * len(rows) + 0.35
    ratios = [0.85, *[1.0] * len(trials)]
    figure, grid = style.plt.subplots(len(rows), 1 + len(trials), figsize=size, width_ratios=ratios, squeeze=False)
    for place, ((what, image), of_nets) in enumerate(zip(rows.items(), answers, strict=True)):
        pictures.show_image(grid[place, 0], pictures.in_bytes(image, results.constants["pixel_range"]))
        grid[place, 0].set_ylabel(what, fontsize=7)
        for axes, name, answer in zip(grid[place, 1:], trials, of_nets, strict=True):
            _bars(axes, answer[shown], is_true=shown == label)
            if place == 0:
                axes.set_title(textwrap.fill(style.plain(capitalised(name), 36), 18), fontsize=7, fontweight="normal")
            if place < len(rows) - 1:
                axes.set_xticklabels([])
        grid[place, 1].set_yticks(range(len(shown)), [names[drawn] for drawn in shown], fontsize=6)
    for axes in grid[-1, 1:]:
        axes.set_xlabel("probability", fontsize=6.5)
    return figure


def image_that_all_know(results: Results, trials: dict[str, TrainedNet]) -> int:
    """The place of the first offered image that every net labels correctly; of the first where there is none."""
    for place, (image, label) in enumerate(zip(results.offered_images, results.offered_labels, strict=True)):
        if all(int(probabilities(trial.net, image).argmax()) == int(label) for trial in trials.values()):
            return place
    return 0


def _bars(axes: Axes, answer: np.ndarray, is_true: np.ndarray) -> None:
    """A bar for each class, blue where it is the right one, with the largest in numbers."""
    colours = [style.BLUE if right else style.PALE for right in is_true]
    axes.barh(range(len(answer)), answer, color=colours, height=0.75)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(answer) - 0.4, -0.6)
    axes.set_yticks([])
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"], fontsize=6)
    axes.tick_params(length=2)
    best = int(answer.argmax())
    is_long = answer[best] > 0.7
    axes.text(
        answer[best] + (-0.02 if is_long else 0.02), best, f"{numbers.percent(answer[best], 0)} %",
        ha="right" if is_long else "left", va="center_baseline", fontsize=5.5,
        color="white" if is_long and is_true[best] else style.INK,
    )  # fmt: skip


def _drawn_classes(answers: np.ndarray, label: int) -> np.ndarray:
    """All classes or, where there are many, the right one and those that some net finds most probable, ascending."""
    largest = answers.max(axis=(0, 1))
    largest[label] = 1.1
    return np.sort(np.argsort(-largest, kind="stable")[:DRAWN_CLASSES])


def _can_be_shown(results: Results) -> bool:
    _, height, width = results.constants["shape"]
    return max(height, width) <= try_it_nets.LONGEST_SIDE and not pictures.is_signal((height, width))

"""Mistakes: which classes are taken for which, how two nets differ in that, and the images that most runs get wrong."""

import math
from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from stages.figures import selection, wording
from stages.figures.results import Results
from stages.shared.drawing import numbers, pictures, style
from stages.shared.lettering import class_names

NUMBERED_CLASSES = 12  # up to so many, each cell holds its number
NAMED_CLASSES = 40  # up to so many, each row has its name
COMPARED_CLASSES = 14  # up to so many can be named beside a panel of differences
GALLERY_COLUMNS, GALLERY_LINES = 8, 3
TEXT_HEIGHT = 0.42  # inches above an image of the gallery
SIGNAL_HEIGHT = 0.5  # inches of a signal in the gallery


def figures(results: Results) -> Iterator[tuple[str, Figure | str]]:
    yield "confusion", baseline_confusion(results)
    yield "confusion-differences", confusion_differences(results)
    yield "gallery", gallery(results)


def facts(results: Results) -> dict[str, str]:
    differences = [_largest_difference(results, *pair) for pair in compared_pairs(results)]
    return {
        "confused": _commonest_mistake(results),
        "confusion_difference_sentence": " ".join(differences)
        or "There are no two variants whose mistakes could be compared.",
        "hard_sentence": _hardest_image(results),
    }


def class_shares(results: Results, variant: str) -> np.ndarray:
    """(K, K): the share of each true class (rows) that is taken for each class, over all seeds; 0 without images."""
    n = len(results.constants["classes"])
    counts = np.zeros((n, n), dtype=np.int64)
    confusion = results.confusion[results.confusion["variant"] == variant]
    counts[confusion["true"], confusion["predicted"]] = confusion["count"]
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def baseline_confusion(results: Results) -> Figure:
    """The baseline's confusion over all seeds, each row in percent of its class."""
    classes = results.constants["classes"]
    shares, n = class_shares(results, results.baseline), len(classes)
    side = float(np.clip(1.6 + 0.42 * n, 2.6, 5.6 if n > NUMBERED_CLASSES else 5.4))
    figure, axes = style.plt.subplots(figsize=(style.WIDTH, side), layout="compressed")
    image = _show_matrix(axes, 100 * shares, "Blues", 0, 100, pixels=600)
    if n <= NUMBERED_CLASSES:
        for (row, column), share in np.ndenumerate(shares):
            text = f"{100 * share:.1f}" if 0 < share < 0.9995 else f"{100 * share:.0f}"
            dark_text = style.INK if share >= 0.005 else "#999999"
            colour = "white" if share > 0.55 else dark_text
            axes.text(column, row, text, ha="center", va="center", fontsize=6.5, color=colour)
    if n > NAMED_CLASSES:
        axes.set_xticks(range(0, n, 10))
        axes.set_yticks(range(0, n, 10))
    else:
        size = 7.5 if n <= NUMBERED_CLASSES else max(4.5, 8.5 - 0.1 * n)
        names = [style.plain(name) for name in class_names.shown(classes, longest=22)]
        axes.set_xticks(range(n), names, rotation=45, ha="right", rotation_mode="anchor", fontsize=size)
        axes.set_yticks(range(n), names, fontsize=size)
        axes.tick_params(length=0)
    by_number = ", by its number" if n > NAMED_CLASSES else ""
    axes.set_xlabel(f"predicted class{by_number}")
    axes.set_ylabel(f"true class{by_number}")
    bar = figure.colorbar(image, ax=axes, shrink=0.6, label="% of the true class", pad=0.02)
    bar.outline.set_visible(False)  # type: ignore[operator]
    return figure


def compared_pairs(results: Results) -> list[tuple[str, str]]:
    """(variant, reference): baseline and MLP, then baseline on permuted pixels and baseline, where they ran."""
    mlp, permuted = selection.one_of_kind(results, "fully_connected"), selection.permuted_baseline(results)
    pairs = []
    if mlp and mlp != results.baseline:
        pairs.append((results.baseline, mlp))
    if permuted:
        pairs.append((permuted, results.baseline))
    return pairs


def confusion_difference(results: Results, variant: str, reference: str) -> np.ndarray:
    """(K, K) in points of the true class. Off the diagonal, below zero: a mistake that the variant makes less often."""
    return np.asarray(100 * (class_shares(results, variant) - class_shares(results, reference)))


def confusion_differences(results: Results) -> Figure | str:
    """A panel for each of `compared_pairs`, all in one scale, symmetric around zero."""
    classes, pairs = results.constants["classes"], compared_pairs(results)
    if not pairs or len(classes) > COMPARED_CLASSES:
        return "There are no two variants to compare, or too many classes to name."
    differences = [confusion_difference(results, *pair) for pair in pairs]
    names, limit = selection.names_for_small_panels(results), float(np.abs(differences).max()) or 1.0
    ticks = range(len(classes))
    labels = [style.plain(name) for name in class_names.shown(classes, longest=14)]
    figure, grid = style.plt.subplots(1, 2, figsize=(style.WIDTH, 3.3), sharey=True, squeeze=False)
    panels = grid[0]
    for axes in panels[len(pairs) :]:
        axes.set_axis_off()
    for axes, (variant, reference), difference in zip(panels, pairs, differences, strict=False):
        _show_matrix(axes, difference, "RdBu", -limit, limit, pixels=400)
        for (row, column), points in np.ndenumerate(difference):
            if round(abs(points)) >= 1:
                text, colour = numbers.plain(points, 0), "white" if abs(points) > 0.6 * limit else style.INK
                axes.text(column, row, text, ha="center", va="center", fontsize=5.5, color=colour)
        axes.tick_params(length=0)
        title = f"{style.plain(names[variant], 24)}\nminus {style.plain(names[reference], 24)}"
        axes.set_title(title, fontsize=7.5, fontweight="normal")
        axes.set_xticks(ticks, labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=6.5)
        axes.set_xlabel("predicted class", fontsize=7)
    panels[0].set_yticks(ticks, labels, fontsize=6.5)
    panels[0].set_ylabel("true class", fontsize=7)
    return figure


def gallery(results: Results) -> Figure | str:
    """The hardest images, each with its class, the commonest wrong answer, and the share of runs that are wrong."""
    hard = results.hard_images[results.hard_images["failures"] > 0].head(GALLERY_COLUMNS * GALLERY_LINES)
    if hard.empty:
        return "No run gets any test image wrong."
    classes = [style.plain(name) for name in class_names.shown(results.constants["classes"], longest=15)]
    _, _, height, width = results.hard_pixels.shape
    image_height = min(1.2, (style.WIDTH / GALLERY_COLUMNS - 0.08) * height / width)
    if pictures.is_signal((height, width)):
        image_height = SIGNAL_HEIGHT
    n_lines = math.ceil(len(hard) / GALLERY_COLUMNS)
    size = style.WIDTH, n_lines * (image_height + TEXT_HEIGHT)
    figure, grid = style.plt.subplots(n_lines, GALLERY_COLUMNS, figsize=size, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, row, image in zip(grid.flat, hard.to_dict("records"), results.hard_pixels, strict=False):
        pictures.show_image(axes, image)
        label, answer = classes[int(row["label"])], classes[int(row["predicted"])]
        share = numbers.percent(row["failures"] / row["runs"], 0)
        title = f"{label}\n→ {answer}\n{share} %"
        axes.set_title(title, fontsize=6, fontweight="normal", loc="center", pad=2, linespacing=1.15)
    return figure


def _show_matrix(axes: Axes, values: np.ndarray, cmap: str, low: float, high: float, pixels: int) -> AxesImage:
    """Draw a square matrix, a unit of the axes for each cell. pixels: along a side, so that no viewer blurs a cell."""
    n = len(values)
    edges = (-0.5, n - 0.5, n - 0.5, -0.5)
    enlarged = pictures.enlarged(values, pixels)
    image = axes.imshow(enlarged, cmap=cmap, vmin=low, vmax=high, interpolation="none", extent=edges)
    axes.spines[:].set_visible(False)
    return image


def _commonest_mistake(results: Results) -> str:
    classes, shares = wording.class_names(results), class_shares(results, results.baseline)
    np.fill_diagonal(shares, 0)
    if shares.max() == 0:
        return "The baseline makes no mistake on the test set."
    true, predicted = np.unravel_index(shares.argmax(), shares.shape)
    return (
        f"The baseline's commonest mistake: of the test images of *{classes[true]}*, it takes "
        f"{numbers.percent_sign(shares.max(), 1)} for *{classes[predicted]}*."
    )


def _largest_difference(results: Results, variant: str, reference: str) -> str:
    """On which class two variants differ most."""
    one, other = (np.diag(class_shares(results, key)) for key in (variant, reference))
    names = " and ".join(wording.italic_label(results, key) for key in (variant, reference))
    place = int(np.abs(one - other).argmax())
    difference = (one - other)[place]
    if difference == 0:
        return f"{names} are right on every class equally often."
    points = wording.unsigned(numbers.points(abs(difference), 1))
    return (
        f"The class on which {names} differ most is *{wording.class_names(results)[place]}*, which the former gets "
        f"right {points}{numbers.NBSP}points {'more' if difference > 0 else 'less'} often."
    )


def _hardest_image(results: Results) -> str:
    """The hardest image, and how many of the images in the gallery no run gets right."""
    hard = results.hard_images[results.hard_images["failures"] > 0]
    if hard.empty:
        return "Every run gets every test image right."
    classes, first = wording.class_names(results), hard.iloc[0]
    sentence = (
        f"The hardest test image is labelled *{classes[int(first['label'])]}*; "
        f"{numbers.percent_sign(first['failures'] / first['runs'], 0)} of {numbers.plural(int(first['runs']), 'run')} "
        f"get it wrong, most often as *{classes[int(first['predicted'])]}*."
    )
    never = int((hard["failures"] == hard["runs"]).sum())
    if never == 0:
        return f"{sentence} No image is wrong in every run."
    many = f"At least {never}" if never == len(hard) else f"{never}"
    return f"{sentence} {many} of the test images {'is' if never == 1 else 'are'} wrong in every run."

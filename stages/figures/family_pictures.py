"""A small picture of what a family varies, with which its section opens; none where there is nothing to draw."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.figures import diagrams, level_drawings
from stages.figures.level_drawings import Level
from stages.figures.results import Results
from stages.shared.params.architecture import LAYERED, TRANSFORMERS

MOST = 7  # panels beside each other
SAME = "One colour is one weight."


@dataclass(frozen=True)
class Kind:
    """How one choice is drawn.

    key: levels with the same key share a panel; None: the level has none. draw: one panel, of which it returns the
    title, or "" for the level's name, and the remark below. first: draws a panel in front of the levels.
    """

    caption: str
    key: Callable[[Level], Any]
    draw: Callable[[Axes, Level, list[Level]], tuple[str, str]]
    first: Callable[[Axes, list[Level]], tuple[str, str]] | None = None
    height: float = diagrams.STRIP


def figure(results: Results, family: str) -> Figure | None:
    """The family's strip of panels."""
    kind, levels = kind_of(results, family), panels_of(results, family)
    if kind is None or not levels:
        return None
    count = len(levels) + bool(kind.first)
    new_figure, axes = diagrams.strip(count, kind.height)
    shown = list(axes)
    if kind.first:
        diagrams.label(axes[0], *kind.first(shown.pop(0), levels), count)
    for panel, level in zip(shown, levels, strict=True):
        title, below = kind.draw(panel, level, levels)
        diagrams.label(panel, title or level.name, below, count)
    return new_figure


def caption(results: Results, family: str) -> str:
    """What the family's strip shows; empty where there is none."""
    kind = kind_of(results, family)
    return kind.caption if kind and panels_of(results, family) else ""


def alternative_text(results: Results, family: str) -> str:
    """The names of the panels, for readers who do not see them; without what an attribute cannot hold."""
    names = ", ".join(level.name for level in panels_of(results, family))
    text = f"Small drawings beside each other, one for each of: {names}."
    return " ".join(text.replace("\\", "").replace('"', "”").split())


def panels_of(results: Results, family: str) -> list[Level]:
    """The levels that get a panel: of those that are drawn alike, the first."""
    kind = kind_of(results, family)
    different: dict[Any, Level] = {}
    for level in levels_of(results, family) if kind else []:
        key = kind.key(level) if kind else None
        if key is not None:
            different.setdefault(key, level)
    panels = list(different.values())[: MOST - bool(kind and kind.first)]
    return panels if len(panels) + bool(kind and kind.first) > 1 else []


def levels_of(results: Results, family: str) -> list[Level]:
    names = results.names.levels(family)
    return [Level(results, variant, name) for variant, name in names.items()]


def kind_of(results: Results, family: str) -> Kind | None:
    """How the family is drawn: the first of KINDS whose settings differ between its levels."""
    levels = levels_of(results, family)
    settings = [_flat(level) for level in levels]
    varied = {name for name in settings[0] if len({repr(one[name]) for one in settings}) > 1}
    pairs = [{name for name in one if one[name] != other[name]} for one, other in combinations(settings, 2)]
    if {"recipe.lr"} in pairs or varied & {"sample.labels", "sample.seed_offset"}:
        return None  # the nets differ too, but the family is about rates, or about chance
    if any(level.layout != "original" for level in levels):
        return LAYOUT
    connectivities = {connectivity for level in levels for connectivity in level.connectivities}
    if "architecture.connectivity" in varied and not varied & set(BEFORE_CONNECTIVITY):
        if connectivities & set(TRANSFORMERS):
            return READERS
        return CHANNELS if "separable" in connectivities else MATRICES
    return next((kind for name, kind in KINDS.items() if name in varied), None)


def _flat(level: Level) -> dict[str, Any]:
    """Setting → value, and "depth" for the number of layers."""
    blocks = level.run.model_dump(mode="json")
    flat = {f"{block}.{name}": value for block, values in blocks.items() for name, value in values.items()}
    return flat | {"depth": len(level.architecture.channels)}


def _of_layered(key: Callable[[Level], Any]) -> Callable[[Level], Any]:
    return lambda level: key(level) if level.architecture.connectivity in LAYERED else None


LAYOUT = Kind(
    "What is done to every image before a net sees it.",
    lambda level: level.layout if level.layout != "original" else None,
    level_drawings.layout,
    level_drawings.original,
)
READERS = Kind(
    f"What one position reads of an image, or of its patches. {SAME} Tones of blue: weights that are computed from the "
    "image itself.",
    level_drawings.reader_key,
    level_drawings.reader,
)
CHANNELS = Kind(
    f"The layer of a signal with a few channels as a matrix, a row for each output. {SAME} A separable layer is two "
    "matrices, one after the other.",
    _of_layered(lambda level: level.architecture.connectivity),
    level_drawings.channels,
)
MATRICES = Kind(
    f"The first layer as a matrix, for a signal of {level_drawings.PIXELS} pixels. {SAME}",
    level_drawings.matrix_key,
    level_drawings.matrix,
)
PICTURES_OF_RECIPE = {
    "sample.train_size": Kind(
        "How many images a net is trained on: the areas are in proportion.",
        lambda level: level.n_images,
        level_drawings.n_images,
    ),
    "recipe.augment_shift": Kind(
        "A train image, and one of the places to which it may move; dashed: where it was.",
        lambda level: level.run.recipe.augment_shift,
        level_drawings.shifted,
    ),
    "recipe.precision": Kind(
        "The bits of a number: its sign, its power of two (blue), its digits (orange).",
        lambda level: level.run.recipe.precision,
        level_drawings.bits,
        height=0.6,
    ),
}
CHAIN = Kind(
    "The layers (blue) from the image to the head, norms (green), and shortcuts around blocks.",
    _of_layered(lambda level: (len(level.layers), level.architecture.residual, level.architecture.norm)),
    level_drawings.chain,
    height=0.8,
)
HEAD = Kind(
    "The last feature map, a cell for each position. Two positions of one colour are read by the same weights; grey is "
    "not read.",
    _of_layered(lambda level: (level.architecture.head, level.architecture.hidden)),
    level_drawings.head,
)
FIELD = Kind(
    "What one unit sees along one axis: maps above each other, the image (orange) at the foot.",
    _of_layered(lambda level: tuple((layer.span, layer.stride, layer.pooling) for layer in level.layers)),
    level_drawings.field,
)
WINDOW = Kind(
    "The window of a filter of the first layer: the pixels that it reads, each in the colour of its weight.",
    _of_layered(lambda level: (level.layers[0].kernel, level.layers[0].dilation)),
    level_drawings.window,
)
PADDING = Kind(
    "What the first layer adds around an image, the outlined square. A colour is a pixel; grey is zero.",
    _of_layered(lambda level: level.layers[0].padding),
    level_drawings.border,
)
REDUCING = Kind(
    "A map, and what each way of making it smaller leaves of it.",
    _of_layered(lambda level: level_drawings.reducing(level)[5:9]),
    level_drawings.reduced,
    level_drawings.example_map,
)
BEFORE_CONNECTIVITY = list(PICTURES_OF_RECIPE)
# A setting that differs between the levels → the picture. The first that differs counts.
KINDS: dict[str, Kind] = PICTURES_OF_RECIPE | {
    "architecture.residual": CHAIN,
    "architecture.norm": CHAIN,
    "architecture.tile": MATRICES,
    "architecture.head": HEAD,
    "architecture.hidden": HEAD,
    "depth": FIELD,
    "architecture.kernel": WINDOW,
    "architecture.dilation": WINDOW,
    "architecture.padding": PADDING,
    "architecture.pooling": REDUCING,
    "architecture.stride": REDUCING,
    "architecture.pool_size": REDUCING,
    "architecture.reduce_at": REDUCING,
}

"""One look for every figure: fonts, sizes, the palette, and a way to save that repeats byte for byte."""

import dataclasses
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import IO

import matplotlib
import numpy as np

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib import font_manager
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from stages.shared.drawing import marks
from stages.shared.lettering import fonts

# Okabe and Ito 2008: told apart with every common colour blindness.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW = "#56B4E9", "#CC79A7", "#B8A800"
# Four more colours: three of Tol's "muted" and a brown. What they mark has a label too.
INDIGO, WINE, TEAL, BROWN = "#332288", "#882255", "#44AA99", "#7F5539"
GREY, PALE, INK = "#7A7A7A", "#A4A4A4", "#222222"
PALETTE = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, YELLOW, INDIGO, WINE, TEAL, BROWN)
DASHED = (0, (4, 3))  # a reference line

WIDTH = 6.3  # inches: the text's width on the printed page
TALLEST = 8.4  # inches: the printed page's height, less a caption
FONT = 8  # points


def use_style() -> None:
    """Set matplotlib's defaults for the report. Call it before any figure is made."""
    plt.rcdefaults()
    _add_fonts()
    plt.rcParams.update(
        {
            "figure.figsize": (WIDTH, 3.2),
            "figure.facecolor": "white",
            "figure.constrained_layout.use": True,
            "font.family": list(fonts.FAMILIES),
            "font.size": FONT,
            "axes.titlesize": 9,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.edgecolor": INK,
            "axes.linewidth": 0.6,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": cycler(color=PALETTE),
            "axes.grid": False,
            "grid.color": "#E4E4E4",
            "grid.linewidth": 0.6,
            "xtick.major.width": 0.6,
            "ytick.major.width": 0.6,
            "legend.frameon": False,
            "lines.linewidth": 1.4,
            "svg.fonttype": "path",
            "svg.hashsalt": "figures",
        }
    )


def _add_fonts() -> None:
    """Let matplotlib find the fonts that it does not ship, for bold text too, though they have one weight."""
    manager = font_manager.fontManager
    for file in fonts.files():
        if str(file) not in {entry.fname for entry in manager.ttflist}:
            manager.addfont(file)
            manager.ttflist.append(dataclasses.replace(manager.ttflist[-1], weight="bold"))


def plain(text: str, longest: int = 60) -> str:
    """A user's text for matplotlib, which would read $…$ as mathematics; too long a text loses its middle."""
    return _without_middle(text, longest).replace("$", r"\$")


def _without_start(text: str, longest: int) -> str:
    """The last words that fit, or the last characters where a single word does not."""
    if len(text) <= longest:
        return text
    end = text[len(text) - longest + 1 :]
    _, space, words = end.partition(" ")
    return f"…{words if space and len(words) >= longest // 3 else end.lstrip()}"


def _without_middle(text: str, longest: int) -> str:
    head = longest // 2
    if len(text) <= longest:
        return text
    return f"{text[:head].rstrip()}…{text[head - longest + 1 :].lstrip()}"


def shortened(labels: Sequence[str], longest: int) -> list[str]:
    """Labels of at most so many characters, for matplotlib; labels that differ stay different.

    The beginning is cut, since it is often the family's title. If two would then be the same, the middle of every label
    is cut instead; labels that would still be the same stay whole.
    """
    ends = [_without_start(label, longest) for label in labels]
    middles = [_without_middle(label, longest) for label in labels]
    chosen = ends if len(set(ends)) == len(set(labels)) else middles
    whole = [chosen.count(short) > labels.count(label) for label, short in zip(labels, chosen, strict=True)]
    kept = [label if is_whole else short for label, short, is_whole in zip(labels, chosen, whole, strict=True)]
    return [label.replace("$", r"\$") for label in kept]


def shades(colour: str, number: int) -> list[str]:
    """So many tones of one colour from dark to light, told apart in print and by the colour-blind."""
    if number == 1:
        return [colour]
    rgb = to_rgb(colour)
    tones = []
    for place in range(number):
        towards = -0.3 + 0.7 * place / (number - 1)  # below zero: share of black; above: share of white
        target, share = (0.0, -towards) if towards < 0 else (1.0, towards)
        red, green, blue = ((1 - share) * part + share * target for part in rgb)
        tones.append(to_hex((red, green, blue)))
    return tones


def readable(colour: str) -> str:
    """The colour, made darker where needed for a contrast with white of 4.5 to 1. Source: WCAG 2.1, 1.4.3."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    luminance = sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    darker = [part * min(1.0, 0.18 / luminance) if luminance > 0 else part for part in linear]
    red, green, blue = (12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055 for part in darker)
    return to_hex((red, green, blue))


def note(text: str, path: Path) -> None:
    """Write a figure that says why there is nothing to draw, so that the report finds the file."""
    figure, axes = plt.subplots(figsize=(WIDTH, 0.7))
    axes.set_axis_off()
    axes.text(0.5, 0.5, plain(text, 100), ha="center", va="center", color=GREY, transform=axes.transAxes)
    save(figure, path)


def save(figure: Figure, path: Path | IO[bytes]) -> None:
    """Write an SVG whose bytes depend on the drawing alone, and close the figure."""
    canvas, drawn = FigureCanvasSVG(figure), BytesIO()
    _lay_out(figure)
    canvas.print_svg(drawn, metadata={"Date": None, "Creator": None})
    plt.close(figure)
    content = marks.with_attributes(drawn.getvalue().decode("utf-8")).encode("utf-8")
    if isinstance(path, Path):
        path.write_bytes(content)
    else:
        path.write(content)


def _lay_out(figure: Figure) -> None:
    """Place the axes, rounded to a millionth of the figure: the solver's last bits differ from process to process."""
    engine, dpi = figure.get_layout_engine(), figure.dpi
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")
        figure.set_dpi(dpi)  # which measuring the texts of an SVG has changed
    for axes in figure.axes:
        axes.set_position(np.round(axes.get_position(original=True).bounds, 6), which="original")

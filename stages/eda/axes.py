"""How the axes of the EDA's figures are named and ruled."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from stages.shared.drawing import style

NAMED = 30  # classes up to which each has its name


def name_classes(axes: Axes, classes: Sequence[str]) -> None:
    n = len(classes)
    axes.set_xlim(-0.6, n - 0.4)
    if n > NAMED:
        axes.set_xlabel("class, in order")
        axes.xaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10], integer=True))
        return
    names = [style.plain(name if len(name) <= 18 else f"{name[:17]}…") for name in classes]
    axes.set_xticks(range(n), names, rotation=35, ha="right", rotation_mode="anchor", fontsize=7.5 if n <= 12 else 6)


def plain_numbers(axis: Axis, subs: tuple[float, ...] = (1.0, 2.0, 5.0)) -> None:
    """Ticks of a logarithmic axis at 1, 2 and 5, or other multiples of powers of ten, in plain numbers."""
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def grid(axes: Axes, both: bool = False) -> None:
    axes.grid(axis="both" if both else "y")
    axes.set_axisbelow(True)


def say(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, ha="center", va="center", color=style.GREY, transform=axes.transAxes)
    axes.set_xticks([])

"""Every figure of the report, by its file's name."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from stages.figures import confusion, cost, curves, dots, hypotheses, inside, rates, roadmap, shift, sizes, structure
from stages.figures.results import Results
from stages.shared.drawing import style


def write(results: Results, folder: Path) -> None:
    """Each file exists whatever ran: one with nothing to show says why."""
    folder.mkdir()
    style.save(dots.accuracy(results), folder / "accuracy.svg")
    style.save(curves.learning_curves(results), folder / "learning-curves.svg")
    _drawn_or_noted(
        len(results.variants) > 1,
        roadmap.roadmap,
        "Only the baseline ran: there is no road to it.",
        results,
        folder / "roadmap.svg",
    )
    style.save(cost.cost(results), folder / "cost.svg")
    style.save(confusion.confusion(results), folder / "confusion.svg")
    _drawn_or_noted(
        any(map(results.has_run, results.declared)),
        hypotheses.forest,
        "No declared hypothesis was measured.",
        results,
        folder / "hypotheses.svg",
    )
    _drawn_or_noted(
        bool(structure.arms(results)),
        structure.structure,
        "No net ran on two orders of the pixels.",
        results,
        folder / "structure.svg",
    )
    _drawn_or_noted(
        bool(sizes.arms(results)),
        sizes.sizes,
        "No net was trained on two numbers of images.",
        results,
        folder / "sizes.svg",
    )
    _drawn_or_noted(
        bool(rates.arms(results)),
        rates.rates,
        "No net was trained at two learning rates.",
        results,
        folder / "rates.svg",
    )
    for key in results.families:
        style.save(dots.family(results, key), folder / f"family-{key}.svg")
    if len(results.variants) > 1:
        style.save(dots.forest(results), folder / "forest.svg")
    else:
        style.note("Only the baseline ran: there is no difference to show.", folder / "forest.svg")
    inside.write_figures(results, folder)
    if results.shifts_were_probed:
        style.save(shift.shift(results), folder / "shift.svg")
    else:
        style.note("The margin is zero: no image was shifted.", folder / "shift.svg")


def _drawn_or_noted(
    shown: bool, draw: Callable[[Results], Figure], otherwise: str, results: Results, path: Path
) -> None:
    if shown:
        style.save(draw(results), path)
    else:
        style.note(otherwise, path)

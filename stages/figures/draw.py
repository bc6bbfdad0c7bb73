"""Every figure of the report, by its file's name."""

from pathlib import Path

from stages.drawing import style
from stages.figures import confusion, cost, curves, dots, filters, shift
from stages.figures.results import Results


def write(results: Results, folder: Path) -> None:
    """Each file exists whatever ran: one with nothing to show says why."""
    folder.mkdir()
    style.save(dots.accuracy(results), folder / "accuracy.svg")
    style.save(curves.learning_curves(results), folder / "learning-curves.svg")
    style.save(cost.cost(results), folder / "cost.svg")
    style.save(confusion.confusion(results), folder / "confusion.svg")
    for key in results.families:
        style.save(dots.family(results, key), folder / f"family-{key}.svg")
    if len(results.variants) > 1:
        style.save(dots.forest(results), folder / "forest.svg")
    else:
        style.note("Only the baseline ran: there is no difference to show.", folder / "forest.svg")
    if results.filters:
        style.save(filters.filters(results), folder / "filters.svg")
    else:
        style.note("No variant has convolutional filters.", folder / "filters.svg")
    if results.shifts_were_probed:
        style.save(shift.shift(results), folder / "shift.svg")
    else:
        style.note("The margin is zero: no image was shifted.", folder / "shift.svg")

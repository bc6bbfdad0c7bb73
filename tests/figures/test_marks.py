"""What a figure tells of a mark that is pointed at: the name and the numbers that the tables have."""

import io
import re
import xml.etree.ElementTree as ElementTree

import pytest
from fake_results import reached, results_of

from stages.figures import accuracy, costs
from stages.shared.drawing import marks, numbers, rows, style

SVG = "{http://www.w3.org/2000/svg}"


def saved(figure):
    drawn = io.BytesIO()
    style.save(figure, drawn)
    return drawn.getvalue().decode()


def marks_of(figure):
    """(name, numbers) of each mark of a figure, as its SVG has them."""
    groups = ElementTree.fromstring(saved(figure)).iter(f"{SVG}g")
    return [(one.get("data-name"), one.get("data-numbers")) for one in groups if one.get("class") == "mark"]


def table_rows(text):
    """Label → the other cells of its row, of pipe tables one after the other."""
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    plain = [[re.sub(r"\\(.)", r"\1", cell) for cell in row] for row in cells]
    together = {}
    for label, *others in plain:
        together.setdefault(label, []).extend(others)
    return together


@pytest.fixture(scope="module")
def results():
    return results_of("default")


def test_every_row_of_the_forest_tells_the_cells_of_the_table(results):
    table, texts = table_rows(accuracy.tables(results)), marks_of(accuracy.forest(results))
    assert len(texts) == len(accuracy.in_forest(results)) > 10
    for name, text in texts:
        n, mean_sd, difference, *_ = table[name]
        assert text == f"accuracy {mean_sd} % (n = {n}); difference {difference} points"


def test_every_net_in_both_panels_of_the_cost_figure_tells_the_cells_of_the_tables(results):
    table, texts = table_rows(accuracy.tables(results)), marks_of(costs.accuracy_against_cost(results))
    assert len(texts) == 2 * len(results.nets)
    assert [name for name, _ in texts[: len(results.nets)]] == [
        results.names.label(variant)
        for variant in results.variants.loc[results.nets].sort_values("parameters", kind="stable").index
    ], "the arrow keys go along the axis"
    for name, text in texts:
        n, mean_sd, _, *cells = table[name]
        accuracy_part, *others = text.split("; ")
        assert accuracy_part == f"accuracy {mean_sd} % (n = {n})"
        assert [part.split(": ")[1] for part in others] == cells


def test_the_baseline_has_no_difference_from_itself():
    texts = dict(marks_of(accuracy.accuracies(reached(cnn=0.9, kernel_5=0.91))))
    assert texts["CNN (baseline)"] == "accuracy 90.00 ± 0.00 % (n = 5)"
    assert texts["Kernel size: 5×5"].endswith("; difference +1.00 [0.61, 1.39] points")


def test_any_name_survives_and_the_areas_cannot_be_seen():
    name = 'a "b" <c> & d'
    figure, (axes,) = rows.figure(1)
    rows.draw(axes, [rows.Row(name, [1.0], 1.0, 0.5, 1.5, style.BLUE, numbers="x < 1; y")], rest=0.62)
    marks.point(axes, 1, 0, name, "z")
    drawn = saved(figure)
    groups = [one for one in ElementTree.fromstring(drawn).iter(f"{SVG}g") if one.get("class") == "mark"]
    assert [(one.get("data-name"), one.get("data-numbers")) for one in groups] == [(name, "x < 1; y"), (name, "z")]
    for group in groups:
        (area,) = group.iter(f"{SVG}path")
        assert "fill: none" in area.get("style")
        assert "stroke" not in area.get("style").replace("stroke-linejoin", "")
        corners = [float(number) for number in re.findall(r"[\d.]+", area.get("d"))]
        assert max(corners) <= 72 * style.WIDTH
    assert marks.START not in drawn


def test_a_figure_without_marks_is_as_matplotlib_writes_it():
    figure, (axes,) = rows.figure(1)
    rows.draw(axes, [rows.Row(numbers.DASH, [1.0], 1.0, 0.5, 1.5, style.BLUE)], rest=0.62)
    drawn, plain = saved(figure), io.BytesIO()  # `saved` has laid it out
    figure.savefig(plain, format="svg", metadata={"Date": None, "Creator": None})
    assert drawn.encode() == plain.getvalue()

"""The notebook's cells, run on every kind of data without a kernel, and the notebook in git."""

import ast
import json
import re
from functools import cache
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
from eda_data import LINES, REPOSITORY, SOURCE, cells_of, contents, differing, noise, write_prepared
from ruamel.yaml import YAML

from stages.eda import classes, notebook
from stages.eda.outputs import Finding, Outputs, Table, decimal, joined
from stages.shared import params, paths

SETTINGS = {
    "images": 60, "max_distance": 3, "samples_per_class": 2, "object_threshold": 0.2, "rare_share": 0.01,
    "variance_shares": [0.9, 0.95],
    "twonn_discard": 0.1, "near_duplicate": 0.5, "seed": 0, "confidence": 0.95,
}  # fmt: skip


# --- words, tables, outputs


def test_numbers_have_a_true_minus_sign_and_zero_none():
    assert [decimal(value) for value in (-1.5, -0.001, 2.0, np.nan)] == ["−1.50", "0.00", "2.00", "–"]
    assert [joined(parts) for parts in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


def test_outputs_write_what_the_report_reads(tmp_path):
    outputs = Outputs(tmp_path)
    facts = {"a_sentence": 'Said "so".', "b": "1"}
    outputs.finding("part", Finding(facts, {"x": np.float64(1 / 3), "y": np.nan, "z": [np.int64(2)], "n": None}))
    strings = pd.DataFrame({"Row": ["one"], "Value": ["−1.00"]})
    outputs.table("things", Table(strings, "Some things.", pd.DataFrame({"value": [-1 / 3]})))
    outputs.close()
    assert YAML(typ="safe").load(tmp_path / "facts.yml") == {"eda": facts}
    values = {"n": None, "x": 0.333333333, "y": None, "z": [2]}
    assert json.loads((tmp_path / "numbers.json").read_text()) == {"part": values}
    assert (tmp_path / "tables" / "things.csv").read_bytes() == b"value\n-0.333333\n"
    assert "{#tbl-eda-things}" in (tmp_path / "tables" / "things.md").read_text()
    with pytest.raises(ValueError, match="two findings have a fact named b;"):
        outputs.finding("again", Finding({"b": "2"}, {}))


def many(n, *shape, k=2):
    return noise(n, *shape), np.arange(n) % k, [f"class {i}" for i in range(k)]


def of_images(images):
    return images, np.arange(len(images)) % 2, ["a", "b"]


DATA = {
    "lines": LINES,
    "colour": many(100, 5, 7, 3, k=4),
    "two channels of one class": many(60, 4, 4, 2, k=1),
    "signals": many(80, 1, 20, 1),
    "signals that stand": many(80, 20, 1, 1),
    "one pixel": many(60, 1, 1, 1),
    "a hundred classes": many(400, 6, 6, 1, k=100),
    "few images": many(10, 3, 3, 1, k=5),
    "tall": many(80, 60, 3, 1, k=12),
    "all equal within": of_images(np.tile(noise(60, 1, 1, 1), (1, 4, 4, 1))),
    "mostly duplicates": of_images(np.random.default_rng(0).permutation(np.repeat(noise(4, 4, 4, 1), 30, axis=0))),
}
QUICK = ("colour", "signals", "few images", "a hundred classes")  # a kind takes seconds


@pytest.fixture(scope="module")
def run_cells(tmp_path_factory):
    """A function that runs the notebook's cells once on a kind of data; returns the folder and the facts.

    There is no kernel, so that a warning is an error.
    """

    @cache
    def run(kind, **changes):
        root = tmp_path_factory.mktemp("cells")
        write_prepared(root / "prepared", *DATA[kind], 1)
        places = SimpleNamespace(ROOT=root, PREPARED=root / "prepared")
        space = SETTINGS | changes | {"folder": "eda", "paths": places}
        for cell in cells_of():
            if "parameters" not in cell.metadata.get("tags", []):
                exec(compile(cell.source, cell.id, "exec"), space)
        return root / "eda", YAML(typ="safe").load(root / "eda" / "facts.yml")["eda"]

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in DATA]
)
def test_every_kind_of_data_gives_the_same_files_and_facts_and_figures_that_fit_the_page(kind, run_cells):
    (folder, facts), (usual_folder, usual_facts) = run_cells(kind), run_cells("lines")
    assert facts.keys() == usual_facts.keys()
    assert contents(folder).keys() == contents(usual_folder).keys()
    for name, text in facts.items():
        assert text.strip(), name
        assert "nan" not in text.split(), f"{name}: {text}"
        if name.endswith("_sentence"):
            assert re.fullmatch(r"[A-Z](?!.*  ).*\.", text), f"{name}: {text}"
    for file in (folder / "figures").iterdir():
        width, height = re.search(r'<svg [^>]*?width="([\d.]+)pt" height="([\d.]+)pt"', file.read_text()).groups()
        assert float(width) == pytest.approx(6.3 * 72, abs=0.01), file
        assert float(height) <= 8.4 * 72 + 0.01, file


SENTENCES = [
    ("lines", "locality", "The original is above the permuted"),
    ("colour", "locality", "is not distinguishable from"),
    ("signals", "locality", "there is no other direction"),
    ("signals", "spectrum", "along the one axis that the images have"),
    ("a hundred classes", "images", "The statistics are of 60 of the 240 train images"),
    ("a hundred classes", "classes_shown", "The first 12 of 100 classes are shown."),
    ("lines", "images", "The statistics are of all 60 train images of Some data in the original layout, without the "),
    ("lines", "images", "margin of 1 pixel around"),
]


@pytest.mark.parametrize(("kind", "name", "words"), SENTENCES)
def test_a_sentence_has_the_direction_that_was_measured_and_what_cannot_be_measured(kind, name, words, run_cells):
    assert words in run_cells(kind)[1][f"{name}_sentence"]


def test_a_correlation_that_does_not_exist_is_a_dash_and_null(run_cells):
    folder, facts = run_cells("signals")
    assert facts["correlation_down"] == "–"
    assert json.loads((folder / "numbers.json").read_text())["locality"]["correlation_down"] is None


def test_of_many_classes_the_table_has_the_first_and_the_csv_all(run_cells):
    tables = run_cells("a hundred classes")[0] / "tables"
    table = (tables / "classes.md").read_text()
    assert "class 11" in table
    assert "class 12" not in table
    assert "The first 12 classes; the CSV has all 100." in table
    assert len(pd.read_csv(tables / "classes.csv")) == 100


CHANGES = {
    "max_distance": (2, "tables/correlation.csv"),
    "samples_per_class": (3, "figures/samples.svg"),
    "object_threshold": (0.02, "tables/position.csv"),
    "rare_share": (0.3, "facts.yml"),
    "variance_shares": ((0.5,), "tables/components.md"),
    "near_duplicate": (1.0, "tables/duplicates.csv"),
    "confidence": (0.8, "tables/nearest-neighbour.csv"),
}


@pytest.mark.slow
def test_every_parameter_moves_its_output(run_cells):
    usual, usual_facts = run_cells("lines")
    changed, facts = run_cells("lines", twonn_discard=0.4, **{name: value for name, (value, _) in CHANGES.items()})
    assert {file for _, file in CHANGES.values()} <= differing(usual, changed)
    assert facts["intrinsic_dimension"] != usual_facts["intrinsic_dimension"], "twonn_discard moves it alone"
    assert differing(usual, run_cells("lines", seed=1)[0]) == {"figures/samples.svg"}


@pytest.mark.parametrize(("shape", "pictures"), [((2, 1, 1, 30), False), ((2, 1, 5, 5), True)], ids=["signal", "image"])
def test_a_signal_is_drawn_as_a_line_and_an_image_as_a_picture(shape, pictures, report_style):
    figure = classes.samples_figure(noise(*shape), [np.array([0]), np.array([1])], ["a", "b"])
    assert [bool(axes.images) for axes in figure.axes] == [pictures] * 2
    assert [bool(axes.lines) for axes in figure.axes] == [not pictures] * 2


# --- the notebook in git


def test_the_notebook_in_git_has_no_outputs_and_fixed_ids():
    raw = json.loads(SOURCE.read_text(encoding="utf-8"))
    nbformat.validate(nbformat.read(SOURCE, as_version=4))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert raw["metadata"] == {"kernelspec": kernel, "language_info": {"name": "python"}}
    code = [cell for cell in raw["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    ids = [cell["id"] for cell in raw["cells"]]
    assert len(set(ids)) == len(ids)
    assert [cell["id"] for cell in raw["cells"] if cell["metadata"]] == ["parameters"]


def test_the_notebook_names_exactly_the_parameters_that_the_stage_gives():
    (cell,) = [cell for cell in cells_of() if "parameters" in cell.metadata.get("tags", [])]
    nodes = [node for node in ast.parse(cell.source).body if isinstance(node, ast.Assign)]
    assigned = {node.targets[0].id: ast.unparse(node.value) for node in nodes}
    parameters = notebook.parameters(params.load(REPOSITORY / "params.yaml"), paths.PARTIAL / "eda")
    assert assigned.keys() - {"settings"} == parameters.keys()
    for name in params.Eda.model_fields:
        assert assigned[name] == f"settings.eda.{name}"
    assert parameters["folder"] == "data/partial/eda"
    assert json.loads(json.dumps(parameters)) == parameters


def test_cells_hold_no_logic_and_the_prose_no_measured_number():
    logic = (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.If, ast.IfExp, ast.For, ast.While, ast.Try)
    for cell in cells_of():
        assert not any(isinstance(node, logic) for node in ast.walk(ast.parse(cell.source))), cell.id
    for cell in cells_of("markdown"):
        assert not re.search("[0-9%]", cell.source.replace("(Facco et al. 2017)", "")), cell.source

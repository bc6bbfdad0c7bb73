"""The stage: the notebook that it executes, that it repeats, and what it says where it stops."""

import os
import shutil

import nbformat
import pytest
from eda_data import REPOSITORY, SOURCE, cells_of, differing, finished_stage, make_root, run_stage

from stages.eda import notebook
from stages.shared.stage_command import StageError


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return finished_stage(tmp_path_factory)


@pytest.mark.slow
def test_the_stage_writes_the_executed_notebook_and_all_that_the_report_needs(finished):
    root, stdout, stderr = finished
    assert "eda: 10 figures, 9 tables → data/eda" in stdout
    assert "cell/s" in stderr, "the progress is shown"
    code = [cell for cell in nbformat.read(root / "data/eda/eda.ipynb", as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(cells_of()) + 2))
    outputs = [output for cell in code for output in cell.outputs]
    assert {output.output_type for output in outputs} == {"execute_result"}
    assert sum("image/svg+xml" in output.data for output in outputs) == 10
    names = ["eda.ipynb", "facts.yml", "figures", "numbers.json", "tables"]
    assert sorted(path.name for path in (root / "data" / "eda").iterdir()) == names


@pytest.mark.slow
def test_a_second_run_elsewhere_gives_the_same_bytes_and_leaves_home_and_kernels_alone(finished, tmp_path):
    root, home, elsewhere = make_root(tmp_path / "another root"), tmp_path / "home", tmp_path / "elsewhere"
    kernel = tmp_path / "jupyter" / "kernels" / "python3"  # the user's, which cannot even start
    for folder in (home, elsewhere, kernel):
        folder.mkdir(parents=True)
    (kernel / "kernel.json").write_text('{"argv": ["/nonexistent"], "display_name": "Mine", "language": "python"}')
    users = {"HOME": str(home), "JUPYTER_PATH": str(tmp_path / "jupyter"), "JUPYTER_PREFER_ENV_PATH": "0"}
    result = run_stage(root, elsewhere, **users)
    assert result.returncode == 0, result.stderr
    assert differing(finished[0] / "data" / "eda", root / "data" / "eda") == set()
    assert [*home.iterdir(), *elsewhere.iterdir()] == []


@pytest.mark.slow
def test_a_failing_cell_ends_in_one_message_and_leaves_nothing(tmp_path):
    root = make_root(tmp_path)
    (root / "data" / "prepared" / "test.safetensors").unlink()
    result = run_stage(root)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    message = result.stderr.strip().splitlines()[-1]
    assert "eda.ipynb stopped in the cell `from stages.eda import (`: FileNotFoundError: " in message
    assert "test.safetensors" in message
    assert "(dataset.py, line" in message
    assert not (root / "data" / "eda").exists()
    assert not any((root / "data" / "partial").iterdir())
    assert not (root / "data" / "timings").exists()


@pytest.mark.slow
def test_a_kernel_that_dies_is_named(tmp_path):
    source = tmp_path / "deadly.ipynb"
    document = nbformat.v4.new_notebook(metadata=nbformat.read(SOURCE, as_version=4).metadata)
    document.cells = [nbformat.v4.new_code_cell("import os\nos._exit(9)", id="end")]
    nbformat.write(document, source)
    before = dict(os.environ)
    with pytest.raises(StageError, match=r"deadly\.ipynb: its kernel was killed.*reduce eda\.images"):
        notebook.execute({}, tmp_path, source)
    assert dict(os.environ) == before


def test_without_prepared_data_the_stage_says_what_makes_them(tmp_path):
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    result = run_stage(tmp_path)
    assert (result.returncode, result.stderr.strip()) == (1, "data/prepared is missing; `dvc repro prepare` makes it")


def test_what_would_differ_next_time_is_taken_out():
    of_run = {"papermill": {"start_time": "now"}, "language_info": {"name": "python", "version": "3.11"}}
    injected = {"tags": ["injected-parameters"], "execution": {"iopub.execute_input": "now"}}
    streams = [nbformat.v4.new_output("stream", name=name, text="said") for name in ("stderr", "stdout")]
    cells = [
        nbformat.v4.new_code_cell("1", id="a1b2", metadata=injected),
        nbformat.v4.new_code_cell("2", id="kept", metadata={"papermill": {"duration": 1}}, outputs=streams),
    ]
    document = nbformat.v4.new_notebook(metadata=of_run, cells=cells)
    notebook.make_repeatable(document, nbformat.from_dict({"kernelspec": {"name": "python3"}}))
    assert document.metadata == {"kernelspec": {"name": "python3"}}
    assert [cell.metadata for cell in document.cells] == [{"tags": ["injected-parameters"]}, {}]
    assert [cell.id for cell in document.cells] == ["injected-parameters", "kept"]
    assert [output.name for output in document.cells[1].outputs] == ["stdout"]

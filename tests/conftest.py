"""Every test runs with the annotated types and tensor shapes checked, where there are tensors."""

import shutil
import signal
import sys

import parsed_once
import pytest
from jaxtyping import install_import_hook
from made_once import made_once

# A shell that starts the tests in the background has them ignore Ctrl-C, and so what they start and then interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

WITH_TENSORS = [
    "stages.shared.architectures.build",
    "stages.shared.architectures.layers",
    "stages.shared.architectures.own_net",
    "stages.shared.architectures.tokens",
    "stages.train",
    "stages.probe",
]
install_import_hook(WITH_TENSORS, "beartype.beartype")
parsed_once.install()


def pytest_collection_finish():
    """Let torch use one thread, as in every stage: the processes of pytest-xdist have the other cores already."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture
def report_style():
    """Draw in the report's style, and close what a test drew."""
    from stages.shared.drawing import style

    style.use_style()
    yield
    style.plt.close("all")


@pytest.fixture(scope="session")
def finished_workspace(tmp_path_factory):
    """A clone in which the pipeline has run once, from nothing. Copy it, do not change it."""
    from pipeline_workspace import Workspace, clone

    folder, output = made_once(tmp_path_factory, "finished", lambda folder: clone(folder).run("dvc", "repro")[1])
    workspace = Workspace(folder)
    workspace.first_output = output
    assert (folder / "data" / "report").exists(), output
    return workspace


@pytest.fixture
def workspace(finished_workspace, tmp_path):
    """A copy of the finished clone that a test may change."""
    from pipeline_workspace import Workspace

    shutil.copytree(finished_workspace.folder, tmp_path / "copy", symlinks=True)
    return Workspace(tmp_path / "copy")

"""Every test runs with the annotated types and tensor shapes checked, where there are tensors."""

import fcntl
import os
import shutil
import signal

import pytest
from jaxtyping import install_import_hook

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


@pytest.fixture
def report_style():
    """Draw in the report's style, and close what a test drew."""
    from stages.shared.drawing import style

    style.use_style()
    yield
    style.plt.close("all")


@pytest.fixture(scope="session")
def finished_workspace(tmp_path_factory):
    """A clone in which the pipeline has run once, from nothing. Copy it, do not change it.

    The workers of pytest-xdist share it: the first that asks makes it, the others wait.
    """
    from pipeline_workspace import Workspace, clone

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    workspace, record = Workspace(folder / "finished"), folder / "finished.txt"
    with (folder / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not record.exists():
            record.touch()  # what fails once is not tried again
            record.write_text(clone(workspace.folder).run("dvc", "repro")[1])
    workspace.first_output = record.read_text()
    assert (workspace.folder / "data" / "report").exists(), workspace.first_output
    return workspace


@pytest.fixture
def workspace(finished_workspace, tmp_path):
    """A copy of the finished clone that a test may change."""
    from pipeline_workspace import Workspace

    shutil.copytree(finished_workspace.folder, tmp_path / "copy", symlinks=True)
    return Workspace(tmp_path / "copy")

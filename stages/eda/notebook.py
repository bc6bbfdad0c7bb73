"""Run the notebook with papermill, in a kernel of this Python, and save a copy that is the same after every run."""

import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nbformat

import stages
from stages.shared import paths
from stages.shared.params import Params
from stages.shared.stage_command import StageError

SOURCE = Path(__file__).with_name("eda.ipynb")
SOCKET_PATH_BYTES = 103  # sys/un.h: 107 on Linux, 103 on macOS
SHORT_FOLDERS = (Path("/tmp"), Path("/var/tmp"))
INJECTED = "injected-parameters"  # papermill's tag, and here the cell's id


def parameters(settings: Params, out: Path) -> dict[str, Any]:
    """The values for the notebook's cell of parameters.

    `out` is given relative to the root, since it stands in the executed notebook.
    """
    return settings.eda.model_dump(mode="json") | {
        "seed": settings.data.seed,
        "confidence": settings.inference.confidence,
        "folder": out.relative_to(paths.ROOT).as_posix(),
    }


def execute(parameters: dict[str, Any], out: Path, source: Path = SOURCE) -> None:
    """Run `source` with these parameters and write the executed notebook to `out`/eda.ipynb.

    Raises StageError, naming the cell and its error, if a cell fails or the kernel dies.
    """
    with (
        tempfile.TemporaryDirectory() as scratch,
        tempfile.TemporaryDirectory(dir=_folder_for_sockets()) as sockets_folder,
        patch.dict(os.environ, _private_kernel(Path(scratch))),
    ):
        import papermill
        from nbclient.exceptions import DeadKernelError
        from traitlets.config import Config

        # Sockets in files: there is no port that another run could take. The kernel has nothing to save when it ends.
        sockets = Config(KernelManager={"transport": "ipc", "ip": str(Path(sockets_folder) / "socket")})
        engine = {"config": sockets, "shutdown_kernel": "immediate", "stderr_file": sys.stderr, "cwd": paths.ROOT}
        try:
            notebook = papermill.execute_notebook(source, None, parameters, kernel_name="python3", **engine)
        except papermill.PapermillExecutionError as error:
            raise StageError(_message(source, error)) from None
        except DeadKernelError:
            raise StageError(
                f"{source.name}: its kernel was killed (out of memory?); reduce eda.images in params.yaml"
            ) from None
    make_repeatable(notebook, nbformat.read(source, as_version=4).metadata)
    nbformat.write(notebook, out / source.name)


def _folder_for_sockets() -> Path:
    """A folder for temporary files whose name leaves room for that of a socket in a folder in it.

    Raises StageError if there is none.
    """
    usual, longest = Path(tempfile.gettempdir()), SOCKET_PATH_BYTES - len(b"/tmp12345678/socket-1")
    for folder in (usual, *SHORT_FOLDERS, paths.PARTIAL):
        if len(os.fsencode(folder)) <= longest and os.access(folder, os.W_OK | os.X_OK):
            return folder
    raise StageError(
        f"TMPDIR: the name of {usual} is too long for a socket, which has {SOCKET_PATH_BYTES} bytes for it and its "
        f"folders, and {' and '.join(map(str, SHORT_FOLDERS))} cannot be written to; set TMPDIR to a folder with a "
        "shorter name"
    )


def make_repeatable(notebook: nbformat.NotebookNode, metadata: nbformat.NotebookNode) -> None:
    """Remove times, versions, paths and random ids, so that only code and data decide the notebook's bytes.

    Output to stderr goes too, since it holds paths and process numbers; it was shown in the terminal already.
    """
    notebook.metadata = metadata
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if INJECTED in tags:
            cell.id = INJECTED
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]


def _private_kernel(scratch: Path) -> dict[str, str]:
    """Make a kernel "python3" of this Python in `scratch`; returns the environment in which Jupyter finds it.

    Jupyter and the kernel write nowhere else.
    """
    code = str(Path(stages.__file__).parents[1])
    kernel_environment = {
        "PYTHONPATH": os.pathsep.join(filter(None, [code, os.environ.get("PYTHONPATH")])),
        "PIPELINE_ROOT": str(paths.ROOT.resolve()),
        "IPYTHONDIR": str(scratch / "ipython"),
        "MPLCONFIGDIR": str(scratch / "matplotlib"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # a warning of the debugger, which nobody attaches
        # The order of a sum depends on the number of threads, and so would its last digit.
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    }
    # The kernel's log would only say that it ends; an error of a cell comes as a message.
    command = [sys.executable, "-m", "ipykernel_launcher", "--log-level=CRITICAL", "-f", "{connection_file}"]
    folder = scratch / "kernels" / "python3"
    folder.mkdir(parents=True)
    kernel = {"argv": command, "display_name": "Python 3", "language": "python", "env": kernel_environment}
    (folder / "kernel.json").write_text(json.dumps(kernel), encoding="utf-8")
    folders = {f"JUPYTER_{name}_DIR": str(scratch / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    return {"JUPYTER_PATH": str(scratch), "IPYTHONDIR": kernel_environment["IPYTHONDIR"], **folders}


def _message(source: Path, error: Any) -> str:
    """One line: the cell's first line, the error, and the line of this project that raised it."""
    first_line = next(iter(error.source.strip().splitlines()), "")
    traceback = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
    places = re.findall(r"File (\S+\.py):(\d+)", traceback)
    in_project = [f"{Path(file).name}, line {line}" for file, line in places if f"{os.sep}stages{os.sep}" in file]
    where = f" ({in_project[-1]})" if in_project else ""
    text = " ".join(str(error.evalue).split())[:500]
    return f"{source.name} stopped in the cell `{first_line}`: {error.ename}: {text}{where}"

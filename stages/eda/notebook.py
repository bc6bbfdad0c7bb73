"""Run the notebook with papermill, in a kernel of this very interpreter, and keep nothing in it that would differ next time."""

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat

import stages
from stages.shared import paths
from stages.shared.params import Params
from stages.shared.stage_command import StageError

SOURCE = Path(__file__).with_name("eda.ipynb")
INJECTED = "injected-parameters"  # papermill's tag, and here the cell's id


def parameters(settings: Params, out: Path) -> dict[str, Any]:
    """What the notebook's cell of parameters is given. `out` stands in the notebook's text, so it is relative to the root."""
    own = settings.eda.model_dump(mode="json")
    return own | {
        "seed": settings.data.seed,
        "confidence": settings.inference.confidence,
        "folder": out.relative_to(paths.ROOT).as_posix(),
    }


def execute(given: dict[str, Any], out: Path, source: Path = SOURCE) -> None:
    """Run `source` with the parameters `given` and write the executed notebook to `out`/eda.ipynb.

    Raises StageError, naming the cell and its error, if a cell fails or the kernel dies.
    """
    with tempfile.TemporaryDirectory() as scratch, _environment(_private_kernel(Path(scratch))):
        import papermill
        from nbclient.exceptions import DeadKernelError
        from traitlets.config import Config

        # Sockets in files: no port that another run could take. There is nothing that the kernel should save when it ends.
        sockets = Config(KernelManager={"transport": "ipc", "ip": str(Path(scratch) / "socket")})
        engine = {"config": sockets, "shutdown_kernel": "immediate", "stderr_file": sys.stderr}
        try:
            made = papermill.execute_notebook(source, None, given, kernel_name="python3", cwd=paths.ROOT, **engine)
        except papermill.PapermillExecutionError as error:
            raise StageError(_message(source, error)) from None
        except DeadKernelError:
            raise StageError(
                f"{source.name}: its kernel was killed (out of memory?); lessen eda.images in params.yaml"
            ) from None
    repeatable(made, nbformat.read(source, as_version=4).metadata)
    nbformat.write(made, out / source.name)


def repeatable(notebook: nbformat.NotebookNode, metadata: nbformat.NotebookNode) -> None:
    """Leave what depends on the code and the data alone: no times, versions, paths or random ids.

    What libraries write to stderr (it went to the terminal already) holds paths and process numbers.
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
    """A kernel "python3" of this interpreter under `scratch`, and the environment in which Jupyter finds it and writes nowhere else."""
    code = str(Path(stages.__file__).parents[1])
    inside = {
        "PYTHONPATH": os.pathsep.join(filter(None, [code, os.environ.get("PYTHONPATH")])),
        "PIPELINE_ROOT": str(paths.ROOT.resolve()),
        "IPYTHONDIR": str(scratch / "ipython"),
        "MPLCONFIGDIR": str(scratch / "matplotlib"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # a warning of the debugger, which nobody attaches
        # The order of a sum depends on the number of threads, and so would its last digit.
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    }
    # The kernel's own log holds only that it was told to end; an error of a cell comes as a message.
    command = [sys.executable, "-m", "ipykernel_launcher", "--log-level=CRITICAL", "-f", "{connection_file}"]
    home = scratch / "kernels" / "python3"
    home.mkdir(parents=True)
    (home / "kernel.json").write_text(
        json.dumps({"argv": command, "display_name": "Python 3", "language": "python", "env": inside})
    )
    own = {f"JUPYTER_{name}_DIR": str(scratch / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    return {"JUPYTER_PATH": str(scratch), "IPYTHONDIR": inside["IPYTHONDIR"], **own}


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _message(source: Path, error: Any) -> str:
    """One line: the cell's first line, the error, and the line of our own code that raised it."""
    first = next(iter(error.source.strip().splitlines()), "")
    places = re.findall(r"File (\S+\.py):(\d+)", re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback)))
    own = [f"{Path(file).name}, line {line}" for file, line in places if f"{os.sep}stages{os.sep}" in file]
    where = f" ({own[-1]})" if own else ""
    return f"{source.name} stopped in the cell `{first}`: {error.ename}: {' '.join(str(error.evalue).split())[:500]}{where}"

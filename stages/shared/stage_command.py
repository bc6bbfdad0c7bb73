"""How a stage starts, fails and is timed."""

import ctypes
import errno
import io
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.shared import instruction_set, params, paths, provenance

DISK_FAULTS = {
    errno.ENOSPC: "make room on that disk (`dvc gc --workspace` removes what other settings left in DVC's cache)",
    errno.EDQUOT: "make room within your quota",
    errno.EROFS: "mount it for writing",
    errno.EACCES: "give yourself the right to write there",
    errno.EPERM: "give yourself the right to write there",
}
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class StageError(Exception):
    """An error that the user can mend; its text is the whole message."""


def run_stage(main: Callable[[params.Params], None]) -> None:
    """Run a stage: check params.yaml, choose the CPU instructions that it names, and call main(settings)."""

    def start() -> None:
        settings = params.load()
        instruction_set.use(settings.machine.instruction_set)
        main(settings)

    run(start)


def run(main: Callable[[], None]) -> None:
    """Run a command. An error that the user can mend ends it with one message and exit code 1, without a traceback."""
    _print_any_letter()
    if "DVC_STAGE" in os.environ:
        die_with_parent()
        if _orphaned():
            sys.exit("`dvc repro` was killed; nothing was started")
    try:
        main()
    except (StageError, params.ParamsError) as error:
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; what was finished is kept, and `dvc repro` goes on from there")
    except Exception as error:
        message = disk_fault(error)
        if not message:
            raise
        sys.exit(f"{message}; what was finished is kept, and `dvc repro` goes on from there")


def _print_any_letter() -> None:
    """Let what this process prints pass any terminal: a letter that its encoding lacks is printed as its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def disk_fault(error: Exception) -> str:
    """What the user can do about a disk that cannot be written; empty for any other error.

    safetensors has no error class for it, but writes the system's error number into its text.
    """
    named = re.search(r"\(os error (\d+)\)", f"{error}")
    code = error.errno if isinstance(error, OSError) else int(named[1]) if named else 0
    where = getattr(error, "filename", None) or paths.DATA
    return f"{where}: {os.strerror(code)}; {DISK_FAULTS[code]}" if code in DISK_FAULTS else ""


def die_with_parent() -> None:
    """Ask the kernel to end this process when its parent ends, however it ends. Does nothing outside Linux.

    Without this, a stage whose `dvc repro` was killed would go on, and write over what the next one makes.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _orphaned() -> bool:
    """Whether DVC ended before `die_with_parent` ran: the new parent then belongs to another session."""
    try:
        return sys.platform == "linux" and os.getsid(os.getppid()) != os.getsid(0)
    except ProcessLookupError:
        return True


def need(path: Path, stage: str) -> None:
    """Raises StageError if the output of an earlier stage is missing."""
    if not path.exists():
        raise StageError(f"{path.relative_to(paths.ROOT)} is missing; `dvc repro {stage}` makes it")


@contextmanager
def timed(stage: str, **record: Any) -> Iterator[dict[str, Any]]:
    """Write a stage's wall seconds, and what the block adds to the yielded dict, to data/timings/<stage>.json.

    The folder is no output of any stage, so that a time never makes two equal results differ.
    A stage that fails writes nothing.
    """
    start = time.monotonic()
    yield record
    seconds = round(time.monotonic() - start, 2)
    paths.write_json(
        paths.TIMINGS / f"{stage}.json", {"stage": stage, "seconds": seconds, **provenance.machine(), **record}
    )

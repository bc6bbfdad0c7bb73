"""Where a result came from: commit, packages, CPU, data, and how long each stage took."""

import ctypes
import errno
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.shared import params, paths, provenance

DISK_FAULTS = {
    errno.ENOSPC: "make room on that disk (`dvc gc --workspace` removes what other settings left in DVC's cache)",
    errno.EDQUOT: "make room within your quota",
    errno.EROFS: "mount it for writing",
    errno.EACCES: "give yourself the right to write there",
    errno.EPERM: "give yourself the right to write there",
}
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class StageError(Exception):
    """What the user can mend; its text is the whole message."""


def run(main: Callable[[], None]) -> None:
    """Run a stage. A mistake that the user can mend ends in one message and exit code 1, without a traceback."""
    if "DVC_STAGE" in os.environ:
        die_with_parent()
        if _orphaned():
            sys.exit("`dvc repro` was killed; nothing is begun")
    try:
        main()
    except (StageError, params.ParamsError) as error:
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; what was finished is kept, and `dvc repro` goes on from there")
    except Exception as error:
        said = disk_fault(error)
        if not said:
            raise
        sys.exit(f"{said}; what was finished is kept, and `dvc repro` goes on from there")


def disk_fault(error: Exception) -> str:
    """What the user can do about a disk that takes no more; empty for any other error.

    safetensors has no error of its own for it, but the system's number in its text.
    """
    named = re.search(r"\(os error (\d+)\)", f"{error}")
    code = error.errno if isinstance(error, OSError) else int(named[1]) if named else 0
    where = getattr(error, "filename", None) or paths.DATA
    return f"{where}: {os.strerror(code)}; {DISK_FAULTS[code]}" if code in DISK_FAULTS else ""


def die_with_parent() -> None:
    """Ask the kernel to end this process when the one that started it ends, however it ends. Does nothing outside Linux.

    A stage whose `dvc repro` was killed would else go on, and write over what the next one makes.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _orphaned() -> bool:
    """Whether DVC has ended before it could be followed: its stages are in its own session, and whoever adopts them is not."""
    try:
        return sys.platform == "linux" and os.getsid(os.getppid()) != os.getsid(0)
    except ProcessLookupError:
        return True


def need(path: Path, stage: str) -> None:
    """Raises StageError if what an earlier stage writes is not there."""
    if not path.exists():
        raise StageError(f"{path.relative_to(paths.ROOT)} is missing; `dvc repro {stage}` makes it")


@contextmanager
def timed(stage: str, **record: Any) -> Iterator[dict[str, Any]]:
    """Record a stage's wall seconds, and what the block adds to the yielded dict, in data/timings/<stage>.json.

    The folder belongs to no stage's outputs, so that a time never makes two equal results differ.
    A stage that fails records nothing.
    """
    start = time.monotonic()
    yield record
    seconds = round(time.monotonic() - start, 2)
    paths.write_json(
        paths.TIMINGS / f"{stage}.json", {"stage": stage, "seconds": seconds, **provenance.machine(), **record}
    )


def print_times() -> None:
    """Print what each stage took when it last ran on this machine, the longest first."""
    records = sorted(
        (paths.read_json(file) for file in paths.TIMINGS.glob("*.json")), key=lambda record: -record["seconds"]
    )
    for record in records:
        print(
            f"{record['seconds']:9.1f} s  {record['stage']}{', on SageMaker' if record.get('backend') == 'sagemaker' else ''}"
        )
    print(f"{sum(record['seconds'] for record in records):9.1f} s  in {len(records)} stages, each when it last ran")


if __name__ == "__main__":
    print_times()

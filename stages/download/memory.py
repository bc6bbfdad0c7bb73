"""Whether a dataset fits into this machine's memory, told before it is read."""

import os
import resource
from pathlib import Path

from stages.shared.stage_command import StageError

COPIES = 4  # of the images, that prepare holds at once (measured: 3.7): as read, in order, with margin, on their way
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def refuse_too_large(what: str, n_bytes: int, advice: str) -> None:
    """Raises StageError if images of so many bytes, as the pipeline holds them, do not fit into memory.

    what: begins the message, such as "images". advice: what the user can do about it.
    """
    limit = memory_bytes()
    if COPIES * n_bytes > limit:
        raise StageError(
            f"{what} {_gigabytes(n_bytes)} in memory, and {COPIES} times that while they are prepared, "
            f"but this machine has {_gigabytes(limit)}; {advice}"
        )


def memory_bytes() -> int:
    """The machine's memory, or the container's or the process's share of it where that is less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    limits += [limit for limit in resource.getrlimit(resource.RLIMIT_AS) if limit != resource.RLIM_INFINITY]
    for file in map(Path, CGROUP_LIMITS):
        text = file.read_text(encoding="ascii").strip() if file.is_file() else ""
        if text.isdigit():
            limits.append(int(text))
    return min(limits)


def _gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.1f} GB"

"""How many cores and how much memory this process may use: the machine's, or a container's share of them."""

import os
import resource
from pathlib import Path

PROCESS_GROUPS = Path("/proc/self/cgroup")
GROUPS_ROOT = Path("/sys/fs/cgroup")
# Of the first version of control groups: which folders hold the limits of cores and of memory.
CORES_V1, MEMORY_V1 = ("cpu", "cpu,cpuacct"), ("memory",)


def available_cores() -> int:
    """Cores that this process may use at once: a quota is rounded down, to at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in _group_folders(CORES_V1) for quota in _core_quotas(folder)]
    return max(1, int(min([allowed, *quotas])))


def memory_bytes() -> int:
    """The machine's memory, or the container's or the process's share of it where that is less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    limits += [limit for limit in resource.getrlimit(resource.RLIMIT_AS) if limit != resource.RLIM_INFINITY]
    for folder in _group_folders(MEMORY_V1):
        limits += _numbers(folder / "memory.max")[:1] + _numbers(folder / "memory.limit_in_bytes")[:1]
    return min(limits)


def _core_quotas(folder: Path) -> list[float]:
    """Cores' worth of time that a control group gets: microseconds of work in each period of so many microseconds."""
    both = _numbers(folder / "cpu.max")
    both = both or _numbers(folder / "cpu.cfs_quota_us") + _numbers(folder / "cpu.cfs_period_us")
    return [both[0] / both[1]] if len(both) == 2 and min(both) > 0 else []


def _group_folders(of_version_1: tuple[str, ...]) -> list[Path]:
    """The folders of the control groups that this process is in, of either version, up to the root.

    A container often sees its own group as the root, whatever /proc says of it.
    """
    folders = [GROUPS_ROOT, *(GROUPS_ROOT / name for name in of_version_1)]
    try:
        lines = PROCESS_GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:  # another system than Linux
        return folders
    for line in lines:
        _, controllers, group = line.split(":", 2)
        root = GROUPS_ROOT / controllers
        if not controllers or controllers in of_version_1:
            inner = root / group.lstrip("/")
            folders += [folder for folder in (inner, *inner.parents) if folder.is_relative_to(root)]
    return folders


def _numbers(file: Path) -> list[int]:
    """The numbers in the file; none if it is not there, or says `max`, for no limit."""
    try:
        words = file.read_text(encoding="ascii").split()
    except OSError:
        return []
    return [int(word) for word in words if word.lstrip("-").isdigit()] if "max" not in words else []

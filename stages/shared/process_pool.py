"""Spread independent tasks over the cores: one process each, with progress."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import SimpleQueue
from typing import Any, TypeVar

from tqdm import tqdm

from stages.shared import machine_limits
from stages.shared.stage_command import StageError, die_with_parent

Item = TypeVar("Item")
Result = TypeVar("Result")
Report = Callable[[float, str], None]  # (work done since the last report, what to show)

SEMAPHORES = "/dev/shm" if sys.platform == "linux" else "the system's semaphores"
SEMAPHORES_NEEDED = (
    "parallel processes need writable space there: mount it with some, such as by "
    "`mount -o remount,rw,size=64m /dev/shm`, or for a container of Docker `--shm-size=64m`; nothing is lost, and "
    "`dvc repro` goes on from there"
)
POLL_SECONDS = 0.2
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
LARGEST_BLOCK = 2**31 - 1  # bytes
LOG_SECONDS = 30  # between two lines of a log
BAR = "{desc} |{bar:8}| {percentage:.0f}%, {remaining} left{postfix}"
LINE = "{desc}: {percentage:.0f}%, {remaining} left{postfix}"


def run_parallel(
    task: Callable[[Item, Report], Result],
    items: Sequence[Item],
    total_work: float,
    title: str,
    *,
    most: int | None = None,
    fork: bool = True,
) -> list[Result]:
    """task(item, report) for every item, as many at once as there are cores. Returns the results in the items' order.

    A task calls report(work, text) as it goes on; `total_work` is the sum over all tasks, in any unit. The time left
    follows from the rate so far. A log gets a line now and then in place of the bar. Tasks share nothing, so that no
    result depends on which process runs which task. The first error of a task stops the others and is raised.
    most: processes at once, if not one a core. fork: on Linux, workers inherit what this process has imported (torch).
    Forking is unsafe on macOS and with CUDA.
    Raises StageError if a process is killed, or if none can be started.
    """
    context = multiprocessing.get_context("fork" if fork and sys.platform == "linux" else "spawn")
    workers = min(len(items), cores(), most or len(items))
    try:
        queue: SimpleQueue[tuple[float, str]] = context.SimpleQueue()
        executor = ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(queue, os.getpid()))
    except OSError as error:  # both hold semaphores, which Linux keeps in a folder of memory
        raise StageError(f"{SEMAPHORES}: {error.strerror}; {SEMAPHORES_NEEDED}") from None
    with (
        executor as pool,
        tqdm(total=total_work, desc=title, **_display()) as bar,
    ):
        try:
            futures = [pool.submit(_call, task, item) for item in items]
            pending = set(futures)
            while pending:
                done, pending = wait(pending, timeout=POLL_SECONDS)
                _show_reports(queue, bar)
                for future in done:
                    future.result()
        except BrokenProcessPool:
            raise StageError(
                f"{title}: a worker process was killed (out of memory?); what was finished is kept. "
                "Run `dvc repro` again; MAX_WORKERS=1 in the environment runs one at a time and needs the least memory"
            ) from None
        except BaseException:
            # A queued task cannot be cancelled once a worker has fetched it: end the workers themselves.
            for worker in multiprocessing.active_children():
                worker.terminate()
            raise
    return [future.result() for future in futures]


def cores() -> int:
    """Cores that this process may use; MAX_WORKERS in the environment lowers it."""
    allowed = machine_limits.available_cores()
    limit = os.environ.get("MAX_WORKERS", str(allowed))
    if not limit.isdigit() or int(limit) < 1:
        raise StageError(
            f"MAX_WORKERS is {limit!r}; it must be a whole number from 1 up: the most processes that work at once"
        )
    return min(allowed, int(limit))


def keep_freed_memory() -> None:
    """Let this process reuse the memory that it frees, where the C library is glibc.

    By default glibc returns a large block to the system when it is freed, and the system fills it with zeros, page by
    page, when it is asked for again: once a layer in every step, a fifth of the time of a training step.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_BLOCK)
        libc.mallopt(M_TRIM_THRESHOLD, LARGEST_BLOCK)


_queue: "SimpleQueue[tuple[float, str]]"


def _start_worker(queue: "SimpleQueue[tuple[float, str]]", parent: int) -> None:
    global _queue
    die_with_parent()
    if os.getppid() != parent:  # the parent ended before the line above; this worker would wait for tasks for ever
        os._exit(1)
    keep_freed_memory()
    for ending in (signal.SIGINT, signal.SIGTERM):  # a worker ends at once; the stage prints the message
        signal.signal(ending, signal.SIG_DFL)
    _queue = queue


def _call(task: Callable[[Item, Report], Result], item: Item) -> Result:
    return task(item, lambda work, text: _queue.put((work, text)))


class _Log:
    """Standard error, where each state of the bar is a line of its own."""

    def write(self, text: str) -> None:
        if line := text.strip():
            print(line, file=sys.stderr)

    def flush(self) -> None:
        sys.stderr.flush()


def _display() -> dict[str, Any]:
    """tqdm's options. The time left follows from the mean rate: a recent rate jumps when tasks end together."""
    if sys.stderr.isatty():
        return {"bar_format": BAR, "dynamic_ncols": True, "smoothing": 0}
    every = {"delay": LOG_SECONDS, "mininterval": LOG_SECONDS, "maxinterval": LOG_SECONDS}
    return {"bar_format": LINE, "file": _Log(), "smoothing": 0, **every}


def _show_reports(queue: "SimpleQueue[tuple[float, str]]", bar: "tqdm[None]") -> None:
    while not queue.empty():
        work, text = queue.get()
        bar.set_postfix_str(text, refresh=False)
        bar.update(work)

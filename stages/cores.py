"""Spread independent tasks over the cores: one process each, with progress."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import SimpleQueue
from typing import TypeVar

from tqdm import tqdm

from stages.provenance import StageError, die_with_parent

Item = TypeVar("Item")
Report = Callable[[str], None]

POLL_SECONDS = 0.2


def spread(task: Callable[[Item, Report], None], items: Sequence[Item], reports: int, title: str, unit: str) -> None:
    """Call task(item, report) for every item, as many at once as there are cores.

    Each task calls report(text) `reports` times; every call moves the bar by one `unit`. Which process does
    what never touches a result: tasks share nothing. The first error of a task stops the others and is raised.
    Raises StageError if a process is killed.
    """
    # A forked worker has torch imported already; macOS does not survive a fork of it.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    queue: SimpleQueue[str] = context.SimpleQueue()
    workers = min(len(items), cores())
    with (
        ProcessPoolExecutor(workers, context, initializer=_share, initargs=(queue,)) as pool,
        tqdm(total=len(items) * reports, desc=title, unit=unit, dynamic_ncols=True) as bar,
    ):
        pending = {pool.submit(_call, task, item) for item in items}
        try:
            while pending:
                done, pending = wait(pending, timeout=POLL_SECONDS)
                _show(queue, bar)
                for future in done:
                    future.result()
        except BrokenProcessPool:
            raise StageError(
                f"{title}: a worker process was killed (out of memory?); nothing of this stage was kept. "
                "Run `dvc repro` again; MAX_WORKERS=1 in the environment runs one at a time and needs the least memory"
            ) from None
        except BaseException:
            for worker in multiprocessing.active_children():  # what is queued for one cannot be cancelled, and would be begun
                worker.terminate()
            raise


def cores() -> int:
    """Cores that this process may use; MAX_WORKERS in the environment lowers it."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("MAX_WORKERS", str(allowed))
    if not limit.isdigit() or int(limit) < 1:
        raise StageError(f"MAX_WORKERS is {limit!r}; it must be a whole number from 1 up: the most processes that work at once")
    return min(allowed, int(limit))


_queue: "SimpleQueue[str]"


def _share(queue: "SimpleQueue[str]") -> None:
    global _queue
    die_with_parent()
    for ending in (signal.SIGINT, signal.SIGTERM):  # a worker ends at once; the stage speaks for it
        signal.signal(ending, signal.SIG_DFL)
    _queue = queue


def _call(task: Callable[[Item, Report], None], item: Item) -> None:
    task(item, lambda text: _queue.put(text))


def _show(queue: "SimpleQueue[str]", bar: "tqdm[None]") -> None:
    while not queue.empty():
        bar.set_postfix_str(queue.get(), refresh=False)
        bar.update()

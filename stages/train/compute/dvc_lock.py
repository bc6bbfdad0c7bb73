"""What a DVC that was killed leaves half written, and the next one stumbles over."""

import shutil
import time
from collections.abc import Callable

from stages import paths

PAUSE_SECONDS = 0.2  # in which a DVC that runs has written what it is writing


def mend() -> None:
    """Remove DVC's list of who reads and writes what, and put back dvc.lock as it was before the last run, where they are half written.

    DVC empties either file before it writes it anew, whenever a stage begins or ends; killed between the two, it leaves a file
    that the next `dvc repro` refuses to read. What the list holds is of processes that have ended. The stages that ran since
    are not in the older dvc.lock, but their outputs are in DVC's cache, where it finds them.
    """
    if _stays(_list_is_broken):
        paths.DVC_RWLOCK.unlink(missing_ok=True)
        print("removed .dvc/tmp/rwlock, which a DVC that was killed had left half written", flush=True)
    if _stays(_lock_is_broken):
        if paths.DVC_LOCK_COPY.exists():
            shutil.copyfile(paths.DVC_LOCK_COPY, paths.DVC_LOCK)
        else:
            paths.DVC_LOCK.unlink()
        print("put back dvc.lock, which a DVC that was killed had left half written", flush=True)
    elif paths.DVC_LOCK.exists():
        with paths.whole_file(paths.DVC_LOCK_COPY) as partial:
            shutil.copyfile(paths.DVC_LOCK, partial)


def _stays(broken: Callable[[], bool]) -> bool:
    if not broken():
        return False
    time.sleep(PAUSE_SECONDS)
    return broken()


def _list_is_broken() -> bool:
    try:
        paths.read_json(paths.DVC_RWLOCK)
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return False


def _lock_is_broken() -> bool:
    """Python writes a file in blocks, so that one that was cut off is empty or ends within a line."""
    if not paths.DVC_LOCK.exists():
        return False
    text = paths.DVC_LOCK.read_text(encoding="utf-8", errors="replace")
    return not (text.startswith("schema:") and text.endswith("\n"))

"""What a DVC that was killed leaves behind, and the next one stumbles over."""

import time

from stages import paths

PAUSE_SECONDS = 0.2  # in which a DVC that runs has written what it is writing


def mend() -> None:
    """Remove DVC's list of who reads and writes what, if it is half written.

    DVC empties the file before it writes it anew, whenever a stage begins or ends; killed between the two, it leaves a file
    that the next `dvc repro` refuses to read. What the list holds is of processes that have ended.
    """
    if _is_broken():
        time.sleep(PAUSE_SECONDS)
        if _is_broken():
            paths.DVC_RWLOCK.unlink(missing_ok=True)
            print("removed .dvc/tmp/rwlock, which a DVC that was killed had left half written", flush=True)


def _is_broken() -> bool:
    try:
        paths.read_json(paths.DVC_RWLOCK)
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return False

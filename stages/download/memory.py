"""Whether a dataset fits into this machine's memory, told before it is read."""

from stages.shared.machine_limits import memory_bytes
from stages.shared.stage_command import StageError

COPIES = 4  # of the images, that prepare holds at once (measured: 3.7): as read, in order, with margin, on their way


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


def _gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.1f} GB"

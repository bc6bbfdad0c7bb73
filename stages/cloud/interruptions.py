"""Signals that end a command which waits for AWS, so that it can say what goes on and costs before it ends."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

ENDING = (signal.SIGTERM, signal.SIGHUP)  # of `kill`, of a session's end, of a terminal that closes


class Ended(KeyboardInterrupt):
    """A signal other than Ctrl-C has ended the command; its text names the signal."""


@contextmanager
def ending_signals() -> Iterator[None]:
    """Raise Ended in the block where SIGTERM or SIGHUP arrives. What `nohup` ignores stays ignored."""
    before = {number: signal.getsignal(number) for number in ENDING}
    caught = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in caught:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, before[number])


def reason(interruption: KeyboardInterrupt) -> str:
    """How the command was ended, in words: by Ctrl-C, or by which signal."""
    return f"ended by {interruption}" if isinstance(interruption, Ended) else "interrupted"


def _end(number: int, _: Any) -> None:
    raise Ended(signal.Signals(number).name)

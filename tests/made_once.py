"""What is costly to make is made once, whichever process of pytest-xdist asks for it first; the others wait."""

import fcntl
import os

import pytest

FAILED = "it could not be made; the test that asked for it first says why"


def made_once(tmp_path_factory, name, make):
    """Let `make(folder)` fill a new folder, unless that has been done. Copy the folder, do not change it.

    Returns the folder, and the text that `make` returned.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, record = shared / name, shared / f"{name}.txt"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not record.exists():
            record.write_text(FAILED, encoding="utf-8")  # what fails once is not tried again
            folder.mkdir()
            record.write_text(make(folder), encoding="utf-8")
    text = record.read_text(encoding="utf-8")
    if text == FAILED:
        pytest.fail(f"{name}: {FAILED}")
    return folder, text

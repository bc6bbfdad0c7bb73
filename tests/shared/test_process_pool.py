"""What a stage shows while its tasks run, and what it returns."""

import os
import platform
import subprocess
import sys
import time

import pytest
from tqdm import tqdm

from stages.shared import paths, process_pool
from stages.shared.stage_command import StageError


def two_epochs(item, report):
    for epoch in (1, 2):
        report(item / 2, f"seed {item}, epoch {epoch} of 2")
    return 10 * item


@pytest.fixture
def run_two(monkeypatch):
    """Run two tasks, one of three units of work and one of five, one after the other."""
    monkeypatch.setenv("MAX_WORKERS", "1")
    return lambda: process_pool.run_parallel(two_epochs, (3, 5), total_work=8, title="train 2 runs")


def test_results_come_in_the_order_of_the_items_and_a_quick_stage_leaves_no_line_in_a_log(run_two, capsys):
    assert run_two() == [30, 50]
    assert capsys.readouterr().err == ""


def test_processes_that_are_no_forks_and_at_most_so_many_give_the_same():
    results = process_pool.run_parallel(two_epochs, (3, 5), total_work=8, title="train 2 runs", most=1, fork=False)
    assert results == [30, 50]


def test_a_log_gets_whole_lines_that_end_with_the_last_task(run_two, monkeypatch, capsys):
    monkeypatch.setattr(process_pool, "LOG_SECONDS", 0)
    run_two()
    printed = capsys.readouterr().err
    assert "\r" not in printed
    lines = printed.splitlines()
    assert lines[0] == "train 2 runs: 0%, ? left"
    assert lines[-1] == "train 2 runs: 100%, 00:00 left, seed 5, epoch 2 of 2"


def test_the_time_left_is_that_of_the_work_left_at_the_mean_rate_so_far(monkeypatch):
    """A quarter of the work in a minute: three minutes for the rest."""
    state = {"n": 5, "total": 20, "elapsed": 60, "prefix": "train", "unit": "", "postfix": "seed 0", "ncols": 79}
    assert tqdm.format_meter(**state, bar_format=process_pool.LINE) == "train: 25%, 03:00 left, seed 0"
    assert tqdm.format_meter(**state, bar_format=process_pool.BAR) == "train |██      | 25%, 03:00 left, seed 0"
    monkeypatch.setattr(process_pool.sys.stderr, "isatty", lambda: True)
    assert process_pool._display()["smoothing"] == 0  # tqdm's mean over all that was done


def fail(item, _):
    if item == 1:
        raise ValueError("broken")
    return item


def test_the_first_error_of_a_task_is_raised():
    with pytest.raises(ValueError, match="broken"):
        process_pool.run_parallel(fail, (0, 1, 2), total_work=3, title="train")


def end_the_process(item, report):
    os._exit(1)


class OneASecond(tuple):
    def __iter__(self):
        for item in super().__iter__():
            yield item
            time.sleep(1)


@pytest.mark.parametrize("items", [(0,), OneASecond((0, 1))], ids=["at work", "while tasks are handed out"])
def test_a_killed_worker_is_one_message_that_says_what_to_do(items):
    with pytest.raises(StageError, match=r"train: a worker process was killed .* MAX_WORKERS=1"):
        process_pool.run_parallel(end_the_process, items, total_work=1, title="train")


@pytest.mark.parametrize("value", ["0", "two", "-1", ""])
def test_max_workers_that_is_no_number_from_1_up_is_refused_with_its_value(value, monkeypatch):
    monkeypatch.setenv("MAX_WORKERS", value)
    with pytest.raises(StageError, match=f"MAX_WORKERS is {value!r}; it must be a whole number from 1 up"):
        process_pool.cores()


PAGES_OF_BLOCKS = """
import resource, sys
from stages.shared.process_pool import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
blocks = lambda: [bytearray(40 * 2**20) and None for _ in range(10)]
blocks()
before = faults()
blocks()
print((faults() - before) * resource.getpagesize() / 2**20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
@pytest.mark.parametrize(("mode", "megabytes"), [("keep", (0, 10)), ("give back", (390, 500))])
def test_freed_memory_is_used_again_without_the_system_filling_it_with_zeros(mode, megabytes):
    command = [sys.executable, "-c", PAGES_OF_BLOCKS, mode]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, cwd=paths.ROOT)
    assert megabytes[0] <= float(ended.stdout) <= megabytes[1]

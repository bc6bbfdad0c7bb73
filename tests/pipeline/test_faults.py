"""Real faults: processes killed, a full disk, one that cannot be written, files that rot, runs that diverge."""

import contextlib
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from pipeline_workspace import STAGES, alive, stages_in, trained_in, wait_for_end, workers, yaml
from safetensors import SafetensorError

from stages.shared import paths, stage_command

KILLS = int(os.environ.get("KILLS", "3"))  # a release run sets more
NOT_FOR_COLLECT = {"eda", "figures", "render"}
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")


@contextlib.contextmanager
def mounted(folder, *options):
    """Mount over a folder, with each of these options of `mount` in turn; what it held is back afterwards.

    Skips the test where mounting is not allowed.
    """
    for option in options:
        try:
            done = subprocess.run(["mount", *option.split(), str(folder)], capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("there is no `mount`")
        if done.returncode != 0:
            pytest.skip(f"needs the right to mount: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def folder_made_by(workspace, stage):
    """The entry of dvc.lock."""
    return next(out for out in locked_stages(workspace)[stage]["outs"] if "nfiles" in out)


def cache_file(workspace, stage, name=None):
    """DVC's copy of the folder that a stage makes, or of a file in it."""
    cache = workspace.folder / ".dvc" / "cache" / "files" / "md5"
    digest = folder_made_by(workspace, stage)["md5"]
    if name:
        files = yaml.load((cache / digest[:2] / digest[2:]).read_text())
        digest = next(file["md5"] for file in files if file["relpath"] == name)
    return cache / digest[:2] / digest[2:]


def kill(process, victim, seconds):
    """After so many seconds kill DVC alone, all, or a worker as soon as there is one.

    Returns whether the command failed, and its output.
    """
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    training = []
    while victim == "worker" and process.poll() is None and not training:
        time.sleep(0.05)
        training = workers(process)
    with contextlib.suppress(ProcessLookupError):
        if victim == "worker" and training:
            os.kill(random.Random(seconds).choice(training), signal.SIGKILL)
        elif victim == "dvc":
            process.kill()
        elif victim == "all":
            os.killpg(process.pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=600)  # a worker that has just ended cannot be killed, and all goes on
    assert wait_for_end(process.pid) == []
    return process.returncode != 0, output


def remove_what_dvc_cannot_read(workspace, output):
    """What the README says to do where a kill caught DVC while it wrote a file. Returns whether there was one."""
    unreadable = "corrupted" in output or "validation failed" in output
    for name in (".dvc/tmp/rwlock", "dvc.lock"):
        if unreadable and name in output:
            (workspace.folder / name).unlink(missing_ok=True)
            return True
    return False


@linux_only
def test_a_worker_whose_stage_is_killed_before_it_follows_the_stage_ends_too():
    """The worker is made to ask to be ended with its parent once that has ended."""
    code = """
import os, time
from stages.shared import process_pool
follow, stage = process_pool.die_with_parent, os.getpid()
def follow_late():
    while os.getppid() == stage:
        time.sleep(0.01)
    follow()
process_pool.die_with_parent = follow_late
process_pool.run_parallel(print, (1, 2), 2, "title")
"""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=paths.ROOT, start_new_session=True)
    deadline = time.monotonic() + 60
    while len(alive(process.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(alive(process.pid)) >= 2, "no worker was begun"
    process.kill()
    process.wait()
    assert wait_for_end(process.pid) == []


@linux_only
def test_a_stage_whose_dvc_was_killed_before_it_follows_dvc_does_nothing():
    command = [sys.executable, "-m", "stages.train", "--help"]
    options = {"cwd": paths.ROOT, "env": os.environ | {"DVC_STAGE": "train"}, "capture_output": True, "text": True}
    adopted = subprocess.run(command, start_new_session=True, **options)
    assert (adopted.returncode, adopted.stderr) == (1, "`dvc repro` was killed; nothing was started\n")
    assert subprocess.run(command, **options).returncode == 0


def forget_results(workspace):
    """Leave nothing that could spare `dvc repro collect` a stage; dvc.lock still names what they made."""
    for name in ("data/checked.json", "data/metrics.json"):
        (workspace.folder / name).unlink(missing_ok=True)
    for name in ("data/prepared", "data/runs", "data/probes", "data/results", ".dvc/cache/runs"):
        shutil.rmtree(workspace.folder / name, ignore_errors=True)
    shutil.rmtree(workspace.store, ignore_errors=True)


def locked_stages(workspace):
    """Stage → what dvc.lock has of it. A lock that was deleted has the stages in another order."""
    return yaml.load(workspace.read("dvc.lock"))["stages"]


@pytest.mark.slow
@linux_only
def test_kills_at_random_moments_cost_no_finished_run_and_end_as_if_undisturbed(workspace):
    undisturbed = locked_stages(workspace)
    seconds = {
        stage: json.loads(workspace.read(f"data/timings/{stage}.json"))["seconds"] for stage in ("train", "probe")
    }
    latest = sum(seconds.values())
    drawn, n_kills, most_finished = random.Random(6), 0, 0
    forget_results(workspace)
    finished = {}
    while n_kills < KILLS or most_finished == 0:
        process = workspace.start("dvc", "repro", "collect")
        victim = ("worker", "dvc", "all")[n_kills % 3]
        killed, output = kill(process, victim, drawn.uniform(0.1, 1) * latest)
        assert "Traceback" not in output, output
        n_kills += killed and not remove_what_dvc_cannot_read(workspace, output)
        now = {entry: (entry / "record.json").stat().st_ino for entry in workspace.store.glob("*/[!.]*")}
        assert now.items() >= finished.items(), "a finished run was made again"
        finished, most_finished = now, max(most_finished, len(now))
        latest *= 1.1  # a machine that has become slower finishes a run at last, too
        if not killed:  # it has ended: there must be something left to kill
            forget_results(workspace)
            finished = {}
    remove_what_dvc_cannot_read(workspace, output)
    remove_what_dvc_cannot_read(workspace, workspace.run("dvc", "repro", "collect")[1])
    workspace.succeed("dvc", "repro", "collect")
    locked = locked_stages(workspace)
    for stage in set(STAGES) - NOT_FOR_COLLECT:
        assert locked[stage] == undisturbed[stage], stage
    partial = workspace.folder / "data" / "partial"
    for left in list(partial.iterdir()):
        # Of a stage that was killed between its last run and its end: DVC finds it whole, and does not begin it again.
        workspace.succeed("python", "-m", f"stages.{left.name}")
    assert list(partial.iterdir()) == [], "nothing half made is left"
    # A torn dvc.lock may have lost the stages that `collect` does not need.
    assert workspace.repro() <= (set() if locked == undisturbed else NOT_FOR_COLLECT)
    assert locked_stages(workspace) == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dvc.lock", ".dvc/tmp/rwlock"])
def test_a_file_that_a_kill_left_empty_is_deleted_and_costs_no_training(name, workspace):
    """DVC empties both before it writes them anew."""
    lock = workspace.read("dvc.lock")
    (workspace.folder / "hypotheses.yaml").write_text(workspace.read("hypotheses.yaml") + "\n")
    (workspace.folder / name).write_text("")
    code, output = workspace.run("dvc", "repro", "train")
    assert code != 0
    assert remove_what_dvc_cannot_read(workspace, output)
    (workspace.folder / "hypotheses.yaml").write_text(workspace.read("hypotheses.yaml")[:-1])
    assert trained_in(workspace.succeed("dvc", "repro")) == {}
    assert workspace.read("dvc.lock") == lock


@pytest.mark.slow
def test_a_full_disk_is_one_message_and_with_room_the_run_goes_on_from_there(workspace):
    lock = workspace.read("dvc.lock")
    workspace.forget("cnn")
    partial = workspace.folder / "data" / "partial"
    partial.mkdir(exist_ok=True)
    with mounted(partial, "-t tmpfs -o size=12k tmpfs"):
        code, output = workspace.run("python", "-m", "stages.train", MAX_WORKERS="1")
    assert code != 0
    assert "No space left on device; make room on that disk" in output
    assert "Traceback" not in output
    assert trained_in(workspace.succeed("python", "-m", "stages.train"))["cnn"] >= 1
    assert workspace.repro() == set()
    assert workspace.read("dvc.lock") == lock


@pytest.mark.slow
def test_a_disk_that_is_read_only_is_one_message_and_nothing_is_lost(workspace):
    data, lock = workspace.folder / "data", workspace.read("dvc.lock")
    workspace.set_kernel(2)
    before = {file: file.read_bytes() for file in sorted(data.rglob("*")) if file.is_file()}
    with mounted(data, f"--bind {data}", "-o remount,bind,ro"):
        for command in (("python", "-m", "stages.train", "kernel_1"), ("python", "-m", "stages.collect")):
            code, output = workspace.run(*command)
            assert code == 1, output
            assert "Read-only file system; mount it for writing" in output
            assert "Traceback" not in output
    assert {file: file.read_bytes() for file in sorted(data.rglob("*")) if file.is_file()} == before
    workspace.set_kernel(1)
    assert workspace.repro() == set()
    assert workspace.read("dvc.lock") == lock


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "name"),
    [("train", "kernel_1/seed_0/weights.safetensors"), ("train", None), ("prepare", "train.safetensors")],
)
def test_a_file_of_dvcs_cache_that_rots_is_made_again(stage, name, workspace):
    lock = workspace.read("dvc.lock")
    file = cache_file(workspace, stage, name)
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    shutil.rmtree(workspace.folder / folder_made_by(workspace, stage)["path"])
    assert stage in workspace.repro()
    assert workspace.read("dvc.lock") == lock
    assert workspace.repro() == set()


@pytest.mark.slow
def test_weights_that_rot_are_made_again_from_the_store_or_by_training(workspace):
    lock = workspace.read("dvc.lock")
    weights = workspace.folder / "data/runs/cnn/seed_1/weights.safetensors"
    for damaged in (weights.read_bytes()[:100], b"", b"\xff" * 200):
        weights.unlink()
        weights.write_bytes(damaged)
        assert "train: 8 of 8 runs are finished" in workspace.succeed("python", "-m", "stages.train")
        assert weights.stat().st_size > 200
    shutil.rmtree(workspace.store)
    weights.unlink()
    weights.write_bytes(b"")
    code, output = workspace.run("python", "-m", "stages.probe", "cnn")
    assert code == 1
    assert "data/runs/cnn/seed_1 is not whole; `dvc repro train` makes it again" in output
    assert trained_in(workspace.succeed("dvc", "repro")) == {"cnn": 1}
    assert workspace.read("dvc.lock") == lock


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "x", "/there"), "/there: No space left on device; make room"),
        (OSError(errno.EROFS, "x"), f"{paths.DATA}: Read-only file system; mount it for writing"),
        (PermissionError(errno.EACCES, "x", "/there"), "/there: Permission denied; give yourself the right"),
        (
            SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
            f"{paths.DATA}: No space left on device; make room",
        ),
        (OSError(errno.ENOENT, "x", "/there"), ""),
        (ValueError("no space"), ""),
    ],
)
def test_an_error_of_the_disk_says_where_and_what_to_do_and_any_other_is_no_such_error(error, message):
    assert stage_command.disk_fault(error).startswith(message)
    assert bool(stage_command.disk_fault(error)) is bool(message)


WILD = {"optimizer": "sgd", "lr": 1e20, "schedule": "constant"}


@pytest.mark.slow
def test_the_pipeline_reaches_a_report_that_says_which_runs_diverged(workspace):
    with workspace.edited("params.yaml") as settings:
        settings["variants"]["kernel_1"]["run"]["recipe"] = WILD
    # One seed of another variant, which no recipe would do to it alone.
    workspace.edit(
        "stages/train/run.py",
        "if not np.isfinite(row",
        'if (spec.seed, metrics["connectivity"]) == (1, "fully_connected") or not np.isfinite(row',
    )
    workspace.repro()
    assert json.loads(workspace.read("data/metrics.json"))["diverged"] == 4
    metrics = json.loads(workspace.read("data/results/variants.json"))
    assert {key: metric.get("diverged", 0) for key, metric in metrics.items()} == {
        "cnn": 0,
        "kernel_1": 3,
        "fully_connected": 1,
    }
    assert (
        workspace.read("data/results/diverged.csv")
        == "variant,seed,epoch\nkernel_1,0,1\nkernel_1,1,1\nkernel_1,2,1\nfully_connected,1,1\n"
    )
    page = workspace.read("data/report/index.html")
    assert "Of 8 runs, 4, of 2 variants, diverged and have no accuracy" in page
    assert "Every seed of kernel_1 diverged." in page
    assert "undecided" in page
    output = workspace.succeed("python", "-m", "stages.tools.deploy", "package")
    assert "without one, since not trained yet or diverged: kernel_1" in output
    code, output = workspace.run("python", "-m", "stages.tools.deploy", "package", "--variant", "kernel_1")
    assert code == 1
    assert "every run of it diverged" in output


@pytest.mark.slow
def test_a_baseline_that_diverged_is_one_message_and_the_others_are_not_trained_again(workspace):
    lock = workspace.read("dvc.lock")
    with workspace.edited("params.yaml") as settings:
        settings["variants"]["cnn"]["run"]["recipe"] = WILD
    code, output = workspace.run("dvc", "repro")
    assert code != 0
    assert "every seed of the baseline 'cnn' diverged" in output
    assert "Traceback" not in output
    assert stages_in(output) == {"check", "train", "probe", "collect"}
    assert "train: 5 of 8 runs are finished" in output
    with workspace.edited("params.yaml") as settings:
        del settings["variants"]["cnn"]["run"]["recipe"]
    assert trained_in(workspace.succeed("dvc", "repro")) == {}
    assert workspace.read("dvc.lock") == lock

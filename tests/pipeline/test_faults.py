"""Faults made for real: processes killed at random, a full disk, one that cannot be written, files that rot, runs that diverge."""

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
from pathlib import Path

import pytest
from safetensors import SafetensorError
from test_pipeline import DOWNSTREAM, Workspace, alive, finished, stages_in, workspace, yaml  # noqa: F401

from stages.shared import paths, stage_command
from stages.train import dvc_lock

KILLS = 20
# As `make repro` does it, up to the results.
REPRO = ("sh", "-c", "python -m stages.cloud.submit && exec dvc repro collect")
TRAINING = ("cnn", "kernel_1", "fully_connected")


@contextlib.contextmanager
def mounted(folder, *options):
    """Mount over a folder, with each of these options of `mount` in turn; what it held is there again afterwards. Skips the test where this is not allowed."""
    for option in options:
        done = (
            subprocess.run(["mount", *option.split(), str(folder)], capture_output=True, text=True)
            if shutil.which("mount")
            else None
        )
        if done is None or done.returncode != 0:
            pytest.skip(f"needs the right to mount: {done.stderr.strip() if done else 'there is no mount'}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def cache_file(workspace, stage, name=None):
    """DVC's copy of a stage's first output, or of a file in that folder."""
    cache = workspace.folder / ".dvc" / "cache" / "files" / "md5"
    digest = yaml.load(workspace.read("dvc.lock"))["stages"][stage]["outs"][0]["md5"]
    if name:
        digest = next(
            file["md5"] for file in yaml.load((cache / digest[:2] / digest[2:]).read_text()) if file["relpath"] == name
        )
    return cache / digest[:2] / digest[2:]


def overwrite(file, content):
    """DVC writes its cache for reading alone."""
    file.chmod(0o644)
    file.write_bytes(content)


def kept_seeds(workspace):
    """Of each finished seed that is kept: its folder, and what tells whether it is the same one."""
    found = {}
    for file in (workspace.folder / "data" / "partial" / "seeds").glob("*/seed_*/kept.json"):
        found[file.parent.relative_to(workspace.folder).as_posix()] = (file.stat().st_ino, file.stat().st_mtime_ns)
    return found


def workers(process):
    """Ids of the processes that train: those of the session that a stage has started."""
    parents = {}
    for pid in alive(process.pid):
        with contextlib.suppress(OSError):
            parents[pid] = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    stage = [pid for pid, parent in parents.items() if parent == process.pid]
    return [pid for pid, parent in parents.items() if parent in stage]


def kill(process, what, moment):
    """Kill a worker, DVC alone, or all, after so many seconds, unless it has ended before. Returns whether it was killed."""
    until = time.monotonic() + moment
    while time.monotonic() < until and process.poll() is None:
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        if what == "worker":
            found = workers(process)
            if not found:
                what = "all"
            else:
                os.kill(random.Random(moment).choice(found), signal.SIGKILL)
        if what == "dvc":
            process.kill()
        elif what == "all":
            os.killpg(process.pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=120)
    deadline = time.monotonic() + 20
    while alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(process.pid)
    return process.returncode != 0, output


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_worker_whose_stage_is_killed_before_it_follows_the_stage_ends_too():
    slow = "import time; from stages import cores; follow = cores.die_with_parent; cores.die_with_parent = lambda: (time.sleep(1), follow());"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{slow} cores.spread(print, (1, 2), 2, 't', 'u')"],
        cwd=paths.ROOT,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while len(alive(process.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert alive(process.pid), "the worker was not begun, or was gone before it could be tested"
    deadline = time.monotonic() + 20
    while alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive(process.pid) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_stage_whose_dvc_was_killed_before_it_follows_dvc_does_nothing():
    command = [sys.executable, "-m", "stages.train", "--help"]
    adopted = subprocess.run(
        command,
        cwd=paths.ROOT,
        env=os.environ | {"DVC_STAGE": "train"},
        start_new_session=True,
        capture_output=True,
        text=True,
    )
    assert (adopted.returncode, adopted.stderr) == (1, "`dvc repro` was killed; nothing is begun\n")
    own = subprocess.run(
        command, cwd=paths.ROOT, env=os.environ | {"DVC_STAGE": "train"}, capture_output=True, text=True
    )
    assert own.returncode == 0, own.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_twenty_kills_at_random_moments_cost_neither_a_finished_seed_nor_a_hand(workspace, tmp_path):
    with workspace.edited("params.yaml") as settings:
        settings["protocol"]["epochs"] = 40
    shutil.copytree(workspace.folder, tmp_path / "undisturbed", symlinks=True)
    undisturbed = Workspace(tmp_path / "undisturbed")
    start = time.monotonic()
    undisturbed.repro("collect")
    whole = time.monotonic() - start
    drawn, kills, kept, most = random.Random(6), 0, {}, 0
    while kills < KILLS:
        process = workspace.start(*REPRO)
        killed, output = kill(process, ("worker", "dvc", "all")[kills % 3], drawn.uniform(0.05, 0.4) * whole)
        assert "Traceback" not in output, output
        assert "manually" not in output, output
        kills += killed
        now = kept_seeds(workspace)
        for seed, same in kept.items():
            assert now.get(seed, same) == same, f"{seed} was trained again"
        most = max(most, len(now))
        if not killed:  # it has ended: there must be something left to kill
            for variant in TRAINING:
                workspace.lose(f"train@{variant}")
            shutil.rmtree(workspace.folder / "data" / "partial" / "seeds", ignore_errors=True)
        kept = kept_seeds(workspace)
    assert most > 0, "no seed was finished when its training was killed"
    code, output = workspace.run(*REPRO)
    assert code == 0, output
    assert workspace.read("dvc.lock") == undisturbed.read("dvc.lock")
    assert {file.name for file in (workspace.folder / "data" / "partial").iterdir()} <= {"seeds", "probes"}, (
        "nothing half-made is left"
    )
    assert workspace.repro() == undisturbed.repro() == DOWNSTREAM - {"collect"}
    assert workspace.read("dvc.lock") == undisturbed.read("dvc.lock")


@pytest.mark.parametrize("left", ["", '{"write": {}, "re'])
def test_dvcs_list_of_readers_and_writers_that_is_half_written_is_removed_and_a_whole_one_is_not(
    left, tmp_path, monkeypatch, capsys
):
    for name, file in (("DVC_RWLOCK", "rwlock"), ("DVC_LOCK", "dvc.lock"), ("DVC_LOCK_COPY", "copy")):
        monkeypatch.setattr(paths, name, tmp_path / file)
    dvc_lock.mend()
    paths.DVC_RWLOCK.write_text('{"write": {}, "read": {}}')
    dvc_lock.mend()
    assert paths.DVC_RWLOCK.exists()
    assert capsys.readouterr().out == ""
    paths.DVC_RWLOCK.write_text(left)
    dvc_lock.mend()
    assert not paths.DVC_RWLOCK.exists()
    assert "removed .dvc/tmp/rwlock" in capsys.readouterr().out


@pytest.mark.parametrize("left", ["", "schema: '2.0'\nstages:\n  plan:\n    cmd: exec py"])
def test_a_half_written_lock_is_put_back_as_it_was_before_the_last_run(left, tmp_path, monkeypatch, capsys):
    for name, file in (("DVC_RWLOCK", "rwlock"), ("DVC_LOCK", "dvc.lock"), ("DVC_LOCK_COPY", "copy")):
        monkeypatch.setattr(paths, name, tmp_path / file)
    whole = "schema: '2.0'\nstages:\n  plan:\n    cmd: exec python -m stages.check\n"
    paths.DVC_LOCK.write_text(whole)
    dvc_lock.mend()
    assert capsys.readouterr().out == ""
    paths.DVC_LOCK.write_text(left)
    dvc_lock.mend()
    assert paths.DVC_LOCK.read_text() == whole
    assert "put back dvc.lock" in capsys.readouterr().out
    paths.DVC_LOCK.write_text(left)
    paths.DVC_LOCK_COPY.unlink()
    dvc_lock.mend()
    assert not paths.DVC_LOCK.exists()


@pytest.mark.slow
def test_a_half_written_lock_stops_dvc_and_not_make_repro_and_costs_no_training(workspace):
    lock = workspace.read("dvc.lock")
    workspace.run(*REPRO)
    (workspace.folder / "dvc.lock").write_text("")
    code, output = workspace.run("dvc", "repro", "--single-item", "plan")
    assert code != 0
    assert "dvc.lock" in output
    code, output = workspace.run(*REPRO)
    assert (code, stages_in(output)) == (0, set()), output
    assert workspace.read("dvc.lock") == lock


@pytest.mark.slow
def test_a_half_written_list_stops_dvc_and_not_make_repro(workspace):
    (workspace.folder / ".dvc" / "tmp" / "rwlock").write_text("")
    code, output = workspace.run("dvc", "repro", "--force", "--single-item", "plan")
    assert code != 0
    assert ".dvc/tmp/rwlock" in output
    code, output = workspace.run(*REPRO)
    assert code == 0, output


@pytest.mark.slow
def test_a_killed_worker_is_one_message_and_the_seeds_that_were_finished_are_kept(workspace):
    process = workspace.begin_long_training()
    deadline = time.monotonic() + 60
    while not workers(process) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(workers(process)[0], signal.SIGKILL)
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "train cnn: a worker process was killed (out of memory?)" in output
    assert "Traceback" not in output


@pytest.mark.slow
def test_a_full_disk_is_one_message_and_with_room_the_run_goes_on_from_there(workspace):
    lock = workspace.read("dvc.lock")
    workspace.lose("train@cnn")
    partial = workspace.folder / "data" / "partial"
    partial.mkdir(exist_ok=True)
    with mounted(partial, "-t tmpfs -o size=40k tmpfs"):
        code, output = workspace.run("dvc", "repro", MAX_WORKERS="1")
    assert code != 0
    assert "No space left on device; make room on that disk" in output
    assert "Traceback" not in output
    assert workspace.repro() == {"train@cnn"}
    assert workspace.read("dvc.lock") == lock


@pytest.mark.slow
def test_a_disk_that_is_read_only_is_one_message_and_nothing_is_lost(workspace):
    data, lock = workspace.folder / "data", workspace.read("dvc.lock")
    before = {file: file.read_bytes() for file in sorted(data.rglob("*")) if file.is_file()}
    with mounted(data, f"--bind {data}", "-o remount,bind,ro"):
        for command in (("python", "-m", "stages.train", "cnn"), ("python", "-m", "stages.collect")):
            code, output = workspace.run(*command)
            assert code == 1, output
            assert "Read-only file system; mount it for writing" in output
            assert "Traceback" not in output
        workspace.edit("report/index.qmd", "\n## ", "\nOne more sentence.\n\n## ")
        code, output = workspace.run("dvc", "repro")
        assert code != 0
        assert "Read-only file system" in output
        assert "Traceback" not in output
    assert {file: file.read_bytes() for file in sorted(data.rglob("*")) if file.is_file()} == before
    assert workspace.read("dvc.lock") == lock
    assert workspace.repro() == {"render"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "name"),
    [("train@kernel_1", "seed_0.safetensors"), ("train@kernel_1", None), ("prepare", "train.safetensors")],
)
def test_a_file_of_dvcs_cache_that_rots_is_made_again(stage, name, workspace):
    lock = workspace.read("dvc.lock")
    file = cache_file(workspace, stage, name)
    overwrite(file, file.read_bytes()[:-1] + b"?")
    out = yaml.load(lock)["stages"][stage]["outs"][0]["path"]
    shutil.rmtree(workspace.folder / out)
    assert stage in workspace.repro()
    assert workspace.read("dvc.lock") == lock
    assert workspace.repro() == set()


@pytest.mark.slow
def test_a_file_of_weights_that_rots_is_one_message_and_dvc_puts_the_whole_one_back(workspace):
    lock = workspace.read("dvc.lock")
    weights = workspace.folder / "data" / "runs" / "cnn" / "seed_1.safetensors"
    if weights.stat().st_nlink > 1 or weights.is_symlink():
        pytest.skip("this file system shares the file with DVC's cache")
    for spoilt in (weights.read_bytes()[:100], b"", b"\xff" * 200):
        weights.chmod(0o644)
        weights.write_bytes(spoilt)
        code, output = workspace.run("python", "-m", "stages.probe", "cnn")
        assert code == 1
        assert "seed_1.safetensors of cnn cannot be used" in output
        assert "`dvc repro train@cnn` makes it again" in output
        assert "Traceback" not in output
    workspace.repro()
    assert workspace.read("dvc.lock") == lock
    assert weights.stat().st_size > 200


@pytest.mark.parametrize(
    ("error", "said"),
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
def test_an_error_of_the_disk_says_where_and_what_to_do_and_any_other_is_no_such_error(error, said):
    assert stage_command.disk_fault(error).startswith(said)
    assert bool(stage_command.disk_fault(error)) is bool(said)


WILD = {"optimizer": "sgd", "lr": 1e20, "schedule": "constant"}


@pytest.mark.slow
def test_the_pipeline_reaches_a_report_that_says_which_runs_diverged(workspace):
    with workspace.edited("params.yaml") as settings:
        settings["variants"]["kernel_1"]["run"]["recipe"] = WILD
    # One seed of another, which no recipe would do to it alone.
    workspace.edit(
        "stages/train/run.py",
        "if not np.isfinite(",
        'if (seed, run.architecture.connectivity) == (1, "fully_connected") or not np.isfinite(',
    )
    workspace.repro()
    metrics = {
        key: own.get("diverged", 0) for key, own in json.loads(workspace.read("data/results/metrics.json")).items()
    }
    assert metrics == {"cnn": 0, "kernel_1": 3, "fully_connected": 1}
    assert (
        workspace.read("data/results/diverged.csv")
        == "variant,seed,epoch\nkernel_1,0,1\nkernel_1,1,1\nkernel_1,2,1\nfully_connected,1,1\n"
    )
    page = workspace.read("data/report/index.html")
    assert "Of 8 runs, 4, of 2 variants, diverged and have no accuracy" in page
    assert "Every seed of kernel_1 diverged." in page
    assert "undecided" in page
    code, output = workspace.run("python", "-m", "stages.tools.deploy", "package")
    assert code == 0, output
    assert "without one, since not trained yet or diverged: kernel_1" in output
    code, output = workspace.run("python", "-m", "stages.tools.deploy", "package", "--variant", "kernel_1")
    assert code == 1
    assert "every seed of it diverged" in output


@pytest.mark.slow
def test_a_baseline_that_diverged_is_one_message_and_the_others_are_not_trained_again(workspace):
    lock = workspace.read("dvc.lock")
    with workspace.edited("params.yaml") as settings:
        settings["variants"]["cnn"]["run"]["recipe"] = WILD
    code, output = workspace.run("dvc", "repro")
    assert code != 0
    assert "every seed of the baseline 'cnn' diverged" in output
    assert "Traceback" not in output
    assert stages_in(output) == {"plan", "train@cnn", "probe@cnn", "collect"}
    with workspace.edited("params.yaml") as settings:
        del settings["variants"]["cnn"]["run"]["recipe"]
    workspace.repro()
    assert workspace.read("dvc.lock") == lock

"""Clones of the repository with settings so small that the whole pipeline runs in seconds."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML

from stages.shared import paths

yaml = YAML(typ="safe", pure=True)
yaml.sort_base_mapping_type_on_output = False  # the order of the variants is that of the tables

STAGES = ("check", "download", "prepare", "eda", "train", "probe", "collect", "figures", "render")
AFTER_PROBE = {"collect", "figures", "render"}

# What the small runs change of the repository's own settings, block by block; these blocks are replaced whole.
WHOLE = ("protocols", "variants", "families")
SMALL = yaml.load("""
protocols:
  tiny:
    {baseline: cnn, train_size: 300, val_size: 100, epochs: 6, seeds: [0, 1, 2], few_seeds: [0, 1], margin: 1,
     probe_images: 40, longer: null, variants: [cnn, kernel_1, fully_connected]}
  quick:
    {baseline: cnn, train_size: 300, val_size: 100, epochs: 6, seeds: [0, 1], few_seeds: [0, 1], margin: 1,
     probe_images: 40, longer: null, variants: [cnn, kernel_1]}
protocol: tiny
data: {dataset: digits}
eda: {images: 200, max_distance: 5, samples_per_class: 3}
architecture: {channels: [4, 8]}
recipe: {lr: 0.01, batch_size: 32}
sample: {seeds: all}
probe: {bins: 5, images: 40, folds: 2, drawn_images: 2, drawn_channels: 2, drawn_places: 2, hard_images: 4}
variants:
  cnn:
    families: {kernel: 3×3}
    run: {}
  kernel_1:
    families: {kernel: 1×1}
    run: {architecture: {kernel: 1}}
  fully_connected:
    families: {}
    run: {sample: {seeds: few}, architecture: {connectivity: fully_connected, channels: [16]}}
families:
  kernel: {title: Kernel size, reference: cnn, question: How large must a filter be?, held: Width and depth.}
inference: {min_seeds: 3, verdict_seeds: 3, resamples: 20}
""")
HYPOTHESES = """
kernel_1_worst:
  statement: A kernel that sees no neighbour is below one that does.
  family: kernel
  contrast: {variant: kernel_1, reference: cnn}
  metric: accuracy
  direction: below
  smallest_effect: 0.005
  source: simonyan2015
"""


class Workspace:
    """A clone of the repository in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder

    def read(self, name):
        return (self.folder / name).read_text(encoding="utf-8")

    def edit(self, name, old, new):
        text = self.read(name)
        assert old in text, f"{old!r} is not in {name}"
        (self.folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")

    @contextlib.contextmanager
    def edited(self, name):
        """The content of a settings file, to be changed in the block and written at its end."""
        content = yaml.load(self.read(name))
        yield content
        with (self.folder / name).open("w", encoding="utf-8") as file:
            yaml.dump(content, file)

    def set_kernel(self, kernel):
        """Give the variant kernel_1 another kernel."""
        with self.edited("params.yaml") as settings:
            settings["variants"]["kernel_1"]["run"]["architecture"]["kernel"] = kernel

    def start(self, *command, **environment):
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        inherited = {key: value for key, value in os.environ.items() if key not in ("PIPELINE_ROOT", "RUN_STORE")}
        # /bin/sh, since some shells stay between DVC and its command, unless the command is `exec …`.
        fixed = {"SHELL": "/bin/sh", "PATH": path, "REPORT_RENDERER": "embedded", "DVC_NO_ANALYTICS": "1"}
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        environment = inherited | fixed | environment
        return subprocess.Popen(command, cwd=self.folder, env=environment, start_new_session=True, **streams)

    def run(self, *command, **environment):
        """Returns the exit code and what the command printed."""
        process = self.start(*command, **environment)
        output, _ = process.communicate(timeout=600)
        return process.returncode, output

    def succeed(self, *command, **environment):
        """Run a command that must succeed. Returns what it printed."""
        code, output = self.run(*command, **environment)
        assert code == 0, output
        return output

    def pretend_environment(self):
        """Let `make` find the environment ready, so that it installs none: the commands are those of the tests."""
        (self.folder / ".venv").mkdir(exist_ok=True)
        (self.folder / ".venv" / "ready").touch()

    def repro(self, *arguments, **environment):
        """Reproduce, which must succeed. Returns the names of the stages that ran."""
        return stages_in(self.succeed("dvc", "repro", *arguments, **environment))

    def stages_to_run(self):
        """The stages of which DVC says that what they read has changed."""
        return set(json.loads(self.succeed("dvc", "status", "--json")))

    def git(self, *arguments):
        """Run git as somebody, at a fixed time."""
        who = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
        fixed = {"GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z"}
        command = ["git", *who, *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=os.environ | fixed, check=True, capture_output=True, text=True
        )
        return done.stdout

    def runs(self, root="runs"):
        """Run → the digests in its record, for every finished run in data/runs (or data/probes)."""
        records = sorted((self.folder / "data" / root).glob("*/seed_*/record.json"))
        return {
            record.parent.relative_to(record.parents[2]).as_posix(): json.loads(record.read_text())
            for record in records
        }

    def forget(self, *variants):
        """Remove these variants' runs from the workspace and from the store; DVC's cache alone still has them."""
        shutil.rmtree(self.store, ignore_errors=True)
        for variant in variants:
            shutil.rmtree(self.folder / "data" / "runs" / variant)

    @property
    def store(self):
        return self.folder / ".dvc" / "cache" / "finished_runs"

    def begin_long_training(self):
        """Start to train one variant for many epochs. Returns the process of DVC once a run is under way."""
        with self.edited("params.yaml") as settings:
            settings["variants"]["cnn"]["run"]["recipe"] = {"epochs": 100_000}
        process = self.start("dvc", "repro", "train")
        deadline = time.monotonic() + 120
        # Without a worker, the folder is that of an earlier training that was killed.
        while not (workers(process) and list((self.folder / "data" / "partial" / "train").glob("*"))):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "training never began"
            time.sleep(0.05)
        return process

    def end_long_training(self):
        with self.edited("params.yaml") as settings:
            del settings["variants"]["cnn"]["run"]["recipe"]


def stages_in(output):
    """The stages that DVC ran."""
    return set(re.findall(r"^Running stage '(.+?)':", output, re.MULTILINE))


def trained_in(output):
    """Variant → number of its runs that were trained and did not diverge."""
    return {
        name: int(runs) for name, runs in re.findall(r"^train (\w+): test accuracy .* over (\d+) runs", output, re.M)
    }


def assert_both_reports(workspace, *texts):
    """The report is there twice, and its page has these texts."""
    report = workspace.folder / "data" / "report"
    assert (report / "report.pdf").read_bytes().startswith(b"%PDF-")
    page = (report / "index.html").read_text(encoding="utf-8")
    assert "<h1" in page
    for text in texts:
        assert text in page, text


def with_changes(base, change):
    """Settings with some of their values changed; the blocks of WHOLE are replaced."""
    merged = {
        key: {**base[key], **value} if isinstance(value, dict) and key not in WHOLE else value
        for key, value in change.items()
    }
    return {**base, **merged}


def delete(settings, variant):
    del settings["variants"][variant]
    for protocol in settings["protocols"].values():
        protocol["variants"].remove(variant)


def clone(folder, change=None, files=None, own_settings=False):
    """A fresh clone, as far as git and DVC can tell, of the files that git knows or would take, with small settings.

    own_settings: leave the repository's. change: of the small settings. files: name → .npz arrays in data/user/.
    """
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if (paths.ROOT / name).is_file() and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(paths.ROOT / name, folder / name)
    workspace = Workspace(folder)
    if not own_settings:
        with workspace.edited("params.yaml") as settings:
            small = with_changes(with_changes(settings, SMALL), change or {})
            settings.clear()
            settings.update(small)
        (folder / "hypotheses.yaml").write_text(HYPOTHESES, encoding="utf-8")
    for name, arrays in (files or {}).items():
        np.savez(folder / "data" / "user" / name, **arrays)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    commit(workspace, "A clone")
    return workspace


def commit(workspace, message):
    workspace.git("add", "-A")
    workspace.git("commit", "-qm", message)


def alive(session):
    """Ids of the processes of a session that still run; what has ended and waits to be collected does not."""
    running = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            state, _, _, its_session = stat.read_text().rpartition(")")[2].split()[:4]
            if int(its_session) == session and state not in "ZX":
                running.append(int(stat.parent.name))
    return running


def workers(process):
    """Ids of the processes that train: the children of the stage, which is a child of DVC."""
    parents = {}
    for pid in alive(process.pid):
        with contextlib.suppress(OSError):
            parents[pid] = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    stage = [pid for pid, parent in parents.items() if parent == process.pid]
    return [pid for pid, parent in parents.items() if parent in stage]


def wait_for_end(session, seconds=20):
    """Wait until no process of a session runs, and kill what still does. Returns the ids of those that were killed."""
    deadline = time.monotonic() + seconds
    while alive(session) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = alive(session)
    for process in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    return left

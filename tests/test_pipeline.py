"""Real DVC runs of the whole pipeline on a small protocol: what runs when, that it repeats, and that faults leave nothing behind."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stages import paths

pytestmark = pytest.mark.slow

SMALL = """
protocol: tiny
protocols:
  tiny: {train_size: 300, val_size: 100, epochs: 8, seeds: [0, 1, 2], probe_images: 40}
  two_seeds: {train_size: 300, val_size: 100, epochs: 8, seeds: [0, 1], probe_images: 40}
data: {dataset: digits, file: null, test_fraction: 0.2, margin: 1, seed: 0}
eda: {images: 200, max_distance: 5, samples_per_class: 3, object_threshold: 0.1, variance_shares: [0.9, 0.95], twonn_discard: 0.1, near_duplicate: 0.2}
architecture: {connectivity: conv, channels: [4, 8], kernel: 3, dilation: 1, padding: zero, reduce_at: [1, 2], stride: 1, pooling: max,
  pool_size: 2, norm: none, activation: relu, head: flatten}
recipe: {optimizer: adamw, lr: 0.01, weight_decay: 0.01, momentum: 0.9, schedule: one_cycle, warm_up: 0.3, batch_size: 32}
variants:
  cnn:
    families: {kernel: 3×3}
    run: {}
  kernel_1:
    families: {kernel: 1×1}
    run: {architecture: {kernel: 1}}
  fully_connected:
    families: {}
    run: {architecture: {connectivity: fully_connected, channels: [16]}}
baseline: cnn
families:
  kernel: {title: Kernel size, reference: cnn, question: How large must a filter be?, held: Width and depth.}
contrasts: {}
inference: {confidence: 0.95, min_seeds: 3}
"""
DOWNSTREAM = {"collect", "figures", "render"}


class Workspace:
    """A clone of the repository in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def edit(self, name, old, new):
        text = (self.folder / name).read_text()
        assert old in text, f"{old!r} is not in {name}"
        self.write(name, text.replace(old, new, 1))

    def start(self, *command, **environment):
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        inherited = {key: value for key, value in os.environ.items() if key != "PIPELINE_ROOT"}
        environment = inherited | {"PATH": path, "REPORT_RENDERER": "embedded", "DVC_NO_ANALYTICS": "1"} | environment
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=self.folder, env=environment, start_new_session=True, **streams)

    def run(self, *command, **environment):
        process = self.start(*command, **environment)
        output, _ = process.communicate(timeout=600)
        return process.returncode, output

    def repro(self, *arguments, **environment):
        """Reproduce, which must succeed. Returns the names of the stages that ran."""
        code, output = self.run("dvc", "repro", *arguments, **environment)
        assert code == 0, output
        return set(re.findall(r"^Running stage '(.+?)':", output, re.MULTILINE))

    def read(self, name):
        return (self.folder / name).read_text()


def clone(folder):
    """A fresh clone, as far as git and DVC can tell, of the files that git knows or would take."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=paths.ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if (paths.ROOT / name).is_file() and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(paths.ROOT / name, folder / name)
    (folder / "params.yaml").write_text(SMALL)
    who = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    fixed = os.environ | {"GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z"}
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "A clone"]):
        subprocess.run(["git", *command], cwd=folder, check=True, env=fixed)
    return Workspace(folder)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A clone in which the pipeline has run once, from nothing; and the stages that ran. Copy it, do not change it."""
    workspace = clone(tmp_path_factory.mktemp("finished") / "clone")
    return workspace, workspace.repro()


@pytest.fixture
def workspace(finished, tmp_path):
    """A copy of the finished clone that a test may change."""
    shutil.copytree(finished[0].folder, tmp_path / "copy", symlinks=True)
    return Workspace(tmp_path / "copy")


def test_a_fresh_clone_runs_every_stage_to_both_reports(finished):
    workspace, ran = finished
    variants = ("cnn", "kernel_1", "fully_connected")
    assert ran == {"check", "download", "prepare", "eda", *DOWNSTREAM} | {f"{s}@{v}" for s in ("train", "probe") for v in variants}
    report = workspace.folder / "data" / "report"
    assert (report / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert "<h1" in (report / "index.html").read_text()
    metrics = json.loads(workspace.read("data/results/metrics.json"))
    assert set(metrics) == set(variants)
    assert metrics["cnn"]["accuracy"] > 0.5


def test_a_second_run_does_nothing(workspace):
    lock = workspace.read("dvc.lock")
    assert workspace.repro() == set()
    assert workspace.read("dvc.lock") == lock


def test_editing_one_variant_reruns_it_and_what_stands_downstream(workspace):
    workspace.edit("params.yaml", "{kernel: 1}", "{kernel: 5}")
    assert workspace.repro() == {"check", "train@kernel_1", "probe@kernel_1", *DOWNSTREAM}


def test_adding_a_variant_runs_only_it_and_it_appears_in_its_familys_table(workspace):
    added = "  kernel_5:\n    families: {kernel: 5×5}\n    run: {architecture: {kernel: 5}}\nbaseline:"
    workspace.edit("params.yaml", "baseline:", added)
    assert workspace.repro() == {"check", "train@kernel_5", "probe@kernel_5", *DOWNSTREAM}
    assert "5×5" in workspace.read("data/figures/tables/family-kernel.md")


def test_deleting_a_variant_trains_nothing_and_removes_it_from_every_table(workspace):
    deleted = "  kernel_1:\n    families: {kernel: 1×1}\n    run: {architecture: {kernel: 1}}\n"
    assert "kernel_1" in workspace.read("data/results/runs.csv")
    assert "1×1" in workspace.read("data/report/index.html")
    workspace.edit("params.yaml", deleted, "")
    assert workspace.repro() == {"check", *DOWNSTREAM}
    for file in sorted((workspace.folder / "data" / "results").iterdir()):
        assert "kernel_1" not in file.read_text(), file
    for name in ("data/figures/tables/results.md", "data/report/index.html"):
        assert "1×1" not in workspace.read(name), name


def test_editing_prose_a_caption_or_a_label_retrains_nothing(workspace):
    workspace.edit("report/index.qmd", "\n## ", "\nOne more sentence.\n\n## ")
    assert workspace.repro() == {"render"}
    workspace.edit("params.yaml", "How large must a filter be?", "How large should a filter be?")
    assert workspace.repro() <= {"check", *DOWNSTREAM}
    workspace.edit("params.yaml", "{kernel: 1×1}", "{kernel: one pixel}")
    assert workspace.repro() <= {"check", *DOWNSTREAM}
    assert "one pixel" in workspace.read("data/report/index.html")


def test_editing_a_tables_code_retrains_nothing(workspace):
    source = next(iter(sorted((workspace.folder / "stages" / "figures").glob("*.py"))))
    source.write_text(source.read_text() + "\n# A remark.\n")
    assert workspace.repro() == {"figures"}  # its output is the same, so that nothing after it runs


def test_switching_the_protocol_and_back_trains_once(workspace):
    lock = workspace.read("dvc.lock")
    workspace.edit("params.yaml", "protocol: tiny", "protocol: two_seeds")
    assert "train@cnn" in workspace.repro()
    assert "protocols.two_seeds.seeds" in workspace.read("dvc.lock")
    workspace.edit("params.yaml", "protocol: two_seeds", "protocol: tiny")
    assert not any(stage.startswith("train") for stage in workspace.repro())
    assert workspace.read("dvc.lock") == lock


def test_two_clean_clones_agree_byte_for_byte_on_one_core_and_on_all(finished, tmp_path):
    other = clone(tmp_path / "other")
    other.repro(MAX_WORKERS="1")
    assert other.read("dvc.lock") == finished[0].read("dvc.lock")
    for name in ("index.html", "report.pdf"):
        one, two = ((w.folder / "data" / "report" / name).read_bytes() for w in (other, finished[0]))
        assert one == two, name


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_leaves_nothing_that_looks_finished_and_the_next_ends_as_if_undisturbed(how, workspace):
    lock = workspace.read("dvc.lock")
    shutil.rmtree(workspace.folder / "data" / "runs" / "cnn")
    shutil.rmtree(workspace.folder / ".dvc" / "cache")
    workspace.edit("params.yaml", "epochs: 8", "epochs: 400")
    process = workspace.start("dvc", "repro", "--single-item", "train@cnn")
    partial = workspace.folder / "data" / "partial"
    deadline = time.monotonic() + 60
    while not list(partial.glob("*/seed_*")):
        assert time.monotonic() < deadline, "training never began"
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.killpg(process.pid, how)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not (workspace.folder / "data" / "runs" / "cnn").exists()
    workspace.edit("params.yaml", "epochs: 400", "epochs: 8")
    assert "train@cnn" in workspace.repro()
    assert workspace.read("dvc.lock") == lock


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{kernel: 1}", "{kernal: 1}", "unknown key (did you mean 'kernel'?)"),
        ("seeds: [0, 1, 2]", "seeds: []", "protocols.tiny.seeds = []: should not be empty"),
        ("baseline: cnn", "baseline: cnm", "baseline: 'cnm' is not one of cnn, kernel_1, fully_connected"),
        ("lr: 0.01", "lr: -0.01", "recipe.lr = -0.01: should be greater than 0"),
    ],
)
def test_a_mistake_in_params_is_one_message_before_any_stage_runs(old, new, said, workspace):
    lock = workspace.read("dvc.lock")
    workspace.edit("params.yaml", old, new)
    code, output = workspace.run("dvc", "repro")
    assert code != 0
    assert said in output
    assert "Traceback" not in output
    assert re.findall(r"^Running stage '(.+?)':", output, re.MULTILINE) == ["check"]
    assert workspace.read("dvc.lock") == lock


def test_an_unknown_variant_is_refused_by_name(workspace):
    code, output = workspace.run("python", "-m", "stages.train", "k33")
    assert code == 1
    assert output.strip() == "variant 'k33' is not in params.yaml (have: cnn, kernel_1, fully_connected)"


def test_dvc_shows_metrics_params_and_plots(workspace):
    code, output = workspace.run("dvc", "metrics", "show")
    assert code == 0, output
    assert "cnn.accuracy" in output
    code, output = workspace.run("dvc", "plots", "show")
    assert code == 0, output
    code, output = workspace.run("dvc", "exp", "show", "--csv")
    assert code == 0, output
    assert "cnn.accuracy" in output

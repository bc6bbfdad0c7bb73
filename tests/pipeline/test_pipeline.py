"""Real DVC runs of the whole pipeline on a small protocol: what runs when, that it repeats, and that faults leave nothing behind."""

import contextlib
import fcntl
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
import pytest
from ruamel.yaml import YAML

from stages.shared import paths

pytestmark = pytest.mark.slow

yaml = YAML(typ="safe", pure=True)
yaml.sort_base_mapping_type_on_output = False  # the order of the variants is that of the tables

# What the small runs change of the repository's own settings, block by block; these blocks are replaced whole.
WHOLE = ("protocols", "protocol", "variants", "families")
SMALL = yaml.load("""
protocols:
  tiny: &tiny
    {name: tiny, baseline: cnn, train_size: 300, val_size: 100, epochs: 6, seeds: [0, 1, 2], few_seeds: [0, 1], margin: 1, probe_images: 40,
     variants: [cnn, kernel_1, fully_connected]}
  two_seeds:
    {name: two_seeds, baseline: cnn, train_size: 300, val_size: 100, epochs: 6, seeds: [0, 1], few_seeds: [0, 1], margin: 1, probe_images: 40,
     variants: [cnn, kernel_1]}
protocol: *tiny
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
COLOUR = yaml.load("""
protocols:
  tiny: &tiny
    {name: tiny, baseline: cnn, train_size: all, val_size: 60, epochs: 4, seeds: [0, 1, 2], few_seeds: [0, 1], margin: 2, probe_images: 30,
     variants: [cnn, patches, kernel_1]}
protocol: *tiny
data: {dataset: npz, file: mine.npz}
variants:
  cnn:
    families: {kernel: 3×3, structure: as they are}
    run: {architecture: {pooling: blur, padding: circular, norm: batch, hidden: [12]}}
  patches: # 2 pixels a side tile 12×10
    families: {structure: patches of 2}
    run: {sample: {layout: patches_2, labels: random, train_size: 90, seeds: few}, architecture: {connectivity: locally_connected}}
  kernel_1: # as a published net may be trained
    families: {kernel: 1×1}
    run:
      sample: {pixels: unit, seed_offset: 7}
      architecture: {kernel: 1, head: global_average}
      recipe: {optimizer: adadelta, lr: 1.0, schedule: constant, order: fixed, steps: 13}
families:
  kernel: {title: Kernel size, reference: cnn, question: How large must a filter be?, held: Width and depth.}
  structure: {title: Structure, reference: cnn, question: Does order matter?, held: Pixels.}
""")
SIGNALS = yaml.load("""
data: {dataset: npz, file: mine.npz}
protocols:
  tiny: &tiny
    {name: tiny, baseline: cnn, train_size: 100, val_size: 40, epochs: 4, seeds: [0, 1], few_seeds: [0, 1], margin: 1, probe_images: 30,
     variants: [cnn, kernel_1]}
protocol: *tiny
architecture: {kernel: [1, 3], pool_size: [1, 2]}
variants:
  cnn:
    families: {kernel: 1×3}
    run: {}
  kernel_1:
    families: {kernel: 1×5}
    run: {sample: {layout: permuted}, architecture: {kernel: [1, 5], stride: [1, 2], pooling: none, head: global_max}}
""")
DOWNSTREAM = {"collect", "figures", "render"}


def with_changes(base, change):
    """Settings with some of their values changed; the blocks of WHOLE are replaced."""
    merged = {
        key: {**base[key], **value} if isinstance(value, dict) and key not in WHOLE else value
        for key, value in change.items()
    }
    return {**base, **merged}


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
        """The content of a settings file; what the block makes of it is written."""
        content = yaml.load(self.read(name))
        yield content
        with (self.folder / name).open("w", encoding="utf-8") as file:
            yaml.dump(content, file)

    def start(self, *command, **environment):
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        inherited = {key: value for key, value in os.environ.items() if key != "PIPELINE_ROOT"}
        # /bin/sh, since some shells stay between DVC and its command, unless the command is `exec …`.
        environment = (
            inherited
            | {"SHELL": "/bin/sh", "PATH": path, "REPORT_RENDERER": "embedded", "DVC_NO_ANALYTICS": "1"}
            | environment
        )
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
        return stages_in(output)

    def lose(self, stage):
        """Remove what a stage wrote, from DVC's cache too."""
        for out in yaml.load(self.read("dvc.lock"))["stages"][stage]["outs"]:
            shutil.rmtree(self.folder / out["path"])
            (self.folder / ".dvc" / "cache" / "files" / "md5" / out["md5"][:2] / out["md5"][2:]).unlink()

    def begin_long_training(self):
        """Start to train one variant for many epochs. Returns the process of DVC once a seed is under way."""
        with self.edited("params.yaml") as settings:
            settings["protocol"]["epochs"] = 100_000
        process = self.start("dvc", "repro", "train@cnn")
        deadline = time.monotonic() + 120
        while not list((self.folder / "data" / "partial" / "seeds").glob("*/.seed_*")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "training never began"
            time.sleep(0.05)
        return process

    def end_long_training(self):
        with self.edited("params.yaml") as settings:
            settings["protocol"]["epochs"] = 6


def delete(settings, variant):
    del settings["variants"][variant]
    for protocol in settings["protocols"].values():
        protocol["variants"].remove(variant)


def stages_in(output):
    return set(re.findall(r"^Running stage '(.+?)':", output, re.MULTILINE))


def clone(folder, change=None, files=None):
    """A fresh clone, as far as git and DVC can tell, of the files that git knows or would take, with small settings.

    change: of the small settings. files: name → .npz arrays in data/user/.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=paths.ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (paths.ROOT / name).is_file() and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(paths.ROOT / name, folder / name)
    workspace = Workspace(folder)
    with workspace.edited("params.yaml") as settings:
        small = with_changes(with_changes(settings, SMALL), change or {})
        settings.clear()
        settings.update(small)
    (folder / "hypotheses.yaml").write_text(HYPOTHESES, encoding="utf-8")
    for name, arrays in (files or {}).items():
        np.savez(folder / "data" / "user" / name, **arrays)
    who = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    fixed = os.environ | {"GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z"}
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "A clone"]):
        subprocess.run(["git", *command], cwd=folder, check=True, env=fixed)
    return workspace


def own_images(shape, classes):
    """200 images, whose class tells where along the last spatial axis a bright bar stands."""
    rng = np.random.default_rng(0)
    labels = np.arange(200) % classes
    images = rng.integers(0, 120, (200, *shape), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        place = 2 + 3 * label + rng.integers(0, 2)
        image[:, place : place + 2] += 130
    return {"images": images, "labels": labels}


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A clone in which the pipeline has run once, from nothing; and the stages that ran. Copy it, do not change it.

    The workers of pytest-xdist share it: the first that asks makes it, the others wait.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    workspace, record = Workspace(folder / "finished"), folder / "finished.txt"
    with (folder / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not record.exists():
            record.touch()  # what fails once is not tried again
            record.write_text(clone(workspace.folder).run("dvc", "repro")[1])
    assert (workspace.folder / "data" / "report").exists(), record.read_text()
    return workspace, stages_in(record.read_text())


@pytest.fixture
def workspace(finished, tmp_path):
    """A copy of the finished clone that a test may change."""
    shutil.copytree(finished[0].folder, tmp_path / "copy", symlinks=True)
    return Workspace(tmp_path / "copy")


def assert_both_reports(workspace, *texts):
    """The report is there twice, and its page has these texts."""
    report = workspace.folder / "data" / "report"
    assert (report / "report.pdf").read_bytes().startswith(b"%PDF-")
    page = (report / "index.html").read_text(encoding="utf-8")
    assert "<h1" in page
    for text in texts:
        assert text in page, text


def test_a_fresh_clone_runs_every_stage_to_both_reports(finished):
    workspace, ran = finished
    variants = ("cnn", "kernel_1", "fully_connected")
    assert ran == {"plan", "download", "prepare", "eda", *DOWNSTREAM} | {
        f"{s}@{v}" for s in ("train", "probe") for v in variants
    }
    assert_both_reports(workspace, "A kernel that sees no neighbour is below one that does.")
    metrics = json.loads(workspace.read("data/results/metrics.json"))
    assert set(metrics) == set(variants)
    assert metrics["cnn"]["accuracy"] > 0.5
    runs = [tuple(line.split(",")[:2]) for line in workspace.read("data/results/runs.csv").splitlines()[1:]]
    assert runs == [
        (variant, str(seed)) for variant, seeds in zip(variants, (3, 3, 2), strict=True) for seed in range(seeds)
    ]


def test_a_second_run_does_nothing(workspace):
    lock = workspace.read("dvc.lock")
    assert workspace.repro() == set()
    assert workspace.read("dvc.lock") == lock


def test_editing_and_adding_variants_runs_these_alone_and_they_appear_in_the_table(workspace):
    with workspace.edited("params.yaml") as settings:
        settings["variants"]["kernel_1"] = {"families": {"kernel": "2×2"}, "run": {"architecture": {"kernel": 2}}}
        settings["protocol"]["variants"].append("kernel_5")
        settings["variants"]["kernel_5"] = {"families": {"kernel": "5×5"}, "run": {"architecture": {"kernel": 5}}}
    changed = {f"{stage}@{key}" for stage in ("train", "probe") for key in ("kernel_1", "kernel_5")}
    assert workspace.repro() == {"plan", *changed, *DOWNSTREAM}
    table = workspace.read("data/figures/tables/family-kernel.md")
    assert "2×2" in table
    assert "5×5" in table


def test_deleting_a_variant_trains_nothing_and_removes_it_from_every_table(workspace):
    assert "kernel_1" in workspace.read("data/results/runs.csv")
    assert "1×1" in workspace.read("data/report/index.html")
    with workspace.edited("params.yaml") as settings:
        delete(settings, "kernel_1")
    (workspace.folder / "hypotheses.yaml").write_text("{}\n")
    assert workspace.repro() == {"plan", *DOWNSTREAM}
    for file in sorted((workspace.folder / "data" / "results").iterdir()):
        assert "kernel_1" not in file.read_text(), file
    for name in ("data/figures/tables/results.md", "data/report/index.html"):
        assert "1×1" not in workspace.read(name), name


def test_a_hypothesis_about_a_variant_that_is_gone_is_refused_by_name(workspace):
    with workspace.edited("params.yaml") as settings:
        delete(settings, "kernel_1")
    code, output = workspace.run("dvc", "repro")
    assert code != 0
    assert "kernel_1_worst.contrast: variant 'kernel_1' is not in params.yaml" in output
    assert stages_in(output) == {"plan"}


def test_editing_the_hypotheses_trains_nothing_and_the_report_states_the_new_one(workspace):
    with workspace.edited("hypotheses.yaml") as hypotheses:
        hypotheses["kernel_1_worst"]["statement"] = "One pixel is not enough."
        hypotheses["alike"] = hypotheses["kernel_1_worst"] | {
            "statement": "They do not differ by much.",
            "direction": "alike",
            "smallest_effect": 0.9,
        }
    assert workspace.repro() == {"plan", *DOWNSTREAM}
    assert_both_reports(workspace, "One pixel is not enough.", "They do not differ by much.")


def test_editing_prose_a_caption_or_a_label_trains_nothing(workspace):
    workspace.edit("report/index.qmd", "\n## ", "\nOne more sentence.\n\n## ")
    assert workspace.repro() == {"render"}
    with workspace.edited("params.yaml") as settings:
        settings["families"]["kernel"]["question"] = "Must a filter be large?"
        settings["variants"]["kernel_1"]["families"]["kernel"] = "one pixel"
    assert workspace.repro() == {"plan", *DOWNSTREAM}
    assert_both_reports(workspace, "One more sentence.", "Must a filter be large?", "one pixel")


def test_editing_a_tables_code_retrains_nothing(workspace):
    source = next(iter(sorted((workspace.folder / "stages" / "figures").glob("*.py"))))
    source.write_text(source.read_text() + "\n# A remark.\n")
    assert workspace.repro() == {"figures"}  # its output is the same, so that nothing after it runs


def test_switching_the_protocol_and_back_trains_once(workspace):
    lock = workspace.read("dvc.lock")
    with workspace.edited("params.yaml") as settings:
        settings["protocol"] = settings["protocols"]["two_seeds"]
    both = {f"{stage}@{variant}" for stage in ("train", "probe") for variant in ("cnn", "kernel_1")}
    assert workspace.repro() == {"plan", *both, *DOWNSTREAM}
    assert {folder.name for folder in (workspace.folder / "data" / "runs").iterdir()} == {"cnn", "kernel_1"}
    with workspace.edited("params.yaml") as settings:
        settings["protocol"] = settings["protocols"]["tiny"]
    assert workspace.repro() == set()  # DVC has kept all
    assert workspace.read("dvc.lock") == lock


def test_two_clean_clones_agree_byte_for_byte_on_one_core_and_on_all(finished, tmp_path):
    other = clone(tmp_path / "other")
    other.repro(MAX_WORKERS="1")
    assert other.read("dvc.lock") == finished[0].read("dvc.lock")
    for name in ("index.html", "report.pdf"):
        one, two = ((w.folder / "data" / "report" / name).read_bytes() for w in (other, finished[0]))
        assert one == two, name


def test_what_is_done_ahead_is_what_dvc_alone_would_make(finished, tmp_path):
    other = clone(tmp_path / "other")
    code, said = other.run("python", "-m", "stages.ahead")
    assert code == 0, said
    assert {file.stem for file in (other.folder / "data" / "timings").glob("*-ahead.json")} == {
        "train-ahead",
        "probe-ahead",
    }
    code, said = other.run("dvc", "repro")
    assert code == 0, said
    assert len(re.findall(r"probe \w+: (\d) of \1 seeds were finished before, and kept", said)) == 3
    assert yaml.load(other.read("dvc.lock")) == yaml.load(
        finished[0].read("dvc.lock")
    )  # the order is that in which stages ran
    assert other.run("python", "-m", "stages.ahead") == (0, "")


@pytest.mark.parametrize(
    ("change", "arrays", "said"),
    [
        pytest.param(
            COLOUR,
            own_images((12, 10, 3), 3) | {"classes": np.array(["a | b", "*c*", "dé"])},
            ("12×10", "dé"),
            id="colour",
        ),
        pytest.param(SIGNALS, own_images((1, 16), 2), ("1×16", "1×5"), id="height 1"),
    ],
)
def test_a_users_own_images_go_through_every_stage_to_both_reports(change, arrays, said, tmp_path):
    own = clone(tmp_path / "own", change, {"mine.npz": arrays})
    stages = {f"{stage}@{key}" for stage in ("train", "probe") for key in change["variants"]}
    assert own.repro() == {"plan", "download", "prepare", "eda", *DOWNSTREAM} | stages
    assert_both_reports(own, "mine", *said)
    assert set(json.loads(own.read("data/results/metrics.json"))) == set(change["variants"])


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_leaves_nothing_that_looks_finished_and_the_next_ends_as_if_undisturbed(how, workspace):
    lock = workspace.read("dvc.lock")
    workspace.lose("train@cnn")
    process = workspace.begin_long_training()
    os.killpg(process.pid, how)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not (workspace.folder / "data" / "runs" / "cnn").exists()
    workspace.end_long_training()
    assert workspace.repro() == {"train@cnn"}  # the same as before, so that nothing after it runs
    assert workspace.read("dvc.lock") == lock


def alive(session):
    """Ids of the processes of a session that still run; what has ended and waits to be collected does not."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            state, _, _, its_session = stat.read_text().rpartition(")")[2].split()[:4]
            if int(its_session) == session and state not in "ZX":
                found.append(int(stat.parent.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_nothing_goes_on_training_when_dvc_alone_is_killed(workspace):
    process = workspace.begin_long_training()
    assert len(alive(process.pid)) >= 3  # DVC, the stage, and a process that trains
    process.kill()
    process.wait(timeout=60)
    deadline = time.monotonic() + 20
    while alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    left = alive(process.pid)
    for orphan in left:
        os.kill(orphan, signal.SIGKILL)
    process.stdout.close()
    assert left == []


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("variants.kernel_1.run.architecture", {"kernal": 1}, "unknown key (did you mean 'kernel'?)"),
        ("protocols.tiny.seeds", [], "protocols.tiny.seeds = []: should not be empty"),
        (
            "protocols.tiny.baseline",
            "cnm",
            "protocols.tiny.baseline: 'cnm' is not one of cnn, kernel_1, fully_connected",
        ),
        ("recipe.lr", -0.01, "recipe.lr = -0.01: should be greater than 0"),
    ],
)
def test_a_mistake_in_params_is_one_message_before_any_stage_runs(place, value, said, workspace):
    lock = workspace.read("dvc.lock")
    *blocks, key = place.split(".")
    with workspace.edited("params.yaml") as settings:
        for block in blocks:
            settings = settings[block]
        settings[key] = value
    code, output = workspace.run("dvc", "repro")
    assert code != 0
    assert said in output
    assert "Traceback" not in output
    assert stages_in(output) == {"plan"}
    assert workspace.read("dvc.lock") == lock


def test_an_unknown_variant_is_refused_by_name(workspace):
    code, output = workspace.run("python", "-m", "stages.train", "k33")
    assert code == 1
    assert (
        output.strip()
        == "variant 'k33' is not among those of the protocol in params.yaml (have: cnn, fully_connected, kernel_1)"
    )


def test_dvc_shows_metrics_params_and_plots(workspace):
    code, output = workspace.run("dvc", "metrics", "show")
    assert code == 0, output
    assert "cnn.accuracy" in output
    code, output = workspace.run("dvc", "plots", "show")
    assert code == 0, output
    code, output = workspace.run("dvc", "exp", "show", "--csv")
    assert code == 0, output
    assert "cnn.accuracy" in output

"""Real DVC runs of the whole pipeline on a small protocol: what runs, what is trained again, and that it repeats."""

import csv
import json
import os
import signal
import sys

import numpy as np
import pytest
from pipeline_workspace import (
    AFTER_PROBE,
    STAGES,
    Workspace,
    assert_both_reports,
    clone,
    commit,
    delete,
    stages_in,
    trained_in,
    wait_for_end,
    workers,
    yaml,
)

pytestmark = pytest.mark.slow

SIGNALS = yaml.load("""
data: {dataset: npz, file: mine.npz, scale: none}
protocols:
  tiny:
    {baseline: cnn, train_size: 100, val_size: 40, epochs: 4, seeds: [0, 1], few_seeds: [0, 1], margin: 1,
     probe_images: 30, longer: null, variants: [cnn, kernel_1]}
architecture: {kernel: [1, 3], pool_size: [1, 2]}
variants:
  cnn:
    families: {kernel: 1×3}
    run: {}
  kernel_1:
    families: {kernel: 1×5}
    run:
      sample: {layout: permuted}
      architecture: {kernel: [1, 5], stride: [1, 2], pooling: none, head: global_max}
""")


def users_signals():
    """Signals with a peak, of any size, whose class says where it stands, with a test and a val set."""
    labels = np.arange(200) % 2
    images = np.random.default_rng(0).uniform(-600, 300, (200, 1, 16))
    images[np.arange(200), 0, 3 + 4 * labels] -= 900
    arrays = {"images": images, "labels": np.array(["low", "high"])[labels]}
    splits = {"": slice(40, 160), "val_": slice(0, 40), "test_": slice(160, 200)}
    return {f"{split}{name}": array[rows] for split, rows in splits.items() for name, array in arrays.items()}


def test_a_fresh_clone_runs_every_stage_to_both_reports(finished_workspace):
    assert stages_in(finished_workspace.first_output) == set(STAGES)
    assert trained_in(finished_workspace.first_output) == {"cnn": 3, "kernel_1": 3, "fully_connected": 2}
    assert_both_reports(finished_workspace, "A kernel that sees no neighbour is below one that does.")
    assert declared_in(finished_workspace) == {"kernel_1_worst": "before its runs"}
    of_variants = json.loads(finished_workspace.read("data/results/variants.json"))
    assert set(of_variants) == {"cnn", "kernel_1", "fully_connected"}
    metrics = json.loads(finished_workspace.read("data/metrics.json"))
    assert metrics["accuracy"] == pytest.approx(of_variants["cnn"]["accuracy"], abs=5e-5)
    assert metrics["accuracy"] > 0.5
    rows = [tuple(line.split(",")[:2]) for line in finished_workspace.read("data/results/runs.csv").splitlines()[1:]]
    seeds = {"cnn": 3, "kernel_1": 3, "fully_connected": 2}
    assert rows == [(variant, str(seed)) for variant, number in seeds.items() for seed in range(number)]


def test_a_second_run_does_nothing_and_dvc_shows_metrics_and_plots(workspace):
    lock = workspace.read("dvc.lock")
    assert workspace.repro() == set()
    assert workspace.read("dvc.lock") == lock
    assert "kernel_1.accuracy" not in workspace.succeed("dvc", "metrics", "show")
    assert "kernel_1.accuracy" in workspace.succeed("dvc", "metrics", "show", "data/results/variants.json")
    assert "contradicted" in workspace.succeed("dvc", "exp", "show", "--csv")
    workspace.succeed("dvc", "plots", "show")
    assert workspace.succeed("dvc", "stage", "list", "--name-only").split() == list(STAGES)


def test_an_edit_of_another_protocol_reaches_no_stage_that_trains_and_another_variant_no_image(workspace):
    with workspace.edited("params.yaml") as settings:
        settings["protocols"]["quick"]["epochs"] += 1
    assert workspace.stages_to_run() == {"check"} | AFTER_PROBE
    with workspace.edited("params.yaml") as settings:
        settings["protocols"]["tiny"]["variants"].append("kernel_5")
    assert workspace.stages_to_run() == {"check", "train", "probe"} | AFTER_PROBE


def test_two_clean_clones_agree_byte_for_byte_on_one_core_and_on_all(finished_workspace, tmp_path):
    other = clone(tmp_path / "other")
    other.repro(MAX_WORKERS="1")
    assert other.read("dvc.lock") == finished_workspace.read("dvc.lock")
    for name in ("index.html", "report.pdf"):
        one, two = ((w.folder / "data/report" / name).read_bytes() for w in (other, finished_workspace))
        assert one == two, name


def test_edits_of_hypotheses_prose_labels_and_the_code_of_tables_train_nothing_and_reach_the_report(workspace):
    with workspace.edited("hypotheses.yaml") as hypotheses:
        hypotheses["kernel_1_worst"]["statement"] = "One pixel is not enough."
        hypotheses["alike"] = hypotheses["kernel_1_worst"] | {
            "statement": "They do not differ by much.",
            "metric": "val_accuracy",
            "direction": "alike",
            "smallest_effect": 0.9,
        }
    assert workspace.stages_to_run() == {"check", "train", "collect", "figures"}  # train records them
    workspace.edit("report/index.qmd", "\n## ", "\nOne more sentence.\n\n## ")
    assert workspace.stages_to_run() == {"check", "train", "collect", "figures", "render"}
    source = next(iter(sorted((workspace.folder / "stages" / "figures").glob("*.py"))))
    source.write_text(source.read_text() + "\n# A remark.\n")
    with workspace.edited("params.yaml") as settings:
        settings["families"]["kernel"]["question"] = "Must a filter be large?"
        settings["variants"]["kernel_1"]["families"]["kernel"] = "one pixel"
    output = workspace.succeed("dvc", "repro")
    assert trained_in(output) == {}
    assert "train: 8 of 8 runs are finished" in output
    assert stages_in(output) == {"check", "train"} | AFTER_PROBE  # the runs are the same, so that none is probed
    assert declared_in(workspace) == {"kernel_1_worst": "altered later", "alike": "added later"}
    assert_both_reports(
        workspace,
        "One pixel is not enough.",
        "They do not differ by much.",
        "One more sentence.",
        "Must a filter be large?",
        "one pixel",
    )


def test_adding_and_editing_variants_and_seeds_trains_these_alone_and_deleting_one_removes_it_everywhere(workspace):
    before = workspace.runs()
    with workspace.edited("params.yaml") as settings:
        settings["variants"]["kernel_1"] = {"families": {"kernel": "2×2"}, "run": {"architecture": {"kernel": 2}}}
        settings["protocols"]["tiny"]["variants"].append("kernel_5")
        settings["variants"]["kernel_5"] = {"families": {"kernel": "5×5"}, "run": {"architecture": {"kernel": 5}}}
        settings["protocols"]["tiny"]["seeds"].append(3)
    output = workspace.succeed("dvc", "repro", "probe")
    assert stages_in(output) == {"check", "prepare", "train", "probe"}  # prepare draws a seed's images
    assert "train: 5 of 14 runs are finished" in output
    assert trained_in(output) == {"cnn": 1, "kernel_1": 4, "kernel_5": 4}
    assert "probe: 5 of 14 runs are probed" in output
    after = workspace.runs()
    kept = {run: record for run, record in before.items() if "kernel_1" not in run}
    assert {run: after[run] for run in kept} == kept

    with workspace.edited("params.yaml") as settings:
        delete(settings, "kernel_1")
    code, output = workspace.run("dvc", "repro")
    assert code != 0
    assert "kernel_1_worst.contrast: variant 'kernel_1' is not in params.yaml" in output
    assert stages_in(output) == {"check"}
    (workspace.folder / "hypotheses.yaml").write_text("{}\n")
    assert trained_in(workspace.succeed("dvc", "repro")) == {}
    assert not any("kernel_1" in run for root in ("runs", "probes") for run in workspace.runs(root))
    for file in sorted((workspace.folder / "data" / "results").iterdir()):
        assert "kernel_1" not in file.read_text(), file
    assert "5×5" in workspace.read("data/figures/tables/family-kernel.md")
    for name in ("data/figures/tables/results.md", "data/report/index.html"):
        page = workspace.read(name)
        assert "5×5" in page, name
        assert "1×1" not in page, name
        assert "2×2" not in page, name


def test_switching_the_protocol_or_a_value_and_putting_it_back_trains_nothing_again(workspace):
    lock = workspace.read("dvc.lock")
    workspace.edit("params.yaml", "protocol: tiny", "protocol: quick")
    assert trained_in(workspace.succeed("dvc", "repro", "train")) == {}
    assert set(workspace.runs()) == {f"{variant}/seed_{seed}" for variant in ("cnn", "kernel_1") for seed in (0, 1)}
    workspace.edit("params.yaml", "protocol: quick", "protocol: tiny")
    workspace.set_kernel(2)
    # A training that DVC did not see the end of is found again after a checkout.
    assert trained_in(workspace.succeed("python", "-m", "stages.train", "kernel_1")) == {"kernel_1": 3}
    workspace.succeed("dvc", "checkout", "--force", "data/runs")
    assert "train: 8 of 8 runs are finished" in workspace.succeed("dvc", "repro", "train")
    workspace.set_kernel(1)
    output = workspace.succeed("dvc", "repro")
    assert "train: 8 of 8 runs are finished" in output
    assert workspace.read("dvc.lock") == lock


@pytest.mark.parametrize(
    ("file", "runs_kept"),
    [
        ("stages/shared/architectures/maps.py", 0),  # the sizes of feature maps decide what is trained
        ("stages/train/local.py", 8),  # where and when work runs is not what it is
    ],
)
def test_an_edit_of_code_that_decides_the_bits_trains_again_and_no_other(file, runs_kept, workspace):
    (workspace.folder / file).write_text(workspace.read(file) + "\n# A remark.\n")
    output = workspace.succeed("dvc", "repro", "train")
    assert ("train" not in stages_in(output) and runs_kept) or f"train: {runs_kept} of 8 runs are finished" in output


def test_an_experiment_here_or_in_a_temporary_folder_trains_only_what_its_setting_reaches(workspace):
    commit(workspace, "Results")
    assert "data/declared/tiny.json" in workspace.git("ls-files")
    setting = ("-S", "variants.kernel_1.run.architecture.kernel=2")
    output = workspace.succeed("dvc", "exp", "run", "--name", "wider", *setting, "probe")
    assert trained_in(output) == {"kernel_1": 3}
    assert "probe: 5 of 8 runs are probed" in output
    output = workspace.succeed("dvc", "exp", "run", "--temp", "--name", "quick", "-S", "protocol=quick", "train")
    assert "train: 4 of 4 runs are finished" in output
    assert not (workspace.folder / "data" / "declared" / "quick.json").exists()
    workspace.succeed("dvc", "get", "--quiet", ".", "data/declared/quick.json", "--rev", "quick", "--out", "of_quick")
    assert json.loads(workspace.read("of_quick")).keys() == {"kernel_1_worst"}


def test_two_experiments_of_the_queue_side_by_side_train_only_what_each_reaches(workspace):
    commit(workspace, "Results")
    for kernel in (2, 4):
        setting = ("-S", f"variants.kernel_1.run.architecture.kernel={kernel}")
        workspace.succeed("dvc", "exp", "run", "--queue", "--name", f"kernel_{kernel}", *setting, "train")
    workspace.succeed("dvc", "queue", "start", "--jobs", "2")
    for kernel in (2, 4):
        output = workspace.succeed("dvc", "queue", "logs", "--follow", f"kernel_{kernel}")
        assert trained_in(output) == {"kernel_1": 3}, output


def test_an_edit_after_a_pull_into_a_fresh_clone_trains_only_what_it_reaches(workspace, tmp_path):
    """Its cache is linked to, which DVC protects from being written to."""
    workspace.succeed("dvc", "remote", "add", "--default", "here", str(tmp_path / "remote"))
    commit(workspace, "Results")
    workspace.succeed("dvc", "push", "--quiet")
    other = Workspace(tmp_path / "other")
    workspace.git("clone", "-q", str(workspace.folder), str(other.folder))
    other.succeed("dvc", "config", "--local", "cache.type", "symlink")
    other.succeed("dvc", "pull", "--quiet")
    assert other.repro() == set()
    other.set_kernel(2)
    output = other.succeed("dvc", "repro", "probe")
    assert trained_in(output) == {"kernel_1": 3}
    assert "probe: 5 of 8 runs are probed" in output


def test_one_variant_can_be_trained_and_probed_by_name(workspace):
    workspace.forget("cnn", "kernel_1")
    assert trained_in(workspace.succeed("python", "-m", "stages.train", "cnn")) == {"cnn": 3}
    assert "cnn/seed_0" in workspace.runs()
    assert "kernel_1/seed_0" not in workspace.runs()
    assert "fully_connected/seed_0" in workspace.runs()  # what is not named stays
    assert "probe: 3 of 3 runs are probed" in workspace.succeed("python", "-m", "stages.probe", "cnn")
    assert trained_in(workspace.succeed("python", "-m", "stages.train", "kernel_1", "--seeds", "2")) == {"kernel_1": 1}
    assert [run for run in workspace.runs() if "kernel_1" in run] == ["kernel_1/seed_2"]
    assert "probe: 1 of 1 runs" in workspace.succeed("python", "-m", "stages.probe", "kernel_1", "--seeds", "2")
    for arguments, message in (
        (["k33"], "variant 'k33' is not one of protocol 'tiny' in params.yaml (have: cnn, kernel_1, fully_connected)"),
        (
            ["fully_connected", "--seeds", "2"],
            "seed 2 is not one of variant 'fully_connected' in protocol 'tiny' of params.yaml (have: 0, 1)",
        ),
    ):
        assert workspace.run("python", "-m", "stages.train", *arguments) == (1, f"{message}\n")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_training_that_is_killed_leaves_nothing_half_made_and_the_next_ends_as_if_undisturbed(workspace):
    """DVC alone, or all at once, are killed in test_faults.py."""
    lock, runs = workspace.read("dvc.lock"), workspace.runs()
    others = {run: record for run, record in runs.items() if not run.startswith("cnn/")}
    for kill, message in (
        (lambda process: os.killpg(process.pid, signal.SIGINT), ""),
        (
            lambda process: os.kill(workers(process)[0], signal.SIGKILL),
            "train 3 runs of 1 variant: a worker process was killed (out of memory?)",
        ),
    ):
        process = workspace.begin_long_training()
        kill(process)
        assert wait_for_end(process.pid) == [], "something went on"
        output, _ = process.communicate(timeout=60)
        assert process.returncode != 0, output
        assert message in output
        assert "Traceback" not in output
        assert workspace.runs() == others
    workspace.end_long_training()
    assert trained_in(workspace.succeed("dvc", "repro")) == {}  # the store has the variant's earlier runs
    assert workspace.read("dvc.lock") == lock


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("variants.kernel_1.run.architecture", {"kernal": 1}, "unknown key (did you mean 'kernel'?)"),
        ("recipe.lr", -0.01, "recipe.lr = -0.01: should be greater than 0"),
    ],
)
def test_a_mistake_in_params_is_one_message_before_any_stage_runs(place, value, message, workspace):
    lock = workspace.read("dvc.lock")
    *blocks, key = place.split(".")
    with workspace.edited("params.yaml") as settings:
        block = settings
        for name in blocks:
            block = block[name]
        block[key] = value
    code, output = workspace.run("dvc", "repro")
    assert code != 0
    assert message in output
    assert "Traceback" not in output
    assert stages_in(output) == {"check"}
    assert workspace.read("dvc.lock") == lock


def test_a_users_own_signals_with_splits_of_their_own_go_through_every_stage_to_both_reports(tmp_path):
    """Images in colour are those of test_names_and_folders.py."""
    workspace = clone(tmp_path / "clone", SIGNALS, {"mine.npz": users_signals()})
    assert workspace.repro() == set(STAGES)
    split = "validates on the 40 images of the val set that came with the data"
    assert_both_reports(workspace, "mine", "1×16", "1×5", split, "rounded to 16 bits", "low")
    assert set(json.loads(workspace.read("data/results/variants.json"))) == set(SIGNALS["variants"])


def declared_in(workspace):
    """Hypothesis → whether it was declared before its runs, as data/results says."""
    rows = csv.DictReader(workspace.read("data/results/hypotheses.csv").splitlines())
    return {row["hypothesis"]: row["declared"] for row in rows}

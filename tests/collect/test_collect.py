"""From runs and probes to tidy tables: two variants, two seeds and four images by hand; what does not fit."""

import io
import json
import math
import os
import shutil
import subprocess
import sys
from itertools import product

import fake_results
import numpy as np
import pandas as pd
import pytest
from fake_results import REPOSITORY
from safetensors.numpy import load_file, save_file

from stages.collect.tables import hardest_images
from stages.shared import params, paths
from stages.shared.inference import intervals
from stages.shared.run_files import CURVES
from stages.shared.stage_command import StageError

# Labels of the four test images: 0 1 2 0. Rows: seeds 0 and 1.
PREDICTED = {"cnn": [[0, 1, 2, 1], [0, 1, 2, 0]], "kernel_5": [[0, 2, 2, 1], [0, 0, 2, 2]]}
ACCURACY = {"cnn": [0.75, 1.0], "kernel_5": [0.5, 0.5]}
CONSISTENCY = {"cnn": [0.9, 0.8], "kernel_5": [0.95, 0.95]}
REACH = 12.706205 * math.sqrt(2) / 8  # Student's t for one degree of freedom, times two of 2 · 4 answers


def two(raw):
    fake_results.only(raw, "cnn", "kernel_5")
    raw["families"] = {"kernel": raw["families"]["kernel"]}
    raw["variants"]["cnn"]["families"] = {"kernel": "3×3"}
    raw["protocols"]["default"] |= {"seeds": [0, 1], "few_seeds": [0, 1], "epochs": 2}
    raw["inference"]["min_seeds"] = 2


def run_file(key, seed, name):
    return paths.RUNS / key / f"seed_{seed}" / name


def probe_file(key, seed):
    return paths.PROBES / key / f"seed_{seed}" / "probe.json"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A root with the runs above, not yet collected."""
    fake_results.make_root(tmp_path, fake_results.settings(two), classes=["a", "b", "c"], n_test=4, means=ACCURACY)
    fake_results.reroot(monkeypatch, tmp_path)
    labels = np.array([0, 1, 2, 0])
    for key, by_seed in PREDICTED.items():
        for seed, predicted in enumerate(by_seed):
            answers = np.array(predicted, dtype=np.int16)
            arrays = {"predicted": answers, "correct": (answers == labels).astype(np.uint8)}
            save_file(arrays, run_file(key, seed, "predictions.safetensors"))
            probe = {"seed": seed, "shift_consistency": CONSISTENCY[key][seed], "shifted_accuracy": 0.25}
            paths.write_json(probe_file(key, seed), probe)
    return tmp_path


def collect(root):
    fake_results.collect(params.load(root / "params.yaml"))


def table(name):
    return pd.read_csv(paths.RESULTS / f"{name}.csv", keep_default_na=False, na_values=[""])


def test_runs_has_a_row_for_each_variant_and_seed(root):
    collect(root)
    runs = table("runs")
    assert list(zip(runs["variant"], runs["seed"], strict=True)) == [
        ("cnn", 0),
        ("cnn", 1),
        ("kernel_5", 0),
        ("kernel_5", 1),
    ]
    assert runs["test_accuracy"].tolist() == [0.75, 1, 0.5, 0.5]
    assert runs["shift_consistency"].tolist() == [0.9, 0.8, 0.95, 0.95]
    # Closed form of Conv(1→16, 5×5), pool, Conv(16→32, 5×5), pool, Linear(32·8·8 → 3) on a 32×32 canvas.
    assert set(runs.loc[runs["variant"] == "kernel_5", "parameters"]) == {26 * 16 + (400 + 1) * 32 + (2048 + 1) * 3}
    assert runs["receptive_field_height"].tolist() == [10, 10, 16, 16]
    assert set(runs["device"]) == {"cpu"}


def trained_on_a_gpu(key, seed):
    path = paths.RUNS / key / f"seed_{seed}" / "metrics.json"
    paths.write_json(path, paths.read_json(path) | {"device": "cuda"})


def test_runs_of_a_cpu_and_of_a_gpu_are_compared_only_where_the_settings_say_so(root):
    trained_on_a_gpu("kernel_5", 1)
    with pytest.raises(StageError) as error:
        collect(root)
    assert "cnn under seed 0 on cpu, kernel_5 under seed 1 on cuda" in str(error.value)
    assert "set machine.device in params.yaml" in str(error.value)
    assert not (paths.RESULTS / "runs.csv").exists()
    settings = params.load(root / "params.yaml")
    allowed = settings.model_copy(update={"machine": settings.machine.model_copy(update={"device": "mixed"})})
    fake_results.collect(allowed)
    assert table("runs")["device"].tolist() == ["cpu", "cpu", "cpu", "cuda"]


def test_results_of_a_gpu_alone_need_no_word(root):
    for key in ("cnn", "kernel_5"):
        for seed in (0, 1):
            trained_on_a_gpu(key, seed)
    collect(root)
    assert set(table("runs")["device"]) == {"cuda"}


def test_means_and_intervals_of_a_variant_by_hand(root):
    collect(root)
    cnn, kernel_5 = (row for _, row in table("variants").iterrows())
    assert (cnn["n_seeds"], cnn["accuracy_mean"]) == (2, 0.875)
    assert cnn["accuracy_sd"] == pytest.approx(0.25 / math.sqrt(2), abs=1e-6)
    assert (cnn["accuracy_low"], cnn["accuracy_high"]) == (0, 1)  # 0.875 ± REACH, as far as an accuracy can go
    assert cnn["shift_consistency_mean"] == pytest.approx(0.85)
    assert kernel_5["accuracy_sd"] == kernel_5["shifted_accuracy_sd"] == 0
    assert pd.isna(cnn["difference"])
    assert pd.isna(cnn["direction"])
    assert (kernel_5["difference"], kernel_5["direction"]) == (-0.375, intervals.ALIKE)  # −0.25 and −0.5


def test_effects_are_paired_by_seed(root):
    collect(root)
    (row,) = table("effects").to_dict("records")
    place = {"family": "kernel", "level": "5×5", "variant": "kernel_5", "reference": "cnn"}
    assert {key: row[key] for key in place} == place
    assert (row["verdict"], row["n_images"]) == ("not stated", 4)
    assert (row["n_seeds"], row["difference"], row["direction"]) == (2, -0.375, intervals.ALIKE)
    assert (row["low"], row["high"]) == pytest.approx((-0.375 - REACH, -0.375 + REACH), abs=2e-6)
    assert (row["shift_difference"], row["shift_direction"]) == (
        pytest.approx(0.1),
        intervals.ALIKE,
    )  # 0.05 and 0.15: wide


def test_confusion_counts_every_pair_over_the_seeds(root):
    collect(root)
    rows = table("confusion").query("variant == 'cnn'")
    counts = {
        (true, predicted): count
        for true, predicted, count in rows[["true", "predicted", "count"]].itertuples(index=False)
    }
    assert counts == {(0, 0): 3, (0, 1): 1, (1, 1): 2, (2, 2): 2}
    assert table("confusion").groupby("variant")["count"].sum().to_dict() == {"cnn": 8, "kernel_5": 8}


def test_curves_has_every_variant_seed_and_epoch(root):
    collect(root)
    curves = table("curves")
    assert list(curves.columns) == ["variant", "seed", *CURVES]
    assert curves.groupby(["variant", "seed"])["epoch"].apply(list).tolist() == [[1, 2]] * 4


def test_metrics_leave_out_what_is_unknown(root):
    collect(root)
    metrics = json.loads(paths.METRICS.read_text())
    outcomes = {"supported": 0, "contradicted": 0, "undecided": 0, "not_stated": 1, "not_run": 0}
    assert metrics == {"accuracy": 0.875, "shifts": 0.85, **outcomes}
    of_variants = json.loads((paths.RESULTS / "variants.json").read_text())
    assert of_variants == {"cnn": {"accuracy": 0.875}, "kernel_5": {"accuracy": 0.5}}


def test_collecting_again_writes_the_same_bytes(root):
    collect(root)
    first = {file.name: file.read_bytes() for file in paths.RESULTS.iterdir()}
    collect(root)
    assert {file.name: file.read_bytes() for file in paths.RESULTS.iterdir()} == first


def test_what_is_recomputed_from_runs_csv_is_what_collect_wrote(root):
    """Accuracies in thirds, which six digits do not hold: collect rounds first, and so agrees with its reader."""
    for seed, consistency in enumerate((2 / 3, 1 / 3)):
        rewrite(probe_file("kernel_5", seed), lambda probe, value=consistency: probe.update(shift_consistency=value))
    collect(root)
    consistency = table("runs").query("variant == 'kernel_5'")["shift_consistency"]
    assert consistency.tolist() == [0.666667, 0.333333]
    assert table("variants")["shift_consistency_sd"].tolist()[1] == pytest.approx(
        intervals.estimate(consistency, 0.95).sd, abs=5e-7
    )


def test_a_deleted_variant_leaves_every_table(root):
    collect(root)
    raw = fake_results.settings(two)
    fake_results.only(raw, "cnn")
    fake_results.collect(fake_results.write_params(root, raw))
    for file in paths.RESULTS.iterdir():
        assert "kernel_5" not in file.read_text(), file.name
    assert table("effects").empty


def test_a_variant_that_the_protocol_leaves_out_is_not_read(root):
    raw = fake_results.settings(two)
    raw["variants"]["kernel_7"] = {"families": {"kernel": "7×7"}, "run": {"architecture": {"kernel": 7}}}
    fake_results.collect(fake_results.write_params(root, raw))
    assert table("variants")["variant"].tolist() == ["cnn", "kernel_5"]


def test_without_shifts_the_consistency_is_empty_and_no_direction_is_stated(root):
    for key, seed in product(PREDICTED, (0, 1)):
        paths.write_json(probe_file(key, seed), {"seed": seed, "shift_consistency": None, "shifted_accuracy": 0.5})
    collect(root)
    assert table("variants")["shift_consistency_mean"].isna().all()
    assert table("effects")["shift_direction"].tolist() == [intervals.NOT_STATED]


def test_nets_without_a_receptive_field_have_an_empty_one(root):
    for key, seed in product(PREDICTED, (0, 1)):
        rewrite(run_file(key, seed, "metrics.json"), lambda metrics: metrics.update(receptive_field=None))
    collect(root)
    assert table("variants")["receptive_field_width"].isna().all()
    assert table("variants")["parameters"].notna().all()


def rewrite(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def rewrite_arrays(change):
    file = run_file("cnn", 1, "predictions.safetensors")
    arrays = {name: array.copy() for name, array in load_file(file).items()}
    change(arrays)
    save_file(arrays, file)


def flip(arrays):
    arrays["correct"][0] ^= 1


def write(name, content):
    run_file("cnn", 1, name).write_bytes(content)


RUN, PROBE = "data/runs/cnn/seed_1", "data/probes/cnn/seed_1"
METRICS, CURVES_FILE, PREDICTIONS = "metrics.json", "curves.csv", "predictions.safetensors"
LABELS = "data/prepared/test.safetensors"
# What is damaged → how, what the message says, and the stage that it names.
DAMAGE = {
    "no metrics": (lambda: run_file("cnn", 1, METRICS).unlink(), f"{RUN}/metrics.json is missing", "train"),
    "no curves": (lambda: run_file("cnn", 1, CURVES_FILE).unlink(), f"{RUN}/curves.csv is missing", "train"),
    "no predictions": (lambda: run_file("cnn", 1, PREDICTIONS).unlink(), f"{RUN}/{PREDICTIONS} is missing", "train"),
    "no probe": (lambda: probe_file("cnn", 1).unlink(), f"{PROBE}/probe.json is missing", "probe"),
    "no labels": (lambda: (paths.PREPARED / "test.safetensors").unlink(), f"{LABELS} is missing", "prepare"),
    "no run": (lambda: shutil.rmtree(paths.RUNS / "cnn/seed_1"), f"{RUN}/metrics.json is missing", "train"),
    "no JSON": (lambda: write(METRICS, b'{"runs": ['), f"{RUN}/metrics.json cannot be read", "train"),
    "empty curves": (lambda: write(CURVES_FILE, b""), f"{RUN}/curves.csv cannot be read", "train"),
    "ragged curves": (lambda: write(CURVES_FILE, b"epoch\n0\n1,2,3\n"), f"{RUN}/curves.csv cannot be read", "train"),
    "narrow curves": (lambda: write(CURVES_FILE, b"epoch\n0\n"), f"{RUN}/curves.csv cannot be read", "train"),
    "damaged": (lambda: write(PREDICTIONS, b"\x40" + b"\0" * 30), f"{PREDICTIONS} cannot be read", "train"),
    "damaged labels": (
        lambda: (paths.PREPARED / "test.safetensors").write_bytes(b""),
        f"{LABELS} cannot be read",
        "prepare",
    ),
    "an array less": (
        lambda: rewrite_arrays(lambda arrays: arrays.pop("correct")),
        f"{PREDICTIONS} cannot be read",
        "train",
    ),
    "another seed": (
        lambda: rewrite(run_file("cnn", 1, METRICS), lambda record: record.update(seed=5)),
        "runs/cnn/seed_1 holds seed 5",
        "train",
    ),
    "another probe": (
        lambda: rewrite(probe_file("cnn", 1), lambda record: record.update(seed=5)),
        "probes/cnn/seed_1 holds seed 5",
        "probe",
    ),
    "wrong correct": (
        lambda: rewrite_arrays(flip),
        "`correct` is not what its predictions and the test labels give",
        "train",
    ),
    "an image less": (
        lambda: rewrite_arrays(lambda arrays: arrays.update(correct=arrays["correct"][:3].copy())),
        "seed 1: correct has shape (3,), but there are 4 test images",
        "train",
    ),
    "wrong accuracy": (
        lambda: rewrite(run_file("cnn", 1, METRICS), lambda record: record.update(test_accuracy=0.75)),
        "seed 1: metrics.json says test_accuracy 0.75, but 1.000000 of the test images are correct",
        "train",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_what_does_not_fit_together_is_refused_with_the_stage_to_run(root, case):
    damage, message, stage = DAMAGE[case]
    damage()
    with pytest.raises(StageError) as refused:
        collect(root)
    assert message in str(refused.value)
    assert str(refused.value).endswith(f"; run `dvc repro {stage}`")
    assert "\n" not in str(refused.value)
    assert not (paths.RESULTS / "runs.csv").exists()


def test_the_stage_ends_in_one_message_and_writes_no_table(root):
    (root / "data/runs/kernel_5/seed_0/metrics.json").unlink()
    command = [sys.executable, "-m", "stages.collect"]
    ended = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=os.environ | {"PIPELINE_ROOT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr == "data/runs/kernel_5/seed_0/metrics.json is missing; run `dvc repro train`\n"
    assert not (root / "data/results").exists()
    assert not (root / "data/timings").exists()


def test_the_tables_are_written_with_six_digits_and_unix_lines(root):
    collect(root)
    text = (paths.RESULTS / "runs.csv").read_bytes().decode()
    assert "\r" not in text
    assert pd.read_csv(io.StringIO(text), dtype=str)["test_accuracy"].tolist() == [
        "0.750000",
        "1.000000",
        "0.500000",
        "0.500000",
    ]


# Failures of the five images: 0, 2, 1, 3, 2.
CORRECT = np.array([[1, 0, 1, 0, 1], [1, 1, 0, 0, 0], [1, 0, 1, 0, 0]])


@pytest.mark.parametrize("kind", [int, bool, np.uint8])
def test_the_hardest_images_come_first_and_equals_keep_their_order(kind):
    indices, failures = hardest_images(CORRECT.astype(kind), 3)
    assert (indices.tolist(), failures.tolist()) == ([3, 1, 4], [3, 2, 2])
    indices, failures = hardest_images(CORRECT.astype(kind), 100)
    assert (indices.tolist(), failures.tolist()) == ([3, 1, 4, 2, 0], [3, 2, 2, 1, 0])

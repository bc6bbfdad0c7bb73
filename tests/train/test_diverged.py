"""Runs that diverged: what is said of them, and that nothing else is made up or left out."""

import re
from pathlib import Path

import numpy as np
import pytest
from fake_results import collected, finished, make_root, only, reroot, settings
from small_data import write_prepared

from stages.collect import outputs, read
from stages.figures import chapter, diverged, draw, facts, hypotheses, inside, tables
from stages.probe.ahead import finished_seeds, probe_ahead
from stages.probe.variant import gather
from stages.shared import params, paths
from stages.shared.drawing import style
from stages.shared.stage_command import StageError

# Of ten seeds, or five of depth_4: of the baseline three are lost, of kernel_1 all, and depth_4 has no finished seed in common with it.
LOST = {"cnn": {0: 2, 1: 1, 4: 3}, "kernel_1": dict.fromkeys(range(10), 1), "depth_4": {2: 1, 3: 1}, "stride_2": {9: 2}}
KEYS = ("cnn", "kernel_1", "kernel_5", "depth_4", "stride_2", "fully_connected")


@pytest.fixture(scope="module")
def found():
    return finished(settings(lambda raw: only(raw, *KEYS)), n_test=200, diverged=LOST)


def test_every_run_that_diverged_is_in_a_table_of_its_own_and_in_no_other(found):
    listed = {key: dict(zip(own["seed"], own["epoch"], strict=True)) for key, own in found.diverged.groupby("variant")}
    assert listed == LOST
    for key, lost in LOST.items():
        ran = found.runs.loc[found.runs["variant"] == key, "seed"].tolist()
        asked = params.load().seeds(key)
        assert ran == [seed for seed in asked if seed not in lost], key
    for name in ("runs", "curves", "confusion", "effects"):
        assert "kernel_1" not in getattr(found, name)["variant"].tolist(), name
    assert list(found.variants.index) == [key for key in KEYS if key != "kernel_1"]


def test_means_and_differences_are_over_the_seeds_that_finished_and_count_these(found):
    accuracy = found.runs.set_index(["variant", "seed"])["test_accuracy"]
    assert found.variants.loc["cnn", "n_seeds"] == 7
    assert found.variants.loc["cnn", "accuracy_mean"] == pytest.approx(accuracy["cnn"].mean(), abs=1e-6)
    both = [2, 3, 5, 6, 7, 8]  # of stride_2 seed 9 is lost, of the baseline 0, 1 and 4
    effect = found.effects[found.effects["variant"] == "stride_2"].iloc[0]
    assert effect["n_seeds"] == len(both)
    assert effect["difference"] == pytest.approx((accuracy["stride_2"][both] - accuracy["cnn"][both]).mean(), abs=1e-6)


def test_without_a_finished_seed_in_common_nothing_is_said_of_a_difference(found):
    effect = found.effects[found.effects["variant"] == "depth_4"].iloc[0]
    assert np.isnan(effect["difference"])
    assert effect["verdict"] == "not stated"
    assert "no seed finished both in **4 layers** and in 2 layers" in chapter.families(found)


def test_a_hypothesis_about_a_variant_without_a_finished_seed_is_undecided_and_says_why(found):
    about = [key for key, one in found.declared.items() if "kernel_1" in one.contrast.variants]
    assert about
    for key in about:
        row = found.hypotheses.loc[key]
        assert (row["outcome"], row["reason"]) == ("undecided", "every seed of kernel_1 diverged")
        assert np.isnan(row["difference"])
        assert hypotheses.sentence(found, key).endswith("* Every seed of kernel_1 diverged.")
        assert not found.has_run(key)
        assert hypotheses.sentence(found, key) in hypotheses.tables(found), "also where its family has no section"


def test_the_report_names_how_many_runs_of_which_variants_diverged_and_in_which_epochs(found):
    said = diverged.sentence(found)
    assert said.startswith("Of 55 runs, 16, of 4 variants, diverged and have no accuracy (@tbl-diverged).")
    assert said.endswith("Without a run that finished, *Kernel size: 1×1* is in no other table or figure.")
    table = diverged.table(found)
    for part in ("{#tbl-diverged}", "3 of 10 seeds", "10 of 10 seeds", "2 of 5 seeds", "0 (2), 1 (1), 4 (3)"):
        assert part in table, part
    assert facts.facts(found)["runs"] == "55 runs"
    assert facts.facts(found)["variants"] == "6 variants"


def test_every_figure_table_and_sentence_is_made_of_what_finished(found, tmp_path):
    style.use_style()
    draw.write(found, tmp_path / "figures")
    style.plt.close("all")
    tables.write(found, tmp_path / "tables")
    inside.write_tables(found, tmp_path / "tables")
    texts = [
        chapter.families(found),
        *facts.facts(found).values(),
        *(file.read_text() for file in (tmp_path / "tables").glob("*.md") if file.name != "diverged.md"),
    ]
    assert not [
        text
        for text in texts
        if re.search(r"\bnan\b|None|1×1", text) and "is in no other" not in text and "kernel_1" not in text
    ]


def test_where_every_run_finished_nothing_is_added(tmp_path):
    whole = finished(settings(lambda raw: only(raw, "cnn", "kernel_5")), n_test=200)
    assert diverged.sentence(whole) == "Every run finished."
    assert diverged.table(whole) == ""
    assert whole.diverged.empty


def test_a_family_whose_reference_diverged_is_not_compared(monkeypatch, tmp_path):
    lost = {"global_average": dict.fromkeys(range(10), 1)}
    made = collected(
        monkeypatch,
        tmp_path,
        settings(lambda raw: only(raw, "cnn", "global_average", "pooled_blur", "kernel_5")),
        n_test=200,
        diverged=lost,
    )
    assert "downsampling_pooled" in made.settings.families
    assert "downsampling_pooled" not in made.effects["family"].tolist()
    assert "downsampling_pooled" not in made.families
    assert "kernel" in made.families


def test_dvcs_metrics_count_what_diverged(monkeypatch, tmp_path):
    collected(monkeypatch, tmp_path, settings(lambda raw: only(raw, *KEYS)), n_test=200, diverged=LOST)
    metrics = paths.read_json(paths.RESULTS / "metrics.json")
    assert {key: own.get("diverged") for key, own in metrics.items()} == {
        key: len(LOST[key]) if key in LOST else None for key in KEYS
    }
    assert "accuracy" not in metrics["kernel_1"]


def test_without_a_baseline_there_is_no_report_but_one_message(monkeypatch, tmp_path):
    loaded = make_root(
        tmp_path,
        settings(lambda raw: only(raw, "cnn", "kernel_5")),
        n_test=200,
        diverged={"cnn": dict.fromkeys(range(10), 1)},
    )
    reroot(monkeypatch, tmp_path)
    labels = read.test_labels()
    variants = [read.variant(key, loaded.seeds(key), labels) for key in loaded.active_variants]
    with pytest.raises(StageError, match=r"every seed of the baseline 'cnn' diverged.*lower recipe.lr in params.yaml"):
        outputs.tables_of(loaded, {}, variants, labels)


def test_a_seed_that_neither_finished_nor_diverged_is_still_missed(monkeypatch, tmp_path):
    make_root(tmp_path, settings(lambda raw: only(raw, "cnn", "kernel_5")), n_test=200, diverged={"cnn": {3: 1}})
    reroot(monkeypatch, tmp_path)
    metrics = paths.read_json(paths.RUNS / "cnn" / "metrics.json")
    paths.write_json(paths.RUNS / "cnn" / "metrics.json", metrics | {"diverged": []})
    with pytest.raises(StageError, match=r"variant 'cnn': train left seeds \[0, 1, 2, 4.*; run `dvc repro train@cnn`"):
        read.variant("cnn", tuple(range(10)), read.test_labels())


def test_a_variant_without_a_finished_seed_is_probed_without_a_net(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PROBED_SEEDS", tmp_path / "kept")
    write_prepared(tmp_path / "prepared")
    plan = params.ProbePlan.of(params.load(), "cnn")
    for name in ("runs/cnn", "out"):
        (tmp_path / name).mkdir(parents=True)
    paths.write_json(
        tmp_path / "runs/cnn" / "metrics.json",
        {"runs": [], "diverged": [{"seed": seed, "diverged": 1} for seed in range(10)]},
    )
    probed = probe_ahead({"cnn": plan}, tmp_path / "prepared", tmp_path / "runs")["cnn"]
    gather("cnn", finished_seeds(plan, tmp_path / "runs/cnn"), probed, tmp_path / "out")
    assert {file.name: paths.read_json(file) for file in Path(tmp_path / "out").iterdir()} == {
        "probe.json": {"variant": "cnn", "runs": [], "reasons": {}}
    }

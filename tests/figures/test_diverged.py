"""Runs that diverged: what is said of them, and that nothing else is invented or left out."""

import re
from dataclasses import replace

import numpy as np
import pytest
from fake_results import collect, collected, finished, make_root, only, reroot, settings

from stages.figures import families, hypotheses, protocol, topics
from stages.shared import params, paths
from stages.shared.stage_command import StageError

pytestmark = pytest.mark.slow

# Variant → seed → epoch in which it diverged, of ten seeds, or five of depth_4: the baseline lost three, kernel_1 all,
# and depth_4 has no finished seed in common with the baseline.
LOST = {"cnn": {0: 2, 1: 1, 4: 3}, "kernel_1": dict.fromkeys(range(10), 1), "depth_4": {2: 1, 3: 1}, "stride_2": {9: 2}}
VARIANTS = ("cnn", "kernel_1", "kernel_5", "depth_4", "stride_2", "fully_connected")


@pytest.fixture(scope="module")
def results():
    return finished(settings(lambda raw: only(raw, *VARIANTS)), n_test=200, diverged=LOST)


def test_every_run_that_diverged_is_in_a_table_of_its_own_and_in_no_other(results):
    groups = results.diverged.groupby("variant")
    listed = {variant: dict(zip(rows["seed"], rows["epoch"], strict=True)) for variant, rows in groups}
    assert listed == LOST
    for variant, lost in LOST.items():
        ran = results.runs.loc[results.runs["variant"] == variant, "seed"].tolist()
        assert ran == [seed for seed in params.load().seeds(variant) if seed not in lost], variant
    for name in ("runs", "curves", "confusion", "effects", "shifts"):
        assert "kernel_1" not in getattr(results, name)["variant"].tolist(), name
    assert list(results.variants.index) == [variant for variant in VARIANTS if variant != "kernel_1"]


def test_means_and_differences_are_over_the_seeds_that_finished_and_count_these(results):
    accuracy = results.runs.set_index(["variant", "seed"])["test_accuracy"]
    assert results.variants.loc["cnn", "n_seeds"] == 7
    assert results.variants.loc["cnn", "accuracy_mean"] == pytest.approx(accuracy["cnn"].mean(), abs=1e-6)
    both = [2, 3, 5, 6, 7, 8]  # stride_2 lost seed 9, the baseline 0, 1 and 4
    effect = results.effects[results.effects["variant"] == "stride_2"].iloc[0]
    assert effect["n_seeds"] == len(both)
    difference = (accuracy["stride_2"][both] - accuracy["cnn"][both]).mean()
    assert effect["difference"] == pytest.approx(difference, abs=1e-6)
    assert results.mean_difference("stride_2", "cnn").mean == pytest.approx(difference, abs=1e-6)


def test_without_a_finished_seed_in_common_nothing_is_said_of_a_difference(results):
    effect = results.effects[results.effects["variant"] == "depth_4"].iloc[0]
    assert np.isnan(effect["difference"])
    assert effect["verdict"] == "not stated"
    assert "No seed finished both in **4 layers** and in 2 layers." in families.numbers_chapter(results)


def test_a_hypothesis_about_a_variant_without_a_finished_seed_is_undecided_and_says_why(results):
    keys = [key for key, hypothesis in results.declared.items() if "kernel_1" in hypothesis.contrast.variants]
    assert keys
    for key in keys:
        row = results.hypotheses.loc[key]
        assert (row["outcome"], row["reason"]) == ("undecided", "every seed of kernel_1 diverged")
        assert np.isnan(row["difference"])
        end = rf"\* \[@{results.declared[key].source}\] Every seed of kernel_1 diverged\.$"
        assert re.search(end, hypotheses.sentence(results, key))
        assert not results.has_run(key)
        assert hypotheses.sentence(results, key) in hypotheses.tables(results), "also where its family has no section"


def test_the_report_names_how_many_runs_of_which_variants_diverged_and_in_which_epochs(results):
    facts, table = protocol.facts(results), protocol.diverged_table(results)
    assert facts["diverged"].startswith("Of 55 runs, 16, of 4 variants, diverged and have no accuracy (@tbl-diverged).")
    lost = "Without a run that finished, *Kernel size: 1×1* is in no other table or figure."
    assert facts["diverged"].endswith(lost)
    for part in ("{#tbl-diverged}", "3 of 10 seeds", "10 of 10 seeds", "2 of 5 seeds", "0 (2), 1 (1), 4 (3)"):
        assert part in table, part
    assert (facts["runs"], facts["variants"]) == ("55 runs", "6 variants")


def test_the_report_says_what_trained_the_nets(results):
    assert protocol.facts(results)["devices"] == "All nets were trained on a CPU."
    on_gpu = results.runs["variant"] == "cnn"
    mixed = replace(results, runs=results.runs.assign(device=np.where(on_gpu, "cuda", "cpu")))
    assert protocol.devices(mixed) == (
        "Two kinds of device trained the nets, and they round differently: 32 runs of 4 variants on a CPU and "
        "7 runs of 1 variant on a GPU (CUDA)."
    )


def test_every_figure_table_and_sentence_is_made_of_what_finished(results, tmp_path):
    topics.write(results, tmp_path)
    tables = [file for file in (tmp_path / "tables").glob("*.md") if file.name != "diverged.md"]
    texts = [*topics.facts(results).values(), *(file.read_text() for file in (*tables, tmp_path / "families.md"))]
    named = [text for text in texts if re.search(r"\bnan\b|None|1×1", text)]
    assert not [text for text in named if "is in no other" not in text and "kernel_1" not in text]


def test_where_every_run_finished_nothing_is_added():
    whole = finished(settings(lambda raw: only(raw, "cnn", "kernel_5")), n_test=200)
    assert protocol.facts(whole)["diverged"] == "Every run finished."
    assert protocol.texts(whole) == {"tables/diverged.md": ""}
    assert whole.diverged.empty


def test_a_family_whose_reference_diverged_is_not_compared():
    lost = {"global_average": dict.fromkeys(range(10), 1)}
    raw = settings(lambda raw: only(raw, "cnn", "global_average", "pooled_blur", "kernel_5"))
    pooled = finished(raw, n_test=200, diverged=lost)
    assert "downsampling_pooled" in pooled.settings.families
    assert "downsampling_pooled" not in pooled.effects["family"].tolist()
    assert "downsampling_pooled" not in pooled.families
    assert "kernel" in pooled.families


def test_dvcs_metrics_count_what_diverged(monkeypatch, tmp_path):
    collected(monkeypatch, tmp_path, settings(lambda raw: only(raw, *VARIANTS)), n_test=200, diverged=LOST)
    assert paths.read_json(paths.METRICS)["diverged"] == sum(map(len, LOST.values()))
    metrics = paths.read_json(paths.RESULTS / "variants.json")
    counts = {variant: of_variant.get("diverged") for variant, of_variant in metrics.items()}
    assert counts == {variant: len(LOST[variant]) if variant in LOST else None for variant in VARIANTS}
    assert "accuracy" not in metrics["kernel_1"]


def test_without_a_baseline_there_is_no_report_but_one_message(monkeypatch, tmp_path):
    lost = {"cnn": dict.fromkeys(range(10), 1)}
    loaded = make_root(tmp_path, settings(lambda raw: only(raw, "cnn", "kernel_5")), n_test=200, diverged=lost)
    reroot(monkeypatch, tmp_path)
    with pytest.raises(StageError, match=r"every seed of the baseline 'cnn' diverged.*lower recipe.lr in params.yaml"):
        collect(loaded)

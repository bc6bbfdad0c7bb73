"""What the networks have learnt, in figures, tables and sentences: from invented probes, by hand."""

from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from fake_results import RUNS, results_of
from matplotlib.text import Text
from safetensors.numpy import save_file

from stages.figures import (
    calibration,
    confusion_differences,
    feature_maps,
    fields,
    filters,
    gallery,
    inside,
    leaks,
    pictures,
    probe_facts,
    probed,
)
from stages.shared.drawing import style
from stages.shared.inference import intervals


@pytest.fixture(autouse=True)
def _style():
    style.use_style()
    yield
    style.plt.close("all")


def fresh(name):
    """File's name → bytes, of every figure of one of RUNS."""
    with TemporaryDirectory() as folder:
        inside.write_figures(results_of(name), Path(folder))
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


drawn = cache(fresh)


def measuring(found, column, **by_variant):
    """The same results with other values of one column of runs.csv, one for each seed."""
    runs = found.runs.copy()
    for key, values in by_variant.items():
        runs.loc[runs["variant"] == key, column] = values
    return replace(found, runs=runs)


# What has nothing to show, by run. A note is 0.7 inches high, which no figure is.
NOTES = {
    "quick": set(),
    "signal": set(),
    "one variant": {"confusion-differences"},
    "MLP alone": {"feature-maps", "leaks", "confusion-differences"},
    "no margin": set(),
    "100 classes, RGB": {"confusion-differences"},
    "a class never right": {"confusion-differences"},
    "perfect": {"gallery", "confusion-differences"},
}


@pytest.mark.parametrize("name", NOTES)
def test_what_cannot_be_drawn_is_a_note_and_every_file_exists(name):
    files = drawn(name)
    assert files.keys() == {f"{stem}.svg" for stem in inside.FIGURES}
    assert {file.removesuffix(".svg") for file, text in files.items() if b'height="50.4pt"' in text} == NOTES[name]


def test_drawing_again_writes_the_same_bytes():
    assert fresh("quick") == drawn("quick")


@pytest.mark.parametrize("name", [name for name in RUNS if name not in ("default", "sixty")])
def test_every_fact_is_there_and_says_something_whatever_ran(name):
    found = probe_facts.facts(results_of(name))
    assert found.keys() == probe_facts.facts(results_of("one variant")).keys()
    for key, text in found.items():
        assert text, key
        assert not any(odd in text for odd in ("nan", "None", "{", "  ")), text
        if key.endswith("_sentence"):
            assert text.endswith("."), text


def test_a_net_that_diverged_is_left_out_of_figures_and_sentences():
    found = results_of("one variant")
    runs = found.runs.copy()
    runs[inside.COLUMNS] = np.nan
    lost = {
        key: {name: np.full_like(array, np.nan) if array.dtype.kind == "f" else array for name, array in own.items()}
        for key, own in found.pictures.items()
    }
    diverged = replace(found, runs=runs, pictures=lost)
    assert {name for name, (draw, _) in inside.FIGURES.items() if draw(diverged) is None} == set(inside.FIGURES) - {
        "gallery"
    }
    assert probe_facts.facts(diverged)["calibration_sentence"] == "The baseline's calibration was not measured."
    assert "nan" not in inside.probe_tables(diverged)


def test_text_stays_in_the_figure_and_covers_no_other(monkeypatch):
    texts = []
    original = Text.draw

    def record(text, renderer, *arguments, **options):
        if text.get_visible() and text.get_text().strip() and text.get_rotation() in (0, 90):
            texts.append((text.get_text(), text.get_window_extent(renderer)))
        return original(text, renderer, *arguments, **options)

    monkeypatch.setattr(Text, "draw", record)
    for what, (draw, _) in inside.FIGURES.items():
        figure = draw(results_of("default"))
        texts.clear()
        figure.canvas.draw()
        width, height = figure.get_size_inches()
        assert (width, height <= style.TALLEST) == (style.WIDTH, True), what
        for (one, box), (other, another) in combinations(texts, 2):
            assert not box.padded(-0.5).overlaps(another.padded(-0.5)), f"{what}: {one!r} and {other!r}"
        for text, box in texts:
            assert min(box.x0, box.y0) >= -1, f"{what}: {text!r}"
            assert box.x1 <= figure.bbox.x1 + 1, f"{what}: {text!r}"
            assert box.y1 <= figure.bbox.y1 + 1, f"{what}: {text!r}"
        style.plt.close(figure)


def test_which_variants_are_shown():
    found = results_of("default")
    assert probed.kinds(found) == ["cnn", "locally_connected", "fully_connected"]
    assert probed.shuffled_twin(found) == "cnn_permuted"
    assert probed.of_kind(found, "resnet18") is None
    compared = probed.compared(found)
    assert {"cnn", "kernel_7", "linear", "cnn_permuted", "fully_connected_permuted"} <= set(compared)
    assert not {"cnn_again", "random_labels", "cnn_300", "cnn_lr_0_003"} & set(compared)
    chosen = fields.chosen(found)
    assert chosen[:4] == ["cnn", "kernel_1", "depth_4", "dilated_3"] or chosen[:3] == ["cnn", "kernel_1", "depth_4"]
    assert {"locally_connected", "fully_connected", "cnn_permuted"} <= set(chosen)
    assert len(chosen) <= fields.MAPS


def test_a_probe_is_estimated_and_paired_over_its_seeds():
    found = measuring(results_of("one seed"), "ece", cnn=[0.02], kernel_5=[0.05])
    assert probed.estimate(found, "cnn", "ece").mean == pytest.approx(0.02)
    assert probed.difference(found, "kernel_5", "cnn", "ece").mean == pytest.approx(0.03)
    assert probed.measured(found, ["cnn", "fully_connected"], "position_share").keys() == {"cnn"}
    more = results_of("default")
    few, many = (len(more.settings.seeds(key)) for key in ("padding_valid", "cnn"))
    assert probed.difference(more, "padding_valid", "cnn", "ece").n == few < many


def test_a_mosaic_by_hand():
    made = pictures.mosaic(np.arange(12.0).reshape(3, 2, 2), columns=2, gap=1)
    nan = np.nan
    expected = [[0, 1, nan, 4, 5], [2, 3, nan, 6, 7], [nan] * 5, [8, 9, nan, nan, nan], [10, 11, nan, nan, nan]]
    assert np.array_equal(made, expected, equal_nan=True)
    assert pictures.mosaic(np.arange(6.0).reshape(2, 1, 3), 2, 1).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert pictures.mosaic(np.arange(6.0).reshape(2, 3, 1), 2, 1).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_the_hardest_images_are_read_by_their_row_and_lose_their_margin(tmp_path):
    images = np.arange(4 * 1 * 5 * 6, dtype=np.uint8).reshape(4, 1, 5, 6)
    save_file({"images": images, "labels": np.zeros(4, dtype=np.int64)}, tmp_path / "test.safetensors")
    made = pictures.hard_pixels(tmp_path / "test.safetensors", pd.DataFrame({"image": [2, 0]}), [1, 2])
    assert np.array_equal(made, images[[2, 0], :, 1:4, 2:4])


def test_the_gallery_names_label_answer_and_share():
    hard = pd.DataFrame(
        {
            "rank": [1, 2, 3],
            "image": [4, 2, 0],
            "label": [6, 0, 1],
            "predicted": [0, 6, pd.NA],
            "failures": [7, 4, 0],
            "runs": [8, 8, 8],
        }
    )
    found = replace(
        results_of("one variant"),
        hard_images=hard.astype({"predicted": "Int64"}),
        hard_pixels=np.zeros((3, 1, 28, 28), dtype=np.uint8),
    )
    titles = [axes.get_title("center") for axes in gallery.gallery(found).axes if axes.get_title("center")]
    assert titles == ["Shirt\n→ T-shirt/top\n88 %", "T-shirt/top\n→ Shirt\n50 %"]
    assert probe_facts.facts(found)["hard_sentence"] == (
        "The hardest test image is labelled *Shirt*; 88\u00a0% of 8 runs get it wrong, most often as *T-shirt/top*. No image defeats all of them."
    )
    never = replace(found, hard_images=found.hard_images.assign(failures=[8, 4, 0]))
    assert probe_facts.facts(never)["hard_sentence"].endswith("1 of the test images defeats every run.")
    both = replace(found, hard_images=found.hard_images.assign(failures=[8, 8, 8]))
    assert probe_facts.facts(both)["hard_sentence"].endswith("At least 3 of the test images defeat every run.")


def test_confusion_differences_by_hand():
    rows = [
        ("cnn", 0, 0, 3),
        ("cnn", 0, 1, 1),
        ("cnn", 1, 1, 4),
        ("fully_connected", 0, 0, 1),
        ("fully_connected", 0, 1, 1),
        ("fully_connected", 1, 1, 2),
    ]
    base = results_of("three")
    found = replace(
        base,
        confusion=pd.DataFrame(rows, columns=["variant", "true", "predicted", "count"]),
        constants=base.constants | {"classes": ["a", "b"]},
    )
    found = replace(found, hard_images=base.hard_images.assign(label=0, predicted=1))
    assert confusion_differences.pairs(found) == [("cnn", "fully_connected")]
    assert confusion_differences.difference(found, "cnn", "fully_connected").tolist() == [[25, -25], [0, 0]]
    assert probe_facts.facts(found)["confusion_difference_sentence"] == (
        "The class on which *CNN (baseline)* and *Connectivity: fully connected* differ most is *a*, which the former gets right 25.0\u00a0points more often."
    )
    assert confusion_differences.pairs(results_of("quick"))[1] == ("cnn_permuted", "cnn")


def test_feature_maps_stand_in_the_order_of_the_net_and_a_deep_one_shows_its_layers():
    maps = np.zeros((2, 3, 4, 4), dtype=np.float32)
    shallow = dict.fromkeys(("map_pool_2", "map_layer_2", "map_layer_1", "map_pool_1", "filters"), maps)
    assert list(feature_maps.shown(shallow)) == ["layer_1", "pool_1", "layer_2", "pool_2"]
    deep = dict.fromkeys([f"map_{kind}_{number}" for kind in ("pool", "layer") for number in range(1, 11)], maps)
    assert list(feature_maps.shown(deep)) == [f"layer_{number}" for number in range(1, 7)]
    assert feature_maps.shown({"map_layer_1": np.zeros((2, 5), dtype=np.float32)}) == {}  # units without a place


def test_a_locally_connected_layer_shows_one_filter_at_all_its_positions():
    found = results_of("default")
    shown = filters.shown(found)
    (label,) = (label for label in shown if "positions" in label)
    weights = found.pictures["locally_connected"]["filters"]
    assert label == f"locally connected net:\none filter, {weights.shape[0] * weights.shape[1]} positions"
    assert np.array_equal(shown[label][weights.shape[1] + 2], weights[1, 2, 0])
    assert next(iter(shown)) == "CNN"
    assert {"Kernel size: 1×1", "Kernel size: 5×5", "Kernel size: 7×7", "MLP"} <= shown.keys()


def test_the_point_of_a_field_is_its_theoretical_edge_and_its_mean_effective_size():
    found = measuring(results_of("three"), "effective_field", cnn=5.0, kernel_5=8.0)
    panel = fields.fields(found).axes[-1]
    points = sorted(tuple(np.round(dots.get_offsets()[0], 6)) for dots in panel.collections)
    assert points == [(10.0, 5.0), (16.0, 8.0)]
    (line,) = (line for line in panel.lines if line.get_linestyle() == "--")
    assert line.get_ydata()[1] / line.get_xdata()[1] == pytest.approx(0.5**0.5)
    facts = probe_facts.facts(found)
    assert facts["field_growth_sentence"] == (
        "From *CNN (baseline)* to *Kernel size: 5×5* the theoretical field grows to 1.6 times its edge, and what is used to 1.6 times as wide an effective one."
    )
    assert "can see 10×10 pixels; 50\u00a0% of what moves it" in facts["field_sentence"]
    assert "an edge of 5.0 pixels" in facts["field_sentence"]


def test_leaks_are_ordered_by_the_read_out_and_scaled_to_percent():
    found = measuring(measuring(results_of("quick"), "position_r2_shuffled", cnn=0.9), "position_share", cnn=0.25)
    first, second, _ = leaks.leaks(found).axes
    assert first.get_yticklabels()[0].get_text() == "CNN (baseline)"
    assert {round(float(x), 6) for x, _ in second.collections[0].get_offsets()} == {25.0}


@pytest.mark.parametrize(
    ("gap", "said"),
    [
        (0.02, "is larger (+2.00\u00a0points"),
        (-0.01, "is smaller (−1.00\u00a0points"),
        (0.0, "is not distinguishable (0.00\u00a0points"),
    ],
)
def test_the_direction_of_calibration_is_computed(gap, said):
    base = results_of("three")
    n = len(base.settings.seeds("cnn"))
    noise = np.linspace(-0.001, 0.001, n)
    own = len(base.settings.seeds("fully_connected"))
    found = measuring(base, "ece", cnn=0.02 + noise, fully_connected=(0.02 + gap + noise[::-1])[:own])
    sentence = probe_facts.facts(found)["calibration_sentence"]
    assert f"that of *Connectivity: fully connected* {said}" in sentence
    assert sentence.startswith("Confidence and accuracy of CNN (baseline) are 2.00\u00a0%")


def test_too_few_seeds_state_no_direction():
    sentence = probe_facts.facts(results_of("one seed"))["calibration_sentence"]
    assert "differs by" in sentence
    assert intervals.ALIKE not in sentence


def test_the_two_probes_of_position_are_compared_by_rank():
    found = results_of("quick")
    keys = list(probed.measured(found, found.nets, "position_share"))
    alike = found
    for place, key in enumerate(keys):
        alike = measuring(
            measuring(alike, "position_r2_shuffled", **{key: 0.1 * place}), "position_share", **{key: 0.01 * place**2}
        )
    sentence = probe_facts.facts(alike)["position_agreement_sentence"]
    assert (
        sentence == f"The two probes of position rank the {len(keys)} nets with a correlation of 1.00 (Spearman's ρ)."
    )
    apart = measuring(alike, "position_share", **{keys[0]: 0.9})
    assert probe_facts.facts(apart)["position_agreement_sentence"].endswith(
        f"they part most on *{found.names.label(keys[0])}*."
    )
    most = probe_facts.facts(alike)["position_sentence"]
    assert most.index(found.names.label(keys[-1])) < most.index(found.names.label(keys[0]))


def test_a_dot_of_the_reliability_diagram_is_a_bin_that_has_images():
    found = results_of("one variant")
    table = np.array([[0, 0, 0], [4, 0.5, 0.25], [12, 0.9, 1.0]])
    drawn = {"cnn": found.pictures["cnn"] | {"reliability": table}}
    panel = calibration.calibration(replace(found, pictures=drawn)).axes[0]
    assert panel.collections[0].get_offsets().tolist() == [[0.5, 0.25], [0.9, 1.0]]
    sizes = panel.collections[0].get_sizes()
    assert sizes[1] > sizes[0]


def test_the_tables_have_the_numbers_of_the_runs_and_a_dash_for_what_has_no_meaning(tmp_path):
    found = measuring(results_of("three"), "equivariance_error_last", cnn=0.125)
    (tmp_path / "tables").mkdir()
    inside.write_tables(found, tmp_path / "tables")
    text = (tmp_path / "tables/probes.md").read_text()
    assert text.count("{#tbl-") == 2  # neither is split
    cells = [
        [part.strip() for part in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
    ]
    baseline, mlp = (next(row for row in cells if row[0].startswith(name)) for name in ("CNN", "Connectivity: fully"))
    assert (baseline[1], baseline[3]) == ("10×10", "12.5 ± 0.0")
    assert (mlp[1], mlp[3], mlp[4]) == ("–", "–", "–")
    frame = pd.read_csv(tmp_path / "tables/probes.csv").set_index("variant")
    own = found.runs[found.runs["variant"] == "cnn"]["ece"]
    assert frame.loc["cnn", "ece_mean"] == pytest.approx(own.mean(), abs=1e-6)
    assert frame.loc["cnn", "ece_sd"] == pytest.approx(own.std(), abs=1e-6)

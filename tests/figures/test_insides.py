"""What the networks have learnt, in figures, tables and sentences: invented probes, with values worked out by hand."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fake_results import results_of
from safetensors.numpy import save_file

from stages.figures import calibration, insides, mistakes, position, receptive_fields, results, selection
from stages.shared.drawing.numbers import NBSP
from stages.shared.inference import intervals

OF_PROBES = (insides, receptive_fields, position, mistakes, calibration)


def with_column(found, column, **by_variant):
    """The same results with other values in one column of runs.csv: one for all seeds, or one for each."""
    runs = found.runs.copy()
    for variant, values in by_variant.items():
        runs.loc[runs["variant"] == variant, column] = values
    return replace(found, runs=runs)


def with_arrays(found, variant, **arrays):
    return replace(found, pictures=found.pictures | {variant: found.pictures[variant] | arrays})


def fact(topic, found, name):
    return topic.facts(found)[name].replace(NBSP, " ")


def test_probes_without_a_number_are_left_out_of_figures_and_sentences():
    found = results_of("one variant")
    runs = found.runs.copy()
    runs[list(position.PROBES)] = np.nan
    unknown = {
        name: np.full_like(array, np.nan) if array.dtype.kind == "f" else array
        for name, array in found.pictures["cnn"].items()
    }
    empty = replace(found, runs=runs, pictures={"cnn": unknown})
    drawn = {name for topic in OF_PROBES for name, figure in topic.figures(empty) if not isinstance(figure, str)}
    assert drawn == {"confusion", "gallery"}
    assert fact(calibration, empty, "calibration_sentence") == "The baseline's calibration was not measured."
    assert "nan" not in position.texts(empty)["tables/probes.md"]


def test_which_variants_are_shown():
    found = results_of("default")
    assert selection.one_of_each_kind(found) == ["cnn", "locally_connected", "fully_connected"]
    assert selection.permuted_baseline(found) == "cnn_permuted"
    assert selection.one_of_kind(found, "resnet18") is None
    on_any_layout = selection.nets_on_any_layout(found)
    assert {"cnn", "kernel_7", "linear", "cnn_permuted", "fully_connected_permuted"} <= set(on_any_layout)
    assert not {"cnn_again", "random_labels", "cnn_300", "cnn_lr_0_003"} & set(on_any_layout)
    shown = receptive_fields.shown_as_maps(found)
    # The baseline, the smallest and the largest field, the most layers, another dilation.
    assert shown[:5] == ["cnn", "kernel_1", "depth_4", "three_kernels_3", "dilated_3"]
    assert {"locally_connected", "fully_connected", "cnn_permuted"} <= set(shown)
    assert len(shown) <= receptive_fields.MAPS


def test_a_probe_is_estimated_and_paired_over_its_seeds():
    found = with_column(results_of("one seed"), "ece", cnn=[0.02], kernel_5=[0.05])
    assert found.mean("cnn", "ece").mean == pytest.approx(0.02)
    assert found.mean_difference("kernel_5", "cnn", "ece").mean == pytest.approx(0.03)
    assert found.means(["cnn", "fully_connected"], "position_share").keys() == {"cnn"}
    default = results_of("default")
    few, many = (len(default.settings.seeds(variant)) for variant in ("padding_valid", "cnn"))
    assert default.mean_difference("padding_valid", "cnn", "ece").n == few < many


def test_the_hardest_images_are_read_by_their_row_and_lose_their_margin(tmp_path):
    images = np.arange(4 * 1 * 5 * 6, dtype=np.uint8).reshape(4, 1, 5, 6)
    save_file({"images": images, "labels": np.zeros(4, dtype=np.int64)}, tmp_path / "test.safetensors")
    pixels = results.hard_pixels(tmp_path / "test.safetensors", pd.DataFrame({"image": [2, 0]}), [1, 2])
    assert np.array_equal(pixels, images[[2, 0], :, 1:4, 2:4])


def test_the_gallery_names_label_answer_and_share():
    columns = {"rank": [1, 2, 3], "image": [4, 2, 0], "label": [6, 0, 1], "failures": [7, 4, 0], "runs": [8, 8, 8]}
    hard = pd.DataFrame(columns).assign(predicted=pd.array([0, 6, None], dtype="Int64"))
    pixels = np.zeros((3, 1, 28, 28), dtype=np.uint8)
    found = replace(results_of("one variant"), hard_images=hard, hard_pixels=pixels)
    titles = [axes.get_title("center") for axes in mistakes.gallery(found).axes]
    assert list(filter(None, titles)) == ["Shirt\n→ T-shirt/top\n88 %", "T-shirt/top\n→ Shirt\n50 %"]
    assert fact(mistakes, found, "hard_sentence") == (
        "The hardest test image is labelled *Shirt*; 88 % of 8 runs get it wrong, most often as *T-shirt/top*. "
        "No image defeats all of them."
    )
    for failures, ending in (
        ([8, 4, 0], " 1 of the test images defeats every run."),
        ([8, 8, 8], " At least 3 of the test images defeat every run."),
    ):
        assert fact(mistakes, replace(found, hard_images=hard.assign(failures=failures)), "hard_sentence").endswith(
            ending
        )


def test_confusions_and_their_difference_by_hand():
    """Of class a, the CNN gets 3 of 4 right and the MLP 1 of 2; of b, both get all right; of c there is no image."""
    rows = [("cnn", 0, 0, 3), ("cnn", 0, 1, 1), ("cnn", 1, 1, 4)]
    rows += [("fully_connected", 0, 0, 1), ("fully_connected", 0, 1, 1), ("fully_connected", 1, 1, 2)]
    confusion = pd.DataFrame(rows, columns=["variant", "true", "predicted", "count"])
    three = results_of("three")
    hard = three.hard_images.assign(label=0, predicted=1)
    found = replace(
        three, confusion=confusion, constants=three.constants | {"classes": ["a", "b", "c"]}, hard_images=hard
    )
    assert mistakes.class_shares(found, "cnn").tolist() == [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 0]]
    assert mistakes.compared_pairs(found) == [("cnn", "fully_connected")]
    difference = mistakes.confusion_difference(found, "cnn", "fully_connected")
    assert difference.tolist() == [[25, -25, 0], [0, 0, 0], [0, 0, 0]]
    assert fact(mistakes, found, "confused").endswith("of the test images of *a*, it takes 25.0 % for *b*.")
    assert fact(mistakes, found, "confusion_difference_sentence") == (
        "The class on which *CNN (baseline)* and *Connectivity: fully connected* differ most is *a*, "
        "which the former gets right 25.0 points more often."
    )
    assert mistakes.compared_pairs(results_of("quick"))[1] == ("cnn_permuted", "cnn")


def test_feature_maps_stand_in_the_order_of_the_net_and_a_deep_one_shows_its_layers():
    maps = np.zeros((2, 3, 4, 4), dtype=np.float32)
    shallow = dict.fromkeys(("map_pool_2", "map_layer_2", "map_layer_1", "map_pool_1", "filters"), maps)
    assert list(insides.layers_to_draw(shallow)) == ["layer_1", "pool_1", "layer_2", "pool_2"]
    deep = dict.fromkeys([f"map_{kind}_{number}" for kind in ("pool", "layer") for number in range(1, 11)], maps)
    assert list(insides.layers_to_draw(deep)) == [f"layer_{number}" for number in range(1, 7)]
    assert insides.layers_to_draw({"map_layer_1": np.zeros((2, 5), dtype=np.float32)}) == {}  # units without a place


def test_a_locally_connected_layer_shows_one_filter_at_all_its_positions():
    found = results_of("default")
    shown = insides.first_layer_filters(found)
    weights = found.pictures["locally_connected"]["filters"]
    n_rows, n_columns = weights.shape[:2]
    label = f"locally connected net:\none filter, {n_rows * n_columns} positions"
    assert np.array_equal(shown[label][n_columns + 2], weights[1, 2, 0])
    assert next(iter(shown)) == "CNN"
    assert {"Kernel size: 1×1", "Kernel size: 5×5", "Kernel size: 7×7", "MLP"} <= shown.keys()


def test_the_point_of_a_field_is_its_theoretical_edge_and_its_mean_effective_size():
    found = with_column(results_of("three"), "effective_field", cnn=5.0, kernel_5=8.0)
    panel = receptive_fields.maps_and_sizes(found).axes[-1]
    points = sorted(tuple(np.round(dots.get_offsets()[0], 6)) for dots in panel.collections)
    assert points == [(10.0, 5.0), (16.0, 8.0)]
    (line,) = (line for line in panel.lines if line.get_linestyle() == "--")
    assert line.get_ydata()[1] / line.get_xdata()[1] == pytest.approx(0.5**0.5)
    assert fact(receptive_fields, found, "field_growth_sentence") == (
        "From *CNN (baseline)* to *Kernel size: 5×5* the theoretical field grows to 1.6 times its edge, "
        "and what is used to 1.6 times as wide an effective one."
    )
    of_baseline = fact(receptive_fields, found, "field_sentence")
    assert "can see 10×10 pixels; 50 % of what moves it" in of_baseline
    assert "an edge of 5.0 pixels" in of_baseline


def test_leaks_are_ordered_by_the_read_out_and_scaled_to_percent():
    found = with_column(results_of("quick"), "position_r2_shuffled", cnn=0.9)
    first, second, _ = position.leaks(with_column(found, "position_share", cnn=0.25)).axes
    assert first.get_yticklabels()[0].get_text() == "CNN (baseline)"
    assert {round(float(x), 6) for x, _ in second.collections[0].get_offsets()} == {25.0}


@pytest.mark.parametrize(
    ("gap", "said"),
    [
        (0.02, "is larger (+2.00 points"),
        (-0.01, "is smaller (−1.00 points"),
        (0.0, "is not distinguishable (0.00 points"),
    ],
)
def test_the_direction_of_calibration_is_computed(gap, said):
    three = results_of("three")
    n, n_mlp = (len(three.settings.seeds(variant)) for variant in ("cnn", "fully_connected"))
    noise = np.linspace(-0.001, 0.001, n)
    found = with_column(three, "ece", cnn=0.02 + noise, fully_connected=(0.02 + gap + noise[::-1])[:n_mlp])
    sentence = fact(calibration, found, "calibration_sentence")
    assert f"that of *Connectivity: fully connected* {said}" in sentence
    assert sentence.startswith("Confidence and accuracy of CNN (baseline) are 2.00 %")


def test_too_few_seeds_state_no_direction():
    sentence = fact(calibration, results_of("one seed"), "calibration_sentence")
    assert "differs by" in sentence
    assert intervals.ALIKE not in sentence


def test_the_two_probes_of_position_are_compared_by_rank():
    alike = results_of("quick")
    nets = list(alike.means(alike.nets, "position_share"))
    for place, net in enumerate(nets):
        alike = with_column(alike, "position_r2_shuffled", **{net: 0.1 * place})
        alike = with_column(alike, "position_share", **{net: 0.01 * place**2})
    said = f"The two probes of position rank the {len(nets)} nets with a correlation of 1.00 (Spearman's ρ)."
    assert fact(position, alike, "position_agreement_sentence") == said
    first, last = (alike.names.label(net) for net in (nets[0], nets[-1]))
    apart = with_column(alike, "position_share", **{nets[0]: 0.9})
    assert fact(position, apart, "position_agreement_sentence").endswith(f"they part most on *{first}*.")
    read_out = fact(position, alike, "position_sentence")
    assert read_out.index(last) < read_out.index(first)


def test_a_dot_of_the_reliability_diagram_is_a_bin_that_has_images():
    bins = np.array([[0, 0, 0], [4, 0.5, 0.25], [12, 0.9, 1.0]])
    panel = calibration.reliability_diagrams(with_arrays(results_of("one variant"), "cnn", reliability=bins)).axes[0]
    assert panel.collections[0].get_offsets().tolist() == [[0.5, 0.25], [0.9, 1.0]]
    few, many = panel.collections[0].get_sizes()
    assert many > few


def test_the_tables_have_the_numbers_of_the_runs_and_a_dash_for_what_has_no_meaning():
    found = with_column(results_of("three"), "equivariance_error_last", cnn=0.125)
    texts = position.texts(found)
    markdown = texts["tables/probes.md"]
    assert markdown.count("{#tbl-") == 2  # neither is split
    lines = [line.strip("|").split("|") for line in markdown.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line] for line in lines]
    baseline, mlp = (next(row for row in cells if row[0].startswith(name)) for name in ("CNN", "Connectivity: fully"))
    assert (baseline[1], baseline[3]) == ("10×10", "12.5 ± 0.0")
    assert (mlp[1], mlp[3], mlp[4]) == ("–", "–", "–")
    row = pd.read_csv(io.StringIO(texts["tables/probes.csv"])).set_index("variant").loc["cnn"]
    errors = found.runs[found.runs["variant"] == "cnn"]["ece"]
    assert row[["ece_mean", "ece_sd"]].tolist() == pytest.approx([errors.mean(), errors.std()], abs=1e-6)

"""What the networks have learnt, in figures, tables and sentences: invented probes, with values worked out by hand."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fake_results import results_of
from safetensors.numpy import save_file

from stages.figures import calibration, insides, mistakes, position, receptive_fields, selection, shifts
from stages.figures.results import hard_pixels
from stages.shared.drawing.numbers import NBSP

OF_PROBES = (insides, receptive_fields, position, mistakes, calibration)


def with_column(results, column, **by_variant):
    """The same results with other values in one column of runs.csv: one for all seeds, or one for each."""
    runs = results.runs.copy()
    for variant, values in by_variant.items():
        runs.loc[runs["variant"] == variant, column] = values
    return replace(results, runs=runs)


def with_arrays(results, variant, **arrays):
    return replace(results, pictures=results.pictures | {variant: results.pictures[variant] | arrays})


def fact(topic, results, name):
    return topic.facts(results)[name].replace(NBSP, " ")


def test_probes_without_a_number_are_left_out_of_figures_and_sentences():
    results = results_of("one variant")
    runs = results.runs.copy()
    runs[list(position.PROBES)] = np.nan
    floats = {name: array for name, array in results.pictures["cnn"].items() if array.dtype.kind == "f"}
    unknown = {name: np.full_like(array, np.nan) for name, array in floats.items()}
    empty = with_arrays(replace(results, runs=runs), "cnn", **unknown)
    drawn = {name for topic in OF_PROBES for name, figure in topic.figures(empty) if not isinstance(figure, str)}
    assert drawn == {"confusion", "gallery"}
    assert fact(calibration, empty, "calibration_sentence") == "The baseline's calibration was not measured."
    assert "nan" not in position.texts(empty)["tables/probes.md"] + receptive_fields.table(empty)
    assert fact(position, empty, "equivariance_pixel_sentence").startswith("The baseline has no feature map")


def test_which_variants_are_shown():
    results = results_of("default")
    kinds = ["cnn", "locally_connected", "fully_connected", "attention", "mixer", "separable"]
    assert selection.one_of_each_kind(results) == kinds
    assert selection.permuted_baseline(results) == "cnn_permuted"
    assert selection.one_of_kind(results, "resnet18") is None
    on_any_layout = selection.nets_on_any_layout(results)
    assert {"cnn", "kernel_7", "linear", "cnn_permuted", "fully_connected_permuted"} <= set(on_any_layout)
    assert not {"cnn_again", "random_labels", "cnn_300", "cnn_lr_0_01"} & set(on_any_layout)
    maps = receptive_fields.shown_as_maps(results)
    # The baseline, the smallest and the largest field, the most layers, another dilation, permuted pixels.
    assert maps[:5] == ["cnn", "kernel_1", "deep_plain", "dilated_3", "cnn_permuted"]
    assert {"locally_connected", "fully_connected", "cnn_permuted"} <= set(maps)
    assert len(maps) <= receptive_fields.MAPS


def test_a_probe_is_estimated_and_paired_over_its_seeds():
    results = with_column(results_of("one seed"), "ece", cnn=[0.02], kernel_5=[0.05])
    assert results.mean("cnn", "ece").mean == pytest.approx(0.02)
    assert results.mean_difference("kernel_5", "cnn", "ece").mean == pytest.approx(0.03)
    assert results.means(["cnn", "fully_connected"], "position_share").keys() == {"cnn"}
    default = results_of("default")
    few, many = (len(default.settings.seeds(variant)) for variant in ("padding_valid", "cnn"))
    assert default.mean_difference("padding_valid", "cnn", "ece").n == few < many


def test_the_hardest_images_are_read_by_their_row_and_lose_their_margin(tmp_path):
    images = np.arange(4 * 1 * 5 * 6, dtype=np.uint8).reshape(4, 1, 5, 6)
    save_file({"images": images, "labels": np.zeros(4, dtype=np.int64)}, tmp_path / "test.safetensors")
    pixels = hard_pixels(tmp_path / "test.safetensors", pd.DataFrame({"image": [2, 0]}), [1, 2])
    assert np.array_equal(pixels, images[[2, 0], :, 1:4, 2:4])


def test_the_gallery_names_label_answer_and_share():
    columns = {"rank": [1, 2, 3], "image": [4, 2, 0], "label": [6, 0, 1], "failures": [7, 4, 0], "runs": [8, 8, 8]}
    hard = pd.DataFrame(columns).assign(predicted=pd.array([0, 6, None], dtype="Int64"))
    pixels = np.zeros((3, 1, 28, 28), dtype=np.uint8)
    results = replace(results_of("one variant"), hard_images=hard, hard_pixels=pixels)
    titles = [axes.get_title("center") for axes in mistakes.gallery(results).axes]
    assert list(filter(None, titles)) == ["Shirt\n→ T-shirt/top\n88 %", "T-shirt/top\n→ Shirt\n50 %"]
    assert fact(mistakes, results, "hard_sentence") == (
        "The hardest test image is labelled *Shirt*; 88 % of 8 runs get it wrong, most often as *T-shirt/top*. "
        "No image is wrong in every run."
    )
    endings = {(8, 4, 0): " 1 of the test images is wrong in every run."}
    endings |= {(8, 8, 8): " At least 3 of the test images are wrong in every run."}
    for failures, ending in endings.items():
        harder = replace(results, hard_images=hard.assign(failures=failures))
        assert fact(mistakes, harder, "hard_sentence").endswith(ending)


def test_confusions_and_their_difference_by_hand():
    """Of class a, the CNN gets 3 of 4 right and the MLP 1 of 2; of b, both get all right; of c there is no image."""
    rows = [("cnn", 0, 0, 3), ("cnn", 0, 1, 1), ("cnn", 1, 1, 4)]
    rows += [("fully_connected", 0, 0, 1), ("fully_connected", 0, 1, 1), ("fully_connected", 1, 1, 2)]
    confusion = pd.DataFrame(rows, columns=["variant", "true", "predicted", "count"])
    three = results_of("three")
    hard = three.hard_images.assign(label=0, predicted=1)
    constants = three.constants | {"classes": ["a", "b", "c"]}
    results = replace(three, confusion=confusion, constants=constants, hard_images=hard)
    assert mistakes.class_shares(results, "cnn").tolist() == [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 0]]
    assert mistakes.compared_pairs(results) == [("cnn", "fully_connected")]
    difference = mistakes.confusion_difference(results, "cnn", "fully_connected")
    assert difference.tolist() == [[25, -25, 0], [0, 0, 0], [0, 0, 0]]
    assert fact(mistakes, results, "confused").endswith("of the test images of *a*, it takes 25.0 % for *b*.")
    assert fact(mistakes, results, "confusion_difference_sentence") == (
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
    results = results_of("default")
    filters = insides.first_layer_filters(results)
    weights = results.pictures["locally_connected"]["filters"]
    n_rows, n_columns = weights.shape[:2]
    label = f"locally connected net:\none filter, {n_rows * n_columns} positions"
    assert np.array_equal(filters[label][n_columns + 2], weights[1, 2, 0])
    assert next(iter(filters)) == "CNN"
    assert {"Kernel size: 1×1", "Kernel size: 5×5", "Kernel size: 7×7", "MLP"} <= filters.keys()


def test_the_point_of_a_field_is_its_theoretical_edge_and_its_mean_effective_size():
    results = with_column(results_of("three"), "effective_field", cnn=5.0, kernel_5=8.0)
    panel = receptive_fields.maps_and_sizes(results).axes[-1]
    points = sorted(tuple(np.round(dots.get_offsets()[0], 6)) for dots in panel.collections)
    assert points == [(10.0, 5.0), (16.0, 8.0)]
    (line,) = (line for line in panel.lines if line.get_linestyle() == "--")
    assert line.get_ydata()[1] / line.get_xdata()[1] == pytest.approx(0.5**0.5)
    assert fact(receptive_fields, results, "field_growth_sentence") == (
        "From *CNN (baseline)* to *Kernel size: 5×5* the theoretical field becomes 1.6 times as wide, "
        "and the effective field 1.6 times as wide."
    )
    of_baseline = fact(receptive_fields, results, "field_sentence")
    assert "can see 10×10 pixels. 50 % of its gradient lies in" in of_baseline
    assert "an edge of 5.0 has" in of_baseline


def test_the_effective_size_stands_beside_that_of_an_even_field_and_that_of_luo():
    results = with_column(results_of("three"), "effective_field", cnn=6.0)
    results = with_column(with_column(results, "effective_field_even", cnn=8.0), "effective_field_luo", cnn=9.5)
    rows = [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in receptive_fields.table(results).splitlines()
    ]
    baseline = next(row for row in rows if row[0] == "CNN (baseline)")
    assert baseline[1:] == ["10×10", "6.0 ± 0.0", "8.0", "75", "9.5 ± 0.0"]
    sentence = fact(receptive_fields, results, "field_sentence")
    assert sentence.endswith("for an even field, the edge would be 8.0. By the measure of Luo et al., the edge is 9.5.")
    assert fact(receptive_fields, results, "luo_rest") == "0.0455"


def test_the_error_for_one_pixel_stands_beside_its_references():
    results = results_of("three")
    for name, value in {"pixel": 0.5, "still": 0.625, "untrained": 0.25, "unrelated": 1.125}.items():
        results = with_column(results, f"equivariance_error_{name}", cnn=value)
    results = with_column(results, "equivariance_error_pixel", kernel_5=0.75)
    assert fact(position, results, "equivariance_pixel_sentence") == (
        "A shift by one pixel changes the last map of CNN (baseline) by 62.5 % of its size. From the interpolated map "
        "it differs by 50.0 %, before training by 25.0 %; the maps of two images differ by 112.5 %. Among the 2 nets "
        "with a feature map that differ in their architecture and its learning rate alone, and not in their images, "
        "the error is largest for *Kernel size: 5×5* (75.0 %) and smallest for *CNN (baseline)* (50.0 %)."
    )
    panel = position.leaks(results).axes[2]
    order = [label.get_text() for label in position.leaks(results).axes[0].get_yticklabels()]
    untrained, unrelated = (dots.get_offsets()[order.index("CNN (baseline)")][0] for dots in panel.collections[-2:])
    assert (untrained, unrelated) == pytest.approx((25, 112.5))


def test_the_calibration_error_stands_beside_what_sampling_alone_gives():
    results = with_column(with_column(results_of("three"), "ece", cnn=0.03), "ece_by_sampling", cnn=0.0125)
    sentence = fact(calibration, results, "calibration_sentence")
    assert "is 3.00 %; perfect calibration with the same confidences would give 1.25 %" in sentence
    panel = calibration.reliability_diagrams(results).axes[0]
    titles = "".join(panel.get_title(place) for place in ("left", "center", "right"))
    assert "by sampling alone 1.25 %" in titles.replace(NBSP, " ")


def test_agreement_without_knowledge_is_told_by_the_net_of_random_labels():
    results = with_column(results_of("default"), "shift_consistency", random_labels=0.67)
    beyond = with_column(results, "shift_consistency_beyond_chance", random_labels=0.25)
    label = "*Controls: random labels*"
    assert fact(shifts, beyond, "shift_chance_sentence") == (
        f"{label} agrees on 67.00 % of the pairs; its agreement beyond chance is 0.25."
    )
    unknown = with_column(results, "shift_consistency_beyond_chance", random_labels=np.nan)
    assert fact(shifts, unknown, "shift_chance_sentence").endswith("one answer, which leaves nothing beyond chance.")
    assert fact(shifts, results_of("three"), "shift_chance_sentence").startswith(
        "No net trained on random labels was probed"
    )


def test_leaks_are_ordered_by_the_read_out_and_scaled_to_percent():
    results = with_column(results_of("quick"), "position_r2_shuffled", cnn=0.9)
    first, second, _ = position.leaks(with_column(results, "position_share", cnn=0.25)).axes
    assert first.get_yticklabels()[0].get_text() == "CNN (baseline)"
    assert {round(float(x), 6) for x, _ in second.collections[0].get_offsets()} == {25.0}


def test_the_channels_that_the_read_out_uses_are_counted():
    results = with_column(results_of("three"), "map_channels", cnn=32, kernel_5=32)
    results = with_column(results, "position_channels_shuffled", cnn=32, kernel_5=30.5)
    label = "*Kernel size: 5×5*"
    sentence = f"The net that loses most of its channels in this way is {label}, which keeps 30.5 of 32."
    assert fact(position, results, "position_channels_sentence") == sentence
    (row,) = (line for line in position.table(results).splitlines() if line.startswith("| Kernel size: 5×5"))
    assert row.rstrip("| ").endswith("30.5 of 32")
    all_used = with_column(results, "position_channels_shuffled", kernel_5=32)
    assert fact(position, all_used, "position_channels_sentence") == "No net has such a channel."
    assert fact(position, results_of("MLP alone"), "position_channels_sentence").startswith("No net has channels")


GAPS = {0.02: "is larger (+2.00 points", -0.01: "is smaller (−1.00 points", 0.0: "is not distinguishable (0.00 points"}


@pytest.mark.parametrize(("gap", "difference"), GAPS.items())
def test_the_direction_of_calibration_is_computed(gap, difference):
    three = results_of("three")
    n, n_mlp = (len(three.settings.seeds(variant)) for variant in ("cnn", "fully_connected"))
    noise = np.linspace(-0.001, 0.001, n)
    results = with_column(three, "ece", cnn=0.02 + noise, fully_connected=(0.02 + gap + noise[::-1])[:n_mlp])
    sentence = fact(calibration, results, "calibration_sentence")
    assert f"that of *Connectivity: fully connected* {difference}" in sentence
    assert sentence.startswith("The calibration error of CNN (baseline) is 2.00 %")
    assert "connected* differs by" in fact(calibration, results_of("one seed"), "calibration_sentence")


def test_the_two_probes_of_position_are_compared_by_rank():
    alike = results_of("quick")
    nets = list(alike.means(alike.nets, "position_share"))
    for place, net in enumerate(nets):
        alike = with_column(alike, "position_r2_shuffled", **{net: 0.1 * place})
        alike = with_column(alike, "position_share", **{net: 0.01 * place**2})
    sentence = f"The two probes of position rank the {len(nets)} nets with a correlation of 1.00 (Spearman's ρ)."
    assert fact(position, alike, "position_agreement_sentence") == sentence
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
    results = with_column(results_of("three"), "equivariance_error_pixel", cnn=0.125)
    texts = position.texts(results)
    markdown = texts["tables/probes.md"]
    assert markdown.count("{#tbl-") == 2  # neither is split
    lines = [line.strip("|").split("|") for line in markdown.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line] for line in lines]
    baseline, mlp = (next(row for row in cells if row[0].startswith(name)) for name in ("CNN", "Connectivity: fully"))
    assert baseline[1] == "12.5 ± 0.0"
    assert mlp[1:] == ["–"] * 4
    row = pd.read_csv(io.StringIO(texts["tables/probes.csv"])).set_index("variant").loc["cnn"]
    errors = results.runs[results.runs["variant"] == "cnn"]["ece"]
    assert row[["ece_mean", "ece_sd"]].tolist() == pytest.approx([errors.mean(), errors.std()], abs=1e-6)

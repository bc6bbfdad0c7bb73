"""Shifts on models whose answer is known without training, and all the files of one run's probes."""

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file
from small_data import write_prepared
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa
from untrained_net import SETTINGS, SMALL_PROBE, noise_images, untrained_net

from stages.probe.effective_receptive_field import effective_receptive_field, effective_size
from stages.probe.equivariance import first_layer_error
from stages.probe.layers import last_map
from stages.probe.position_leak import position_share, read_out_of_position, without_position
from stages.probe.probe_spec import ProbeSpec
from stages.probe.run import probe_run
from stages.probe.shift import (
    accuracy_by_shift,
    agreement,
    agreement_beyond_chance,
    design,
    predictions_under_shifts,
    shifted,
    shifts_within,
)
from stages.shared import paths
from stages.shared.architectures.build import build, save_weights
from stages.shared.pixel_order import permutation, rearranged
from stages.shared.prepared_data import load_constants, scattered, shape_of
from stages.shared.random_streams import stream
from stages.train.data import Split
from stages.train.evaluate import evaluate


def test_agreement_by_hand():
    # Two images, three shifts. Image 0: classes 4, 4, 1: one of three pairs agrees. Image 1: all three do.
    assert agreement(np.array([[4, 4, 1], [2, 2, 2]])) == pytest.approx([1 / 3, 1])
    with pytest.raises(ValueError, match="at least two shifts"):
        agreement(np.zeros((5, 1), dtype=int))


def test_agreement_beyond_chance_by_hand():
    # Of six predictions three are 2, two are 4, one is 1: by chance (9 + 4 + 1) / 36 = 7/18 of the pairs agree.
    beyond = agreement_beyond_chance(np.array([[4, 4, 1], [2, 2, 2]]))
    assert beyond == pytest.approx([(1 / 3 - 7 / 18) / (11 / 18), 1])
    assert agreement_beyond_chance(np.full((3, 4), 2)) is None, "chance leaves nothing"


def test_agreement_beyond_chance_is_the_kappa_of_fleiss():
    predicted = np.random.default_rng(0).integers(0, 3, (50, 4)) // np.arange(1, 5)
    assert agreement_beyond_chance(predicted).mean() == pytest.approx(fleiss_kappa(aggregate_raters(predicted)[0]))


def test_predictions_that_ignore_the_image_have_raw_agreement_and_none_beyond_chance():
    predicted = np.random.default_rng(0).choice(3, p=[0.8, 0.1, 0.1], size=(4000, 5))
    assert agreement(predicted).mean() == pytest.approx(0.66, abs=0.02)
    assert agreement_beyond_chance(predicted).mean() == pytest.approx(0, abs=0.02)


def test_each_image_is_shown_under_as_many_different_shifts_and_each_shift_about_as_often():
    shown = design(2000, 25, 5, np.random.default_rng(0))
    assert shown.shape == (2000, 5)
    assert all(len(set(row)) == 5 for row in shown.tolist())
    times = np.bincount(shown.ravel(), minlength=25)
    assert abs(times - 400).max() < 80
    assert np.array_equal(np.sort(design(3, 4, 9, np.random.default_rng(0)), 1), np.tile(np.arange(4), (3, 1)))


def test_accuracy_by_shift_counts_the_images_that_were_shown_under_it():
    shown, correct = np.array([[0, 2], [2, 1], [0, 2]]), np.array([[1, 1], [0, 0], [0, 1]], dtype=bool)
    assert accuracy_by_shift(correct, shown, 4)[:3] == pytest.approx([1 / 2, 0, 2 / 3])
    assert np.isnan(accuracy_by_shift(correct, shown, 4)[3])


def test_shifts_stay_within_the_margin_and_a_signal_has_one_axis():
    assert shifts_within((0, 2)) == [(0, -2), (0, -1), (0, 0), (0, 1), (0, 2)]
    assert len(shifts_within((2, 2))) == 25


def test_a_shift_moves_down_and_right_and_crops_nothing_that_has_a_margin():
    image = torch.zeros(1, 1, 5, 5, dtype=torch.uint8)
    image[0, 0, 1:4, 1:4] = torch.arange(1, 10, dtype=torch.uint8).view(3, 3)
    moved = shifted(image, 1, -1)
    assert torch.equal(moved[0, 0, 2:5, 0:3], image[0, 0, 1:4, 1:4])
    assert moved.sum() == image.sum()


class RowOfTheBrightest(torch.nn.Module):
    """Class = the row of the brightest pixel: follows every vertical shift, ignores horizontal ones."""

    def forward(self, images):
        rows = images.float().amax(3).flatten(1).argmax(1)
        return torch.nn.functional.one_hot(rows, images.shape[2]).float()


def every(images, n_shifts):
    """Each image under all shifts, in their order."""
    return np.tile(np.arange(n_shifts), (len(images), 1))


def test_each_image_is_predicted_under_its_own_shifts():
    images = torch.zeros(2, 1, 5, 5, dtype=torch.uint8)
    images[:, 0, 2, 2] = 255
    shifts = shifts_within((1, 0))  # up, not at all, down
    predicted = predictions_under_shifts(RowOfTheBrightest(), images, shifts, np.array([[2, 0], [1, 2]]), None)
    assert predicted.tolist() == [[3, 1], [2, 3]]


def test_an_image_is_shifted_first_and_its_pixels_rearranged_after():
    image = torch.zeros(1, 1, 2, 3, dtype=torch.uint8)
    image[0, 0, 0, 1] = 255
    order = np.array([3, 4, 5, 0, 1, 2])  # the rows change places
    predicted = predictions_under_shifts(RowOfTheBrightest(), image, [(0, 0), (1, 0)], every(image, 2), order)
    assert predicted.tolist() == [[1, 0]]


def test_a_model_of_the_row_follows_vertical_shifts_alone():
    images = torch.zeros(3, 1, 5, 5, dtype=torch.uint8)
    for i, (y, x) in enumerate(((1, 1), (2, 2), (3, 3))):
        images[i, 0, y, x] = 255
    shifts = shifts_within((1, 1))
    predicted = predictions_under_shifts(RowOfTheBrightest(), images, shifts, every(images, 9), None)
    assert predicted[:, shifts.index((-1, 1))].tolist() == [0, 1, 2]
    # Nine shifts in three rows of three: of 72 ordered pairs, those with equal dy agree: 3 · 3 · 2.
    assert agreement(predicted) == pytest.approx(18 / 72)


def test_global_pool_with_circular_padding_is_consistent_under_shifts_of_its_total_stride():
    images, shifts = noise_images(30, 1, 16, 16), [(dy, dx) for dy in (-4, 0, 4) for dx in (0, 8)]
    invariant = untrained_net((1, 16, 16), padding="circular", head="global_average", classes=10)
    for model, consistent in ((invariant, True), (untrained_net((1, 16, 16), classes=10), False)):
        predicted = predictions_under_shifts(model, images, shifts, every(images, 6), None)
        assert (agreement(predicted) == 1).all() == consistent


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    write_prepared(folder)
    return folder


def variant(key="cnn", **sample):
    run = SETTINGS.variants[key].run
    return run.model_copy(update={"sample": run.sample.model_copy(update=sample)})


def net_of(run, seed=4):
    shape = shape_of(run.sample, {"shape": [1, 8, 8]})
    return build(run.architecture, shape, 3, [0.15], [0.2], torch.Generator().manual_seed(seed)).eval()


def probe(prepared, out, run, seed=4, spoil=lambda model: None, pictures=True):
    """The contents of probe.json, shifts.csv and the files of arrays, for a net that was never trained."""
    model, weights = net_of(run, seed), out.with_suffix(".safetensors")
    spoil(model)
    save_weights(model, weights)
    out.mkdir()
    spec = ProbeSpec(
        seed=seed, weights="", sample=run.sample, architecture=run.architecture, probe=SMALL_PROBE, shifted_images=40,
        pictures=pictures, instruction_set="native",
    )  # fmt: skip
    probe_run(spec, weights, prepared, out)
    arrays = [load_file(file) for file in sorted(out.glob("*.safetensors"))]  # by_image, pictures
    return paths.read_json(out / "probe.json"), pd.read_csv(out / "shifts.csv"), *arrays


def seen_test_images(prepared, sample):
    """The test images as the net sees them."""
    arrays = load_file(prepared / "test.safetensors")
    images = scattered(arrays["images"], np.arange(47), "test", sample, load_constants(prepared))
    if sample.layout in ("permuted", "patches_2"):
        images = rearranged(images, permutation(sample.layout, 6, 6, (1, 1), 0))
    return Split(torch.from_numpy(images), torch.from_numpy(arrays["labels"]))


@pytest.mark.parametrize("layout", ["original", "permuted", "patches_2", "scattered_2"])
def test_every_number_is_that_of_its_probe_on_the_images_as_the_net_sees_them(layout, prepared, tmp_path):
    run = variant(layout=layout)
    result, shifts, by_image, pictures = probe(prepared, tmp_path / "out", run)
    test, model = seen_test_images(prepared, run.sample), net_of(run)
    few = test.images[:12]
    shuffled_maps = last_map(model, without_position(few, stream("probe", 4)))
    expected = {
        "nll": evaluate(model, test)[0],
        "effective_field": effective_size(effective_receptive_field(model, few), SMALL_PROBE.field_share),
        "equivariance_error_first": first_layer_error(model, few),
        "position_r2": read_out_of_position(last_map(model, few), 3, 1.0, 0.01).r2,
        "position_r2_shuffled": read_out_of_position(shuffled_maps, 3, 1.0, 0.01).r2,
        "position_channels_shuffled": read_out_of_position(shuffled_maps, 3, 1.0, 0.01).channels,
        "map_channels": 32,
        "position_share": position_share(shuffled_maps),
    }
    assert {name: result[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert result["equivariance_error_last"] is None
    reason = result["reasons"]["equivariance_error_last"]
    assert reason.startswith("every position of the map sees the border"), "of 8×8 pixels"
    right = (model(test.images).argmax(1) == test.labels).numpy()
    assert result["class_accuracy"] == pytest.approx([right[test.labels == label].mean() for label in range(3)])

    assert result["seed"] == 4
    assert len(shifts) == 9
    shown = design(40, 9, SMALL_PROBE.shifts_of_image, stream("shifts", 4))
    unshifted = (shown == shifts_within((1, 1)).index((0, 0))).any(1)
    at_rest = shifts.query("dy == 0 and dx == 0").accuracy.item()
    assert at_rest == pytest.approx(right[:40][unshifted].mean(), abs=1e-6)
    by_name = {"shift_consistency": "consistency", "shift_consistency_beyond_chance": "consistency_beyond_chance"}
    for name, array in ({"shifted_accuracy": "shifted"} | by_name).items():
        assert by_image[array].shape == (40,)
        assert result[name] == pytest.approx(by_image[array].mean(), abs=1e-6)
    assert result["shifted_accuracy"] == pytest.approx(
        np.average(shifts.accuracy, weights=np.bincount(shown.ravel())), abs=1e-6
    )
    if layout == "original":
        predicted = predictions_under_shifts(model, test.images[:40], shifts_within((1, 1)), shown, None)
        pairs = [predicted[:, i] == predicted[:, j] for i in range(4) for j in range(4) if i != j]
        assert by_image["consistency"] == pytest.approx(np.mean(pairs, 0), abs=1e-6)
    # What is drawn is what the net saw: the first image of each class, in its layout.
    assert np.array_equal(pictures["drawn_images"], test.images[:2].numpy())
    assert pictures["drawn_labels"].tolist() == [0, 1]
    assert np.array_equal(pictures["filters"], model.features[0].weight.detach().numpy()[:3])
    assert all(array.dtype in (np.float32, np.uint8, np.int64) for array in (*by_image.values(), *pictures.values()))


def test_a_net_without_a_map_has_nulls_with_a_reason_and_pictures_of_its_units(prepared, tmp_path):
    result, _, _, pictures = probe(prepared, tmp_path / "out", variant("fully_connected"))
    without = {name for name, value in result.items() if value is None}
    assert without == {name for name in result if name.startswith(("equivariance_error", "position", "map_channels"))}
    assert result["reasons"] == dict.fromkeys(without, "a fully connected net has no feature map")
    assert pictures["filters"].shape == (3, 1, 8, 8)


def test_without_a_margin_there_is_no_consistency_and_without_drawing_there_are_no_pictures(tmp_path):
    write_prepared(tmp_path / "prepared")
    constants = tmp_path / "prepared" / "constants.json"
    paths.write_json(constants, paths.read_json(constants) | {"margin": [0, 0]})
    result, shifts, by_image = probe(tmp_path / "prepared", tmp_path / "out", variant(), pictures=False)
    for name in ("shift_consistency", "shift_consistency_beyond_chance"):
        assert result[name] is None
        assert result["reasons"][name] == "no image can be shifted: the margin is zero"
    assert len(shifts) == 1
    assert by_image.keys() == {"shifted"}
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"probe.json", "shifts.csv", "by_image.safetensors"}


@pytest.mark.parametrize(
    ("key", "value"), [("cnn", np.nan), ("cnn", np.inf), ("locally_connected", np.nan), ("fully_connected", np.inf)]
)
def test_a_net_whose_logits_are_not_finite_has_no_scalar_and_says_so(key, value, prepared, tmp_path):
    def spoil(model):
        for parameter in model.parameters():
            torch.nn.init.constant_(parameter, value)

    result, shifts, _, pictures = probe(prepared, tmp_path / "out", variant(key), spoil=spoil)
    without = {name for name, number in result.items() if number is None}
    assert without == set(result["reasons"]) >= {"ece", "nll", "effective_field"}
    assert result["reasons"].pop("shift_consistency_beyond_chance") == "all predictions are of one class"
    assert set(result["reasons"].values()) == {"the net has diverged: not all of its logits are finite"}
    assert np.isfinite(shifts.accuracy).all()
    assert np.isnan(pictures["reliability"]).all()


def test_the_files_repeat_to_the_byte_and_are_another_seeds_no_more(prepared, tmp_path):
    for name, seed in (("first", 4), ("second", 4), ("other", 2)):
        probe(prepared, tmp_path / name, variant(), seed=seed)
    for name in ("probe.json", "shifts.csv", "by_image.safetensors", "pictures.safetensors"):
        first, second, other = ((tmp_path / run / name).read_bytes() for run in ("first", "second", "other"))
        assert first == second != other

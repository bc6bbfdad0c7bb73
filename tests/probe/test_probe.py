"""Probes on models whose answer is known without training."""

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file
from small_data import write_prepared

from stages.probe.effective_receptive_field import effective_receptive_field, effective_size
from stages.probe.equivariance import first_layer_error
from stages.probe.layers import last_map
from stages.probe.position_leak import position_r2, position_share, without_position
from stages.probe.seed import probe_seed
from stages.probe.shift import predictions_under_shifts, shift_consistency, shifted, shifts_within
from stages.probe.variant import gather
from stages.shared import params, paths
from stages.shared.architectures.build import build, save_weights
from stages.shared.random_streams import stream
from stages.train.data import load_splits
from stages.train.evaluate import evaluate

SETTINGS = params.load()
SMALL = {
    "calibration_images": "all", "bins": 5, "images": 12, "field_share": 0.5, "folds": 3, "ridge_penalty": 1.0,
    "drawn_images": 2, "drawn_channels": 3, "drawn_places": 2,
}  # fmt: skip
PROBE = SETTINGS.probe.model_copy(update=SMALL)


def test_shift_consistency_by_hand():
    # Three shifts, two images. Image 0: classes 4, 4, 1: one of three pairs agrees. Image 1: all three do.
    assert shift_consistency(np.array([[4, 2], [4, 2], [1, 2]])) == pytest.approx((1 / 3 + 1) / 2)


def test_shift_consistency_equals_the_mean_over_all_pairs():
    predicted = np.random.default_rng(0).integers(0, 3, (6, 40))
    pairs = [(predicted[i] == predicted[j]).mean() for i in range(6) for j in range(6) if i != j]
    assert shift_consistency(predicted) == pytest.approx(np.mean(pairs))


def test_shift_consistency_needs_two_shifts():
    with pytest.raises(ValueError, match="at least two shifts"):
        shift_consistency(np.zeros((1, 5), dtype=int))


def test_shifts_stay_within_the_margin_and_a_signal_has_one_axis():
    assert shifts_within((0, 2)) == [(0, -2), (0, -1), (0, 0), (0, 1), (0, 2)]
    assert len(shifts_within((2, 2))) == 25


def test_a_shift_moves_down_and_right_and_crops_nothing_that_has_a_margin():
    image = torch.zeros(1, 1, 5, 5, dtype=torch.uint8)
    image[0, 0, 1:4, 1:4] = torch.arange(1, 10, dtype=torch.uint8).view(3, 3)
    moved = shifted(image, 1, -1)
    assert torch.equal(moved[0, 0, 2:5, 0:3], image[0, 0, 1:4, 1:4])
    assert moved.sum() == image.sum()


def test_an_image_is_shifted_first_and_its_pixels_rearranged_after():
    image = torch.zeros(1, 1, 2, 3, dtype=torch.uint8)
    image[0, 0, 0, 1] = 255
    order = np.array([3, 4, 5, 0, 1, 2])  # the rows change places
    predicted = predictions_under_shifts(BrightestQuarter(), image, [(0, 0), (1, 0)], order)
    assert predicted.tolist() == [[1], [0]]


class BrightestQuarter(torch.nn.Module):
    """Class = the row of the brightest pixel: follows every vertical shift, ignores horizontal ones."""

    def forward(self, images):
        rows = images.float().amax(3).flatten(1).argmax(1)
        return torch.nn.functional.one_hot(rows, images.shape[2]).float()


def test_a_model_of_the_row_follows_vertical_shifts_alone():
    images = torch.zeros(3, 1, 5, 5, dtype=torch.uint8)
    for i, (y, x) in enumerate(((1, 1), (2, 2), (3, 3))):
        images[i, 0, y, x] = 255
    shifts = shifts_within((1, 1))
    predicted = predictions_under_shifts(BrightestQuarter(), images, shifts, None)
    assert predicted[shifts.index((-1, 1))].tolist() == [0, 1, 2]
    # Nine shifts in three rows of three: of 72 ordered pairs, those with equal dy agree: 3 · 3 · 2.
    assert shift_consistency(predicted) == pytest.approx(18 / 72)


def test_global_pool_with_circular_padding_is_consistent_under_shifts_of_its_total_stride():
    spec = SETTINGS.architecture.model_copy(update={"padding": "circular", "head": "global_average"})
    model = build(spec, (1, 16, 16), 10, [0.3], [0.3], torch.Generator().manual_seed(0)).eval()
    images = torch.randint(0, 256, (30, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    shifts = [(dy, dx) for dy in (-4, 0, 4) for dx in (0, 8)]
    assert shift_consistency(predictions_under_shifts(model, images, shifts, None)) == 1.0
    flat = build(SETTINGS.architecture, (1, 16, 16), 10, [0.3], [0.3], torch.Generator().manual_seed(0)).eval()
    assert shift_consistency(predictions_under_shifts(flat, images, shifts, None)) < 1.0


def probe(tmp_path, run, seeds=(4,), spoil=None, margin=None):
    """probe.json, shift.csv, and the two files of arrays, of a variant whose nets were never trained."""
    prepared = tmp_path / "prepared"
    write_prepared(prepared)
    if margin is not None:
        paths.write_json(prepared / "constants.json", paths.read_json(prepared / "constants.json") | {"margin": margin})
    for name in ("weights", "scratch", "out"):
        (tmp_path / name).mkdir()
    for seed in seeds:
        model = untrained(run, seed)
        if spoil:
            spoil(model)
        save_weights(model, tmp_path / "weights" / f"seed_{seed}.safetensors")
    paths.write_json(tmp_path / "weights" / "metrics.json", {"runs": [{"seed": seed} for seed in seeds]})
    plan = params.ProbePlan(sample=run.sample, architecture=run.architecture, probe=PROBE, images=40, seeds=seeds)
    for seed in seeds:
        (tmp_path / "scratch" / f"seed_{seed}").mkdir()
        probe_seed(plan, seed, prepared, tmp_path / "weights", tmp_path / "scratch" / f"seed_{seed}")
    gather("cnn", seeds, tmp_path / "scratch", tmp_path / "out")
    out = tmp_path / "out"
    assert {file.name for file in out.iterdir()} == {
        "probe.json",
        "shift.csv",
        "consistency.safetensors",
        "pictures.safetensors",
    }
    return (
        paths.read_json(out / "probe.json"),
        pd.read_csv(out / "shift.csv"),
        load_file(out / "consistency.safetensors"),
        load_file(out / "pictures.safetensors"),
    )


def untrained(run, seed):
    return build(run.architecture, (1, 8, 8), 3, [0.15], [0.2], torch.Generator().manual_seed(seed)).eval()


def variant(key="cnn", **sample):
    run = SETTINGS.variants[key].run
    return run.model_copy(update={"sample": run.sample.model_copy(update=sample)})


@pytest.mark.parametrize("layout", ["original", "permuted", "patches_2"])
def test_the_unshifted_accuracy_is_the_models_own_whatever_the_layout(layout, tmp_path):
    run = variant(layout=layout)
    record, shift, by_image, pictures = probe(tmp_path, run)
    test = load_splits(tmp_path / "prepared", run.sample, seed=4)["test"]  # as the net was given it when it was trained
    own = untrained(run, 4)(test.images[:40]).argmax(1)
    assert len(shift) == 9
    assert shift.query("dy == 0 and dx == 0").accuracy.item() == pytest.approx(
        (own == test.labels[:40]).float().mean().item(), abs=1e-6
    )
    (result,) = record["runs"]
    assert result["seed"] == 4
    assert result["shifted_accuracy"] == pytest.approx(shift.accuracy.mean(), abs=1e-6)
    assert result["shifted_accuracy"] == pytest.approx(by_image["shifted"].mean(), abs=1e-6)
    assert result["shift_consistency"] == pytest.approx(by_image["consistency"].mean(), abs=1e-6)
    # What is drawn is what the net saw: the first image of each class, in its layout.
    assert np.array_equal(pictures["drawn_images"], test.images[:2].numpy())
    assert pictures["drawn_labels"].tolist() == [0, 1]


@pytest.mark.parametrize("layout", ["original", "permuted"])
def test_every_scalar_is_the_probes_own_on_the_images_as_the_net_sees_them(layout, tmp_path):
    run = variant(layout=layout)
    record, *_ = probe(tmp_path, run, seeds=(4, 2))
    test = load_splits(tmp_path / "prepared", run.sample, seed=4)["test"]
    assert [result["seed"] for result in record["runs"]] == [4, 2]
    for result in record["runs"]:
        model = untrained(run, result["seed"])
        few = test.images[:12]
        expected = {
            "nll": evaluate(model, test)[0],
            "effective_field": effective_size(effective_receptive_field(model, few), PROBE.field_share),
            "equivariance_error_first": first_layer_error(model, few),
            "equivariance_error_last": None,
            "position_r2": position_r2(last_map(model, few), 3, 1.0),
            "position_r2_shuffled": position_r2(
                last_map(model, without_position(few, stream("probe", result["seed"]))), 3, 1.0
            ),
            "position_share": position_share(last_map(model, without_position(few, stream("probe", result["seed"])))),
        }
        for name, value in expected.items():
            assert result[name] == (None if value is None else pytest.approx(value, rel=1e-5)), name
        right = (model(test.images).argmax(1) == test.labels).numpy()
        by_class = [right[test.labels == label].mean() for label in range(3)]
        assert result["class_accuracy"] == pytest.approx(by_class)
    assert record["reasons"]["equivariance_error_last"].startswith(
        "every position of the map sees the border"
    )  # of 8×8 pixels


def test_consistency_of_an_image_is_the_share_of_its_pairs_that_agree(tmp_path):
    run = variant()
    _, _, by_image, _ = probe(tmp_path, run, seeds=(4, 2))
    images = load_splits(tmp_path / "prepared", run.sample, seed=4)["test"].images[:40]
    assert by_image["consistency"].shape == by_image["shifted"].shape == (2, 40)
    assert by_image["consistency"].dtype == np.float32
    for row, seed in zip(by_image["consistency"], (4, 2), strict=True):
        predicted = predictions_under_shifts(untrained(run, seed), images, shifts_within((1, 1)), None)
        pairs = [predicted[i] == predicted[j] for i in range(9) for j in range(9) if i != j]
        assert row == pytest.approx(np.mean(pairs, 0), abs=1e-6)


def test_a_net_without_a_map_has_nulls_with_a_reason_and_pictures_of_its_units(tmp_path):
    record, _, _, pictures = probe(tmp_path, variant("fully_connected"))
    (result,) = record["runs"]
    without = {name for name, value in result.items() if value is None}
    assert without == {
        "equivariance_error_first",
        "equivariance_error_last",
        "position_r2",
        "position_r2_shuffled",
        "position_share",
    }
    assert record["reasons"] == dict.fromkeys(without, "a fully connected net has no feature map")
    assert pictures["filters"].shape == (3, 1, 8, 8)


def test_without_a_margin_there_is_no_consistency(tmp_path):
    record, shift, by_image, _ = probe(tmp_path, variant(), margin=[0, 0])
    assert record["runs"][0]["shift_consistency"] is None
    assert len(shift) == 1
    assert by_image.keys() == {"shifted"}


@pytest.mark.parametrize("key", ["cnn", "locally_connected", "fully_connected"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_net_that_diverged_has_no_scalar_and_says_so(key, value, tmp_path):
    def spoil(model):
        for parameter in model.parameters():
            torch.nn.init.constant_(parameter, value)

    record, shift, _, pictures = probe(tmp_path, variant(key), spoil=spoil)
    (result,) = record["runs"]
    assert (
        {name for name, number in result.items() if number is None}
        == set(record["reasons"])
        >= {"ece", "nll", "effective_field"}
    )
    assert set(record["reasons"].values()) == {"the net has diverged: not all of its logits are finite"}
    assert np.isfinite(shift.accuracy).all()
    assert np.isnan(pictures["reliability"]).all()


def test_the_pictures_are_those_of_the_first_seed_and_repeat_to_the_byte(tmp_path):
    first, second, other = (tmp_path / name for name in ("first", "second", "other"))
    for folder in (first, second, other):
        folder.mkdir()
    _, _, _, pictures = probe(first, variant(), seeds=(4, 2))
    probe(second, variant(), seeds=(4, 2))
    probe(other, variant(), seeds=(2, 4))
    for name in ("probe.json", "shift.csv", "consistency.safetensors", "pictures.safetensors"):
        assert (first / "out" / name).read_bytes() == (second / "out" / name).read_bytes()
        assert (first / "out" / name).read_bytes() != (other / "out" / name).read_bytes()
    weight = untrained(variant(), 4).features[0].weight.detach().numpy()
    assert np.array_equal(pictures["filters"], weight[:3])
    assert all(array.dtype in (np.float32, np.uint8, np.int64) for array in pictures.values())

"""Probes on models whose answer is known without training."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file
from small_data import write_prepared

from stages import params
from stages.architectures.build import build, save_weights
from stages.probe.shift import permuted, predictions_under_shifts, shift_consistency, shifted, shifts_within
from stages.probe.variant import probe_variant
from stages.train.data import load_splits

SETTINGS = params.load()


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


def test_permuting_takes_pixel_i_from_where_the_permutation_points():
    image = torch.tensor([10, 20, 30, 40]).view(1, 1, 2, 2)
    assert permuted(image, torch.tensor([2, 0, 3, 1])).flatten().tolist() == [30, 10, 40, 20]


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


@pytest.mark.parametrize("layout", ["original", "permuted", "patches_2"])
def test_probe_of_a_variant_writes_its_files_and_the_unshifted_accuracy_is_the_models_own(layout, tmp_path):
    prepared = tmp_path / "prepared"
    write_prepared(prepared)
    sample = SETTINGS.sample.model_copy(update={"layout": layout})
    run = SETTINGS.variants["cnn"].run.model_copy(update={"sample": sample})
    for name in ("weights", "scratch", "out"):
        (tmp_path / name).mkdir()
    model = build(run.architecture, (1, 8, 8), 3, [0.15], [0.2], torch.Generator().manual_seed(0)).eval()
    save_weights(model, tmp_path / "weights" / "seed_4.safetensors")
    probe_variant("cnn", run, (4,), 40, prepared, tmp_path / "weights", tmp_path / "scratch", tmp_path / "out")
    shift = pd.read_csv(tmp_path / "out" / "shift.csv")
    test = load_splits(prepared, sample, seed=4)["test"]  # as the net was given it when it was trained
    own = model(test.images[:40]).argmax(1)
    assert len(shift) == 9
    assert shift.query("dy == 0 and dx == 0").accuracy.item() == pytest.approx((own == test.labels[:40]).float().mean().item(), abs=1e-6)
    (result,) = json.loads((tmp_path / "out" / "probe.json").read_text())["runs"]
    assert result["seed"] == 4
    assert result["shifted_accuracy"] == pytest.approx(shift.accuracy.mean(), abs=1e-6)
    assert load_file(tmp_path / "out" / "filters.safetensors")["filters"].shape == (16, 1, 3, 3)

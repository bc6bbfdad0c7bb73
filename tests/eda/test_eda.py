"""The EDA: statistics on images that can be worked out by hand, sentences for each outcome, and the notebook."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
import small_data
from ruamel.yaml import YAML
from safetensors.numpy import save_file
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA

from stages.eda import (
    classes,
    dataset,
    dimension,
    distances,
    duplicates,
    locality,
    nearest_neighbour,
    notebook,
    position,
    shifts,
    spectrum,
    statistics,
)
from stages.eda.outputs import Finding, Outputs, Table, decimal, joined
from stages.eda.statistics import eta_squared
from stages.prepare.write import on_canvas
from stages.shared import params, paths
from stages.shared.drawing.numbers import NBSP
from stages.shared.pixel_order import rearranged
from stages.shared.stage_command import StageError

REPOSITORY = Path(__file__).parents[2]
SOURCE = REPOSITORY / "stages" / "eda" / "eda.ipynb"
SETTINGS = {
    "images": 60, "max_distance": 3, "samples_per_class": 2, "object_threshold": 0.2, "rare_share": 0.01,
    "variance_shares": [0.9, 0.95],
    "twonn_discard": 0.1, "near_duplicate": 0.5, "seed": 0, "confidence": 0.95,
}  # fmt: skip


def stack(*pictures):
    """Pictures of one channel as uint8 (N, 1, H, W)."""
    return np.array(pictures, dtype=np.uint8)[:, None]


def data_of(train, labels, test, test_labels):
    """A dataset of two classes, for what needs train and test images alone."""
    return dataset.Dataset(
        "Two", ["a", "b"], ["a", "b"], (0, 0), {}, train, labels, train, test, test_labels, len(test)
    )


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# --- classes and pixels


def test_counts_pixels_and_means_of_a_class_by_hand():
    counts = classes.counts({"train": np.array([0, 0, 2]), "test": np.array([1])}, 3)
    assert counts.to_dict("list") == {"train": [2, 0, 1], "test": [0, 1, 0]}
    images = stack([[0, 255]], [[255, 255]], [[51, 51]])
    table = classes.pixel_statistics(images, np.array([0, 0, 2]), 3)
    # Class 0: pixels 0, 1, 1, 1 and images of brightness 1/2 and 1; class 1 has no image; class 2 is 0.2 throughout.
    expected = [[0.75, np.sqrt(3) / 4, 0.75, 0.25], [np.nan] * 4, [0.2, 0, 0.2, 0]]
    np.testing.assert_allclose(table.to_numpy(), expected, atol=1e-15)
    means = classes.mean_images(images, np.array([0, 0, 2]), 3)
    assert means[0].tolist() == [[[0.5, 1.0]]]
    assert means[1] is None
    shares = classes.histogram(images)
    assert [shares[0], shares[51], shares[255], shares.sum()] == pytest.approx([1 / 6, 1 / 3, 1 / 2, 1])


def test_samples_are_of_their_class_and_a_small_class_gives_what_it_has():
    labels = np.array([0, 1, 0, 0, 1])
    rows = classes.sample_rows(labels, 3, 2, np.random.default_rng(0))
    assert [len(rows_of_class) for rows_of_class in rows] == [2, 2, 0]
    assert set(rows[0]) < {0, 2, 3}
    assert set(rows[1]) == {1, 4}


# --- how much the class explains


def test_eta_squared_by_hand():
    # Means 2 and 6 around 4: between 2·4 + 2·4 = 16, within 4·1 = 4; F = 16 / (4/2) = 8 on 1 and 2 degrees of freedom.
    result = eta_squared(np.array([1.0, 3, 5, 7, np.nan]), np.array([0, 0, 1, 1, 1]))
    p = stats.f_oneway([1, 3], [5, 7]).pvalue
    assert (result.share, result.by_chance, result.p) == pytest.approx((0.8, 1 / 3, p))
    result = eta_squared(np.array([1.0, 1, 2, 2]), np.array([0, 0, 1, 1]))
    assert (result.share, result.p) == (1, 0), "the class says all"


UNEXPLAINED = {
    "constant": ([5.0, 5, 5, 5], [0, 0, 1, 1]),
    "constant but for rounding": ([0.1 + 0.2, 0.3, 0.3, 0.3], [0, 0, 1, 1]),
    "one class": ([1.0, 2, 3], [0, 0, 0]),
    "an image a class": ([1.0, 2], [0, 1]),
}


@pytest.mark.parametrize(("values", "labels"), UNEXPLAINED.values(), ids=UNEXPLAINED)
def test_eta_squared_is_unknown_where_nothing_can_be_explained(values, labels):
    result = eta_squared(np.array(values), np.array(labels))
    assert np.isnan([result.share, result.by_chance, result.p]).all()


# --- locality


def test_horizontal_stripes_correlate_fully_across_and_not_down():
    # Two rows of three pixels, each row of one value; over the four images the two rows vary independently.
    stripes = stack(*([[row_1] * 3, [row_2] * 3] for row_1 in (0, 200) for row_2 in (0, 200)))
    result = locality.measure(stripes, stripes, 9, 0.95)
    assert result.curve("original", "across").to_dict() == pytest.approx({1: 1, 2: 1})
    assert result.curve("original", "down").to_dict() == pytest.approx({1: 0})
    assert result.falls_below_half("across") is None
    assert result.falls_below_half("down") == 1
    assert locality.finding(result, 9, 0.95).facts["reach_sentence"] == (
        "The correlation of the original's pixels falls below one half nowhere within 2 pixels across and at a "
        "distance of 1 pixel down: the scale on which a kernel's size can matter."
    )


def test_where_no_correlation_falls_the_scale_is_said_to_be_larger():
    even = stack(*([[value] * 3] * 2 for value in (0, 100, 200)))
    sentence = locality.finding(locality.measure(even, even, 9, 0.95), 9, 0.95).facts["reach_sentence"]
    assert sentence == (
        "The correlation of the original's pixels does not fall below one half within 2 pixels across and 1 pixel "
        "down: the scale on which a kernel's size can matter is larger."
    )


def test_correlation_is_that_of_pandas_over_the_pairs_that_vary():
    images = noise(50, 2, 4, 5)
    images[:, 0, 1, 2] = 77  # a constant pixel
    images[:, 1, 3, 4] = 255 - images[:, 1, 3, 2]
    result = locality.measure(images, images, 3, 0.95)
    matrix = pd.DataFrame(images.reshape(50, -1)).corr().to_numpy().reshape(2, 4, 5, 2, 4, 5)
    assert matrix[1, 3, 4, 1, 3, 2] == pytest.approx(-1)
    for direction, (dy, dx) in {"across": (0, 2), "down": (2, 0)}.items():
        pairs = [matrix[c, y, x, c, y + dy, x + dx] for c in range(2) for y in range(4 - dy) for x in range(5 - dx)]
        assert result.at("original", direction, 2) == pytest.approx(np.nanmean(pairs), abs=1e-12)


def test_a_permutation_takes_smoothness_away_and_leaves_noise_as_it_was():
    rng = np.random.default_rng(0)
    down, across = np.sin(np.arange(12) / 3 + rng.uniform(0, 6, (2, 200, 1)))
    smooth = stack(*(128 + 100 * down[:, :, None] * across[:, None, :]))
    order = rng.permutation(144)
    assert locality.measure(smooth, rearranged(smooth, order), 3, 0.95).verdict == statistics.ABOVE
    assert locality.measure(rearranged(smooth, order), smooth, 3, 0.95).verdict == statistics.BELOW
    random = noise(200, 1, 12, 12)
    assert locality.measure(random, rearranged(random, order), 3, 0.95).verdict == statistics.ALIKE


def test_a_signal_has_no_correlation_down_and_two_images_no_verdict():
    result = locality.measure(noise(20, 1, 1, 9), noise(20, 1, 1, 9), 3, 0.95)
    assert result.curve("original", "down").empty
    assert np.isnan(result.at("original", "down", 1))
    assert len(result.curve("original", "across")) == 3
    assert locality.measure(noise(2, 1, 3, 3), noise(2, 1, 3, 3), 1, 0.95).verdict == statistics.UNKNOWN


# --- position


def places(images, threshold=0.1):
    """Where the objects of images on black are."""
    return position.measure(position.contrast(images, np.zeros(images.shape[1])), threshold)


def test_the_centroid_weighs_by_ink_and_the_box_holds_what_exceeds_the_threshold():
    images = np.zeros((3, 1, 5, 7), dtype=np.uint8)
    images[0, 0, 1, 5] = 200
    images[1, 0, 2, [0, 6]] = 60, 20  # the threshold is 25.5 of 255
    result = places(images)
    # The centre of five rows is row 2, of seven columns column 3.
    expected = pd.DataFrame(
        {
            "centroid_x": [2, (60 * -3 + 20 * 3) / 80], "centroid_y": [-1.0, 0], "box_x": [2.0, -3], "box_y": [-1.0, 0],
            "box_width": [1.0, 1], "box_height": [1.0, 1], "touches_border": [0.0, 1],
        }
    )  # fmt: skip
    pd.testing.assert_frame_equal(result[:2], expected)
    assert result.iloc[2].isna().all(), "a blank image has no place"
    assert result["touches_border"].mean() == 0.5, "and does not count"
    at_threshold = places(stack([[51, 52, 51]]), 0.2)  # 51 of 255
    assert at_threshold["box_width"].iloc[0] == 1, "the object has more than the threshold"


def boxes(x, y):
    return pd.DataFrame({"box_x": x, "box_y": y}, dtype=float)


def test_a_shift_is_in_the_data_where_boxes_lie_as_far_from_the_median_one():
    # The median across is 0.5. Right of it by 1 or more: 1.5, 3 (2 of 8); by 2 or more: 3. Left: −1.5, by 2.
    x = [-1.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1.5, 3]
    shares = shifts.measure(boxes(x, [0.0] * 8), (1, 2))
    assert shares["right"].tolist() == [2 / 8, 1 / 8]
    assert shares["left"].tolist() == [1 / 8, 1 / 8]
    assert shares["down"].tolist() == pytest.approx([0, np.nan], nan_ok=True), "a margin of one row"
    outside = {0.1: [None, None, 1, 1], 0.2: [1, 2, 1, 1], 0.3: [1, 1, 1, 1]}
    for rare, least in outside.items():
        assert list(shifts.first_outside(shares, rare).values()) == least
    assert shifts.table(shares).shown.iloc[0].tolist() == ["1", "12.50", "25.00", "0.00", "0.00"]


def test_the_sentence_names_the_shifts_that_the_data_do_not_show():
    def sentence(margin, rare, y):
        measures = boxes([-1.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1.5, 3], y)
        return (
            shifts.finding(shifts.measure(measures, margin), measures, rare).facts["shifts_sentence"].replace(NBSP, " ")
        )

    text = sentence((2, 2), 0.2, [0.0, 0, 0, 0, 0, 1, 1, 2])
    assert "has an SD of 1.17 pixels across and 0.71 pixels down" in text
    assert text.endswith(
        "fewer than 20.0 % of the images have a box as far from the median one: of the probed shifts of up to 2 "
        "pixels, those of 1 pixel or more left, of 2 pixels right, of 1 pixel or more up and of 2 pixels down do."
    )
    assert sentence((0, 2), 0.1, [0.0] * 8).endswith("none of the probed shifts of up to 2 pixels does.")
    assert sentence((0, 0), 0.1, [0.0] * 8).endswith(
        "No shift is probed, so that there is none to compare with the data."
    )
    nowhere = boxes([np.nan] * 2, [np.nan] * 2)
    assert (
        "No image has a bounding box. No shift"
        in shifts.finding(shifts.measure(nowhere, (1, 1)), nowhere, 0.1).facts["shifts_sentence"]
    )


def test_black_on_white_is_measured_like_white_on_black():
    images = noise(30, 3, 6, 6)
    images[:, :, [0, -1]] = images[:, :, :, [0, -1]] = 0
    white = position.background(255 - images)
    assert white.tolist() == [255, 255, 255]
    assert position.background(images).tolist() == [0, 0, 0]
    pd.testing.assert_frame_equal(places(images), position.measure(position.contrast(255 - images, white), 0.1))


def test_the_border_of_a_signal_is_its_two_ends():
    assert position.border(1, 5).tolist() == [[True, False, False, False, True]]
    assert position.border(4, 1)[:, 0].tolist() == [True, False, False, True]
    assert position.border(3, 3).sum() == 8
    assert position.border(1, 1).all()


# --- spectrum


def test_white_noise_has_a_flat_spectrum_and_a_power_law_gives_its_exponent():
    flat = spectrum.slope(spectrum.radial(spectrum.power(noise(2000, 1, 16, 16))), 0.95)
    assert flat.value == pytest.approx(0, abs=0.03)
    assert flat.low < 0 < flat.high
    frequencies = np.arange(1, 15) / 28
    law = spectrum.slope(pd.DataFrame({"frequency": frequencies, "power": 3 * frequencies**-2.5}), 0.95)
    assert (law.value, law.low, law.high) == pytest.approx((-2.5, -2.5, -2.5))


def test_power_sums_to_the_variance_within_an_image():
    images = noise(7, 2, 5, 6)
    assert spectrum.power(images).sum() == pytest.approx((images / 255).var(axis=(2, 3)).mean())


def test_a_wave_has_its_power_in_its_ring_and_survives_halving_only_if_it_is_coarse():
    for cycles, survives in ((2, 1), (6, 0)):  # of 16 pixels; half the resolution holds fewer than 4
        wave = stack(np.round(127 + 120 * np.cos(2 * np.pi * cycles * np.arange(16) / 16)) * np.ones((16, 1)))
        for images in (wave, wave.transpose(0, 1, 3, 2)):
            power = spectrum.power(images)
            assert spectrum.radial(power)["power"].idxmax() == cycles - 1
            assert spectrum.coarse_share(power) == pytest.approx(survives, abs=1e-3)


def test_a_signal_has_a_spectrum_along_its_length_and_a_flat_image_none():
    frequencies = spectrum.radial(spectrum.power(noise(9, 1, 1, 12)))["frequency"]
    assert frequencies.tolist() == pytest.approx(np.arange(1, 7) / 12)
    power = spectrum.power(np.full((3, 1, 4, 4), 9, dtype=np.uint8))
    assert np.isnan([spectrum.slope(spectrum.radial(power), 0.95).value, spectrum.coarse_share(power)]).all()


# --- dimension


@pytest.mark.parametrize("shape", [(60, 1, 3, 4), (12, 2, 5, 5)], ids=["more images", "more pixels"])
def test_explained_variance_is_that_of_scikit_learn(shape):
    images = noise(*shape)
    result = dimension.explained_variance(images)
    expected = PCA().fit(images.reshape(len(images), -1)).explained_variance_ratio_
    np.testing.assert_allclose(result, expected[: len(result)], atol=1e-12)


def test_components_for_a_share_by_hand():
    shares = np.array([0.5, 0.3, 0.2])
    assert [dimension.components_for(shares, share) for share in (0.4, 0.5, 0.51, 0.8, 0.95)] == [1, 1, 2, 2, 3]
    assert dimension.components_for(dimension.explained_variance(np.full((4, 1, 2, 2), 3, dtype=np.uint8)), 0.9) == 0


@pytest.mark.parametrize("true", [1, 2, 5])
def test_twonn_recovers_the_dimension_of_a_line_a_plane_and_a_cube_that_lie_in_more(true):
    rng = np.random.default_rng(true)
    points = rng.uniform(size=(3000, true)) @ np.linalg.qr(rng.normal(size=(12, true)))[0].T
    first, second = np.partition(cdist(points, points), (1, 2), axis=1)[:, 1:3].T
    assert dimension.two_nn(first, second, 0.1).dimension == pytest.approx(true, rel=0.08)


def test_twonn_by_hand_and_without_duplicates():
    # Ratios 2, 4, 8 of three images and a duplicate; the largest is left out. F = 1/3, 2/3; logs ln2, 2 ln2.
    result = dimension.two_nn(np.array([1.0, 1, 1, 0]), np.array([8.0, 2, 4, 3]), 0.1)
    assert result.images == 3
    assert result.dimension == pytest.approx((np.log(1.5) + 2 * np.log(3)) / (5 * np.log(2)))
    assert np.isnan(dimension.two_nn(np.array([0.0, 0]), np.array([1.0, 1]), 0.1).dimension)


# --- neighbours


def test_nearest_and_second_agree_with_scipy_and_ties_go_to_the_first():
    images = noise(40, 2, 3, 3)
    images[30] = images[10]
    far = cdist(images.reshape(40, -1), images.reshape(40, -1))
    np.fill_diagonal(far, np.inf)
    result = distances.within(images)
    np.testing.assert_allclose([result.distance, result.second], np.sort(far, axis=1)[:, :2].T, rtol=1e-14)
    assert result.index.tolist() == far.argmin(axis=1).tolist()
    assert (result.distance[[10, 30]] == 0).all()
    tie = distances.to_first(stack([[5, 5]]), stack([[9, 9]], [[5, 6]], [[6, 5]]), [1, 2, 3])
    assert [(distance[0], index[0]) for distance, index in tie] == [(np.sqrt(32), 0), (1, 1), (1, 1)]


def test_beginnings_and_blocks_give_what_the_whole_gives(monkeypatch):
    images, references = noise(23, 1, 2, 2, seed=1), noise(37, 1, 2, 2, seed=2)
    monkeypatch.setattr(distances, "BLOCK_VALUES", 100)
    for size, (distance, index) in zip((5, 18, 37), distances.to_first(images, references, [5, 18, 37]), strict=True):
        far = cdist(images.reshape(23, -1), references[:size].reshape(size, -1))
        assert index.tolist() == far.argmin(axis=1).tolist()
        np.testing.assert_allclose(distance, far.min(axis=1), rtol=1e-14)


def test_halvings_end_at_one_image_a_class():
    assert nearest_neighbour.halvings(5000, 10) == [19, 39, 78, 156, 312, 625, 1250, 2500, 5000]
    assert nearest_neighbour.halvings(3, 10) == [3]


def test_one_nn_counts_right_labels_and_knows_what_chance_would_give():
    train, labels = stack([[0]], [[10]], [[100]], [[200]]), np.array([0, 1, 1, 0])
    test, test_labels = stack([[1]], [[11]], [[99]], [[210]]), np.array([0, 1, 0, 0])
    result = nearest_neighbour.measure(data_of(train, labels, test, test_labels), 0.95)
    # With the first two images the nearest are 0, 10, 10, 10, so labels 0, 1, 1, 1: two of four are right.
    # With all four images only 99 is wrong. Wilson's intervals are from his formula, with z = 1.96.
    expected = [[2, 0.5, 0.15004, 0.84996], [4, 0.75, 0.30064, 0.95441]]
    np.testing.assert_allclose(result.table[["train_images", "accuracy", "low", "high"]], expected, atol=1e-5)
    assert (result.chance, result.doubling, result.verdict) == (0.75, 0.25, statistics.ALIKE)
    assert result.index.tolist() == [0, 1, 2, 3]


def test_the_paired_verdict_is_mcnemars():
    better = np.array([True] * 6 + [False] * 4)
    none = np.zeros(10, dtype=bool)
    assert nearest_neighbour.paired_verdict(better, none, 0.95) == statistics.ABOVE  # p = 2/2⁶ = 0.031
    assert nearest_neighbour.paired_verdict(none, better, 0.95) == statistics.BELOW
    assert nearest_neighbour.paired_verdict(better[1:], none[1:], 0.95) == statistics.ALIKE  # p = 2/2⁵ = 0.0625
    assert nearest_neighbour.paired_verdict(none, none, 0.95) == statistics.ALIKE


@pytest.mark.parametrize("block", [distances.BLOCK_VALUES, 1], ids=["at once", "one by one"])
def test_planted_duplicates_are_counted(block, monkeypatch):
    monkeypatch.setattr(distances, "BLOCK_VALUES", block)
    train, labels = noise(50, 1, 6, 6), np.arange(50) % 2
    test, test_labels = noise(20, 1, 6, 6, seed=9), np.arange(20) % 2
    train[7] = train[3]  # labels 1 and 1
    train[[20, 21]] = train[4]  # three equal images: 0, 0 and 1
    train[31] = train[30] ^ 1  # nearly equal: 0 and 1
    test[2], test[5] = train[4], train[40] ^ 1  # equal to three of train; near to one, of another label
    nearest = distances.within(train)
    distance, _ = distances.to_first(test, train, [50])[-1]
    data = data_of(train, labels, test, test_labels)
    result = duplicates.measure(data, nearest, distance, 0.2)
    assert result.median == np.median(nearest.distance)
    assert result.within_train == duplicates.Pairs(exact=4, near=1, other_label=3, images=7, of=50)
    assert result.train_to_test == duplicates.Pairs(exact=3, near=1, other_label=2, images=2, of=20)
    assert duplicates.measure(data, nearest, distance, 0.0).within_train.near == 0


# --- words, tables, outputs


def test_numbers_have_a_true_minus_sign_and_zero_none():
    assert [decimal(value) for value in (-1.5, -0.001, 2.0, np.nan)] == ["−1.50", "0.00", "2.00", "–"]
    assert [joined(parts) for parts in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


def test_outputs_write_what_the_report_reads(tmp_path):
    outputs = Outputs(tmp_path)
    facts = {"a_sentence": 'Said "so".', "b": "1"}
    outputs.finding("part", Finding(facts, {"x": np.float64(1 / 3), "y": np.nan, "z": [np.int64(2)], "n": None}))
    strings = pd.DataFrame({"Row": ["one"], "Value": ["−1.00"]})
    outputs.table("things", Table(strings, "Some things.", pd.DataFrame({"value": [-1 / 3]})))
    outputs.close()
    assert YAML(typ="safe").load(tmp_path / "facts.yml") == {"eda": facts}
    values = {"n": None, "x": 0.333333333, "y": None, "z": [2]}
    assert json.loads((tmp_path / "numbers.json").read_text()) == {"part": values}
    assert (tmp_path / "tables" / "things.csv").read_bytes() == b"value\n-0.333333\n"
    assert "{#tbl-eda-things}" in (tmp_path / "tables" / "things.md").read_text()
    with pytest.raises(ValueError, match="two findings have a fact named b;"):
        outputs.finding("again", Finding({"b": "2"}, {}))


# --- the notebook's cells on every kind of data


def cells_of(kind="code"):
    return [cell for cell in nbformat.read(SOURCE, as_version=4).cells if cell.cell_type == kind]


def write_prepared(folder, images, labels, names, margin, pixel_range=(0, 255)):
    """data/prepared/ of images (N, H, W, C): 60 % train, 40 % test."""
    canvas = on_canvas(images, margin)
    folder.mkdir(parents=True)
    for split, rows in zip(("train", "test"), np.split(np.arange(len(labels)), [6 * len(labels) // 10]), strict=True):
        save_file({"images": canvas[rows], "labels": labels[rows]}, folder / f"{split}.safetensors")
    margins = [0 if size == 1 else margin for size in images.shape[1:3]]
    constants = {"title": "Some data", "classes": names, "margin": margins, "shape": list(canvas.shape[1:])}
    paths.write_json(folder / "constants.json", constants | {"layout_seed": 1, "pixel_range": pixel_range})


def lines(n=100, seed=0):
    """Images 9×8 of three classes under noise: a bright row, a bright column, or both; (N, H, W, 1)."""
    rng = np.random.default_rng(seed)
    images, labels = rng.integers(0, 60, (n, 9, 8, 1), dtype=np.uint8), np.arange(n) % 3
    for image, label in zip(images, labels, strict=True):
        if label != 1:
            image[rng.integers(1, 8)] += 150
        if label != 0:
            image[:, rng.integers(1, 7)] |= 128
    return images, labels, ["row", "column", "$both & *more*"]


def many(n, *shape, k=2):
    return noise(n, *shape), np.arange(n) % k, [f"class {i}" for i in range(k)]


def of_images(images):
    return images, np.arange(len(images)) % 2, ["a", "b"]


DATA = {
    "lines": lines(),
    "colour": many(100, 5, 7, 3, k=4),
    "two channels of one class": many(60, 4, 4, 2, k=1),
    "signals": many(80, 1, 20, 1),
    "signals that stand": many(80, 20, 1, 1),
    "one pixel": many(60, 1, 1, 1),
    "a hundred classes": many(400, 6, 6, 1, k=100),
    "few images": many(10, 3, 3, 1, k=5),
    "tall": many(80, 60, 3, 1, k=12),
    "all equal within": of_images(np.tile(noise(60, 1, 1, 1), (1, 4, 4, 1))),
    "mostly duplicates": of_images(np.random.default_rng(0).permutation(np.repeat(noise(4, 4, 4, 1), 30, axis=0))),
}
QUICK = ("colour", "signals", "few images", "a hundred classes")  # a kind takes seconds


@pytest.fixture(scope="module")
def run_cells(tmp_path_factory):
    """A function that runs the notebook's cells once on a kind of data; returns the folder and the facts.

    There is no kernel, so that a warning is an error.
    """

    @cache
    def run(kind, **changes):
        root = tmp_path_factory.mktemp("cells")
        write_prepared(root / "prepared", *DATA[kind], 1)
        places = SimpleNamespace(ROOT=root, PREPARED=root / "prepared")
        space = SETTINGS | changes | {"folder": "eda", "paths": places}
        for cell in cells_of():
            if "parameters" not in cell.metadata.get("tags", []):
                exec(compile(cell.source, cell.id, "exec"), space)
        return root / "eda", YAML(typ="safe").load(root / "eda" / "facts.yml")["eda"]

    return run


def contents(folder):
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def differing(one, other):
    """Names of the files that differ between two folders of the same files."""
    one, other = contents(one), contents(other)
    assert one.keys() == other.keys()
    return {name for name in one if one[name] != other[name]}


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in DATA]
)
def test_every_kind_of_data_gives_the_same_files_and_facts_and_figures_that_fit_the_page(kind, run_cells):
    (folder, facts), (usual_folder, usual_facts) = run_cells(kind), run_cells("lines")
    assert facts.keys() == usual_facts.keys()
    assert contents(folder).keys() == contents(usual_folder).keys()
    for name, text in facts.items():
        assert text.strip(), name
        assert "nan" not in text.split(), f"{name}: {text}"
        if name.endswith("_sentence"):
            assert re.fullmatch(r"[A-Z](?!.*  ).*\.", text), f"{name}: {text}"
    for file in (folder / "figures").iterdir():
        width, height = re.search(r'<svg [^>]*?width="([\d.]+)pt" height="([\d.]+)pt"', file.read_text()).groups()
        assert float(width) == pytest.approx(6.3 * 72, abs=0.01), file
        assert float(height) <= 8.4 * 72 + 0.01, file


SENTENCES = [
    ("lines", "locality", "The original is above the permuted"),
    ("colour", "locality", "is not distinguishable from"),
    ("signals", "locality", "there is no other direction"),
    ("signals", "spectrum", "along the one axis that the images have"),
    ("a hundred classes", "images", "The statistics are of 60 of the 240 train images"),
    ("a hundred classes", "classes_shown", "The first 12 of 100 classes are shown."),
    ("lines", "images", "The statistics are of all 60 train images of Some data in the original layout, without the "),
    ("lines", "images", "margin of 1 pixel around"),
]


@pytest.mark.parametrize(("kind", "name", "words"), SENTENCES)
def test_a_sentence_has_the_direction_that_was_measured_and_what_cannot_be_measured(kind, name, words, run_cells):
    assert words in run_cells(kind)[1][f"{name}_sentence"]


def test_a_correlation_that_does_not_exist_is_a_dash_and_null(run_cells):
    folder, facts = run_cells("signals")
    assert facts["correlation_down"] == "–"
    assert json.loads((folder / "numbers.json").read_text())["locality"]["correlation_down"] is None


def test_of_many_classes_the_table_has_the_first_and_the_csv_all(run_cells):
    tables = run_cells("a hundred classes")[0] / "tables"
    table = (tables / "classes.md").read_text()
    assert "class 11" in table
    assert "class 12" not in table
    assert "The first 12 classes; the CSV has all 100." in table
    assert len(pd.read_csv(tables / "classes.csv")) == 100


def test_floats_are_taken_at_16_bits_of_their_range_and_drawn_alike(tmp_path):
    images, labels, names = DATA["lines"]
    write_prepared(tmp_path / "floats", images / np.float32(50) - 3, labels, names, 1, (-3, 2.1))
    data = dataset.load(tmp_path / "floats", 60)
    assert data.train.dtype == np.uint16
    np.testing.assert_array_equal(data.train[:, 0], np.rint(images[:60, ..., 0] * np.float64(257)))
    assert "Their pixels are rounded to 16 bits." in dataset.finding(data).facts["images_sentence"]
    write_prepared(tmp_path / "bytes", images, labels, names, 1)
    of_bytes = dataset.load(tmp_path / "bytes", 60)
    for measure in (classes.brightness, classes.mean_and_sd, classes.histogram, spectrum.power):
        np.testing.assert_allclose(measure(data.train), measure(of_bytes.train), rtol=1e-6, err_msg=measure.__name__)
    assert distances.within(data.train).distance == pytest.approx(257 * distances.within(of_bytes.train).distance)


def test_of_large_images_fewer_are_taken_and_the_sentence_says_so(tmp_path, monkeypatch):
    write_prepared(tmp_path / "prepared", *DATA["lines"], 0)
    monkeypatch.setattr(dataset, "MOST_BYTES", 9 * 8 * 25)
    data = dataset.load(tmp_path / "prepared", 50)
    assert (len(data.train), len(data.test), len(data.train_labels), len(data.test_labels)) == (25, 25, 25, 25)
    sentence = dataset.finding(data).facts["images_sentence"]
    assert sentence.startswith("The statistics are of 25 of the 60 train images")
    assert "Of the 40 test images they take 25, since all would need much memory." in sentence


def test_no_statistic_depends_on_the_size_of_its_blocks(monkeypatch):
    images, others = noise(40, 3, 6, 5), noise(30, 3, 6, 5, seed=1)

    def statistics_of():
        fields = distances.within(images)
        return [
            classes.histogram(images),
            spectrum.power(images),
            locality.measure(images, images[:, :, ::-1], 3, 0.95).table["correlation"],
            position.measure_all(images, position.background(images), 0.2),
            dimension.explained_variance(images),
            dimension.explained_variance(noise(40, 1, 3, 3)),
            *(fields.distance, fields.index, fields.second),
            *distances.to_first(others, images, [10, 40])[1],
        ]

    at_once = statistics_of()
    for module in (classes, locality, position, dimension, distances, spectrum):
        monkeypatch.setattr(module, "BLOCK_VALUES", 200)
    for one, other in zip(at_once, statistics_of(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-15)


def test_full_names_are_listed_where_they_are_shown_otherwise_and_a_val_set_is_counted(tmp_path):
    images, labels, _ = DATA["lines"]
    write_prepared(tmp_path / "plain", images, labels, ["a", "b", "c"], 0)
    assert dataset.names_table(dataset.load(tmp_path / "plain", 30)) is None
    write_prepared(tmp_path / "long", images, labels, ["a", "b" * 70, "ก"], 0)
    save_file({"images": images[:6], "labels": labels[:6]}, tmp_path / "long" / "val.safetensors")
    data = dataset.load(tmp_path / "long", 30)
    table = dataset.names_table(data)
    assert table.full["name"].tolist() == ["a", "b" * 70, "ก"]
    assert table.shown["Shown as"].tolist() == ["a", "b" * 12 + "…" + "b" * 11, "2"]
    assert table.shown["Name"][2] == "⟨thai character ko kai⟩"
    assert "lists the classes by their full names." in dataset.finding(data).facts["images_sentence"]
    assert classes.counts(data.split_labels, 3)["val"].tolist() == [2, 2, 2]


def test_the_number_of_images_is_what_there_is_and_the_margin_is_cut_off(tmp_path):
    write_prepared(tmp_path / "without", *DATA["lines"], 0)
    sentence = dataset.finding(dataset.load(tmp_path / "without", 30)).facts["images_sentence"]
    assert sentence.startswith("The statistics are of 30 of the 60 train images")
    assert "which have no margin" in sentence
    write_prepared(tmp_path / "with", *DATA["lines"], 3)
    data = dataset.load(tmp_path / "with", 20)
    np.testing.assert_array_equal(data.train[:, 0], DATA["lines"][0][:20, :, :, 0])
    np.testing.assert_array_equal(data.test[:, 0], DATA["lines"][0][60:, :, :, 0])
    assert data.permuted.shape == data.train.shape
    assert not np.array_equal(data.permuted, data.train)
    np.testing.assert_array_equal(np.sort(data.permuted.reshape(20, -1)), np.sort(data.train.reshape(20, -1)))


CHANGES = {
    "max_distance": (2, "tables/correlation.csv"),
    "samples_per_class": (3, "figures/samples.svg"),
    "object_threshold": (0.02, "tables/position.csv"),
    "rare_share": (0.3, "facts.yml"),
    "variance_shares": ((0.5,), "tables/components.md"),
    "near_duplicate": (1.0, "tables/duplicates.csv"),
    "confidence": (0.8, "tables/nearest-neighbour.csv"),
}


@pytest.mark.slow
def test_every_parameter_moves_its_output(run_cells):
    usual, usual_facts = run_cells("lines")
    changed, facts = run_cells("lines", twonn_discard=0.4, **{name: value for name, (value, _) in CHANGES.items()})
    assert {file for _, file in CHANGES.values()} <= differing(usual, changed)
    assert facts["intrinsic_dimension"] != usual_facts["intrinsic_dimension"], "twonn_discard moves it alone"
    assert differing(usual, run_cells("lines", seed=1)[0]) == {"figures/samples.svg"}


@pytest.mark.parametrize(("shape", "pictures"), [((2, 1, 1, 30), False), ((2, 1, 5, 5), True)], ids=["signal", "image"])
def test_a_signal_is_drawn_as_a_line_and_an_image_as_a_picture(shape, pictures, report_style):
    figure = classes.samples_figure(noise(*shape), [np.array([0]), np.array([1])], ["a", "b"])
    assert [bool(axes.images) for axes in figure.axes] == [pictures] * 2
    assert [bool(axes.lines) for axes in figure.axes] == [not pictures] * 2


# --- the notebook in git


def test_the_notebook_in_git_has_no_outputs_and_fixed_ids():
    raw = json.loads(SOURCE.read_text(encoding="utf-8"))
    nbformat.validate(nbformat.read(SOURCE, as_version=4))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert raw["metadata"] == {"kernelspec": kernel, "language_info": {"name": "python"}}
    code = [cell for cell in raw["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    ids = [cell["id"] for cell in raw["cells"]]
    assert len(set(ids)) == len(ids)
    assert [cell["id"] for cell in raw["cells"] if cell["metadata"]] == ["parameters"]


def test_the_notebook_names_exactly_the_parameters_that_the_stage_gives():
    (cell,) = [cell for cell in cells_of() if "parameters" in cell.metadata.get("tags", [])]
    nodes = [node for node in ast.parse(cell.source).body if isinstance(node, ast.Assign)]
    assigned = {node.targets[0].id: ast.unparse(node.value) for node in nodes}
    parameters = notebook.parameters(params.load(REPOSITORY / "params.yaml"), paths.PARTIAL / "eda")
    assert assigned.keys() - {"settings"} == parameters.keys()
    for name in params.Eda.model_fields:
        assert assigned[name] == f"settings.eda.{name}"
    assert parameters["folder"] == "data/partial/eda"
    assert json.loads(json.dumps(parameters)) == parameters


def test_cells_hold_no_logic_and_the_prose_no_measured_number():
    logic = (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.If, ast.IfExp, ast.For, ast.While, ast.Try)
    for cell in cells_of():
        assert not any(isinstance(node, logic) for node in ast.walk(ast.parse(cell.source))), cell.id
    for cell in cells_of("markdown"):
        assert not re.search("[0-9%]", cell.source.replace("(Facco et al. 2017)", "")), cell.source


# --- the stage


def make_root(root):
    small_data.write_prepared(root / "data" / "prepared")
    shutil.copy(REPOSITORY / "params.yaml", root)
    return root


def run_stage(root, cwd=REPOSITORY, **environment):
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("JUPYTER", "IPYTHON", "MPL"))}
    environment = inherited | {"PIPELINE_ROOT": str(root), "PYTHONPATH": str(REPOSITORY)} | environment
    command = [sys.executable, "-m", "stages.eda"]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = make_root(tmp_path_factory.mktemp("finished"))
    return root, run_stage(root)


@pytest.mark.slow
def test_the_stage_writes_the_executed_notebook_and_all_that_the_report_needs(finished):
    root, result = finished
    assert result.returncode == 0, result.stderr
    assert "eda: 10 figures, 9 tables → data/eda" in result.stdout
    assert "cell/s" in result.stderr, "the progress is shown"
    code = [cell for cell in nbformat.read(root / "data/eda/eda.ipynb", as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(cells_of()) + 2))
    outputs = [output for cell in code for output in cell.outputs]
    assert {output.output_type for output in outputs} == {"execute_result"}
    assert sum("image/svg+xml" in output.data for output in outputs) == 10
    names = ["eda.ipynb", "facts.yml", "figures", "numbers.json", "tables"]
    assert sorted(path.name for path in (root / "data" / "eda").iterdir()) == names


@pytest.mark.slow
def test_a_second_run_elsewhere_gives_the_same_bytes_and_leaves_home_and_kernels_alone(finished, tmp_path):
    root, home, elsewhere = make_root(tmp_path / "another root"), tmp_path / "home", tmp_path / "elsewhere"
    kernel = tmp_path / "jupyter" / "kernels" / "python3"  # the user's, which cannot even start
    for folder in (home, elsewhere, kernel):
        folder.mkdir(parents=True)
    (kernel / "kernel.json").write_text('{"argv": ["/nonexistent"], "display_name": "Mine", "language": "python"}')
    users = {"HOME": str(home), "JUPYTER_PATH": str(tmp_path / "jupyter"), "JUPYTER_PREFER_ENV_PATH": "0"}
    result = run_stage(root, elsewhere, **users)
    assert result.returncode == 0, result.stderr
    assert differing(finished[0] / "data" / "eda", root / "data" / "eda") == set()
    assert [*home.iterdir(), *elsewhere.iterdir()] == []


@pytest.mark.slow
def test_a_failing_cell_ends_in_one_message_and_leaves_nothing(tmp_path):
    root = make_root(tmp_path)
    (root / "data" / "prepared" / "test.safetensors").unlink()
    result = run_stage(root)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    message = result.stderr.strip().splitlines()[-1]
    assert "eda.ipynb stopped in the cell `from stages.eda import (`: FileNotFoundError: " in message
    assert "test.safetensors" in message
    assert "(dataset.py, line" in message
    assert not (root / "data" / "eda").exists()
    assert not any((root / "data" / "partial").iterdir())
    assert not (root / "data" / "timings").exists()


@pytest.mark.slow
def test_a_kernel_that_dies_is_named(tmp_path):
    source = tmp_path / "deadly.ipynb"
    document = nbformat.v4.new_notebook(metadata=nbformat.read(SOURCE, as_version=4).metadata)
    document.cells = [nbformat.v4.new_code_cell("import os\nos._exit(9)", id="end")]
    nbformat.write(document, source)
    before = dict(os.environ)
    with pytest.raises(StageError, match=r"deadly\.ipynb: its kernel was killed.*lessen eda\.images"):
        notebook.execute({}, tmp_path, source)
    assert dict(os.environ) == before


def test_without_prepared_data_the_stage_says_what_makes_them(tmp_path):
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    result = run_stage(tmp_path)
    assert (result.returncode, result.stderr.strip()) == (1, "data/prepared is missing; `dvc repro prepare` makes it")


def test_what_would_differ_next_time_is_taken_out():
    of_run = {"papermill": {"start_time": "now"}, "language_info": {"name": "python", "version": "3.11"}}
    injected = {"tags": ["injected-parameters"], "execution": {"iopub.execute_input": "now"}}
    streams = [nbformat.v4.new_output("stream", name=name, text="said") for name in ("stderr", "stdout")]
    cells = [
        nbformat.v4.new_code_cell("1", id="a1b2", metadata=injected),
        nbformat.v4.new_code_cell("2", id="kept", metadata={"papermill": {"duration": 1}}, outputs=streams),
    ]
    document = nbformat.v4.new_notebook(metadata=of_run, cells=cells)
    notebook.make_repeatable(document, nbformat.from_dict({"kernelspec": {"name": "python3"}}))
    assert document.metadata == {"kernelspec": {"name": "python3"}}
    assert [cell.metadata for cell in document.cells] == [{"tags": ["injected-parameters"]}, {}]
    assert [cell.id for cell in document.cells] == ["injected-parameters", "kept"]
    assert [output.name for output in document.cells[1].outputs] == ["stdout"]

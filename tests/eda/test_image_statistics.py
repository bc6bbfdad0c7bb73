"""Statistics of classes, pixels, places and spectra, on images that can be worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from eda_data import noise, stack
from scipy import stats

from stages.eda import classes, locality, position, shifts, spectrum, statistics
from stages.eda.statistics import eta_squared
from stages.shared.drawing.numbers import NBSP
from stages.shared.pixel_order import rearranged

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
        "pixels, those of 1 pixel or more left, of 2 pixels right, of 1 pixel or more up and of 2 pixels down lie "
        "outside."
    )
    assert sentence((0, 2), 0.1, [0.0] * 8).endswith("none of the probed shifts of up to 2 pixels lies outside.")
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

"""Dimension, nearest neighbours and duplicates: by hand, and against scipy and scikit-learn."""

import numpy as np
import pytest
from eda_data import noise, stack
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
    position,
    spectrum,
    statistics,
)


def data_of(train, labels, test, test_labels):
    """A dataset of two classes, for what needs train and test images alone."""
    return dataset.Dataset(
        "Two", ["a", "b"], ["a", "b"], (0, 0), {}, train, labels, train, test, test_labels, len(test)
    )


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

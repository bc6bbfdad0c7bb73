"""Which images a run's seed draws: stratified at every size, disjoint, nested, and alike for every variant."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.shared.splits import stratified_order, train_and_val_rows

LABELS = np.array([0] * 50 + [1] * 30 + [2] * 20)


def test_three_places_in_a_row_hold_two_of_the_class_that_is_twice_as_large():
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1])
    order = labels[stratified_order(labels, np.random.default_rng(0))]
    for start in (0, 3, 6):
        assert sorted(order[start : start + 3].tolist()) == [0, 0, 1]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(0, 2**32))
def test_each_place_goes_to_the_class_with_the_highest_average(labels, seed):
    """Sainte-Laguë's rule, seat by seat: the class with the largest size / (2 · places so far + 1), or one as large."""
    labels = np.array(labels)
    order = stratified_order(labels, np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(len(labels)))
    sizes, places = np.bincount(labels), np.zeros(labels.max() + 1, dtype=int)
    for label in labels[order]:
        averages = sizes / (2 * places + 1)
        assert averages[label] == pytest.approx(averages.max())
        places[label] += 1


def test_a_large_class_among_many_small_ones_keeps_its_share_and_seeds_give_other_orders():
    labels = np.array([0] * 910 + [c for c in range(1, 10) for _ in range(10)])
    first, second = (stratified_order(labels, np.random.default_rng(seed)) for seed in (0, 1))
    assert (labels[first[:100]] == 0).sum() == 91
    rows, others = (order[labels[order] == 0].tolist() for order in (first, second))
    assert rows != sorted(rows)
    assert rows != others


@pytest.mark.parametrize("train_size", [1, 37, 87])
def test_train_and_val_share_no_image_and_hold_the_classes_in_their_shares(train_size):
    train, val = train_and_val_rows(LABELS, train_size, 13, seed=3)
    assert (len(train), len(val), len({*train, *val})) == (train_size, 13, train_size + 13)
    assert {*train, *val} <= set(range(100))
    assert np.abs(np.bincount(LABELS[train], minlength=3) - train_size * np.array([0.5, 0.3, 0.2])).max() <= 1


def test_val_depends_on_the_seed_alone_and_a_smaller_train_subset_is_part_of_a_larger_one():
    small, large = (train_and_val_rows(LABELS, size, 10, seed=0) for size in (17, 90))
    np.testing.assert_array_equal(small[1], large[1])
    np.testing.assert_array_equal(small[0], large[0][:17])
    other = train_and_val_rows(LABELS, 17, 10, seed=1)
    assert all(set(here.tolist()) != set(there.tolist()) for here, there in zip(small, other, strict=True))

"""The order of the pixels on images that can be read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.shared import params
from stages.shared.pixel_order import permutation, rearranged
from stages.shared.prepared_data import permutation_of

SAMPLE = params.load().sample


@pytest.fixture
def _last_patch_first(monkeypatch):
    """In place of a random order of the patches, the reverse order."""

    class Reverse:
        def permutation(self, count):
            return np.arange(count)[::-1]

    monkeypatch.setattr("stages.shared.pixel_order.stream", lambda name, seed: Reverse())


@pytest.mark.usefixtures("_last_patch_first")
def test_patches_of_two_in_a_four_by_four_image_by_hand():
    order = permutation("patches_2", 4, 4, (0, 0), seed=0)
    # Four patches, of which each keeps its pixels in their places: lower right, lower left, upper right, upper left.
    assert order.reshape(4, 4).tolist() == [[10, 11, 8, 9], [14, 15, 12, 13], [2, 3, 0, 1], [6, 7, 4, 5]]


@pytest.mark.usefixtures("_last_patch_first")
def test_permuted_moves_single_pixels_and_leaves_the_margin():
    order = permutation("permuted", 2, 3, (1, 2), seed=0).reshape(4, 7)
    canvas = np.arange(4 * 7).reshape(4, 7)
    # The image's pixels stand at rows 1 and 2, columns 2 to 4.
    assert order[1:3, 2:5].tolist() == [[18, 17, 16], [11, 10, 9]]
    order[1:3, 2:5] = canvas[1:3, 2:5]
    np.testing.assert_array_equal(order, canvas)


@pytest.mark.usefixtures("_last_patch_first")
def test_a_signal_is_moved_along_its_length_alone():
    assert permutation("patches_3", 1, 6, (0, 1), seed=0).tolist() == [0, 4, 5, 6, 1, 2, 3, 7]
    assert permutation("permuted", 1, 3, (0, 0), seed=0).tolist() == [2, 1, 0]


def test_original_stays_as_it_is():
    assert permutation("original", 2, 3, (1, 1), seed=0).tolist() == list(range(4 * 5))


@given(
    st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(0, 2), st.integers(0, 99)
)
def test_every_layout_is_a_bijection_that_keeps_patches_whole(rows, columns, side, above, beside, seed):
    height, width = rows * side, columns * side
    order = permutation(f"patches_{side}", height, width, (above, beside), seed)
    assert sorted(order.tolist()) == list(range((height + 2 * above) * (width + 2 * beside)))
    inner = order.reshape(height + 2 * above, width + 2 * beside)[above : above + height, beside : beside + width]
    patches = inner.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)
    within = np.arange(side)[:, None] * (width + 2 * beside) + np.arange(side)
    np.testing.assert_array_equal(patches - patches[:, :1, :1], np.broadcast_to(within, patches.shape))


def test_the_seed_and_the_layout_choose_the_permutation():
    choices = (("permuted", 6, 6, (1, 1), 0), ("permuted", 6, 6, (1, 1), 1), ("patches_1", 6, 6, (1, 1), 0))
    orders = [permutation(*choice).tolist() for choice in choices]
    assert permutation("permuted", 6, 6, (1, 1), 0).tolist() == orders[0]
    assert all(one != other for one, other in zip(orders, orders[1:] + orders[:1], strict=True))
    assert list(range(64)) not in orders


def test_rearranging_takes_pixel_i_of_every_channel_from_where_the_order_points():
    images = np.array([[[[1, 2], [3, 4]], [[5, 6], [7, 8]]]], dtype=np.uint8)
    moved = rearranged(images, np.array([2, 0, 3, 1]))
    assert moved.tolist() == [[[[3, 1], [4, 2]], [[7, 5], [8, 6]]]]
    assert moved.dtype == np.uint8


@pytest.mark.parametrize("layout", ["permuted", "patches_2"])
def test_what_prepare_wrote_fixes_the_permutation_of_a_sample(layout):
    constants = {"shape": [3, 6, 8], "margin": [1, 0], "layout_seed": 5}
    order = permutation_of(SAMPLE.model_copy(update={"layout": layout}), constants)
    np.testing.assert_array_equal(order, permutation(layout, 4, 8, (1, 0), 5))


def test_pixels_that_stay_need_no_permutation():
    assert permutation_of(SAMPLE, {}) is None

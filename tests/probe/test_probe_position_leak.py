"""Maps that tell where they are, and maps that do not."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from untrained_net import untrained_net

from stages.probe.layers import Unmeasurable, last_map
from stages.probe.position_leak import position_share, read_out_of_position, without_position


def position_r2(maps, folds, penalty):
    return read_out_of_position(maps, folds, penalty, active_share=0.01).r2


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def of_coordinates(n, height, width):
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([y + x, y - 2 * x]).float().expand(n, 2, height, width)


def test_a_map_tells_the_axes_that_it_holds():
    assert position_r2(of_coordinates(10, 4, 7), 5, 1e-9) == pytest.approx(1)
    rows = torch.arange(5.0)[:, None].expand(10, 1, 5, 6)
    assert position_r2(rows, 5, 1e-9) == pytest.approx((1 + 0) / 2)
    assert position_r2(torch.arange(6.0).expand(10, 1, 1, 6), 5, 1e-9) == pytest.approx(1), "a signal has one axis"


def test_the_penalty_shrinks_by_the_closed_form_of_ridge():
    # Standardised, a column of n rows has Σz² = n: the slope shrinks by n / (n + λ), so 1 − R² = (λ / (n + λ))².
    # Four images of three positions in two folds: n = 6.
    assert position_r2(torch.arange(3.0).expand(4, 1, 1, 3), 2, 6.0) == pytest.approx(1 - (6 / 12) ** 2)


def test_read_out_agrees_with_scikit_learn():
    maps = noise(11, 6, 3, 4) + of_coordinates(11, 3, 4).repeat(1, 3, 1, 1) * 0.2
    maps[:, 4] = 7.0  # never varies
    units = maps.double().permute(0, 2, 3, 1).reshape(11, 12, 6).numpy()
    places = np.tile(np.stack([axis.ravel() for axis in np.indices((3, 4))], 1).astype(float), (11, 1, 1))
    predicted = np.empty_like(places)
    for fitted, held in KFold(4).split(units):
        model = make_pipeline(StandardScaler(), Ridge(alpha=2.5)).fit(
            np.concatenate(units[fitted]), np.concatenate(places[fitted])
        )
        predicted[held] = model.predict(np.concatenate(units[held])).reshape(places[held].shape)
    assert position_r2(maps, 4, 2.5) == pytest.approx(
        r2_score(np.concatenate(places), np.concatenate(predicted)), abs=1e-12
    )


def test_read_out_is_scored_on_images_it_has_not_seen_and_never_below_the_mean():
    # 40 channels of noise fit the 36 rows of the other images wholly, and tell nothing of the held-out ones.
    assert position_r2(noise(4, 40, 3, 4), 4, 1e-6) == 0


def test_each_axis_is_read_on_its_own():
    # The rows are known exactly. The columns are read worse than by naming their middle, which counts as 0, not as −1.
    maps = torch.cat([torch.arange(3.0)[:, None].expand(4, 1, 3, 4), noise(4, 40, 3, 4)], 1)
    rows, columns = (position_r2(part, 4, 1e-6) for part in (maps[:, :, :, :1], maps[:, :, :1]))
    assert rows > columns == 0
    assert 0 < position_r2(maps[:, :1], 4, 1e-9) == pytest.approx(0.5)


def test_a_channel_that_is_hardly_ever_active_is_left_out():
    # The second channel is 0 but at one position of one image: 1 of 10 · 4 · 7 = 280. Where that image is fitted, the
    # channel is standardised by its tiny spread; where it is held out, the channel was never active in the others.
    maps = torch.cat([of_coordinates(10, 4, 7)[:, :1] + 1, torch.zeros(10, 1, 4, 7)], 1)
    maps[3, 1, 2, 5] = 1e6
    without, with_it = (read_out_of_position(maps, 5, 1e-9, share) for share in (0.01, 1e-9))
    assert without == read_out_of_position(maps[:, :1], 5, 1e-9, 0.01)
    assert (without.channels, with_it.channels) == (1, 1), "in the fold of image 3 it is never active"
    maps[7, 1, 2, 5] = 1.0
    spoilt = read_out_of_position(maps, 5, 1e-9, 1e-9)
    assert spoilt.channels == 2
    assert spoilt.r2 < without.r2


@pytest.mark.parametrize(("share", "channels"), [(0.2, 3), (0.25, 3), (0.3, 2), (0.5, 2), (0.6, 1), (1.0, 1)])
def test_channels_are_counted_by_the_share_of_positions_at_which_they_are_not_zero(share, channels):
    maps = torch.ones(4, 4, 1, 4)
    maps[:, 1, 0, 2:] = 0  # active at half of the positions of each image
    maps[:, 2, 0, 1:] = 0  # at a quarter
    maps[:, 3] = 0
    assert read_out_of_position(maps, 2, 1.0, share).channels == channels


def test_a_map_without_an_active_channel_tells_nothing():
    assert read_out_of_position(torch.zeros(6, 3, 2, 2), 3, 1.0, 0.01) == (0, 0)


def test_noise_tells_nothing_linear():
    assert position_r2(noise(200, 5, 6, 6), 5, 1.0) < 0.01


@pytest.mark.parametrize(
    ("first", "second", "share"),
    [
        ([0, 2], [0, 2], 1),  # d = ∓1 in both: η² = 2 · (1 + 1) / 4 = 1
        ([0, 2], [5, 7], 1),  # the images' means are not of the position
        ([0, 2], [2, 0], -1),  # the mean of d is 0: η² = 0
        ([0, 4], [3, 3], 0),  # d = ∓2 and 0, its mean ∓1: η² = 2 · 2 / 8 = 1/2
    ],
)
def test_share_of_position_by_hand(first, second, share):
    assert position_share(torch.tensor([first, second], dtype=torch.float32).view(2, 1, 1, 2)) == pytest.approx(share)


def test_share_of_position_is_zero_on_average_for_correlated_stationary_maps():
    shares = []
    for seed in range(300):
        maps = noise(3, 2, 5, 5, seed=seed)
        maps = maps + torch.roll(maps, 1, 2) + torch.roll(maps, 1, 3)
        shares.append(position_share(maps))
    assert np.mean(shares) == pytest.approx(0, abs=4 * np.std(shares) / 300**0.5)
    assert np.std(shares) < 0.3  # so that the bound is far below 1/3, the uncorrected share


@pytest.mark.parametrize(
    ("measure", "maps", "reason"),
    [
        (lambda maps: position_r2(maps, 5, 1.0), noise(10, 3, 1, 1), "one position"),
        (lambda maps: position_r2(maps, 5, 1.0), noise(3, 3, 2, 2), "3 images are fewer than 5 folds"),
        (position_share, torch.ones(4, 2, 3, 3), "does not vary"),
        (position_share, torch.ones(4, 2, 1, 1), "one position"),
        (position_share, noise(1, 2, 3, 3), "two images"),
    ],
)
def test_maps_that_cannot_be_measured_are_refused_with_the_reason(measure, maps, reason):
    with pytest.raises(Unmeasurable, match=reason):
        measure(maps)


def test_shuffling_keeps_the_colours_of_each_image_and_gives_each_its_own_order():
    images = torch.stack([torch.arange(20), torch.arange(20) + 100]).view(1, 2, 4, 5).expand(3, 2, 4, 5)
    moved = without_position(images, np.random.default_rng(0))
    assert torch.equal(moved[:, 1], moved[:, 0] + 100)
    assert torch.equal(moved[:, 0].flatten(1).sort(1).values, images[:, 0].flatten(1))
    assert not torch.equal(moved[0], moved[1])
    assert torch.equal(moved, without_position(images, np.random.default_rng(0)))


def test_zero_padding_leaks_position_that_circular_and_valid_padding_do_not():
    rng = np.random.default_rng(0)
    images = torch.zeros(150, 1, 32, 32, dtype=torch.uint8)  # an object in the middle
    images[:, :, 8:24, 8:24] = torch.from_numpy(rng.integers(0, 256, (150, 1, 16, 16), dtype=np.uint8))
    images = without_position(images, rng)
    r2, share = {}, {}
    for padding in ("zero", "circular", "valid"):
        maps = last_map(untrained_net((1, 32, 32), padding=padding), images)
        r2[padding], share[padding] = position_r2(maps, 5, 1.0), position_share(maps)
    for still in ("circular", "valid"):
        assert abs(r2[still]) < 0.05
        assert abs(share[still]) < 0.01
    assert r2["zero"] > 0.1
    assert share["zero"] > 0.05

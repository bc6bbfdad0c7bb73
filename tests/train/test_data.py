"""What a run is given: splits in its layout, with its labels and of its size; and how a model is scored on them."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from small_data import write_prepared

from stages.shared.architectures.layers import Normalise
from stages.shared.pixel_order import permutation
from stages.shared.prepared_data import scattered, shape_of
from stages.shared.stage_command import StageError
from stages.train.data import Split, load_splits, mean_and_std, scale_of
from stages.train.evaluate import EVALUATION_BATCH, accuracy, evaluate


def test_every_split_has_its_pixels_in_the_layout_of_the_sample(prepared, run_spec):
    specs = [run_spec(sample={"layout": layout}) for layout in ("original", "patches_3")]
    original, moved = (load_splits(prepared, spec) for spec in specs)
    order = torch.from_numpy(permutation("patches_3", 6, 6, (1, 1), seed=0))
    for name, split in original.items():
        assert torch.equal(moved[name].images.flatten(2), split.images.flatten(2)[:, :, order])
        assert torch.equal(moved[name].labels, split.labels)


def places(canvases, images):
    """Brute force: the corner (row, column) at which each image lies on its otherwise empty canvas."""
    height, width = images.shape[2:]
    all_corners = []
    for canvas, image in zip(canvases, images, strict=True):
        corners = [
            (row, column)
            for row in range(canvas.shape[1] - height + 1)
            for column in range(canvas.shape[2] - width + 1)
            if torch.equal(canvas[:, row : row + height, column : column + width], image)
        ]
        assert len(corners) == 1
        assert canvas.sum() == image.sum()
        all_corners += corners
    return all_corners


def test_scattered_images_lie_whole_at_random_places_that_are_the_same_in_every_run(prepared, run_spec):
    original, moved = (load_splits(prepared, run_spec(sample={"layout": name})) for name in ("original", "scattered_3"))
    corners = {}
    for name, split in moved.items():
        assert split.images.shape[1:] == (1, 14, 14)
        corners[name] = places(split.images, original[name].images)
        assert torch.equal(split.labels, original[name].labels)
        rows, columns = zip(*corners[name], strict=True)
        assert set(rows) == set(columns) == set(range(7))
    assert corners["train"][:31] != corners["val"] != corners["test"][:31]
    spec = run_spec(sample={"layout": "scattered_3"}, seed=1)
    of_another_seed = load_splits(prepared, spec)
    assert torch.equal(of_another_seed["test"].images, moved["test"].images)
    places_of = {
        image.numpy().tobytes() for splits in (moved, of_another_seed) for name in ("train", "val")
        for image in splits[name].images
    }  # fmt: skip
    assert len(places_of) == 121, "an image lies at one place, whichever seed draws it for whichever split"


def test_a_signal_is_scattered_along_its_one_axis(run_spec):
    constants = {"shape": [2, 1, 9], "margin": [0, 1], "layout_seed": 0, "class_counts": {"test": [2, 1]}}
    sample = run_spec(sample={"layout": "scattered_4"}).sample
    assert shape_of(sample, constants) == (2, 1, 17)
    signals = np.arange(1, 55, dtype=np.uint8).reshape(3, 2, 1, 9)
    assert (scattered(signals, np.arange(3), "test", sample, constants).sum((2, 3)) == signals.sum((2, 3))).all()


@pytest.mark.parametrize("size", [90, 10])
def test_random_labels_are_the_published_ones_of_the_same_images_shuffled_by_the_seed(prepared, run_spec, size):
    """seed_offset gives other weights, another order and other random labels, of the same images."""
    published, one, same, other = (
        load_splits(prepared, run_spec(3, {"labels": labels, "train_size": size, "seed_offset": offset}))
        for labels, offset in (("published", 0), ("random", 0), ("random", 0), ("random", 1))
    )
    labels = published["train"].labels
    for splits in (one, other):
        assert splits["train"].labels.bincount().tolist() == labels.bincount().tolist()
        assert not torch.equal(splits["train"].labels, labels)
        assert torch.equal(splits["train"].images, published["train"].images)
        assert all(torch.equal(splits[name].labels, published[name].labels) for name in ("val", "test"))
    assert torch.equal(one["train"].labels, same["train"].labels)
    assert not torch.equal(one["train"].labels, other["train"].labels)
    if size == 90:
        assert 0.15 < (one["train"].labels == labels).float().mean() < 0.55, "a third by chance"


def test_each_seed_draws_a_subset_of_its_own_and_a_smaller_one_is_the_beginning_of_a_larger(prepared, run_spec):
    whole, few, other = (
        load_splits(prepared, run_spec(seed, {"train_size": size})) for seed, size in ((0, 90), (0, 17), (1, 17))
    )
    assert [len(whole[name].labels) for name in ("train", "val", "test")] == [90, 31, 47]
    assert [len(few[name].labels) for name in ("train", "val", "test")] == [17, 31, 47]
    assert torch.equal(few["train"].images, whole["train"].images[:17])
    assert torch.equal(few["train"].labels, whole["train"].labels[:17])
    assert torch.equal(few["val"].images, whole["val"].images)
    for name in ("train", "val"):
        assert {image.sum().item() for image in few[name].images} != {
            image.sum().item() for image in other[name].images
        }
    assert torch.equal(few["test"].images, other["test"].images)
    drawn = {image.numpy().tobytes() for name in ("train", "val") for image in whole[name].images}
    assert drawn == {image.tobytes() for image in load_file(prepared / "train.safetensors")["images"]}


def test_more_images_than_there_are_name_the_numbers(prepared, run_spec):
    with pytest.raises(StageError, match="91 images to train and 31 to validate are more than the 121 that there are"):
        load_splits(prepared, run_spec(sample={"train_size": 91}))


def test_images_that_were_prepared_again_are_read_again(tmp_path, run_spec):
    write_prepared(tmp_path)
    before = load_splits(tmp_path, run_spec())["test"].labels
    test = load_file(tmp_path / "test.safetensors")
    save_file({"images": test["images"], "labels": (test["labels"] + 1) % 3}, tmp_path / "test.safetensors")
    assert torch.equal(load_splits(tmp_path, run_spec())["test"].labels, (before + 1) % 3)


def test_half_black_half_white_has_mean_and_std_one_half():
    images = np.array([[[[0, 255]], [[51, 153]]], [[[255, 0]], [[51, 153]]]], dtype=np.uint8)
    mean, std = mean_and_std(images)
    assert mean == [0.5, 0.4], "second channel: 0.2 and 0.6"
    assert std == pytest.approx([0.5, 0.2], abs=1e-15)


def test_mean_and_std_agree_with_numpy_over_several_blocks():
    images = np.random.default_rng(0).integers(0, 256, (9000, 2, 3, 5), dtype=np.uint8)
    mean, std = mean_and_std(images)
    np.testing.assert_allclose(mean, (images / 255).mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, (images / 255).std((0, 2, 3)), rtol=1e-12)


def test_floats_are_standardised_by_their_own_numbers():
    rng = np.random.default_rng(0)
    images = rng.normal([[[5.0]], [[-300.0]], [[0.0]]], [[[2.0]], [[40.0]], [[0.0]]], (5000, 3, 2, 2)).astype(
        np.float32
    )
    mean, std = mean_and_std(images)
    np.testing.assert_allclose(255 * np.array(mean), images.mean((0, 2, 3), np.float64), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(255 * np.array(std)[:2], images.std((0, 2, 3), np.float64)[:2], rtol=1e-9)
    assert 255 * std[2] == pytest.approx(1), "a channel that never varies has a deviation of one"
    seen = Normalise(mean, std)(torch.from_numpy(images))
    np.testing.assert_allclose(seen.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(seen.std((0, 2, 3), correction=0), [1, 1, 0], atol=1e-5)


def test_floats_that_are_not_standardised_stay_as_they_are(run_spec):
    images = torch.linspace(-3, 9, 16).reshape(1, 1, 4, 4)
    sample = run_spec(sample={"pixels": "unit"}).sample
    torch.testing.assert_close(Normalise(*scale_of(sample, images))(images), images, rtol=1e-6, atol=0)


def test_every_seed_validates_on_the_users_own_val_set_and_draws_train_alone(tmp_path, run_spec):
    write_prepared(tmp_path)
    val = {"images": np.arange(30 * 64).reshape(30, 1, 8, 8).astype(np.uint8), "labels": np.arange(30) % 3}
    save_file(val, tmp_path / "val.safetensors")
    specs = [run_spec(seed=seed).model_copy(update={"val_size": None}) for seed in (0, 1)]
    one, other = (load_splits(tmp_path, spec) for spec in specs)
    for splits in (one, other):
        np.testing.assert_array_equal(splits["val"].images, val["images"])
        np.testing.assert_array_equal(splits["val"].labels, val["labels"])
    assert not torch.equal(one["train"].images, other["train"].images)
    rearranged = load_splits(tmp_path, run_spec(sample={"layout": "permuted"}).model_copy(update={"val_size": None}))
    order = torch.from_numpy(permutation("permuted", 6, 6, (1, 1), seed=0))
    assert torch.equal(rearranged["val"].images.flatten(2), one["val"].images.flatten(2)[:, :, order])


def test_a_channel_that_never_varies_is_standardised_to_zero():
    images = np.stack([np.arange(8).reshape(2, 4), np.full((2, 4), 255)], axis=1).astype(np.uint8)[:, :, None]
    mean, std = mean_and_std(images)
    assert (mean[1], std[1]) == (1.0, 1.0)


class FirstPixelIsTheClass(torch.nn.Module):
    def forward(self, images):
        return 50.0 * torch.nn.functional.one_hot(images[:, 0, 0, 0].long(), 3).float()


def test_evaluation_counts_the_short_last_batch_and_weighs_every_image_alike():
    n_last = 3
    n = 6 * EVALUATION_BATCH + n_last
    images = torch.zeros(n, 1, 1, 1, dtype=torch.uint8)
    labels = torch.zeros(n, dtype=torch.int64)
    labels[-n_last:] = 1  # the whole last batch is wrong; each image costs 50 nats
    loss, predicted = evaluate(FirstPixelIsTheClass(), Split(images, labels))
    assert np.flatnonzero(predicted != labels).tolist() == [n - 3, n - 2, n - 1]
    assert accuracy(predicted, labels) == (n - 3) / n
    assert loss == pytest.approx(3 * 50 / n, rel=1e-5)

"""What a run is given: splits in its layout, with its labels and of its size; and how a model is scored on them."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from small_data import write_prepared

from stages.shared import params
from stages.shared.pixel_order import permutation
from stages.shared.stage_command import StageError
from stages.train.data import Split, load_splits
from stages.train.evaluate import EVALUATION_BATCH, accuracy, evaluate

SAMPLE = params.load().sample


def sampled(**changes):
    return SAMPLE.model_copy(update=changes)


def test_every_split_has_its_pixels_in_the_layout_of_the_sample(prepared):
    original, moved = (load_splits(prepared, sampled(layout=layout), seed=0) for layout in ("original", "patches_3"))
    order = torch.from_numpy(permutation("patches_3", 6, 6, (1, 1), seed=0))
    for name, split in original.items():
        assert torch.equal(moved[name].images.flatten(2), split.images.flatten(2)[:, :, order])
        assert torch.equal(moved[name].labels, split.labels)


@pytest.mark.parametrize("size", ["protocol", 10])
def test_random_labels_are_the_published_ones_of_the_same_images_shuffled_by_the_seed(prepared, size):
    published, one, same, other = (
        load_splits(prepared, sampled(labels=labels, train_size=size), seed)
        for labels, seed in (("published", 3), ("random", 3), ("random", 3), ("random", 4))
    )
    labels = published["train"].labels
    for splits in (one, other):
        assert splits["train"].labels.bincount().tolist() == labels.bincount().tolist()
        assert not torch.equal(splits["train"].labels, labels)
        assert torch.equal(splits["train"].images, published["train"].images)
        assert all(torch.equal(splits[name].labels, published[name].labels) for name in ("val", "test"))
    assert torch.equal(one["train"].labels, same["train"].labels)
    assert not torch.equal(one["train"].labels, other["train"].labels)
    if size == "protocol":
        assert 0.15 < (one["train"].labels == labels).float().mean() < 0.55, "a third by chance"


def test_a_smaller_sample_is_the_beginning_of_train_and_a_larger_one_is_refused(prepared):
    whole, few = (load_splits(prepared, sampled(train_size=size), seed=0) for size in (90, 17))
    assert [len(whole[name].labels) for name in ("train", "val", "test")] == [90, 31, 47]
    assert [len(few[name].labels) for name in ("train", "val", "test")] == [17, 31, 47]
    assert torch.equal(few["train"].images, whole["train"].images[:17])
    assert torch.equal(few["train"].labels, whole["train"].labels[:17])
    with pytest.raises(StageError, match=r"sample\.train_size is 91, but the prepared train split has 90 images"):
        load_splits(prepared, sampled(train_size=91), seed=0)


def test_a_split_that_was_prepared_again_is_read_again(tmp_path):
    write_prepared(tmp_path)
    before = load_splits(tmp_path, SAMPLE, seed=0)["val"].labels
    val = load_file(tmp_path / "val.safetensors")
    save_file({"images": val["images"], "labels": (val["labels"] + 1) % 3}, tmp_path / "val.safetensors")
    assert torch.equal(load_splits(tmp_path, SAMPLE, seed=0)["val"].labels, (before + 1) % 3)


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

"""Shifts and flips of the train images: nothing is cropped, each epoch draws anew, and a layout is kept."""

import hashlib

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn

from stages.shared import params
from stages.shared.architectures.build import build
from stages.shared.pixel_order import permutation, rearranged
from stages.shared.random_streams import stream, torch_seed
from stages.train.augmentation import views
from stages.train.data import load_splits, scale_of
from stages.train.recipe import averaged_weights, schedule

RECIPE = params.load().recipe
EVERY = torch.arange(6)


def images_with_margin(rows=2, columns=2):
    """6 images of 4×5 pixels of two channels, all different and none 0, on a canvas of zeros."""
    canvas = np.zeros((6, 2, 4 + 2 * rows, 5 + 2 * columns), dtype=np.uint8)
    inside = np.arange(1, 6 * 2 * 4 * 5 + 1).reshape(6, 2, 4, 5)
    canvas[:, :, rows : rows + 4, columns : columns + 5] = inside
    return canvas


def epochs_of(images, margin=(2, 2), order=None, seed=0, **recipe):
    shown = views(RECIPE.model_copy(update=recipe), torch.from_numpy(images), margin, order, seed)
    return (next(shown)(EVERY).numpy() for _ in iter(int, 1))


def moved(image, down, right, flip):
    """An image of (C, H, W), first flipped and then shifted by numpy."""
    return np.roll(image[:, :, ::-1] if flip else image, (down, right), axis=(1, 2))


def moves_of(images, seen, reach, flips=(False, True)):
    """The (down, right, flip) that leads from each image to what is seen of it."""
    along_rows, along_columns = (range(-pixels, pixels + 1) for pixels in reach)
    options = [(down, right, flip) for down in along_rows for right in along_columns for flip in flips]
    moves_of_images = [
        [move for move in options if np.array_equal(moved(one, *move), two)]
        for one, two in zip(images, seen, strict=True)
    ]
    assert all(len(moves) == 1 for moves in moves_of_images), (
        "each is one shift and flip, with every pixel on the canvas"
    )
    return [moves[0] for moves in moves_of_images]


def test_without_augmentation_the_images_are_as_they_are():
    images = images_with_margin()
    assert np.array_equal(next(epochs_of(images)), images)


def test_each_image_of_each_epoch_is_shifted_within_the_reach_and_flipped_in_half_of_them():
    images, epochs = images_with_margin(), epochs_of(images_with_margin(), augment_shift=1, augment_flip=True)
    moves = [moves_of(images, next(epochs), (1, 1)) for _ in range(40)]
    assert moves[0] != moves[1]
    assert len(set(moves[0])) > 1
    every = [move for epoch in moves for move in epoch]
    assert {move[:2] for move in every} == {(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)}
    assert 0.4 < np.mean([flip for *_, flip in every]) < 0.6, "240 throws: 0.5 ± 3 · 0.032"


def test_a_shift_by_the_whole_margin_loses_no_pixel():
    images, epochs = images_with_margin(), epochs_of(images_with_margin(), augment_shift=2)
    for _ in range(30):
        seen = next(epochs)
        assert np.array_equal(np.sort(seen.reshape(6, -1)), np.sort(images.reshape(6, -1)))
        moves_of(images, seen, (2, 2), flips=(False,))


def test_a_signal_is_shifted_along_its_one_axis():
    """Its axis of one pixel has no margin."""
    images = images_with_margin()[:, :, 2:3]
    epochs = epochs_of(images, margin=(0, 2), augment_shift=2)
    moves = [move for _ in range(20) for move in moves_of(images, next(epochs), (0, 2), flips=(False,))]
    assert {right for _, right, _ in moves} == {-2, -1, 0, 1, 2}


def test_an_image_is_shifted_before_its_pixels_are_rearranged():
    images, order = images_with_margin(), permutation("permuted", 4, 5, (2, 2), 0)
    both = {"augment_shift": 2, "augment_flip": True}
    original, permuted = epochs_of(images, **both), epochs_of(rearranged(images, order), order=order, **both)
    for _ in range(3):
        assert np.array_equal(next(permuted), rearranged(next(original), order))


def test_the_draw_depends_on_the_seed_alone_and_a_shift_not_on_the_flip():
    images = images_with_margin()
    one, same, other = (next(epochs_of(images, seed=seed, augment_shift=2)) for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    shifts = moves_of(images, one, (2, 2), flips=(False,))
    with_flips = moves_of(images, next(epochs_of(images, augment_shift=2, augment_flip=True)), (2, 2))
    assert [move[:2] for move in with_flips] == [move[:2] for move in shifts]
    rows = torch.tensor([4, 1])
    shown = views(RECIPE.model_copy(update={"augment_shift": 2}), torch.from_numpy(images), (2, 2), None, 0)
    assert np.array_equal(next(shown)(rows).numpy(), one[[4, 1]]), "nor on the order"


@pytest.mark.parametrize("layout", ["original", "permuted", "scattered_2"])
@pytest.mark.parametrize("change", [{"augment_shift": 1}, {"augment_flip": True}, {"label_smoothing": 0.1}])
def test_a_run_with_it_repeats_and_differs_from_one_without(change, layout, run_spec, train, tmp_path):
    for name, changes in (("with", change), ("again", change), ("without", {})):
        train(run_spec(sample={"layout": layout}, epochs=2, **changes), tmp_path / name)
    weights = {name: (tmp_path / name / "weights.safetensors").read_bytes() for name in ("with", "again", "without")}
    assert weights["with"] == weights["again"] != weights["without"]
    scales = [load_file(tmp_path / name / "weights.safetensors")["normalise.mean"] for name in ("with", "without")]
    assert scales[0] == scales[1], "those of the images as they are"


def first_model(spec, split):
    """The net of a spec with its initial weights."""
    generator = torch.Generator().manual_seed(torch_seed("init", spec.drawn_seed))
    return build(spec.architecture, (1, 8, 8), 3, *scale_of(spec.sample, split.images), generator)


def test_smoothed_labels_share_a_part_among_all_classes(run_spec, train, prepared, tmp_path):
    """The loss of the first step: (1 − s) · (−log p of the class) + s · the mean of −log p over the classes."""
    spec = run_spec(steps=1, batch_size=90, label_smoothing=0.25)
    train(spec, tmp_path / "a")
    split = load_splits(prepared, spec)["train"]
    surprise = -first_model(spec, split)(split.images).log_softmax(1)
    of_class = surprise[torch.arange(90), split.labels].mean().item()
    loss = float((tmp_path / "a" / "curves.csv").read_text().splitlines()[1].split(",")[1])
    assert loss == pytest.approx(0.75 * of_class + 0.25 * surprise.mean().item(), abs=2e-6)
    assert loss != pytest.approx(of_class, abs=1e-4)


# --- the average of the weights


def test_the_average_follows_the_weights_and_the_statistics_of_batch_norm():
    """One weight, 0 before and 1, 3 after its steps: 1, then 0.75 · 1 + 0.25 · 3 = 1.5; statistics alike."""
    model = nn.BatchNorm1d(1, affine=True)
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    average = averaged_weights(model, optimiser, 0.75)
    for value, mean in ((1.0, 4.0), (3.0, 8.0)):
        with torch.no_grad():
            model.weight.fill_(value)
            model.running_mean.fill_(mean)
        optimiser.step()
    assert average.weight.item() == 1.5
    assert average.running_mean.item() == 5.0
    assert model.weight.item() == 3.0


def test_the_averaged_weights_are_scored_and_saved_and_training_goes_on_with_its_own(run_spec, train, tmp_path):
    for name, changes in (("plain", {}), ("averaged", {"ema_decay": 0.9}), ("again", {"ema_decay": 0.9})):
        train(run_spec(lr=0.05, **changes), tmp_path / name)
    digests = {
        name: hashlib.sha256((tmp_path / name / "weights.safetensors").read_bytes()).hexdigest()
        for name in ("plain", "averaged", "again")
    }
    assert digests["averaged"] == digests["again"] != digests["plain"]
    rows = [(tmp_path / name / "curves.csv").read_text().splitlines()[1:] for name in ("plain", "averaged")]
    train_columns, val_columns = ([[row.split(",")[part] for row in run] for run in rows] for part in (1, 3))
    assert train_columns[0] == train_columns[1], "the steps are the same"
    assert val_columns[0] != val_columns[1], "what is validated is not"


# --- a plain loop beside it


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_with_all_of_it_off_the_weights_are_those_of_a_plain_loop(norm, run_spec, train, prepared, tmp_path):
    """The loop knows no augmentation, smoothing or average; the bits of the weights must be the same."""
    spec = run_spec(batch_size=8, epochs=2)
    spec = spec.model_copy(update={"architecture": spec.architecture.model_copy(update={"norm": norm})})
    train(spec, tmp_path / "run")
    split = load_splits(prepared, spec)["train"]
    model = first_model(spec, split)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=spec.recipe.weight_decay, fused=True)
    order, lr_at, step = stream("order", 0), schedule(spec.recipe, 24), 0
    for _ in range(2):
        for rows in torch.from_numpy(order.permutation(90)).split(8):
            optimiser.param_groups[0]["lr"] = lr_at(step)
            optimiser.zero_grad()
            pixels = split.images[rows].contiguous(memory_format=torch.channels_last)
            nn.functional.cross_entropy(model(pixels), split.labels[rows]).backward()
            optimiser.step()
            step += 1
    saved = load_file(tmp_path / "run" / "weights.safetensors")
    for name, tensor in model.state_dict().items():
        assert np.array_equal(saved[name], tensor.numpy()), name

"""prepare on small data that can be read: the splits, the margin, the constants, and the folder that is written."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from safetensors.numpy import load_file

from stages.download.raw import RawDataset, write_raw
from stages.prepare.splits import split, stratified_order
from stages.prepare.write import mean_and_std, on_canvas, prepare
from stages.shared import params, paths
from stages.shared.stage_command import StageError

# What these tests need of params.yaml; the rest is the repository's.
SETTINGS = """
protocols:
  tiny:
    {baseline: cnn, train_size: 20, val_size: 10, epochs: 1, seeds: [0], few_seeds: [0], margin: 1, probe_images: 5,
     variants: [cnn, unpadded, mlp]}
protocol: tiny
data: {dataset: npz, file: mine.npz, test_fraction: 0.2, seed: 0}
architecture: {channels: [2, 2], kernel: 3, padding: zero, reduce_at: [1, 2], stride: 1, pooling: max, pool_size: 2}
variants:
  cnn: {families: {}, run: {}}
  unpadded: {families: {}, run: {architecture: {padding: valid}}}
  mlp:
    families: {}
    run: {sample: {layout: patches_3, train_size: 20}, architecture: {connectivity: fully_connected, channels: [4]}}
  elsewhere: {families: {}, run: {sample: {layout: patches_5}, architecture: {kernel: 99, padding: valid}}}
families: {}
"""
# Row i of this set is an image whose every pixel is i, so that a prepared image shows which row it was.
LABELS = np.array([0] * 50 + [1] * 30 + [2] * 20)
IMAGES = np.broadcast_to(np.arange(100, dtype=np.uint8)[:, None, None, None], (100, 9, 12, 1))


def write_settings(folder, text=SETTINGS):
    yaml = YAML(typ="safe", pure=True)
    of_repository, of_test = yaml.load(paths.PARAMS.read_text()), yaml.load(text)
    of_test["architecture"] = of_repository["architecture"] | of_test["architecture"]
    with (folder / "params.yaml").open("w") as file:
        yaml.dump(of_repository | of_test, file)
    return folder / "params.yaml"


def write_dataset(folder, images=IMAGES, labels=LABELS, test=None):
    arrays = {"train_images": images, "train_labels": labels}
    if test is not None:
        arrays |= {"test_images": test[0], "test_labels": test[1]}
    (folder / "raw").mkdir(exist_ok=True)
    write_raw(folder / "raw", "npz", RawDataset("Mine", ["a", "b", "c"], arrays, {}))
    return folder / "raw"


def prepared(folder, raw, *edits, out="prepared"):
    """Prepare `raw` into a folder named `out`. edits: (old, new) in SETTINGS."""
    text = SETTINGS
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    (folder / out).mkdir()
    prepare(params.load(write_settings(folder, text)), raw, folder / out)
    return folder / out


def rows_of(prepared_folder):
    return load_file(prepared_folder / "rows.safetensors")


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return params.load(write_settings(tmp_path_factory.mktemp("settings")))


@pytest.fixture
def split_in(settings):
    """A function that splits images with LABELS, or `labels`, into splits of these sizes."""

    def call(train_size, val_size, test_labels=None, labels=LABELS, test_fraction=0.2, seed=0):
        sizes = {"train_size": train_size, "val_size": val_size}
        protocol = settings.chosen_protocol.model_copy(update=sizes)
        data = settings.data.model_copy(update={"test_fraction": test_fraction, "seed": seed})
        changed = settings.model_copy(update={"protocols": {"tiny": protocol}, "data": data})
        return split(labels, test_labels, changed)

    return call


# --- splits


def test_three_places_in_a_row_hold_two_of_the_class_that_is_twice_as_large():
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1])
    order = labels[stratified_order(labels, np.random.default_rng(0))]
    for start in (0, 3, 6):
        assert sorted(order[start : start + 3].tolist()) == [0, 0, 1]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=120), st.integers(0, 2**32))
def test_every_beginning_holds_each_class_in_its_share_to_less_than_one_image(labels, seed):
    labels = np.array(labels)
    order = stratified_order(labels, np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(len(labels)))
    share = np.bincount(labels) / len(labels)
    so_far = np.cumsum(np.eye(len(share))[labels[order]], axis=0)
    exact = np.arange(1, len(labels) + 1)[:, None] * share
    assert np.abs(so_far - exact).max() < 1


def test_a_large_class_among_many_small_ones_keeps_its_share():
    labels = np.array([0] * 910 + [c for c in range(1, 10) for _ in range(10)])
    beginning = labels[stratified_order(labels, np.random.default_rng(1))[:45]]
    assert (beginning == 0).sum() in (40, 41), "0.91 · 45 = 40.95"


def test_orders_differ_between_seeds_and_within_classes():
    labels = np.arange(60) % 2
    first, second = (stratified_order(labels, np.random.default_rng(seed)) for seed in (0, 1))
    assert first.tolist() != second.tolist()
    assert first[labels[first] == 0].tolist() != sorted(first[labels[first] == 0].tolist())


def test_split_sizes_and_class_counts_by_hand(split_in):
    splits = split_in(20, 10)
    # 100 images of shares 0.5, 0.3, 0.2: the test fraction takes 20, the others come from the remaining 80.
    counts = [np.bincount(LABELS[rows]).tolist() for rows in (splits.test, splits.val, splits.train)]
    assert counts == [[10, 6, 4], [5, 3, 2], [10, 6, 4]]
    assert not splits.has_test_set


@pytest.mark.parametrize("test_labels", [None, LABELS[::3]], ids=["cut from it", "published"])
@pytest.mark.parametrize("train_size", [1, 37, "all"])
def test_no_image_is_in_two_splits(split_in, test_labels, train_size):
    splits = split_in(train_size, 13, test_labels, test_fraction=0.25, seed=3)
    used = [*splits.train, *splits.val, *([] if splits.has_test_set else splits.test)]
    assert len(set(used)) == len(used)
    assert set(used) <= set(range(100))
    assert len(splits.val) == 13
    if train_size == "all":
        assert len(used) == 100, "nothing is left over"


def test_a_published_test_set_is_never_cut(split_in):
    splits = split_in(5, 5, LABELS[::3])
    assert sorted(splits.test.tolist()) == list(range(34))
    assert splits.has_test_set


def test_val_and_test_do_not_depend_on_train_size_and_small_train_sets_lie_in_large_ones(split_in):
    small, large = (split_in(n, 10) for n in (17, "all"))
    np.testing.assert_array_equal(small.val, large.val)
    np.testing.assert_array_equal(small.test, large.test)
    np.testing.assert_array_equal(small.train, large.train[:17])


def test_test_does_not_depend_on_val_size(split_in):
    np.testing.assert_array_equal(split_in(10, 3).test, split_in(10, 30).test)


def test_another_seed_gives_other_splits(split_in):
    zero, one = (split_in(20, 10, seed=seed) for seed in (0, 1))
    for name in ("train", "val", "test"):
        assert set(getattr(zero, name).tolist()) != set(getattr(one, name).tolist())


def test_too_few_images_name_the_numbers_and_the_key(split_in):
    split_in(70, 10)
    with pytest.raises(StageError) as caught:
        split_in(71, 10)
    for part in (
        "protocols.tiny",
        "train_size 71 + val_size 10 = 81",
        "20 test images (data.test_fraction)",
        "the dataset has 80",
    ):
        assert part in str(caught.value)
    with pytest.raises(
        StageError, match=r"train_size all \+ val_size 100, but beside a test set of 34 the dataset has 100"
    ):
        split_in("all", 100, LABELS[::3])
    with pytest.raises(StageError, match="0 test images"):
        split_in(2, 2, labels=LABELS[:10], test_fraction=0.01)


# --- canvas


def test_the_margin_is_zero_and_the_image_in_the_middle():
    image = np.array([[[[1], [2]], [[3], [4]]]], dtype=np.uint8)
    assert on_canvas(image, 1)[0, 0].tolist() == [[0, 0, 0, 0], [0, 1, 2, 0], [0, 3, 4, 0], [0, 0, 0, 0]]


def test_a_signal_gets_its_margin_along_its_length_alone():
    assert on_canvas(np.array([[[[7], [8]]]], dtype=np.uint8), 2).tolist() == [[[[0, 0, 7, 8, 0, 0]]]]


def test_the_channels_come_before_rows_and_columns():
    image = np.array([[[[1, 10, 100], [2, 20, 200]]]], dtype=np.uint8)  # one row of two pixels
    assert on_canvas(image, 0).tolist() == [[[[1, 2]], [[10, 20]], [[100, 200]]]]


# --- constants


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


def test_a_channel_without_contrast_is_refused():
    images = np.stack([np.arange(8).reshape(2, 4), np.full((2, 4), 255)], axis=1).astype(np.uint8)[:, :, None]
    with pytest.raises(StageError, match="channel 2 of 2 has the same value in every pixel"):
        mean_and_std(images)


# --- the folder


def test_every_prepared_image_is_the_row_that_rows_names_with_its_label(tmp_path):
    folder = prepared(tmp_path, write_dataset(tmp_path))
    for split_name, rows in rows_of(folder).items():
        written = load_file(folder / f"{split_name}.safetensors")
        assert written["images"].shape == (len(rows), 1, 11, 14)
        assert written["images"].dtype == np.uint8
        np.testing.assert_array_equal(written["images"][:, 0, 5, 5], rows)
        np.testing.assert_array_equal(written["labels"], LABELS[rows])


def test_a_published_test_set_is_taken_from_there(tmp_path):
    test = (IMAGES[:34] + np.uint8(100), LABELS[::3])
    folder = prepared(tmp_path, write_dataset(tmp_path, test=test))
    written = load_file(folder / "test.safetensors")
    np.testing.assert_array_equal(written["images"][:, 0, 5, 5], 100 + rows_of(folder)["test"])
    np.testing.assert_array_equal(written["labels"], LABELS[::3][rows_of(folder)["test"]])


def test_constants_are_of_the_train_split_on_the_canvas(tmp_path):
    folder = prepared(tmp_path, write_dataset(tmp_path))
    constants = paths.read_json(folder / "constants.json")
    train = load_file(folder / "train.safetensors")["images"] / 255
    assert constants["mean"] == pytest.approx([rows_of(folder)["train"].mean() / 255 * (9 * 12) / (11 * 14)])
    assert constants["std"] == pytest.approx([train.std()])
    assert constants["class_counts"] == {"train": [10, 6, 4], "val": [5, 3, 2], "test": [10, 6, 4]}
    others = [constants[name] for name in ("shape", "margin", "title", "classes", "layout_seed")]
    assert others == [[1, 11, 14], [1, 1], "Mine", ["a", "b", "c"], 0]


def test_images_outside_train_do_not_move_the_constants(tmp_path):
    first = prepared(tmp_path, write_dataset(tmp_path))
    other = np.full_like(IMAGES, 255)
    other[rows_of(first)["train"]] = IMAGES[rows_of(first)["train"]]
    second = prepared(tmp_path, write_dataset(tmp_path, other), out="second")
    assert (first / "constants.json").read_bytes() == (second / "constants.json").read_bytes()


def test_a_second_run_gives_the_same_bytes(tmp_path):
    raw = write_dataset(tmp_path)
    folders = [prepared(tmp_path, raw, out=name) for name in ("one", "two")]
    one, two = (
        {file.relative_to(f): file.read_bytes() for file in sorted(f.rglob("*")) if file.is_file()} for f in folders
    )
    assert one == two
    assert sorted(map(str, one)) == [
        "constants.json",
        "rows.safetensors",
        "test.safetensors",
        "train.safetensors",
        "val.safetensors",
    ]


def test_signals_of_height_one_are_prepared_where_the_nets_allow_it(tmp_path):
    raw = write_dataset(tmp_path, IMAGES[:, :1])
    with pytest.raises(StageError) as caught:
        prepared(tmp_path, raw)
    for part in (
        "these images are 1×14",
        "variants.cnn: layer 1: the feature map vanishes (1×14 → 0×7)",
        "[height, width]",
    ):
        assert part in str(caught.value)
    narrow = (("kernel: 3,", "kernel: [1, 3],"), ("pool_size: 2", "pool_size: [1, 2]"))
    folder = prepared(tmp_path, raw, *narrow, out="narrow")
    constants = paths.read_json(folder / "constants.json")
    assert (constants["shape"], constants["margin"]) == ([1, 1, 14], [0, 1])


def test_images_too_small_for_a_variant_name_it_and_only_it(tmp_path):
    with pytest.raises(StageError, match=r"variants\.unpadded: layer 2") as caught:
        prepared(tmp_path, write_dataset(tmp_path, IMAGES[:, :4, :4]))  # 6×6 on the canvas
    assert "variants.cnn" not in str(caught.value)
    assert "elsewhere" not in str(caught.value), "the protocol does not run it"


def test_patches_that_do_not_tile_the_image_name_the_variant_and_only_it(tmp_path):
    with pytest.raises(
        StageError, match=r"variants\.mlp: patches of 3 do not tile images of 9×8; choose another sample\.layout"
    ) as caught:
        prepared(tmp_path, write_dataset(tmp_path, IMAGES[:, :, :8]))
    assert "elsewhere" not in str(caught.value), "the protocol does not run it"


def test_a_sample_larger_than_all_that_val_leaves_names_the_variant_and_both_numbers(tmp_path):
    everything = ("train_size: 20, val_size", "train_size: all, val_size")
    prepared(
        tmp_path, write_dataset(tmp_path), everything, ("train_size: 20}, arch", "train_size: 70}, arch"), out="fits"
    )
    with pytest.raises(
        StageError,
        match=r"protocol 'tiny' prepares 70 train images; too few for\n  variants\.mlp\.run\.sample\.train_size = 71$",
    ):
        prepared(tmp_path, write_dataset(tmp_path), everything, ("train_size: 20}, arch", "train_size: 71}, arch"))


def test_a_class_without_a_train_image_is_refused(tmp_path):
    with pytest.raises(StageError, match=r"train split of 2 images has none of class \w.*protocols\.tiny\.train_size"):
        prepared(
            tmp_path, write_dataset(tmp_path), ("train_size: 20, val", "train_size: 2, val"), (", train_size: 20}", "}")
        )


def run_stage(root, text=SETTINGS):
    write_settings(root, text)
    command, environment = [sys.executable, "-m", "stages.prepare"], os.environ | {"PIPELINE_ROOT": str(root)}
    return subprocess.run(command, cwd=paths.ROOT, env=environment, capture_output=True, text=True, check=False)


def test_the_stage_writes_whole_or_not_at_all(tmp_path):
    result = run_stage(tmp_path)
    assert result.returncode == 1
    assert "data/raw is missing; `dvc repro download` makes it" in result.stderr

    (tmp_path / "data").mkdir()
    write_dataset(tmp_path / "data")
    result = run_stage(tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert "20 train, 10 val, 20 test images" in result.stdout
    assert (tmp_path / "data" / "prepared" / "val.safetensors").exists()

    shutil.rmtree(tmp_path / "data" / "prepared")
    result = run_stage(tmp_path, SETTINGS.replace("train_size: 20, val", "train_size: 200, val"))
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "train_size 200 + val_size 10 = 210" in result.stderr
    assert not (tmp_path / "data" / "prepared").exists()
    assert not any((tmp_path / "data" / "partial").iterdir())

"""prepare on small data that can be read: the splits, the margin, and the folder that is written."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from ruamel.yaml import YAML
from safetensors.numpy import load_file

from stages.download.raw import RawDataset, write_raw
from stages.prepare.splits import split
from stages.prepare.write import on_canvas, prepare
from stages.shared import params, paths
from stages.shared.stage_command import StageError

# What these tests need of params.yaml; the rest is the repository's.
SETTINGS = """
protocols:
  tiny:
    {baseline: cnn, train_size: 20, val_size: 10, epochs: 1, seeds: [0], few_seeds: [0], margin: 1, probe_images: 5,
     longer: null, variants: [cnn]}
protocol: tiny
data:
  {dataset: npz, file: mine.npz, folder: null, size: null, colour: rgb, scale: unit, test_fraction: 0.2, seed: 0}
architecture: {channels: [2, 2], kernel: 3, padding: zero, reduce_at: [1, 2], stride: 1, pooling: max, pool_size: 2}
variants:
  cnn: {families: {}, run: {}}
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


def write_dataset(folder, images=IMAGES, labels=LABELS, **splits):
    """splits: (images, labels) of test and val."""
    arrays = {"train_images": images, "train_labels": labels}
    for name, (split_images, split_labels) in splits.items():
        arrays |= {f"{name}_images": split_images, f"{name}_labels": split_labels}
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
def usual(tmp_path_factory):
    """The folder prepared from IMAGES with SETTINGS."""
    folder = tmp_path_factory.mktemp("usual")
    return prepared(folder, write_dataset(folder))


@pytest.fixture(scope="module")
def split_in(tmp_path_factory):
    """A function that splits images with LABELS, or `labels`, into splits of these sizes."""
    settings = params.load(write_settings(tmp_path_factory.mktemp("settings")))

    def call(train_size, val_size, test_labels=None, labels=LABELS, test_fraction=0.2, seed=0):
        sizes = {"train_size": train_size, "val_size": val_size}
        protocol = settings.chosen_protocol.model_copy(update=sizes)
        data = settings.data.model_copy(update={"test_fraction": test_fraction, "seed": seed})
        changed = settings.model_copy(update={"protocols": {"tiny": protocol}, "data": data})
        return split(labels, test_labels, changed)

    return call


# --- splits


def test_split_sizes_and_class_counts_by_hand(split_in):
    splits = split_in(20, 10)
    # 100 images of shares 0.5, 0.3, 0.2: the test fraction takes 20, the remaining 80 are to train and to validate.
    counts = [np.bincount(LABELS[rows]).tolist() for rows in (splits.test, splits.train)]
    assert counts == [[10, 6, 4], [40, 24, 16]]
    assert np.bincount(LABELS[splits.train[:10]]).tolist() == [5, 3, 2], "every beginning is stratified"


@pytest.mark.parametrize("test_labels", [None, LABELS[::3]], ids=["cut from it", "published"])
def test_no_image_is_in_both_splits_and_a_published_test_set_is_never_cut(split_in, test_labels):
    splits = split_in(37, 13, test_labels, test_fraction=0.25, seed=3)
    assert splits.has_test_set == (test_labels is not None)
    if splits.has_test_set:
        assert sorted(splits.test.tolist()) == list(range(34))
        assert sorted(splits.train.tolist()) == list(range(100))
    else:
        assert sorted([*splits.train, *splits.test]) == list(range(100))


def test_the_test_set_depends_on_the_seed_and_on_no_size_of_the_protocol(split_in):
    first, other_sizes, other_seed = split_in(17, 10), split_in("all", 30), split_in(17, 10, seed=1)
    np.testing.assert_array_equal(first.test, other_sizes.test)
    np.testing.assert_array_equal(first.train, other_sizes.train)
    assert set(first.test.tolist()) != set(other_seed.test.tolist())


def test_too_few_images_name_the_numbers_and_the_key(split_in):
    split_in(70, 10)
    numbers = r"(?s)protocols\.tiny.*train_size 71 \+ val_size 10 = 81.*20 test images \(data\.test_fraction\)"
    with pytest.raises(StageError, match=f"{numbers}.*the dataset has 80"):
        split_in(71, 10)
    with pytest.raises(StageError, match=r"all \+ val_size 100, but beside a test set of 34 the dataset has 100"):
        split_in("all", 100, LABELS[::3])
    with pytest.raises(StageError, match="0 test images"):
        split_in(2, 2, labels=LABELS[:10], test_fraction=0.01)


# --- canvas


CANVASES = {
    "an image in the middle": ([[[1], [2]], [[3], [4]]], 1, [[[0] * 4, [0, 1, 2, 0], [0, 3, 4, 0], [0] * 4]]),
    "a signal, with a margin along its length alone": ([[[7], [8]]], 2, [[[0, 0, 7, 8, 0, 0]]]),
    "channels, before rows and columns": ([[[1, 10, 100], [2, 20, 200]]], 0, [[[1, 2]], [[10, 20]], [[100, 200]]]),
}


@pytest.mark.parametrize(("image", "margin", "expected"), CANVASES.values(), ids=CANVASES)
def test_the_canvas_has_a_margin_of_zeros(image, margin, expected):
    assert on_canvas(np.array([image], dtype=np.uint8), margin)[0].tolist() == expected


# --- the folder


def test_every_prepared_image_is_the_row_that_rows_names_with_its_label(usual):
    for split_name, rows in rows_of(usual).items():
        written = load_file(usual / f"{split_name}.safetensors")
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


def test_a_val_set_of_the_users_is_prepared_whole_and_leaves_all_other_images_to_train(tmp_path):
    val = (IMAGES[:30] + np.uint8(100), LABELS[20:50])
    with pytest.raises(StageError, match=r"train_size 81, but beside 20 test images .* and your own val set .* has 80"):
        prepared(tmp_path, write_dataset(tmp_path, val=val), ("train_size: 20, val", "train_size: 81, val"), out="x")
    edit = ("train_size: 20, val_size: 10", "train_size: all, val_size: 79")
    folder = prepared(tmp_path, write_dataset(tmp_path, val=val), edit)
    written = load_file(folder / "val.safetensors")
    np.testing.assert_array_equal(written["images"][:, 0, 5, 5], 100 + rows_of(folder)["val"])
    np.testing.assert_array_equal(written["labels"], LABELS[20:50][rows_of(folder)["val"]])
    assert sorted(rows_of(folder)["val"].tolist()) == list(range(30))
    assert paths.read_json(folder / "constants.json")["class_counts"]["val"] == [30, 0, 0]
    assert len(rows_of(folder)["train"]) == 80


def test_pixels_that_are_floats_stay_so_within_a_margin_of_zeros(tmp_path):
    images = IMAGES.astype(np.float32) / 7 - 3
    folder = prepared(tmp_path, write_dataset(tmp_path, images))
    written = load_file(folder / "train.safetensors")["images"]
    assert written.dtype == np.float32
    np.testing.assert_array_equal(
        written[:, 0, 5, 5], np.arange(100, dtype=np.float32)[rows_of(folder)["train"]] / 7 - 3
    )
    assert not written[:, 0, 0].any()


def test_constants_describe_the_canvas_and_count_the_classes(usual):
    assert paths.read_json(usual / "constants.json") == {
        "title": "Mine",
        "classes": ["a", "b", "c"],
        "shape": [1, 11, 14],
        "margin": [1, 1],
        "class_counts": {"train": [40, 24, 16], "test": [10, 6, 4]},
        "pixel_range": [0, 255],
        "layout_seed": 0,
    }


def test_a_second_run_gives_the_same_bytes(usual, tmp_path):
    one, two = (
        {file.name: file.read_bytes() for file in folder.iterdir()}
        for folder in (usual, prepared(tmp_path, write_dataset(tmp_path)))
    )
    assert one == two
    assert one.keys() == {"constants.json", *(f"{name}.safetensors" for name in ("rows", "test", "train"))}


def test_signals_of_height_one_get_a_margin_along_their_length_alone(tmp_path):
    constants = paths.read_json(prepared(tmp_path, write_dataset(tmp_path, IMAGES[:, :1])) / "constants.json")
    assert (constants["shape"], constants["margin"]) == ([1, 1, 14], [0, 1])


def test_a_class_without_a_train_image_is_refused(tmp_path):
    with pytest.raises(StageError, match=r"2 train images of seed 0 have none of class \w.*protocols\.tiny"):
        prepared(tmp_path, write_dataset(tmp_path), ("train_size: 20, val", "train_size: 2, val"))


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
    assert "80 train, 20 test images" in result.stdout
    assert (tmp_path / "data" / "prepared" / "train.safetensors").exists()

    shutil.rmtree(tmp_path / "data" / "prepared")
    result = run_stage(tmp_path, SETTINGS.replace("train_size: 20, val", "train_size: 200, val"))
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "train_size 200 + val_size 10 = 210" in result.stderr
    assert not (tmp_path / "data" / "prepared").exists()
    assert not any((tmp_path / "data" / "partial").iterdir())

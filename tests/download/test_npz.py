"""A user's own images in an .npz file, and a message for each fault."""

import hashlib
import io
import sys
import zipfile

import numpy as np
import pytest

from stages.download import memory, npz
from stages.shared import paths
from stages.shared.stage_command import StageError

GREY = np.arange(6 * 5 * 4, dtype=np.uint8).reshape(6, 5, 4)
LABELS = np.arange(6) % 3
TEXTS = np.array(["c", "a", "b"] * 2)


def with_value(value):
    images = GREY / 255
    images[4, 3, 2] = value
    return images


def saved(folder, **arrays):
    np.savez(folder / "mine.npz", **arrays)
    return folder / "mine.npz"


@pytest.mark.parametrize(
    ("images", "shape"),
    [
        (GREY, (6, 5, 4, 1)),
        (GREY[:, :1], (6, 1, 4, 1)),
        (np.zeros((6, 5, 4, 3), np.uint8), (6, 5, 4, 3)),
        (GREY[:, :1, :1], (6, 1, 1, 1)),
    ],
    ids=["grey", "height 1", "colour", "one pixel"],
)
def test_images_of_any_size_and_colour_are_taken(tmp_path, images, shape):
    raw, source = npz.load(saved(tmp_path, images=images, labels=LABELS.astype(np.uint8)), "unit")
    assert raw.arrays["train_images"].shape == shape
    np.testing.assert_array_equal(raw.arrays["train_images"].ravel(), images.ravel())
    assert raw.arrays["train_labels"].dtype == np.int64
    assert raw.classes == ["0", "1", "2"]
    assert (raw.title, source) == ("mine", "data/user/mine.npz")
    assert raw.sha256 == {"mine.npz": hashlib.sha256((tmp_path / "mine.npz").read_bytes()).hexdigest()}


def test_a_test_set_and_names_of_classes_are_taken_too(tmp_path):
    test = {"test_images": GREY[:2], "test_labels": LABELS[:2]}
    raw, _ = npz.load(saved(tmp_path, images=GREY, labels=LABELS, classes=np.array(["x", "y", "z"]), **test), "unit")
    assert raw.classes == ["x", "y", "z"]
    assert raw.arrays["test_images"].shape == (2, 5, 4, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": GREY.astype(np.int32)}, "images is int32; it should be uint8, uint16, bool, or float32 or float64"),
        ({"images": GREY.astype(np.float16)}, "images is float16; it should be uint8"),
        (
            {"images": GREY / 100},
            r"images\[5, 0, 1\] is 1\.01; with data\.scale: unit, pixels go from 0 to 1; set data\.sc",
        ),
        ({"images": GREY / -255}, r"images\[0, 0, 1\] is -0\.0039"),
        ({"images": with_value(np.nan)}, r"images\[4, 3, 2\] is nan; every pixel should be a finite number"),
        ({"images": with_value(-np.inf)}, r"images\[4, 3, 2\] is -inf; every pixel"),
        ({"images": GREY[0]}, r"images has shape \(5, 4\); it should be \(N, H, W\)"),
        (
            {"images": np.zeros((6, 3, 32, 32), np.uint8)},
            r"32 channels; 1 to 4 are allowed; channels stand last: images\.transpose",
        ),
        ({"images": np.zeros((6, 9, 9, 0), np.uint8)}, "0 channels; 1 to 4"),
        ({"images": GREY[:0], "labels": LABELS[:0]}, "images is empty"),
        ({"images": GREY[:, :0]}, r"images is empty: its shape is \(6, 0, 4\)"),
        ({"images": np.array([None] * 6)}, "holds Python objects"),
        ({"images": None}, "has no array images; it has labels"),
        ({"labels": None}, "has no array labels; it has images"),
        ({"labels": LABELS / 1}, "labels is float64; it should be whole numbers"),
        ({"labels": LABELS.astype("S1")}, r"labels is \|S1; it should be whole numbers .* or text"),
        ({"labels": TEXTS, "classes": np.array(["a", "b"])}, "labels has 'c', which is none of the classes 'a', 'b'"),
        ({"labels": TEXTS, "classes": np.array(["a", "b", "c", "d"])}, r"no image has 3 \('d', …\)"),
        ({"labels": np.array(["a"] * 6)}, "one class; at least two"),
        ({"labels": np.array(["a", " "] * 3)}, "different, non-empty names"),
        ({"labels": np.array(["a", "b\nc"] * 3)}, r"the class 'b\\nc' has a character that is no text"),
        (
            {"test_images": GREY, "test_labels": TEXTS},
            "labels is int64 and test_labels <U1; both should be numbers, or",
        ),
        ({"val_images": GREY}, "val_images and val_labels go together"),
        (
            {"val_images": GREY / 255, "val_labels": LABELS},
            "images are uint8 and val_images float64; they should be alike",
        ),
        ({"val_images": GREY, "val_labels": LABELS + 1}, "val_labels has the label 3, which no image in `images` has"),
        ({"labels": LABELS[:5]}, r"labels has shape \(5,\); with 6 images it should be \(6,\)"),
        ({"labels": LABELS[:, None]}, r"labels has shape \(6, 1\)"),
        ({"labels": LABELS - 1}, "labels has the label -1; labels count from 0"),
        ({"labels": LABELS + 1}, "every number from 0 to 3; no image has 0"),
        ({"labels": LABELS * 3}, "every number from 0 to 6; no image has 1, 2, 4, 5"),
        ({"labels": LABELS * 10**12}, "no image has 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …"),
        ({"labels": LABELS.astype(np.uint64) + np.uint64(2**63)}, "labels are whole numbers"),
        ({"labels": LABELS * 0}, "one class; at least two"),
        ({"classes": np.array(["x", "y"])}, "labels go up to 2, but classes has 2 names"),
        ({"classes": np.array(["x", "y", "z", "w"])}, r"every number from 0 to 3; no image has 3 \('w', …\)"),
        ({"classes": np.array(["\u00e9", "e\u0301", "z"])}, "3 different, non-empty names; .*'é' are there twice"),
        ({"classes": np.array(["x", "y", "x"])}, "3 different, non-empty names"),
        ({"classes": np.array(["x", "y", " "])}, "3 different, non-empty names"),
        ({"classes": np.array([1, 2, 3])}, "classes is int64"),
        ({"classes": np.array(["x", "y", "z"], dtype=object)}, "holds Python objects"),
        ({"test_images": GREY}, "test_images and test_labels go together"),
        (
            {"test_images": GREY[:, 1:], "test_labels": LABELS},
            r"images are \(5, 4, 1\) each and test_images \(4, 4, 1\)",
        ),
        ({"test_images": GREY, "test_labels": LABELS + 1}, "test_labels has the label 3"),
        ({"test_images": GREY, "test_labels": LABELS[1:]}, r"test_labels has shape \(5,\)"),
        (
            {"test_image": GREY, "test_labels": LABELS},
            "unknown array 'test_image'; allowed are images, labels, test_images",
        ),
    ],
)
def test_each_fault_of_an_npz_has_its_own_message(tmp_path, change, message):
    arrays = {name: array for name, array in ({"images": GREY, "labels": LABELS} | change).items() if array is not None}
    with pytest.raises(StageError, match=message) as caught:
        npz.load(saved(tmp_path, **arrays), "unit")
    assert str(caught.value).startswith("data/user/mine.npz: ")


@pytest.mark.parametrize(
    ("images", "scale", "expected", "pixel_range"),
    [
        (GREY.astype(np.uint16) * 546, "unit", GREY.astype(np.float32) * 546 / 65535, (0, 1)),
        (GREY.astype(np.uint16), "none", GREY.astype(np.float32), (0, 119)),
        (GREY / 255, "unit", (GREY / 255).astype(np.float32), (0, 1)),
        ((GREY / 255).astype(np.float32), "unit", (GREY / 255).astype(np.float32), (0, 1)),
        (GREY * -10.0, "none", (GREY * -10.0).astype(np.float32), (-1190, 0)),
        (GREY % 2 == 1, "unit", GREY % 2 * 255, (0, 255)),
        (GREY % 2 == 1, "none", GREY % 2 * 255, (0, 255)),
    ],
    ids=["uint16", "uint16 as it is", "float64", "float32", "signals", "bool", "bool as it is"],
)
def test_pixels_of_each_type_are_scaled_by_its_rule(tmp_path, images, scale, expected, pixel_range):
    raw, _ = npz.load(saved(tmp_path, images=images, labels=LABELS), scale)
    pixels = raw.arrays["train_images"][..., 0]
    assert pixels.dtype == (np.uint8 if images.dtype == bool else np.float32)
    np.testing.assert_allclose(pixels, expected, rtol=1e-7)
    assert raw.pixel_range == pixel_range


def test_bytes_have_one_scale_and_numbers_must_fit_into_float32(tmp_path):
    with pytest.raises(
        StageError, match=r"images is uint8, which always goes from 0, black, to 255, white; set data\.scale"
    ):
        npz.load(saved(tmp_path, images=GREY, labels=LABELS), "none")
    with pytest.raises(StageError, match=r"images\[4, 3, 2\] is 1e\+300; .* must fit into float32"):
        npz.load(saved(tmp_path, images=with_value(1e300), labels=LABELS), "none")


def test_labels_may_be_text_in_sorted_order_or_in_that_of_classes(tmp_path):
    splits = {"images": GREY, "labels": TEXTS, "val_images": GREY[:2], "val_labels": TEXTS[:2]}
    raw, _ = npz.load(saved(tmp_path, **splits), "unit")
    assert raw.classes == ["a", "b", "c"]
    assert raw.arrays["train_labels"].tolist() == [2, 0, 1, 2, 0, 1]
    assert raw.arrays["val_labels"].tolist() == [2, 0]
    raw, _ = npz.load(saved(tmp_path, **splits, classes=np.array(["c", "b", "a"])), "unit")
    assert raw.arrays["train_labels"].tolist() == [0, 2, 1, 0, 2, 1]
    raw, _ = npz.load(saved(tmp_path, images=GREY, labels=np.array(["e\u0301", "猫", "犬"] * 2)), "unit")
    assert raw.classes == ["é", "犬", "猫"]


def test_what_is_too_large_is_named_before_it_is_loaded(tmp_path, monkeypatch):
    path = saved(tmp_path, images=np.zeros((6, 500, 500), np.uint8), labels=LABELS)
    monkeypatch.setattr(memory, "memory_bytes", lambda: 4_000_000)
    monkeypatch.setattr(np.lib.npyio.NpzFile, "__getitem__", lambda *_: pytest.fail("it was loaded"))
    expected = (
        r"images of shape \(6, 500, 500\) and type uint8 take 0\.0 GB in memory, and 4 times that .* has 0\.0 GB; save"
    )
    with pytest.raises(StageError, match=expected):
        npz.load(path, "unit")


def test_a_header_that_promises_more_than_the_file_holds_is_refused(tmp_path):
    content = io.BytesIO()
    np.save(content, np.zeros((6, 5, 4), np.uint8))
    path = tmp_path / "mine.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", content.getvalue())
        archive.writestr("labels.npy", content.getvalue().replace(b"(6, 5, 4)", b"(6, 5, 9)"))
    with pytest.raises(StageError, match="labels has 120 bytes, and its header promises 270"):
        npz.load(path, "unit")


def test_an_experiment_in_a_folder_of_its_own_is_told_how_to_get_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", tmp_path / ".dvc" / "tmp" / "exps" / "tmp1")
    with pytest.raises(
        StageError, match=r"run `dvc add data/user/mine\.npz` first, or add `--copy-paths data/user/mine\.npz`"
    ):
        npz.load(tmp_path / "mine.npz", "unit")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda whole: whole[: len(whole) // 2], "not a whole .npz|is no .npz at all"),
        (lambda whole: whole[:60] + bytes(40) + whole[100:], "not a whole .npz"),
        (lambda whole: b"", "not a whole .npz"),
        (lambda whole: b"hello, world", "is no .npz at all"),
    ],
    ids=["cut", "damaged", "empty", "text"],
)
def test_a_file_that_is_no_whole_npz_is_refused(tmp_path, content, message):
    path = saved(tmp_path, images=GREY, labels=LABELS)
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(StageError, match=message):
        npz.load(path, "unit")


def test_a_bare_array_and_an_absent_file_are_told_apart(tmp_path):
    with (tmp_path / "bare.npz").open("wb") as out:
        np.save(out, GREY)
    with pytest.raises(StageError, match="one bare array"):
        npz.load(tmp_path / "bare.npz", "unit")
    with pytest.raises(StageError, match=r"data/user/absent\.npz is not there .*; in data/user/ there is bare\.npz"):
        npz.load(tmp_path / "absent.npz", "unit")


def test_where_names_of_files_are_not_read_as_utf_8_an_absent_file_says_what_to_do(monkeypatch):
    assert "PYTHONUTF8" not in npz.absent("übung.npz", "file")
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "iso8859-1")
    assert npz.absent("übung.npz", "file").endswith("read as iso8859-1 here: run `export PYTHONUTF8=1` first")
    assert "PYTHONUTF8" not in npz.absent("exercise.npz", "file")

"""A user's own images in an .npz file, and a message for each fault."""

import hashlib

import numpy as np
import pytest

from stages.download import npz
from stages.shared.stage_command import StageError

GREY = np.arange(6 * 5 * 4, dtype=np.uint8).reshape(6, 5, 4)
LABELS = np.arange(6) % 3


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
    raw, source = npz.load(saved(tmp_path, images=images, labels=LABELS.astype(np.uint8)))
    assert raw.arrays["train_images"].shape == shape
    np.testing.assert_array_equal(raw.arrays["train_images"].ravel(), images.ravel())
    assert raw.arrays["train_labels"].dtype == np.int64
    assert raw.classes == ["0", "1", "2"]
    assert (raw.title, source) == ("mine", "data/user/mine.npz")
    assert raw.sha256 == {"mine.npz": hashlib.sha256((tmp_path / "mine.npz").read_bytes()).hexdigest()}


def test_a_test_set_and_names_of_classes_are_taken_too(tmp_path):
    test = {"test_images": GREY[:2], "test_labels": LABELS[:2]}
    raw, _ = npz.load(saved(tmp_path, images=GREY, labels=LABELS, classes=np.array(["x", "y", "z"]), **test))
    assert raw.classes == ["x", "y", "z"]
    assert raw.arrays["test_images"].shape == (2, 5, 4, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": GREY / 255}, "images is float64; it should be uint8"),
        ({"images": GREY.astype(np.int32)}, "images is int32; it should be uint8"),
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
        ({"labels": LABELS[:5]}, r"labels has shape \(5,\); with 6 images it should be \(6,\)"),
        ({"labels": LABELS[:, None]}, r"labels has shape \(6, 1\)"),
        ({"labels": LABELS - 1}, "labels has the label -1; labels count from 0"),
        ({"labels": LABELS + 1}, "every number from 0 to 3; no image has 0"),
        ({"labels": LABELS * 3}, "every number from 0 to 6; no image has 1, 2, 4, 5"),
        ({"labels": LABELS * 10**12}, "no image has 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …"),
        ({"labels": LABELS.astype(np.uint64) + np.uint64(2**63)}, "labels are whole numbers"),
        ({"labels": LABELS * 0}, "one class; at least two"),
        ({"classes": np.array(["x", "y"])}, "labels go up to 2, but classes has 2 names"),
        ({"classes": np.array(["x", "y", "z", "w"])}, "every number from 0 to 3; no image has 3"),
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
        npz.load(saved(tmp_path, **arrays))
    assert str(caught.value).startswith("data/user/mine.npz: ")


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
        npz.load(path)


def test_a_bare_array_and_an_absent_file_are_told_apart(tmp_path):
    with (tmp_path / "bare.npz").open("wb") as out:
        np.save(out, GREY)
    with pytest.raises(StageError, match="one bare array"):
        npz.load(tmp_path / "bare.npz")
    with pytest.raises(StageError, match=r"data/user/absent\.npz is not there .*; in data/user/ there is bare\.npz"):
        npz.load(tmp_path / "absent.npz")

"""A user's images in one folder for each class: real files of every kind, and a message for each fault."""

import hashlib
import io
import os
import shutil
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from stages.download import folder, memory
from stages.shared import params
from stages.shared.stage_command import StageError

GREY = (np.arange(6 * 4).reshape(4, 6) * 10).astype(np.uint8)
RED = np.zeros((4, 6, 3), np.uint8) + np.array([200, 10, 30], np.uint8)


@pytest.fixture
def mine(root):
    """A folder with one image in each of two classes."""
    place = root / "data" / "user" / "mine"
    save(place / "cat" / "a.png", GREY)
    save(place / "dog" / "b.png", 255 - GREY)
    return place


def save(path, pixels, mode=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(pixels)) if mode is None else Image.fromarray(np.asarray(pixels)).convert(mode)
    image.save(path, **options)
    return path


def load(place, **change):
    data = params.load().data.model_dump() | {"dataset": "folder", "folder": place.name, "colour": "grey"} | change
    return folder.load(place, params.Data(**data))[0]


def test_images_are_read_in_the_order_of_names_whatever_the_order_of_the_disk(mine, monkeypatch):
    for number in (10, 9, 2):
        save(mine / "cat" / f"{number}.png", GREY + number)
    raw = load(mine)
    first_pixels = raw.arrays["train_images"][:, 0, 0, 0].tolist()
    assert first_pixels == [10, 2, 9, 0, 255], "10.png, 2.png, 9.png, a.png, then the dog"
    assert raw.arrays["train_labels"].tolist() == [0, 0, 0, 0, 1]
    assert (raw.title, raw.classes) == ("mine", ["cat", "dog"])
    original = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: sorted(original(path), reverse=True))
    again = load(mine)
    np.testing.assert_array_equal(again.arrays["train_images"], raw.arrays["train_images"])
    assert again.sha256 == raw.sha256


def test_one_digest_stands_for_the_names_and_bytes_of_all_files(mine):
    lines = [
        name.encode() + b"\0" + hashlib.sha256((mine / name).read_bytes()).hexdigest().encode() + b"\n"
        for name in ("cat/a.png", "dog/b.png")
    ]
    assert load(mine).sha256 == {"mine (2 files)": hashlib.sha256(b"".join(lines)).hexdigest()}
    (mine / "cat" / "a.png").rename(mine / "cat" / "c.png")
    assert load(mine).sha256 != {"mine (2 files)": hashlib.sha256(b"".join(lines)).hexdigest()}


def test_train_val_and_test_may_stand_above_the_classes(root):
    place = root / "data" / "user" / "mine"
    for number, name in enumerate(("train/cat/1", "train/dog/2", "val/dog/3", "test/cat/4", "test/dog/5")):
        save(place / f"{name}.png", GREY // 2 + number)
    (place / "test" / "cat" / ".DS_Store").write_text("")
    (place / "val" / "cat").mkdir()
    raw = load(place)
    assert raw.arrays["train_images"][:, 0, 0, 0].tolist() == [0, 1]
    assert [raw.arrays[f"{split}_labels"].tolist() for split in ("train", "val", "test")] == [[0, 1], [1], [0, 1]]


def test_classes_called_train_and_test_are_classes(root):
    place = root / "data" / "user" / "mine"
    for name in ("train", "bus"):
        save(place / name / "1.png", GREY)
    assert load(place).classes == ["bus", "train"]


def oriented():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees to the right when shown
    return exif


def palette(pixels, transparent=None):
    image = Image.fromarray(pixels).convert("P")
    options = {} if transparent is None else {"transparency": transparent}
    content = io.BytesIO()
    image.save(content, "PNG", **options)
    return content.getvalue()


def with_alpha(pixels, alpha):
    return np.dstack([pixels, np.full(pixels.shape[:2], alpha, np.uint8)])


@pytest.mark.parametrize(
    ("name", "write", "colour", "expected"),
    [
        ("grey as colour", lambda p: save(p, GREY), "rgb", np.dstack([GREY] * 3)),
        ("colour as grey", lambda p: save(p, RED), "grey", np.full((4, 6, 1), round(0.299 * 200 + 5.87 + 3.42))),
        ("opaque alpha", lambda p: save(p, with_alpha(RED, 255)), "rgb", RED),
        ("no alpha left", lambda p: save(p, with_alpha(RED, 0)), "rgb", np.full((4, 6, 3), 255)),
        ("grey and alpha", lambda p: save(p, with_alpha(GREY[..., None], 255), "LA"), "grey", GREY[..., None]),
        ("palette", lambda p: p.write_bytes(palette(GREY)), "grey", GREY[..., None]),
        (
            "transparent",
            lambda p: p.write_bytes(palette(GREY * 0, bytes([0] * 256))),
            "grey",
            GREY[..., None] * 0 + 255,
        ),
        ("16 bits", lambda p: save(p, GREY.astype(np.uint16) * 257 + 128), "grey", GREY[..., None]),
        ("1 bit", lambda p: save(p, GREY > 100), "grey", (GREY > 100)[..., None] * 255),
        ("CMYK", lambda p: save(p.with_suffix(".tif"), RED, "CMYK"), "rgb", RED),
        ("a GIF", lambda p: save(p.with_suffix(".gif"), GREY), "grey", GREY[..., None]),
        ("a BMP", lambda p: save(p.with_suffix(".bmp"), RED), "rgb", RED),
        ("lossless WebP", lambda p: save(p.with_suffix(".webp"), RED, lossless=True), "rgb", RED),
        ("turned", lambda p: save(p, np.rot90(GREY), exif=oriented()), "grey", GREY[..., None]),
        ("a wrong suffix", lambda p: save(p, GREY).rename(p.with_suffix(".jpg")), "grey", GREY[..., None]),
    ],
)
def test_what_pillow_reads_is_read_rightly(root, name, write, colour, expected):
    place = root / "data" / "user" / "mine"
    (place / "a").mkdir(parents=True)
    write(place / "a" / "x.png")
    save(place / "b" / "y.png", GREY)
    images = load(place, colour=colour).arrays["train_images"]
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images[0], expected, err_msg=name)


def test_a_jpeg_is_read_as_pillow_reads_it_and_phone_photos_give_their_first_picture(mine):
    photo = Image.fromarray(np.repeat(GREY, 8, 0).repeat(8, 1)).convert("RGB")
    photo.save(mine / "cat" / "a.png", "JPEG", quality=95)
    photo.save(mine / "dog" / "b.png", "MPO", save_all=True, append_images=[photo.rotate(90, expand=True)], quality=95)
    images = load(mine).arrays["train_images"][..., 0].astype(int)
    np.testing.assert_array_equal(images[0], images[1])
    assert abs(images[0] - np.asarray(photo.convert("L"))).max() < 30


def test_a_size_brings_every_image_to_it_and_says_so(mine, capsys):
    save(mine / "cat" / "large.png", np.repeat(GREY, 2, 0).repeat(2, 1))
    with pytest.raises(
        StageError, match=r"cat/large\.png: is 8×12, and cat/a\.png is 4×6 .*; set data\.size in params"
    ):
        load(mine)
    raw = load(mine, size=(4, 6))
    first, second = raw.arrays["train_images"][:2, ..., 0].astype(int)
    assert abs(first - second)[1:-1, 1:-1].max() <= 4, "the larger image is the smaller one, pixel by pixel"
    assert "mine: 1 of 3 images were brought to another size" in capsys.readouterr().out
    assert load(mine, size=5, colour="rgb").arrays["train_images"].shape == (3, 5, 5, 3)


def huge_png():
    """A PNG of few bytes that claims 60,000 × 60,000 pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


def animation(path):
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    frames[0].save(path.with_suffix(".gif"), save_all=True, append_images=frames[1:])


def cut(path):
    path.write_bytes(save(path, np.random.default_rng(0).integers(0, 255, (60, 60), np.uint8)).read_bytes()[:2000])


FAULTS = {
    "text": (lambda p: (p / "cat" / "x.png").write_text("hello"), r"cat/x\.png: is no image that Pillow can read"),
    "empty file": (lambda p: (p / "cat" / "x.png").write_bytes(b""), r"cat/x\.png: is no image that Pillow can read"),
    "cut short": (lambda p: cut(p / "cat" / "x.png"), r"cat/x\.png: cannot be read: it is damaged or cut short"),
    "animated": (lambda p: animation(p / "cat" / "x"), r"cat/x\.gif: has 2 images in it \(it is animated"),
    "EPS": (lambda p: save(p / "cat" / "x.eps", RED), r"cat/x\.eps: is no image that Pillow can read"),
    "32 bits": (
        lambda p: save(p / "cat" / "x.tif", GREY / np.float32(9)),
        r"cat/x\.tif: has pixels of mode F, without",
    ),
    "bomb": (
        lambda p: (p / "cat" / "x.png").write_bytes(huge_png()),
        r"cat/x\.png: claims more than 89,478,485 pixels",
    ),
    "nested": (lambda p: save(p / "cat" / "old" / "x.png", GREY), "cat/old: is a folder inside a class"),
    "loop": (lambda p: (p / "cat" / "x").symlink_to(p), "cat/x: is a folder inside a class"),
    "dead link": (lambda p: (p / "cat" / "x").symlink_to("gone"), r"cat/x: is a link that leads nowhere \(gone\)"),
    "pipe": (lambda p: os.mkfifo(p / "cat" / "x"), "cat/x: is no ordinary file"),
    "beside": (lambda p: (p / "README.txt").write_text("hi"), r"README\.txt: lies beside the folders of the classes"),
    "empty class": (lambda p: (p / "bird").mkdir(), "bird: is empty; a class needs an image, or take its folder away"),
    "twins": (lambda p: [save(p / n / "x.png", GREY) for n in ("\u00e9", "e\u0301")], "different, non-empty names"),
    "one class": (
        lambda p: shutil.rmtree(p / "dog"),
        r"has one folder of a class \('cat'\); it should have a folder for",
    ),
    "no class": (lambda p: [shutil.rmtree(p / n) for n in ("cat", "dog")], "has no folder of a class; it should have"),
    "no text": (lambda p: os.mkdir(os.fsencode(p) + b"/\xff"), r"the class '\\udcff' has a character that is no text"),
}


@pytest.mark.parametrize(("break_it", "message"), FAULTS.values(), ids=FAULTS)
def test_each_fault_of_a_folder_is_named(mine, break_it, message):
    break_it(mine)
    with pytest.raises(StageError, match=message) as caught:
        load(mine)
    assert str(caught.value).startswith("data/user/mine: ")
    str(caught.value).encode()  # it can be printed


def test_all_faults_stand_in_one_message_the_first_ten_with_their_names(mine):
    for number in range(12):
        (mine / "cat" / f"{number:02}.txt").write_text("x")
    with pytest.raises(StageError, match=r"(?s)12 faults\n  cat/00\.txt: .*\n  and 2 more$") as caught:
        load(mine)
    assert str(caught.value).count("\n") == 11


def test_a_class_of_test_alone_and_a_split_without_images_are_named(root):
    place = root / "data" / "user" / "mine"
    for name in ("train/cat", "train/dog", "test/bird"):
        save(place / name / "1.png", GREY)
    with pytest.raises(StageError, match="test/bird: there is no such class in train/ \\('cat', 'dog'\\)"):
        load(place)
    shutil.rmtree(place / "test" / "bird")
    with pytest.raises(StageError, match="test: has no image; take the folder away"):
        load(place)


def test_hidden_files_and_links_to_images_are_as_they_should_be(mine, tmp_path):
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._a.png", "cat/.DS_Store", "cat/Thumbs.db"):
        (mine / name).write_text("x")
    (mine / "__MACOSX").mkdir()
    outside = save(tmp_path / "elsewhere" / "z.png", GREY + 3)
    (mine / "cat" / "z.png").symlink_to(outside)
    raw = load(mine)
    assert raw.classes == ["cat", "dog"]
    assert raw.arrays["train_images"][:, 0, 0, 0].tolist() == [0, 3, 255]


def test_links_to_folders_are_refused_since_dvc_does_not_see_what_is_behind_them(mine, tmp_path):
    mine.with_name("linked").symlink_to(mine)
    with pytest.raises(StageError, match="data/user/linked: is a link to a folder, and DVC does not see what changes"):
        load(mine.with_name("linked"))
    (mine / "emu").symlink_to(save(tmp_path / "elsewhere" / "z.png", GREY).parent)
    with pytest.raises(StageError, match="emu: is a link to a folder"):
        load(mine)
    split = mine.with_name("split")
    split.mkdir()
    (split / "train").symlink_to(mine)
    with pytest.raises(StageError, match="train: is a link to a folder"):
        load(split)


def test_an_absent_folder_names_those_that_are_there(mine):
    with pytest.raises(StageError, match=r"data/user/yours is not there \(data\.folder .*\); the folders .* are mine$"):
        load(mine.with_name("yours"))


def test_images_that_are_too_many_for_the_memory_are_named(mine, monkeypatch):
    monkeypatch.setattr(memory, "memory_bytes", lambda: 100)
    with pytest.raises(StageError, match=r"2 images of 4×6 take .*, but this machine has .*; reduce data\.size"):
        load(mine)


def test_a_thousand_files_take_seconds(root, capsys):
    place = root / "data" / "user" / "mine"
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    for number in range(1000):
        save(place / f"class {number % 10}" / f"{number}.jpg", pixels)
    start = time.monotonic()
    raw = load(place, size=32)
    assert time.monotonic() - start < 10
    assert len(raw.arrays["train_labels"]) == 1000
    assert "1000/1000" in capsys.readouterr().err, "there is progress to see"

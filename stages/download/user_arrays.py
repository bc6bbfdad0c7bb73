"""A user's arrays as a dataset: each is checked in full before anything is computed from it."""

import itertools
import unicodedata
from collections import Counter

import numpy as np

from stages.download.raw import Arrays, RawDataset
from stages.shared.params import MAX_CHANNELS
from stages.shared.stage_command import StageError

SPLITS = {"train": "", "val": "val_", "test": "test_"}  # and how the names of their arrays begin
WHITE = {np.dtype(np.uint16): 65535, np.dtype(np.uint8): 255}  # the value that stands for white
FRACTIONS = (np.float32, np.float64)
LONGEST_LIST = 10  # labels or names in a message


def dataset_of(arrays: Arrays, title: str, sha256: dict[str, str], scale: str) -> RawDataset:
    """The dataset of images and labels (of train), and perhaps of val_ and test_ ones, and classes.

    scale: data.scale of params.yaml, of pixels that are not uint8.
    Raises StageError that names the array, the value and what is allowed.
    """
    names = {split: f"{prefix}images" for split, prefix in SPLITS.items() if f"{prefix}images" in arrays}
    images = {split: checked_images(name, arrays[name]) for split, name in names.items()}
    for split, name in names.items():
        _check_alike("images", images["train"], name, images[split])
    texts = {split: arrays[f"{SPLITS[split]}labels"] for split in names}
    classes, labels = _classes_and_labels(texts, arrays.get("classes"), {split: len(images[split]) for split in names})
    for name in names.values():
        if arrays[name].dtype in FRACTIONS:
            _check_numbers(name, arrays[name], scale)
    pixels = {split: _scaled(name, images[split], scale) for split, name in names.items()}
    white = (0.0, 255.0) if pixels["train"].dtype == np.uint8 else (0.0, 1.0)
    if scale == "none" and pixels["train"].dtype != np.uint8:
        white = float(pixels["train"].min()), float(pixels["train"].max())
    checked = {f"{split}_images": array for split, array in pixels.items()}
    checked |= {f"{split}_labels": array for split, array in labels.items()}
    return RawDataset(title, classes, checked, sha256, white)


def constant_channels(images: np.ndarray) -> dict[int, float]:
    """Channel → its value, of the channels (N, H, W, C) that have one value in all images."""
    values = {channel: images[0, 0, 0, channel] for channel in range(images.shape[3])}
    return {channel: float(value) for channel, value in values.items() if (images[..., channel] == value).all()}


def checked_images(name: str, images: np.ndarray) -> np.ndarray:
    """The images as (N, H, W, C). Raises StageError unless their type and shape are allowed."""
    if images.dtype != bool and images.dtype not in WHITE and images.dtype not in FRACTIONS:
        raise StageError(
            f"{name} is {images.dtype}; it should be uint8, uint16, bool, or float32 or float64 "
            f"(as floats: {name}.astype('float32'), with data.scale: none for numbers as they are)"
        )
    check_shape(name, images.shape)
    return images if images.ndim == 4 else images[..., np.newaxis]


def check_shape(name: str, shape: tuple[int, ...]) -> None:
    """Raises StageError unless it is one of images: (N, H, W) or (N, H, W, C)."""
    if len(shape) not in (3, 4):
        raise StageError(f"{name} has shape {shape}; it should be (N, H, W) or (N, H, W, C)")
    if len(shape) == 4 and not 1 <= shape[3] <= MAX_CHANNELS:
        channels_first = 1 <= shape[1] <= MAX_CHANNELS
        hint = f"; channels stand last: {name}.transpose(0, 2, 3, 1)" if channels_first else ""
        raise StageError(f"{name} has shape {shape}, so {shape[3]} channels; 1 to {MAX_CHANNELS} are allowed{hint}")
    if 0 in shape:
        raise StageError(f"{name} is empty: its shape is {shape}")


def _check_alike(name: str, images: np.ndarray, other_name: str, others: np.ndarray) -> None:
    if images.shape[1:] != others.shape[1:]:
        raise StageError(
            f"{name} are {images.shape[1:]} each and {other_name} {others.shape[1:]} (height, width, channels); "
            "they should be alike"
        )
    if images.dtype != others.dtype:
        raise StageError(f"{name} are {images.dtype} and {other_name} {others.dtype}; they should be alike")


def _scaled(name: str, images: np.ndarray, scale: str) -> np.ndarray:
    """uint8 as it is and bool as 0 and 255, both uint8; else float32, in [0, 1] or with its numbers as they are."""
    if images.dtype == bool:
        return images.astype(np.uint8) * np.uint8(255)
    if images.dtype == np.uint8:
        if scale == "none":
            raise StageError(
                f"{name} is uint8, which always goes from 0, black, to 255, white; "
                f"set data.scale: unit in params.yaml, or save {name}.astype('float32')"
            )
        return images
    pixels = images.astype(np.float32)
    if images.dtype in WHITE and scale == "unit":
        pixels /= np.float32(WHITE[images.dtype])
    return pixels


def _check_numbers(name: str, images: np.ndarray, scale: str) -> None:
    """Raises StageError if a number is not finite, too large for float32 or, where it is a fraction, not in [0, 1]."""
    low, high = (0.0, 1.0) if scale == "unit" else (-float(np.finfo(np.float32).max), float(np.finfo(np.float32).max))
    for number, image in enumerate(images):
        if low <= image.min() and image.max() <= high:  # false where one is NaN
            continue
        place = np.argwhere(~((image >= low) & (image <= high)))[0]
        value, index = image[tuple(place)], ", ".join(map(str, (number, *place)))
        if not np.isfinite(value):
            raise StageError(f"{name}[{index}] is {value}; every pixel should be a finite number")
        hint = (
            f"set data.scale: none in params.yaml for numbers as they are, or divide {name} by its largest value"
            if scale == "unit"
            else "the numbers must fit into float32"
        )
        raise StageError(
            f"{name}[{index}] is {value}; with data.scale: {scale}, pixels go from {low:g} to {high:g}; {hint}"
        )


def _classes_and_labels(texts: Arrays, names: np.ndarray | None, n_images: dict[str, int]) -> tuple[list[str], Arrays]:
    """The names of the K classes, and the labels of each split as int64 (N,), in [0, K).

    texts: the labels of each split as the user has them, whole numbers or text.
    """
    for split, labels in texts.items():
        name = f"{SPLITS[split]}labels"
        if labels.dtype.kind not in "iuU":
            raise StageError(
                f"{name} is {labels.dtype}; it should be whole numbers (such as int64) or text (dtype=str)"
            )
        if labels.shape != (n_images[split],):
            raise StageError(
                f"{name} has shape {labels.shape}; with {n_images[split]} images it should be ({n_images[split]},)"
            )
        if (labels.dtype.kind == "U") != (texts["train"].dtype.kind == "U"):
            raise StageError(
                f"labels is {texts['train'].dtype} and {name} {labels.dtype}; both should be numbers, or text"
            )
    if names is not None and (names.dtype.kind != "U" or names.ndim != 1):
        raise StageError(
            f"classes is {names.dtype} of shape {names.shape}; "
            "it should be one name a class: numpy.array(names, dtype=str)"
        )
    listed = None if names is None else checked_names([str(name) for name in names])
    if texts["train"].dtype.kind == "U":
        classes = listed or checked_names(sorted({str(text) for text in texts["train"]}))
        numbered = {split: _numbered(f"{SPLITS[split]}labels", labels, classes) for split, labels in texts.items()}
    else:
        numbered = {split: _whole_numbers(f"{SPLITS[split]}labels", labels) for split, labels in texts.items()}
        classes = listed or []
    return _complete(classes, numbered), numbered


def _complete(classes: list[str], labels: Arrays) -> list[str]:
    """The names of the classes; their numbers if there are none. Raises StageError unless each has a train image."""
    present = np.unique(labels["train"])
    largest = int(present[-1])
    n_classes = len(classes) or largest + 1
    if largest >= n_classes:
        raise StageError(
            f"labels go up to {largest}, but classes has {n_classes} names (for labels 0 to {n_classes - 1})"
        )
    if len(present) < n_classes:
        absent = _absent_labels(set(present.tolist()), n_classes)
        named = f" ({classes[int(absent.split(', ')[0])]!r}, …)" if classes else ""
        raise StageError(f"labels must use every number from 0 to {n_classes - 1}; no image has {absent}{named}")
    if n_classes < 2:
        raise StageError("labels hold one class; at least two are needed")
    for split, of_split in labels.items():
        if of_split.max() >= n_classes:
            raise StageError(
                f"{SPLITS[split]}labels has the label {of_split.max()}, which no image in `images` has "
                f"(0 to {n_classes - 1})"
            )
    return classes or [str(label) for label in range(n_classes)]


def _whole_numbers(name: str, labels: np.ndarray) -> np.ndarray:
    if labels.min() < 0:
        raise StageError(f"{name} has the label {labels.min()}; labels count from 0")
    if labels.max() > np.iinfo(np.int64).max:
        raise StageError(f"{name} has the label {labels.max()}; labels are whole numbers from 0 to K − 1")
    return labels.astype(np.int64)


def _numbered(name: str, labels: np.ndarray, classes: list[str]) -> np.ndarray:
    """The place of each label, a text, among the classes."""
    texts, places = np.unique(labels, return_inverse=True)
    number = {text: place for place, text in enumerate(classes)}
    normal = [unicodedata.normalize("NFC", str(text)) for text in texts]
    unknown = [text for text in normal if text not in number]
    if unknown:
        raise StageError(f"{name} has {listed(unknown)}, which is none of the classes {listed(classes)}")
    return np.array([number[text] for text in normal], dtype=np.int64)[places]


def checked_names(names: list[str]) -> list[str]:
    """The names of the classes in Unicode's composed form. Raises StageError unless they can be told apart and read."""
    normal = [unicodedata.normalize("NFC", name) for name in names]
    twice = [name for name, times in Counter(normal).items() if times > 1]
    empty = [name for name in normal if not name.strip()]
    if twice or empty:
        raise StageError(
            f"classes must be {len(names)} different, non-empty names; they are {listed(normal)}"
            + (f", of which {listed(twice)} are there twice" if twice else "")
        )
    for name in normal:
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
            raise StageError(f"the class {name!a} has a character that is no text; give it another name")
    return normal


def listed(names: list[str]) -> str:
    """The first names in quotes, for a message."""
    more = f" and {len(names) - LONGEST_LIST} more" if len(names) > LONGEST_LIST else ""
    return ", ".join(map(repr, names[:LONGEST_LIST])) + more


def _absent_labels(present: set[int], n_classes: int) -> str:
    """The first labels that no image has. The search ends early, since a label may be as large as 10¹⁸."""
    absent = (label for label in range(n_classes) if label not in present)
    first = [str(label) for label in itertools.islice(absent, LONGEST_LIST + 1)]
    return ", ".join(first if len(first) <= LONGEST_LIST else [*first[:LONGEST_LIST], "…"])

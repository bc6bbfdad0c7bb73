"""A user's images: an .npz file of arrays, checked in full before anything is computed from them."""

import hashlib
import itertools
import zipfile
import zlib
from pathlib import Path

import numpy as np

from stages.download.raw import Arrays, RawDataset
from stages.shared.stage_command import StageError

REQUIRED = ("images", "labels")
OPTIONAL = ("test_images", "test_labels", "classes")
MAX_CHANNELS = 4
LONGEST_LIST = 10  # labels or names in a message


def load(path: Path) -> tuple[RawDataset, str]:
    """The dataset, and the name of its source. Raises StageError that names the file, the array and the fault."""
    try:
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        arrays = _read_arrays(path)
        images = _checked_images("images", arrays["images"])
        labels = _checked_labels("labels", arrays["labels"], len(images))
        classes = _class_names(arrays.get("classes"), labels)
        checked = {"train_images": images, "train_labels": labels}
        if "test_images" in arrays:
            test_images = _checked_images("test_images", arrays["test_images"])
            test_labels = _checked_labels("test_labels", arrays["test_labels"], len(test_images))
            _check_test_set(images, test_images, test_labels, len(classes))
            checked |= {"test_images": test_images, "test_labels": test_labels}
    except FileNotFoundError:
        available = ", ".join(sorted(file.name for file in path.parent.glob("*.npz"))) or "no .npz"
        raise StageError(
            f"data/user/{path.name} is not there (data.file in params.yaml); in data/user/ there is {available}"
        ) from None
    except StageError as error:
        raise StageError(f"data/user/{path.name}: {error}") from None
    return RawDataset(path.stem, classes, checked, {path.name: sha256}), f"data/user/{path.name}"


def _read_arrays(path: Path) -> Arrays:
    try:
        # numpy gets a stream, because it leaves a file open that it opened and could not read.
        with path.open("rb") as stream:
            opened = np.load(stream, allow_pickle=False)
            if not isinstance(opened, np.lib.npyio.NpzFile):
                raise StageError(
                    "this is one bare array, not an .npz; write it with numpy.savez(file, images=…, labels=…)"
                )
            with opened:
                names = list(opened)
                _check_array_names(names)
                return {name: opened[name] for name in names}
    except FileNotFoundError:
        raise
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise StageError(f"not a whole .npz: it is damaged, cut short, or of another kind ({error})") from None
    except ValueError as error:
        if "pickle" not in str(error):
            raise StageError(f"not a whole .npz ({error})") from None
        raise StageError(
            "holds Python objects, or is no .npz at all; write plain arrays with numpy.savez "
            "(names of classes as numpy.array(names, dtype=str))"
        ) from None


def _check_array_names(names: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise StageError(f"has no array {' and no array '.join(missing)}; it has {', '.join(names) or 'none'}")
    unknown = [name for name in names if name not in (*REQUIRED, *OPTIONAL)]
    if unknown:
        raise StageError(f"unknown array {unknown[0]!r}; allowed are {', '.join((*REQUIRED, *OPTIONAL))}")
    if ("test_images" in names) != ("test_labels" in names):
        raise StageError("test_images and test_labels go together: it has only one of them")


def _checked_images(name: str, images: np.ndarray) -> np.ndarray:
    """The images as uint8 (N, H, W, C)."""
    if images.dtype != np.uint8:
        conversion = f"(255 * {name}).round().astype('uint8')"
        raise StageError(f"{name} is {images.dtype}; it should be uint8, from 0 to 255 (for fractions: {conversion})")
    if images.ndim not in (3, 4):
        raise StageError(f"{name} has shape {images.shape}; it should be (N, H, W) or (N, H, W, C)")
    if images.ndim == 4 and not 1 <= images.shape[3] <= MAX_CHANNELS:
        channels_first = 1 <= images.shape[1] <= MAX_CHANNELS
        hint = f"; channels stand last: {name}.transpose(0, 2, 3, 1)" if channels_first else ""
        raise StageError(
            f"{name} has shape {images.shape}, so {images.shape[3]} channels; 1 to {MAX_CHANNELS} are allowed{hint}"
        )
    if images.size == 0:
        raise StageError(f"{name} is empty: its shape is {images.shape}")
    return images if images.ndim == 4 else images[..., np.newaxis]


def _checked_labels(name: str, labels: np.ndarray, n_images: int) -> np.ndarray:
    """The labels as int64 (N,)."""
    if labels.dtype.kind not in "iu":
        raise StageError(f"{name} is {labels.dtype}; it should be whole numbers (such as int64)")
    if labels.shape != (n_images,):
        raise StageError(f"{name} has shape {labels.shape}; with {n_images} images it should be ({n_images},)")
    if labels.min() < 0:
        raise StageError(f"{name} has the label {labels.min()}; labels count from 0")
    if labels.max() > np.iinfo(np.int64).max:
        raise StageError(f"{name} has the label {labels.max()}; labels are whole numbers from 0 to K − 1")
    return labels.astype(np.int64)


def _class_names(names: np.ndarray | None, labels: np.ndarray) -> list[str]:
    """The names of the K classes; without `names`, their numbers. Raises StageError unless each class has an image."""
    if names is not None and (names.dtype.kind != "U" or names.ndim != 1):
        raise StageError(
            f"classes is {names.dtype} of shape {names.shape}; "
            "it should be one name a class: numpy.array(names, dtype=str)"
        )
    present = np.unique(labels)
    largest = int(present[-1])
    n_classes = largest + 1 if names is None else len(names)
    if largest >= n_classes:
        raise StageError(
            f"labels go up to {largest}, but classes has {n_classes} names (for labels 0 to {n_classes - 1})"
        )
    if len(present) < n_classes:
        absent = _absent_labels(set(present.tolist()), n_classes)
        raise StageError(f"labels must use every number from 0 to {n_classes - 1}; no image has {absent}")
    if n_classes < 2:
        raise StageError("labels hold one class; at least two are needed")
    if names is None:
        return [str(label) for label in range(n_classes)]
    texts = [str(name) for name in names]
    if len(set(texts)) < n_classes or not all(text.strip() for text in texts):
        raise StageError(f"classes must be {n_classes} different, non-empty names; they are {texts[:LONGEST_LIST]}")
    return texts


def _absent_labels(present: set[int], n_classes: int) -> str:
    """The first labels that no image has. The search ends early, since a label may be as large as 10¹⁸."""
    absent = (label for label in range(n_classes) if label not in present)
    first = [str(label) for label in itertools.islice(absent, LONGEST_LIST + 1)]
    return ", ".join(first if len(first) <= LONGEST_LIST else [*first[:LONGEST_LIST], "…"])


def _check_test_set(images: np.ndarray, test_images: np.ndarray, test_labels: np.ndarray, n_classes: int) -> None:
    """Raises StageError unless the test images have the train images' shape and classes."""
    shape, test_shape = images.shape[1:], test_images.shape[1:]
    if shape != test_shape:
        raise StageError(
            f"images are {shape} each and test_images {test_shape} (height, width, channels); they should be alike"
        )
    if test_labels.max() >= n_classes:
        raise StageError(
            f"test_labels has the label {test_labels.max()}, which no image in `images` has (0 to {n_classes - 1})"
        )

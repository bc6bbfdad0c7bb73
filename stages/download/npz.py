"""A user's own images: an .npz of arrays, checked in full before anything is computed from them."""

import hashlib
import itertools
import zipfile
import zlib
from pathlib import Path

import numpy as np

from stages.download.raw import RawDataset
from stages.shared.stage_command import StageError

NEEDED = ("images", "labels")
OPTIONAL = ("test_images", "test_labels", "classes")
MAX_CHANNELS = 4
SHOWN = 10  # labels named in a message


def load(path: Path) -> tuple[RawDataset, str]:
    """The dataset, and the source's name. Raises StageError that names the file, the array and the fault."""
    try:
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        arrays = _arrays(path)
        images = _images("images", arrays["images"])
        labels = _labels("labels", arrays["labels"], len(images))
        classes = _classes(arrays.get("classes"), labels)
        checked = {"train_images": images, "train_labels": labels}
        if "test_images" in arrays:
            checked["test_images"] = _images("test_images", arrays["test_images"])
            checked["test_labels"] = _labels("test_labels", arrays["test_labels"], len(checked["test_images"]))
            _fits(checked, len(classes))
    except FileNotFoundError:
        there = ", ".join(sorted(file.name for file in path.parent.glob("*.npz"))) or "no .npz"
        raise StageError(
            f"data/user/{path.name} is not there (data.file in params.yaml); in data/user/ there is {there}"
        ) from None
    except StageError as error:
        raise StageError(f"data/user/{path.name}: {error}") from None
    return RawDataset(path.stem, classes, checked, {path.name: sha256}), f"data/user/{path.name}"


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        # From a stream of our own: numpy leaves a file that it cannot read open.
        with path.open("rb") as stream:
            opened = np.load(stream, allow_pickle=False)
            if not isinstance(opened, np.lib.npyio.NpzFile):
                raise StageError(
                    "this is one bare array, not an .npz; write it with numpy.savez(file, images=…, labels=…)"
                )
            with opened:
                names = list(opened)
                _names(names)
                return {name: opened[name] for name in names}
    except FileNotFoundError:
        raise
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise StageError(f"not a whole .npz: it is damaged, cut short, or of another kind ({error})") from None
    except ValueError as error:
        if "pickle" not in str(error):
            raise StageError(f"not a whole .npz ({error})") from None
        raise StageError(
            "holds Python objects, or is no .npz at all; write plain arrays with numpy.savez (names of classes as numpy.array(names, dtype=str))"
        ) from None


def _names(names: list[str]) -> None:
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise StageError(f"has no array {' and no array '.join(missing)}; it has {', '.join(names) or 'none'}")
    unknown = [name for name in names if name not in (*NEEDED, *OPTIONAL)]
    if unknown:
        raise StageError(f"unknown array {unknown[0]!r}; allowed are {', '.join((*NEEDED, *OPTIONAL))}")
    if ("test_images" in names) != ("test_labels" in names):
        raise StageError("test_images and test_labels go together: it has only one of them")


def _images(name: str, images: np.ndarray) -> np.ndarray:
    """uint8 (N, H, W, C)."""
    if images.dtype != np.uint8:
        from_fractions = f"(255 * {name}).round().astype('uint8')"
        raise StageError(
            f"{name} is {images.dtype}; it should be uint8, from 0 to 255 (for fractions: {from_fractions})"
        )
    if images.ndim not in (3, 4):
        raise StageError(f"{name} has shape {images.shape}; it should be (N, H, W) or (N, H, W, C)")
    if images.ndim == 4 and not 1 <= images.shape[3] <= MAX_CHANNELS:
        hint = f"; channels stand last: {name}.transpose(0, 2, 3, 1)" if 1 <= images.shape[1] <= MAX_CHANNELS else ""
        raise StageError(
            f"{name} has shape {images.shape}, so {images.shape[3]} channels; 1 to {MAX_CHANNELS} are allowed{hint}"
        )
    if images.size == 0:
        raise StageError(f"{name} is empty: its shape is {images.shape}")
    return images if images.ndim == 4 else images[..., np.newaxis]


def _labels(name: str, labels: np.ndarray, n_images: int) -> np.ndarray:
    """int64 (N,)."""
    if labels.dtype.kind not in "iu":
        raise StageError(f"{name} is {labels.dtype}; it should be whole numbers (such as int64)")
    if labels.shape != (n_images,):
        raise StageError(f"{name} has shape {labels.shape}; with {n_images} images it should be ({n_images},)")
    if labels.min() < 0:
        raise StageError(f"{name} has the label {labels.min()}; labels count from 0")
    if labels.max() > np.iinfo(np.int64).max:
        raise StageError(f"{name} has the label {labels.max()}; labels are whole numbers from 0 to K − 1")
    return labels.astype(np.int64)


def _classes(names: np.ndarray | None, labels: np.ndarray) -> list[str]:
    """The K names; the labels themselves, where the file has none."""
    if names is not None and (names.dtype.kind != "U" or names.ndim != 1):
        raise StageError(
            f"classes is {names.dtype} of shape {names.shape}; it should be one name a class: numpy.array(names, dtype=str)"
        )
    present = np.unique(labels)
    count = int(present[-1]) + 1 if names is None else len(names)
    if present[-1] >= count:
        raise StageError(f"labels go up to {present[-1]}, but classes has {count} names (for labels 0 to {count - 1})")
    if len(present) < count:
        having = set(present.tolist())
        some = list(itertools.islice((label for label in range(count) if label not in having), SHOWN + 1))
        absent = ", ".join(map(str, some[:SHOWN])) + (", …" if len(some) > SHOWN else "")
        raise StageError(f"labels must use every number from 0 to {count - 1}; no image has {absent}")
    if count < 2:
        raise StageError("labels hold one class; at least two are needed")
    if names is None:
        return [str(label) for label in range(count)]
    listed = [str(name) for name in names]
    if len(set(listed)) < count or not all(name.strip() for name in listed):
        raise StageError(f"classes must be {count} different, non-empty names; they are {listed[:SHOWN]}")
    return listed


def _fits(arrays: dict[str, np.ndarray], n_classes: int) -> None:
    """Raises StageError unless the test set is of the same kind as the images."""
    train, test = arrays["train_images"].shape[1:], arrays["test_images"].shape[1:]
    if train != test:
        raise StageError(
            f"images are {train} each and test_images {test} (height, width, channels); they should be alike"
        )
    if arrays["test_labels"].max() >= n_classes:
        raise StageError(
            f"test_labels has the label {arrays['test_labels'].max()}, which no image in `images` has (0 to {n_classes - 1})"
        )

"""A user's images: a folder for each class, with image files in it."""

import hashlib
import os
import unicodedata
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from stages.download.memory import refuse_too_large
from stages.download.npz import absent
from stages.download.pictures import BadPicture, Picture, read_picture, warnings_as_we_want_them
from stages.download.raw import Arrays, RawDataset
from stages.download.user_arrays import checked_names, listed
from stages.shared import paths
from stages.shared.machine_limits import available_cores
from stages.shared.params import Data
from stages.shared.stage_command import StageError

SPLITS = ("train", "val", "test")
NOT_THE_USERS = {"thumbs.db", "desktop.ini", "__macosx", "icon\r"}  # what systems leave in folders; names in lower case
MOST_FAULTS = 10  # in one message
LINKED = "is a link to a folder, and DVC does not see what changes behind it; put the folder itself in its place"
MOST_READERS = 8  # threads


@dataclass(frozen=True)
class ImageFile:
    """split: train, val or test. label: of its class."""

    path: Path
    split: str
    label: int


def load(folder: Path, data: Data) -> tuple[RawDataset, str]:
    """The dataset, and the name of its source. Raises StageError that names each file and its fault.

    The order of the images depends on the names of files and folders alone.
    """
    name = f"data/user/{folder.name}"
    if not folder.is_dir():
        there = sorted(path.name for path in paths.USER.glob("*") if path.is_dir())
        raise StageError(f"{absent(folder.name, 'folder')}; the folders in data/user/ are {', '.join(there) or 'none'}")
    if folder.is_symlink():
        raise StageError(f"{name}: {LINKED}")
    try:
        classes, files = find_images(folder)
        arrays, digest = _read(folder, files, data)
    except StageError as error:
        raise StageError(f"{name}: {error}") from None
    sha256 = {f"{folder.name} ({len(files)} files)": digest}
    return RawDataset(folder.name, classes, arrays, sha256), name


def find_images(folder: Path) -> tuple[list[str], list[ImageFile]]:
    """The names of the classes, sorted, and every image file, sorted by split, class and name.

    Raises StageError that names each file or folder that is in a place where none should be.
    """
    faults: list[str] = []
    roots = _split_folders(folder)
    faults += [f"{split}: {LINKED}" for split, root in roots.items() if root != folder and root.is_symlink()]
    class_folders = {split: _classes_in(root, folder, faults) for split, root in roots.items()}
    _refuse([fault for fault in faults if fault.endswith(LINKED)])
    classes = checked_names([written_name(path) for path in class_folders["train"]])
    if len(classes) < 2:
        raise StageError(
            f"has {'no folder' if not classes else 'one folder'} of a class"
            f"{f' ({classes[0]!r})' if classes else ''}; it should have a folder for each class, two at least, with "
            "the images in it (or train/, test/ and val/ above the folders of the classes)"
        )
    label_of = {name: label for label, name in enumerate(classes)}
    files = []
    for split, folders in class_folders.items():
        for path in folders:
            label = label_of.get(unicodedata.normalize("NFC", written_name(path)))
            if label is None:
                faults.append(f"{path.relative_to(folder)}: there is no such class in train/ ({listed(classes)})")
                continue
            of_class = _images_in(path, folder, faults)
            if split == "train" and not of_class:
                faults.append(f"{path.relative_to(folder)}: is empty; a class needs an image, or take its folder away")
            files += [ImageFile(file, split, label) for file in of_class]
        if split in roots and not any(file.split == split for file in files) and not faults:
            faults.append(f"{split}: has no image; take the folder away, or put images in it")
    _refuse(faults)
    return classes, files


def written_name(path: Path) -> str:
    """The name of a file or folder as its user wrote it: nearly every system writes UTF-8, whatever the locale says."""
    try:
        return os.fsencode(path.name).decode("utf-8")
    except UnicodeDecodeError:
        return path.name


def _split_folders(folder: Path) -> dict[str, Path]:
    """Split → the folder that has its classes: the folder itself, where it has no train/ with folders in it."""
    inner = _visible(folder)
    train = folder / "train"
    are_splits = {path.name for path in inner} <= set(SPLITS) and all(path.is_dir() for path in inner)
    if train in inner and are_splits and any(path.is_dir() for path in _visible(train)):
        return {split: folder / split for split in SPLITS if folder / split in inner}
    return {"train": folder}


def _classes_in(root: Path, folder: Path, faults: list[str]) -> list[Path]:
    """The folders of the classes, sorted by name; what else lies beside them is a fault."""
    folders = []
    for path in _visible(root):
        if path.is_dir() and path.is_symlink():
            faults.append(f"{path.relative_to(folder)}: {LINKED}")
        elif path.is_dir():
            folders.append(path)
        else:
            faults.append(
                f"{path.relative_to(folder)}: lies beside the folders of the classes; move it into one, or away"
            )
    return sorted(folders, key=lambda path: unicodedata.normalize("NFC", written_name(path)))


def _images_in(path: Path, folder: Path, faults: list[str]) -> list[Path]:
    files = []
    for file in _visible(path):
        if file.is_dir():
            faults.append(f"{file.relative_to(folder)}: is a folder inside a class; images lie directly in their class")
        elif not file.exists():
            faults.append(f"{file.relative_to(folder)}: is a link that leads nowhere ({os.readlink(file)})")
        elif not file.is_file():
            faults.append(f"{file.relative_to(folder)}: is no ordinary file")
        else:
            files.append(file)
    return files


def _visible(folder: Path) -> list[Path]:
    """What lies in a folder, sorted by name, without hidden files and what systems leave behind."""
    names = sorted(os.listdir(folder))
    return [folder / name for name in names if not name.startswith(".") and name.lower() not in NOT_THE_USERS]


def _read(folder: Path, files: list[ImageFile], data: Data) -> tuple[Arrays, str]:
    """The arrays of every split, and one digest of the names and contents of all files."""
    read = partial(_try_to_read, size=data.target_size, colour=data.colour)
    by_split = Counter(file.split for file in files)
    arrays: Arrays = {}
    lines, faults, places, changes = [], [], Counter[str](), Counter[str]()
    first: ImageFile | None = None
    readers = min(MOST_READERS, available_cores())
    with warnings_as_we_want_them(), ThreadPoolExecutor(readers) as pool:
        results = tqdm(pool.map(read, [file.path for file in files]), f"download: {folder.name}", len(files))
        for file, picture in zip(files, results, strict=True):
            relative = file.path.relative_to(folder)
            if isinstance(picture, BadPicture):
                faults.append(f"{relative}: {picture}")
                continue
            if first is None:
                first = file
                shape = picture.pixels.shape
                refuse_too_large(
                    f"{len(files):,} images of {shape[0]}×{shape[1]} take", len(files) * picture.pixels.size,
                    "reduce data.size in params.yaml, or take images away",
                )  # fmt: skip
                arrays = {f"{split}_images": np.empty((n, *shape), np.uint8) for split, n in by_split.items()}
                arrays |= {f"{split}_labels": np.empty(n, np.int64) for split, n in by_split.items()}
            elif picture.pixels.shape != shape:
                height, width = picture.pixels.shape[:2]
                faults.append(
                    f"{relative}: is {height}×{width}, and {first.path.relative_to(folder)} is {shape[0]}×{shape[1]} "
                    "(height × width); set data.size in params.yaml to bring all to one size"
                )
                continue
            place = places[file.split]
            places[file.split] += 1
            arrays[f"{file.split}_images"][place] = picture.pixels
            arrays[f"{file.split}_labels"][place] = file.label
            lines.append(os.fsencode(relative.as_posix()) + b"\0" + picture.sha256.encode() + b"\n")
            changes.update(picture.changes)
    _refuse(faults)
    for change, count in sorted(changes.items()):
        print(f"download: {folder.name}: {count} of {len(files)} images {change}", flush=True)
    return arrays, hashlib.sha256(b"".join(sorted(lines))).hexdigest()


def _try_to_read(path: Path, size: tuple[int, int] | None, colour: str) -> Picture | BadPicture:
    try:
        return read_picture(path, size, colour)
    except BadPicture as fault:
        return fault


def _refuse(faults: list[str]) -> None:
    """Raises StageError with the first faults, if there are any."""
    if faults:
        more = [f"and {len(faults) - MOST_FAULTS} more"] if len(faults) > MOST_FAULTS else []
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        printable = [ascii(fault)[1:-1] if not fault.isprintable() else fault for fault in faults[:MOST_FAULTS]]
        raise StageError("\n  ".join([count, *printable, *more]))

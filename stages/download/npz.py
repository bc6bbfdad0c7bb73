"""A user's images: an .npz file of arrays, whose headers are read before any of it is loaded."""

import hashlib
import math
import sys
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from stages.download.memory import refuse_too_large
from stages.download.raw import Arrays, RawDataset
from stages.download.user_arrays import SPLITS, check_shape, dataset_of
from stages.shared import paths
from stages.shared.stage_command import StageError

REQUIRED = ("images", "labels")
PICKLED = "pickle"  # stands in numpy's message about an array of Python objects
OPTIONAL = ("test_images", "test_labels", "val_images", "val_labels", "classes")


def load(path: Path, scale: str) -> tuple[RawDataset, str]:
    """The dataset, and the name of its source. Raises StageError that names the file, the array and the fault.

    scale: data.scale of params.yaml.
    """
    try:
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        dataset = dataset_of(_read_arrays(path), path.stem, {path.name: sha256}, scale)
    except FileNotFoundError:
        available = ", ".join(sorted(file.name for file in path.parent.glob("*.npz"))) or "no .npz"
        raise StageError(f"{absent(path.name, 'file')}; in data/user/ there is {available}") from None
    except StageError as error:
        raise StageError(f"data/user/{path.name}: {error}") from None
    return dataset, f"data/user/{path.name}"


def absent(name: str, field: str) -> str:
    """The message for a user's file or folder that is not there. field: of `data` in params.yaml, which names it."""
    message = f"data/user/{name} is not there (data.{field} in params.yaml)"
    if ".dvc" in paths.ROOT.resolve().parts:  # the folder in which `dvc exp run --temp` and a queue work
        message += (
            f"; an experiment in a folder of its own sees only what git or DVC tracks: run `dvc add data/user/{name}` "
            f"first, or add `--copy-paths data/user/{name}` to `dvc exp run`"
        )
    if sys.getfilesystemencoding() != "utf-8" and not name.isascii():
        message += f"; names of files are read as {sys.getfilesystemencoding()} here: run `export PYTHONUTF8=1` first"
    return message


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
                _check_headers(path)
                return {name: opened[name] for name in names}
    except FileNotFoundError:
        raise
    except MemoryError:
        raise StageError("is larger than the memory that is free; end other programs, or save fewer images") from None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise StageError(f"not a whole .npz: it is damaged, cut short, or of another kind ({error})") from None
    except ValueError as error:
        if PICKLED not in str(error):
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
    for prefix in SPLITS.values():
        if (f"{prefix}images" in names) != (f"{prefix}labels" in names):
            raise StageError(f"{prefix}images and {prefix}labels go together: it has only one of them")


def _check_headers(path: Path) -> None:
    """Raises StageError if an array is not as long as its header says, or too large to be loaded."""
    in_memory, described = 0, []
    with zipfile.ZipFile(path) as archive:
        headers = [(member, *_header(archive, member)) for member in archive.infolist()]
    for member, shape, dtype, header_bytes in headers:
        name = member.filename.removesuffix(".npy")
        n_bytes = math.prod(shape) * dtype.itemsize
        if dtype.hasobject:
            raise ValueError(PICKLED)
        if member.file_size != header_bytes + n_bytes:
            raise StageError(
                f"not a whole .npz: {name} has {member.file_size - header_bytes:,} bytes, and its header promises "
                f"{n_bytes:,} (shape {shape}, {dtype})"
            )
        if name.endswith("images"):
            check_shape(name, shape)
            in_memory += n_bytes if dtype.itemsize == 1 else max(n_bytes, math.prod(shape) * 4)
            described.append(f"{name} of shape {shape} and type {dtype}")
    refuse_too_large(f"{' and '.join(described)} take", in_memory, "save fewer or smaller images, or smaller types")


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape and type of an array, and the bytes of its header."""
    with archive.open(member) as stream:
        try:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(stream)
        except (SyntaxError, tokenize.TokenError) as error:
            raise ValueError(f"the header of {member.filename} cannot be read: {error}") from None
        return shape, dtype, stream.tell()

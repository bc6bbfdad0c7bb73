"""What is known of a published dataset before it is fetched, and whether a file is the published one."""

import gzip
import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from stages.download.raw import Arrays

CHUNK = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"


class SourceFailed(Exception):
    """Why a source cannot give a file; the text completes "<source>: …"."""


class WrongFile(SourceFailed):
    """The file that a source gave is not the published one."""


@dataclass(frozen=True)
class PublishedFile:
    """One file under its publisher's name, such as train-images-idx3-ubyte.gz.

    digest_of: "packed" for the digest of the file as published; "content" for the digest of what the .gz holds, so
    that the file may be packed again or not at all.
    """

    name: str
    algorithm: Literal["sha256", "md5"]
    digest: str
    digest_of: Literal["packed", "content"]

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the file may have in a folder."""
        return (self.name, self.name.removesuffix(".gz")) if self.digest_of == "content" else (self.name,)

    def find_in(self, folder: Path) -> Path | None:
        """The path of the file in the folder; None if it is not there. Its digest is not checked."""
        return next((folder / name for name in self.names if (folder / name).is_file()), None)


@dataclass(frozen=True)
class PublishedDataset:
    """torchvision: the name of its class there, which lists mirrors. debian: the package that holds it, or None.

    read: from {published name: path} to the four arrays and the names of the classes.
    """

    title: str
    torchvision: str
    debian: str | None
    files: tuple[PublishedFile, ...]
    read: Callable[[Mapping[str, Path]], tuple[Arrays, list[str]]]


def verify(file: PublishedFile, path: Path) -> None:
    """Raises WrongFile, with both digests, unless `path` holds the published bytes."""
    actual = digest(path, file.algorithm, unpack=file.digest_of == "content")
    if actual != file.digest:
        hint = "; it looks like a web page" if _first_bytes(path).lstrip()[:1] == b"<" else ""
        raise WrongFile(
            f"{path.name} is not the published file ({path.stat().st_size} bytes{hint}): "
            f"expected {file.algorithm} {file.digest}, found {actual}"
        )


def digest(path: Path, algorithm: str, unpack: bool) -> str:
    """Hexadecimal digest of a file; with `unpack`, of what a .gz holds.

    Raises WrongFile if the .gz breaks off or is damaged.
    """
    total = hashlib.new(algorithm, usedforsecurity=False)
    with open_unpacked(path) if unpack else path.open("rb") as stream:
        try:
            while block := stream.read(CHUNK):
                total.update(block)
        except EOFError:
            size = path.stat().st_size
            raise WrongFile(
                f"{path.name} breaks off after {size} bytes: it was not downloaded or copied whole"
            ) from None
        except (zlib.error, gzip.BadGzipFile) as error:
            raise WrongFile(f"{path.name} is damaged ({error})") from None
    return total.hexdigest()


def open_unpacked(path: Path) -> BinaryIO:
    """The file's content, unpacked if it is gzip, whatever its name (some browsers unpack a .gz and keep the name)."""
    return gzip.open(path) if _first_bytes(path)[:2] == GZIP_MAGIC else path.open("rb")  # type: ignore[return-value]


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(64)

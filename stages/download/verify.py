"""Whether a file is the one that was published."""

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

CHUNK = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class PublishedFile:
    """One file as its publisher names it, such as train-images-idx3-ubyte.gz.

    of: whether the digest is of the file as published ("packed"), or of what a .gz holds ("content"), which lets the
    file be packed anew or not at all.
    """

    name: str
    algorithm: Literal["sha256", "md5"]
    digest: str
    of: Literal["packed", "content"]

    @property
    def names(self) -> tuple[str, ...]:
        """The names under which it may lie in a folder."""
        return (self.name, self.name.removesuffix(".gz")) if self.of == "content" else (self.name,)


class SourceFailed(Exception):
    """Why a source does not serve; its text completes "<source>: …"."""


class WrongFile(SourceFailed):
    """A file that is not what was published."""


def verify(file: PublishedFile, path: Path) -> None:
    """Raises WrongFile, with what was expected and found, unless `path` holds the published bytes."""
    found = digest(path, file.algorithm, unpack=file.of == "content")
    if found != file.digest:
        page = "; it looks like a web page" if _head(path).lstrip()[:1] == b"<" else ""
        wrong = f"{path.name} is not the published file ({path.stat().st_size} bytes{page})"
        raise WrongFile(f"{wrong}: expected {file.algorithm} {file.digest}, found {found}")


def digest(path: Path, algorithm: str, unpack: bool) -> str:
    """Hexadecimal digest of a file, or of what it holds if it is a .gz and `unpack`.

    Raises WrongFile if the .gz breaks off or is damaged.
    """
    total = hashlib.new(algorithm, usedforsecurity=False)
    with open_plain(path) if unpack else path.open("rb") as stream:
        try:
            while block := stream.read(CHUNK):
                total.update(block)
        except EOFError:
            raise WrongFile(
                f"{path.name} breaks off after {path.stat().st_size} bytes: it was not downloaded or copied whole"
            ) from None
        except (zlib.error, gzip.BadGzipFile) as error:
            raise WrongFile(f"{path.name} is damaged ({error})") from None
    return total.hexdigest()


def open_plain(path: Path) -> BinaryIO:
    """The content, unpacked if it is gzip, whatever the name says (some browsers unpack a .gz and keep its name)."""
    return gzip.open(path) if _head(path)[:2] == GZIP_MAGIC else path.open("rb")  # type: ignore[return-value]


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(64)

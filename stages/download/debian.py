"""Files out of a Debian package, without root: `apt-get download`, then read from the archive."""

import lzma
import shutil
import subprocess
import tarfile
import tempfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from stages.download.verify import PublishedFile, SourceFailed, verify
from stages.shared import paths

LIMIT_SECONDS = 900
OPTIONS = {
    "APT::Sandbox::User": "root",  # else apt, when root runs it, cannot write to a private folder
    "Acquire::Retries": "1",
    "Acquire::http::Timeout": "10",
    "Acquire::https::Timeout": "10",
    "Acquire::Languages": "none",
}
AR_MAGIC = b"!<arch>\n"
AR_HEADER_BYTES = 60


def fetch(package: str, files: Sequence[PublishedFile], folder: Path) -> None:
    """Put `files` from the package into `folder`, each verified. Raises SourceFailed with apt's own reason."""
    if shutil.which("apt-get") is None:
        raise SourceFailed("there is no apt-get on this machine")
    with tempfile.TemporaryDirectory(prefix="debian-") as scratch:
        take(_download(package, Path(scratch)), files, folder)


def take(deb: Path, files: Sequence[PublishedFile], folder: Path) -> None:
    """Read `files` from the package by their bare names; no path in it is followed, and nothing else leaves it."""
    try:
        with tarfile.open(_tar_of(deb)) as archive:
            members = {Path(member.name).name: member for member in archive if member.isreg()}
            for file in files:
                name = next((name for name in file.names if name in members), None)
                stream = archive.extractfile(members[name]) if name else None
                if name is None or stream is None:
                    raise SourceFailed(f"{deb.name} has no {file.name}")
                with stream, paths.whole_file(folder / name) as partial:
                    with partial.open("wb") as out:
                        shutil.copyfileobj(stream, out)
                    verify(file, partial)
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise SourceFailed(f"{deb.name} cannot be unpacked ({error})") from None


def _download(package: str, scratch: Path) -> Path:
    """The .deb. Where apt's own lists are missing or stale, fresh ones are fetched into `scratch`."""
    first = _apt(["download", package], scratch, {}, f"{package} (apt-get download)")
    if first is not None:
        print(f"download: apt-get: {first}; trying with fresh package lists in a temporary folder", flush=True)
        private = _private_state(scratch)
        update = _apt(["update"], scratch, private, "package lists (apt-get update)")
        second = _apt(["download", package], scratch, private, f"{package} (apt-get download)")
        if second is not None:
            raise SourceFailed(f"apt-get: {second}" + (f"; apt-get update: {update}" if update else ""))
    found = sorted(scratch.glob("*.deb"))
    if not found:
        raise SourceFailed("apt-get reported success, but left no package")
    return found[0]


def _private_state(scratch: Path) -> dict[str, str]:
    """Settings under which apt keeps lists and cache in `scratch`, so that it needs no root."""
    lists, cache = scratch / "lists", scratch / "cache"
    for folder in (lists / "partial", cache / "archives" / "partial"):
        folder.mkdir(parents=True)
    return {"Dir::State::lists": str(lists), "Dir::Cache": str(cache), "Debug::NoLocking": "1"}


def _apt(arguments: list[str], scratch: Path, settings: dict[str, str], title: str) -> str | None:
    """Run apt-get in `scratch`, showing how many bytes have come. Returns None, or why it failed."""
    options = [word for key, value in (OPTIONS | settings).items() for word in ("-o", f"{key}={value}")]
    command = ["env", "LC_ALL=C", "apt-get", "-q", *options, *arguments]
    log = scratch / "apt.log"
    stop = time.monotonic() + LIMIT_SECONDS
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=scratch, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            with tqdm(desc=title, unit="B", unit_scale=True) as bar:
                while process.poll() is None and time.monotonic() < stop:
                    bar.update(max(0, _bytes_in(scratch) - bar.n))
                    time.sleep(0.1)
                bar.update(max(0, _bytes_in(scratch) - bar.n))
        finally:
            process.kill()
            process.wait()
    if process.returncode == 0:
        return None
    errors = [
        line.removeprefix("E: ") for line in log.read_text(errors="replace").splitlines() if line.startswith("E: ")
    ]
    return "; ".join(dict.fromkeys(errors))[:400] or f"exit code {process.returncode}"


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # apt has just renamed it
            continue
    return total


def _tar_of(deb: Path) -> Path:
    """The package's files as a tar archive beside it: by dpkg-deb, or where there is none by reading the ar archive."""
    tar = deb.with_suffix(".tar")
    if shutil.which("dpkg-deb"):
        with tar.open("wb") as out:
            result = subprocess.run(
                ["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=out, stderr=subprocess.PIPE, check=False
            )
        if result.returncode:
            raise SourceFailed(
                f"{deb.name} cannot be unpacked ({' '.join(result.stderr.decode(errors='replace').split())})"
            )
        return tar
    tar.write_bytes(_ar_member(deb, "data.tar"))
    return tar


def _ar_member(path: Path, start: str) -> bytes:
    """The first member of an ar archive whose name starts so. Raises SourceFailed if there is none, or it breaks off."""
    with path.open("rb") as stream:
        if stream.read(len(AR_MAGIC)) != AR_MAGIC:
            raise SourceFailed(f"{path.name} is not a Debian package")
        while len(header := stream.read(AR_HEADER_BYTES)) == AR_HEADER_BYTES:
            length = header[48:58].strip()
            if not length.isdigit():
                break
            size = int(length)
            content = stream.read(size + size % 2)[:size]
            if header[:16].decode(errors="replace").startswith(start) and len(content) == size:
                return content
    raise SourceFailed(f"{path.name} is damaged or breaks off before its {start}")

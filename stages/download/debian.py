"""Files from a Debian package, without root: `apt-get download`, then `dpkg-deb --extract`."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from stages.download.published import PublishedFile, SourceFailed, verify
from stages.shared import paths

LIMIT_SECONDS = 900
OPTIONS = {
    "APT::Sandbox::User": "root",  # without it apt, when root runs it, cannot write to a private folder
    "Acquire::Retries": "1",
    "Acquire::http::Timeout": "10",
    "Acquire::https::Timeout": "10",
    "Acquire::Languages": "none",
}


def fetch(package: str, files: Sequence[PublishedFile], folder: Path) -> None:
    """Put `files` from the package into `folder`, each verified. Raises SourceFailed with apt's own reason."""
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise SourceFailed(f"there is no {program} on this machine")
    with tempfile.TemporaryDirectory(prefix="debian-") as scratch:
        take(_download(package, Path(scratch)), files, folder)


def take(deb: Path, files: Sequence[PublishedFile], folder: Path) -> None:
    """Take `files` by their names, wherever they are in the package; nothing else reaches `folder`.

    dpkg-deb and tar unpack into a temporary folder, and refuse a package whose files would leave it. Links are not
    followed. Raises SourceFailed if the package is damaged or lacks a file, WrongFile if a file has other content.
    """
    with tempfile.TemporaryDirectory(prefix="package-") as scratch:
        command = ["dpkg-deb", "--extract", str(deb), scratch]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if result.returncode:
            reason = " ".join(result.stderr.decode(errors="replace").split())
            raise SourceFailed(f"{deb.name} cannot be unpacked ({reason})")
        unpacked = {name: Path(parent, name) for parent, _, names in os.walk(scratch) for name in names}
        for file in files:
            name = next((name for name in file.names if name in unpacked), None)
            if name is None or unpacked[name].is_symlink() or not unpacked[name].is_file():
                raise SourceFailed(f"{deb.name} has no {file.name}")
            with paths.whole_file(folder / name) as copy:
                shutil.copyfile(unpacked[name], copy)
                verify(file, copy)


def _download(package: str, scratch: Path) -> Path:
    """Download the .deb into `scratch`, with fresh package lists there if apt's own are missing or stale."""
    error = _apt(["download", package], scratch, {}, f"{package} (apt-get download)")
    if error is not None:
        print(f"download: apt-get: {error}; trying with fresh package lists in a temporary folder", flush=True)
        private = _private_state(scratch)
        update_error = _apt(["update"], scratch, private, "package lists (apt-get update)")
        error = _apt(["download", package], scratch, private, f"{package} (apt-get download)")
        if error is not None:
            raise SourceFailed(f"apt-get: {error}" + (f"; apt-get update: {update_error}" if update_error else ""))
    packages = sorted(scratch.glob("*.deb"))
    if not packages:
        raise SourceFailed("apt-get reported success, but left no package")
    return packages[0]


def _private_state(scratch: Path) -> dict[str, str]:
    """Settings under which apt keeps its lists and its cache in `scratch`, so that it needs no root."""
    lists, cache = scratch / "lists", scratch / "cache"
    for folder in (lists / "partial", cache / "archives" / "partial"):
        folder.mkdir(parents=True)
    return {"Dir::State::lists": str(lists), "Dir::Cache": str(cache), "Debug::NoLocking": "1"}


def _apt(arguments: list[str], scratch: Path, settings: dict[str, str], title: str) -> str | None:
    """Run apt-get in `scratch` and show how many bytes have come. Returns None, or why it failed."""
    options = [word for key, value in (OPTIONS | settings).items() for word in ("-o", f"{key}={value}")]
    command = ["env", "LC_ALL=C", "apt-get", "-q", *options, *arguments]
    log = scratch / "apt.log"
    stop = time.monotonic() + LIMIT_SECONDS
    with log.open("wb") as out, tqdm(desc=title, unit="B", unit_scale=True) as bar:
        process = subprocess.Popen(command, cwd=scratch, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            while process.poll() is None and time.monotonic() < stop:
                time.sleep(0.1)
                bar.update(max(0, _bytes_in(scratch) - bar.n))
        finally:
            process.kill()
            process.wait()
    if process.returncode == 0:
        return None
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line.removeprefix("E: ") for line in lines if line.startswith("E: ")]
    return "; ".join(dict.fromkeys(errors))[:400] or f"exit code {process.returncode}"


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # apt has just renamed it
            continue
    return total

"""Finished seeds of a stage, kept until the whole stage is: one that was interrupted goes on there, and can be worked ahead of DVC.

A folder `<variant>-<digest>` has one whole folder a seed. The digest is of all that the seeds depend on, so what is there
under its name is right, whoever left it.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from stages.shared import paths

Task = tuple[str, int]  # variant, seed

RECORD = "kept.json"  # in a kept seed's folder: its files' names and digests, and the seconds that it took


def code(*patterns: str) -> list[Path]:
    """The files of ours that match, beneath stages/."""
    return sorted(file for pattern in patterns for file in Path(__file__).parent.glob(pattern))


def folder(under: Path, variant: str, settings: str, files: Iterable[Path]) -> Path:
    """Where the variant's seeds are kept that these settings and files make."""
    total = hashlib.sha256(settings.encode())
    for file in files:
        stat = file.stat()
        total.update(_of_file(file, stat.st_mtime_ns, stat.st_size))
    return under / f"{variant}-{total.hexdigest()[:16]}"


@contextmanager
def making(seed_folder: Path) -> Iterator[Path]:
    """Yield an empty folder that is kept as `seed_folder` when the block ends, and is worth nothing when it fails."""
    start = time.monotonic()
    partial = seed_folder.with_name(f".{seed_folder.name}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    paths.write_json(partial / RECORD, {"files": _digests(partial), "seconds": round(time.monotonic() - start, 2)})
    shutil.rmtree(seed_folder, ignore_errors=True)
    os.replace(partial, seed_folder)


def unfinished(verb: str, seeds: dict[str, tuple[int, ...]], folders: dict[str, Path]) -> tuple[str, list[Task]]:
    """A title for what is to be done with each variant's seeds, and those of them that are not kept whole. Says how many are."""
    wanted = [(variant, seed) for variant, own in seeds.items() for seed in own]
    missing = [(variant, seed) for variant, seed in wanted if not is_whole(folders[variant] / f"seed_{seed}")]
    title = (
        f"{verb} {', '.join(seeds)}"
        if len(seeds) == 1
        else f"{verb} {len(missing)} seeds of {len({variant for variant, _ in missing})} variants"
    )
    if len(missing) < len(wanted):
        print(
            f"{title}: {len(wanted) - len(missing)} of {len(wanted)} seeds were finished before, and kept", flush=True
        )
    return title, missing


def is_whole(seed_folder: Path) -> bool:
    """Whether a finished seed is there whole: a folder that was carried elsewhere and back may have come in part."""
    try:
        return bool(paths.read_json(seed_folder / RECORD)["files"] == _digests(seed_folder))
    except (FileNotFoundError, ValueError):  # ValueError: the record itself is cut short
        return False


def seconds(seed_folder: Path) -> float:
    """What a kept seed took to make."""
    took: float = paths.read_json(seed_folder / RECORD)["seconds"]
    return took


def forget(under: Path, variant: str) -> None:
    """Remove what is kept of the variant, also under other settings, data or code."""
    for found in under.glob(f"{variant}-*"):
        shutil.rmtree(found)


def _digests(seed_folder: Path) -> dict[str, str]:
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(seed_folder.iterdir())
        if file.name != RECORD
    }


@cache
def _of_file(file: Path, _modified: int, _size: int) -> bytes:
    return hashlib.sha256(file.read_bytes()).digest()

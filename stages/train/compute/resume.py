"""Seeds that an interrupted training had finished are not trained again, if nothing that makes them has changed since."""

import hashlib
import os
import shutil
from pathlib import Path

import torch

from stages import paths
from stages.params import Run
from stages.train.compute.code import code_of_stage

DIGESTS = "kept.json"  # in a kept seed's folder: its files' names and digests


def kept_folder(variant: str, run: Run, epochs: int, data: Path) -> Path:
    """Where the finished seeds of this very training are kept until all are: its name holds a digest of all that they depend on."""
    total = hashlib.sha256(f"{run.model_dump_json()} {epochs} {torch.__version__}".encode())
    for file in [*sorted(data.iterdir()), *code_of_stage()]:
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return paths.FINISHED_SEEDS / f"{variant}-{total.hexdigest()[:16]}"


def keep(folder: Path, kept: Path) -> None:
    """Copy a finished seed's folder, whole or not at all."""
    kept.mkdir(parents=True, exist_ok=True)
    partial = kept / f".{folder.name}"
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(folder, partial)
    paths.write_json(partial / DIGESTS, _digests(folder))
    shutil.rmtree(kept / folder.name, ignore_errors=True)  # one that was not whole
    os.replace(partial, kept / folder.name)


def is_whole(kept_seed: Path) -> bool:
    """Whether a finished seed is there whole: a folder that was carried elsewhere and back may have come in part."""
    try:
        return bool(paths.read_json(kept_seed / DIGESTS) == _digests(kept_seed))
    except (OSError, ValueError):  # absent, or broken off
        return False


def take(kept: Path, folder: Path) -> bool:
    """Copy a finished seed out of `kept`, if it is there whole."""
    found = kept / folder.name
    if not is_whole(found):
        return False
    shutil.copytree(found, folder, ignore=shutil.ignore_patterns(DIGESTS))
    return True


def _digests(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir()) if file.name != DIGESTS}

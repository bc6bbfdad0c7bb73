"""Seeds that an interrupted training had finished are not trained again, if nothing that makes them has changed since."""

import hashlib
import os
import shutil
from pathlib import Path

import torch

from stages import layouts, paths, prepared, seeds
from stages.params import Run


def kept_folder(variant: str, run: Run, epochs: int, data: Path) -> Path:
    """Where the finished seeds of this very training are kept until all are: its name holds a digest of all that they depend on."""
    total = hashlib.sha256(f"{run.model_dump_json()} {epochs} {torch.__version__}".encode())
    for file in [*sorted(data.iterdir()), *_code()]:
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return paths.FINISHED_SEEDS / f"{variant}-{total.hexdigest()[:16]}"


def keep(folder: Path, kept: Path) -> None:
    """Copy a finished seed's folder, whole or not at all."""
    kept.mkdir(parents=True, exist_ok=True)
    partial = kept / f".{folder.name}"
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(folder, partial)
    os.replace(partial, kept / folder.name)


def take(kept: Path, folder: Path) -> bool:
    """Copy a finished seed out of `kept`, if it is there."""
    if not (kept / folder.name).is_dir():
        return False
    shutil.copytree(kept / folder.name, folder)
    return True


def forget(variant: str) -> None:
    """Remove what is kept of a variant, of this training and of earlier ones."""
    for folder in paths.FINISHED_SEEDS.glob(f"{variant}-*"):
        shutil.rmtree(folder)


def _code() -> list[Path]:
    """The files that dvc.yaml names as this stage's code."""
    rooms = [Path(str(module.__file__)) for module in (layouts, prepared, seeds)]
    stage = Path(__file__).parents[1]
    return sorted([*rooms, *stage.glob("*.py"), *(stage.parent / "architectures").glob("*.py")])

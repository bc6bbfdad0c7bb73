"""The bundle of a protocol's results in data/reference/: an archive for each variant, and what describes the data.

An archive holds the files of a variant's runs and probes but the weights, so that `collect` makes every table again.
"""

import io
import lzma
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from stages.shared import paths
from stages.shared.stage_command import StageError

LEFT_OUT = ("weights.safetensors",)
SETTINGS = ("params.yaml", "hypotheses.yaml")
DATA = "data.tar.xz"  # what describes the images, and those of them that the report shows
HARD_IMAGES = "hard_images.safetensors"  # their rows in the test set, and their pixels
PUBLISHED_TIME = 315_532_800  # 1980, so that equal content gives equal bytes


def folder(protocol: str) -> Path:
    return paths.REFERENCE / protocol


def finished_variants(protocol: str) -> list[str]:
    """The variants that the bundle has, by name."""
    return sorted(file.name.removesuffix(".tar.xz") for file in folder(protocol).glob("*.tar.xz") if file.name != DATA)


def pack_variant(protocol: str, variant: str, data: Path) -> None:
    """Write the archive of a variant. data: the folder that holds runs/ and probes/ of a workspace."""
    files = [
        file
        for kind in ("runs", "probes")
        for file in sorted((data / kind / variant).rglob("*"))
        if file.is_file() and file.name not in LEFT_OUT
    ]
    _pack(folder(protocol) / f"{variant}.tar.xz", files, data)


def pack_data(protocol: str, data: Path) -> None:
    """Write what describes the data, from a workspace in which `collect` has run."""
    import pandas as pd

    rows = pd.read_csv(data / "results" / "hard_images.csv")["image"].unique()
    test = load_file(data / "prepared" / "test.safetensors")
    shown = {"rows": rows, "images": test["images"][rows], "labels": test["labels"]}
    files = [data / "raw" / "dataset.json", data / "prepared" / "constants.json"]
    files += sorted(file for file in (data / "eda").rglob("*") if file.is_file() and file.suffix != ".ipynb")
    _pack(folder(protocol) / DATA, files, data)
    with paths.whole_file(folder(protocol) / HARD_IMAGES) as partial:
        save_file(shown, partial)


def unpack_variants(protocol: str, variants: Iterable[str], data: Path) -> None:
    """Lay the runs and probes of these variants out below `data`, as the stages leave them, but for the weights.

    Raises StageError if an archive is missing or damaged.
    """
    for variant in variants:
        _unpack(folder(protocol) / f"{variant}.tar.xz", data)


def unpack_data(protocol: str, data: Path) -> None:
    """Lay out what describes the images. The test images are black, but for those that the report shows.

    Raises StageError if the archive is missing or damaged.
    """
    _unpack(folder(protocol) / DATA, data)
    shown = load_file(folder(protocol) / HARD_IMAGES)
    images = np.zeros((len(shown["labels"]), *shown["images"].shape[1:]), shown["images"].dtype)
    images[shown["rows"]] = shown["images"]
    save_file({"images": images, "labels": shown["labels"]}, data / "prepared" / "test.safetensors")


def _unpack(archive: Path, data: Path) -> None:
    where = archive.relative_to(paths.ROOT)
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(data, filter="data")
    except FileNotFoundError:
        raise StageError(f"{where} is missing; `git checkout -- {where}` brings it back") from None
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise StageError(f"{where} is damaged ({reason}); `git checkout -- {where}` brings it back") from None


def keep_settings(protocol: str, root: Path) -> None:
    """Copy the settings and the record of the hypotheses from a workspace into the bundle."""
    target = folder(protocol)
    target.mkdir(parents=True, exist_ok=True)
    for file in (*(root / name for name in SETTINGS), root / "data" / "declared" / f"{protocol}.json"):
        with paths.whole_file(target / file.name) as partial:
            shutil.copyfile(file, partial)


def _pack(archive: Path, files: list[Path], below: Path) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for file in files:
            entry = tarfile.TarInfo(file.relative_to(below).as_posix())
            entry.size, entry.mtime = file.stat().st_size, PUBLISHED_TIME
            with file.open("rb") as stream:
                tar.addfile(entry, stream)
    with paths.whole_file(archive) as partial:
        partial.write_bytes(lzma.compress(content.getvalue(), preset=9 | lzma.PRESET_EXTREME))

"""The bundle of a protocol's results in data/reference/: an archive for each variant, and what describes the data.

An archive holds the files of a variant's runs and probes but the weights, so that `collect` makes every table again.
Of a few nets that a reader may try, the weights under one seed are there too, in 16 bits.
"""

import csv
import io
import json
import lzma
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from stages.shared import paths
from stages.shared.stage_command import StageError
from stages.shared.try_it_nets import WEIGHTS, seed_of, shown_rows

LEFT_OUT = (WEIGHTS,)
UNFINISHED = "unfinished"  # the folder of variants of which not every seed is finished
SETTINGS = ("params.yaml", "hypotheses.yaml")
DATA = "data.tar.xz"  # what describes the images, and those of them that the report shows
HARD_IMAGES = "hard_images.safetensors"  # their rows in the test set, and their pixels
MACHINE = ("cpu", "instructions", "python", "torch")  # of what trained a variant
NETS = "nets.safetensors"  # the weights of nets to try, "<variant>/<tensor>", and the rows and pixels of test images
PUBLISHED_TIME = 315_532_800  # 1980, so that equal content gives equal bytes


def folder(protocol: str) -> Path:
    return paths.REFERENCE / protocol


def finished_variants(protocol: str) -> list[str]:
    """The variants that the bundle has with every seed, by name."""
    return _variants_in(folder(protocol))


def unfinished_variants(protocol: str) -> list[str]:
    """The variants of which the bundle has some of the seeds, by name."""
    return _variants_in(folder(protocol) / UNFINISHED)


def _variants_in(where: Path) -> list[str]:
    return sorted(file.name.removesuffix(".tar.xz") for file in where.glob("*.tar.xz") if file.name != DATA)


def remove(protocol: str, variant: str) -> None:
    """Remove what the bundle has of a variant, of all its seeds or of some."""
    (folder(protocol) / f"{variant}.tar.xz").unlink(missing_ok=True)
    _remove_unfinished(protocol, variant)


def _unfinished(protocol: str, variant: str) -> Path:
    return folder(protocol) / UNFINISHED / f"{variant}.tar.xz"


def pack_variant(protocol: str, variant: str, data: Path, machine: dict[str, str] | None = None) -> None:
    """Write the archive of a finished variant, and its row in trained_on.csv.

    data: the folder that holds runs/ and probes/ of a workspace. machine: what trained it (`machine_of`), if known.
    """
    _pack(folder(protocol) / f"{variant}.tar.xz", _files_of(variant, data), data)
    _note_machine(protocol, variant, machine)
    _remove_unfinished(protocol, variant)


def pack_unfinished(
    protocol: str, variant: str, seeds: Iterable[int], data: Path, machine: dict[str, str] | None
) -> None:
    """Write the archive of these seeds of a variant, which are finished, and its row in trained_on.csv."""
    names = {f"seed_{seed}" for seed in seeds}
    files = [file for file in _files_of(variant, data) if file.parent.name in names]
    archive = _unfinished(protocol, variant)
    archive.parent.mkdir(parents=True, exist_ok=True)
    _pack(archive, files, data)
    _note_machine(protocol, variant, machine)


def unpack_unfinished(protocol: str, variant: str, data: Path) -> list[int]:
    """Lay out the finished seeds of an unfinished variant, as `unpack_variants` does. Returns these seeds."""
    archive = _unfinished(protocol, variant)
    if not archive.exists():
        return []
    folders = {Path(name).parent for name in _unpack(archive, data)}
    return sorted(seed_of(run) for run in folders if run.parts[0] == "runs")


def _remove_unfinished(protocol: str, variant: str) -> None:
    archive = _unfinished(protocol, variant)
    archive.unlink(missing_ok=True)
    if archive.parent.exists() and not any(archive.parent.iterdir()):
        archive.parent.rmdir()


def _files_of(variant: str, data: Path) -> list[Path]:
    return [
        file
        for kind in ("runs", "probes")
        for file in sorted((data / kind / variant).rglob("*"))
        if file.is_file() and file.name not in LEFT_OUT
    ]


def _note_machine(protocol: str, variant: str, machine: dict[str, str] | None) -> None:
    rows = trained_on(protocol)
    rows.pop(variant, None)  # of the archive that was there before
    if machine is not None:
        rows[variant] = machine
    write_trained_on(rows, folder(protocol) / paths.TRAINED_ON.name)


def machine_of(data: Path, earlier: dict[str, str] | None = None) -> dict[str, str] | None:
    """The CPU and the versions that trained a variant in this workspace; None where it was not this machine.

    earlier: those that trained its earlier seeds. Where the two differ, an entry has both: "one CPU and another".
    """
    record = paths.read_json(data / "timings" / "train.json")
    if record["backend"] == "none":  # every run was there
        return earlier
    if record["backend"] != "local":
        return None
    machine = {name: record[name] for name in MACHINE[:-1]} | {"torch": record["packages"]["torch"]}
    if earlier is None:
        return machine
    return {
        name: text if machine[name] in text.split(" and ") else f"{text} and {machine[name]}"
        for name, text in earlier.items()
    }


def trained_on(protocol: str) -> dict[str, dict[str, str]]:
    """Variant → what trained it, of the variants of which that is known."""
    file = folder(protocol) / paths.TRAINED_ON.name
    if not file.exists():
        return {}
    with file.open(encoding="utf-8", newline="") as lines:
        return {row.pop("variant"): row for row in csv.DictReader(lines)}


def write_trained_on(rows: dict[str, dict[str, str]], file: Path) -> None:
    """Write what trained each variant, by name; no file where nothing is known."""
    if not rows:
        file.unlink(missing_ok=True)
        return
    with paths.whole_file(file) as partial, partial.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, ("variant", *MACHINE), lineterminator="\n")
        writer.writeheader()
        writer.writerows({"variant": variant, **rows[variant]} for variant in sorted(rows))


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


def pack_nets(protocol: str, folders: dict[str, Path], settings: dict[str, str], prepared: Path) -> None:
    """Write the weights of nets to try, and the test images that the page offers.

    folders: variant → the folder of its run. settings: variant → the digest of those under which it was trained.
    """
    arrays: dict[str, np.ndarray] = {}
    entries = {}
    for variant, run in folders.items():
        for name, tensor in load_file(run / WEIGHTS).items():
            is_weight = tensor.dtype == np.float32 and not name.startswith("normalise.")
            arrays[f"{variant}/{name}"] = tensor.astype(np.float16) if is_weight else tensor
        accuracy = paths.read_json(run / "metrics.json")["test_accuracy"]
        entries[variant] = {"seed": seed_of(run), "settings": settings[variant], "test_accuracy": accuracy}
    test = load_file(prepared / "test.safetensors")
    rows = shown_rows(test["labels"])
    arrays |= {"rows": rows, "images": test["images"][rows]}
    folder(protocol).mkdir(parents=True, exist_ok=True)
    with paths.whole_file(folder(protocol) / NETS) as partial:
        save_file(arrays, partial, {"nets": json.dumps(entries, sort_keys=True)})


def nets(protocol: str) -> dict[str, dict[str, Any]]:
    """Variant → its seed, the digest of its settings and its test accuracy, of the nets to try that the bundle has."""
    return nets_in(folder(protocol) / NETS)


def nets_in(file: Path) -> dict[str, dict[str, Any]]:
    """The same of one file; empty where there is none."""
    if not file.exists():
        return {}
    with safe_open(file, framework="numpy") as tensors:
        entries: dict[str, dict[str, Any]] = json.loads(tensors.metadata()["nets"])
        return entries


def unpack_nets(protocol: str, data: Path) -> None:
    """Lay the weights of the nets to try out among the runs, as training leaves them but for their rounding."""
    entries = nets(protocol)
    if not entries:
        return
    arrays = load_file(folder(protocol) / NETS)
    for variant, entry in entries.items():
        run = data / "runs" / variant / f"seed_{entry['seed']}"
        run.mkdir(parents=True, exist_ok=True)
        prefix = f"{variant}/"
        of_net = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        save_file(of_net, run / WEIGHTS)
        if not (run / "metrics.json").exists():  # the protocol does not train this variant
            paths.write_json(run / "metrics.json", {name: entry[name] for name in ("seed", "test_accuracy")})


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
    if nets(protocol):
        offered = load_file(folder(protocol) / NETS)
        images[offered["rows"]] = offered["images"]
    save_file({"images": images, "labels": shown["labels"]}, data / "prepared" / "test.safetensors")


def _unpack(archive: Path, data: Path) -> list[str]:
    """Lay out the files of an archive below `data`, and return their names from there on."""
    where = archive.relative_to(paths.ROOT)
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(data, filter="data")
            return tar.getnames()
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

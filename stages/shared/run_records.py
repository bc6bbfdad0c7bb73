"""Finished runs: what each one was made from, where finished ones are kept, and which are still to be made.

A run is a folder of files with a record.json: the digest of everything that determines the run, and the digest of each
of its files. Nothing in a record depends on the clock or on the machine's load. A run is looked for in its place under
data/, then in the store of finished runs; only what is in neither is made. Training and probing both work this way.
"""

import ast
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from stages.shared import paths
from stages.shared.params.architecture import OwnModule
from stages.shared.stage_command import StageError

RECORD = "record.json"
ABANDONED_SECONDS = 24 * 3600  # after which a half-kept run in the store was left by a process that was killed
CODE = Path(__file__).parents[2]  # the folder that holds the package `stages`

# Modules that a run imports and that do not decide its bits. An edit of them makes no run again.
EXEMPT = {
    "stages.shared.params": "the values that it reads are in the digest themselves",
    "stages.shared.paths": "names files",
    "stages.shared.stage_command": "starts a stage and words its errors",
    "stages.shared.provenance": "describes the machine",
    "stages.shared.run_records": "decides whether to make a run, not what it is",
}


@dataclass(frozen=True)
class PlannedRun:
    """One variant under one seed. spec: the settings that determine it. digest: of the spec, the data and the code."""

    variant: str
    seed: int
    digest: str
    spec: Any = field(compare=False)

    @property
    def folder(self) -> Path:
        """Its place below data/runs or data/probes."""
        return Path(self.variant) / f"seed_{self.seed}"


def run_digest(settings: str, files: dict[str, str]) -> str:
    """The digest of a run. settings: as JSON. files: name → SHA-256, of the data and the code that the run reads."""
    lines = [settings, *(f"{name} {digest}" for name, digest in sorted(files.items()))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def file_digests(module: str, prepared: Path) -> dict[str, str]:
    """Name → SHA-256 of what a run reads: the code that `module` imports, the prepared data, and the version of torch.

    A build of torch for CUDA and one without compute the same on a CPU, so the build's name is left out.
    """
    files = {file.relative_to(CODE).as_posix(): file_digest(file) for file in imported_files(module)}
    files |= {f"prepared/{file.name}": file_digest(file) for file in sorted(prepared.iterdir())}
    return files | {"torch": version("torch").split("+")[0]}


def own_net_digests(own: OwnModule | None) -> dict[str, str]:
    """Name → SHA-256 of the files of a user's own net; none for any other."""
    return {name: file_digest(file) for name, file in own_net_files(own).items()}


def own_net_files(own: OwnModule | None) -> dict[str, Path]:
    """The file of a user's own net in modules/, and those of this project that it imports; none for any other net.

    Keys are names from the root of the repository on. Raises StageError if the file is not there, or is no Python.
    """
    if own is None:
        return {}
    path = paths.MODULES / own.file
    if not path.is_file():
        raise StageError(f"params.yaml: module.file = {own.file!r}: there is no such file in {path.parent.name}/")
    try:
        files = _reached(f"{path.parent.name}.{path.stem}", EXEMPT)
    except SyntaxError as error:
        raise StageError(f"params.yaml: module.file = {own.file!r}: {error.msg}, line {error.lineno}") from None
    return {file.relative_to(_root_of(name)).as_posix(): file for name, file in files.items()}


@cache
def imported_files(module: str, exempt: Collection[str] = tuple(EXEMPT)) -> list[Path]:
    """The module's file and those of every module of `stages` that it imports, directly or not, but the exempt ones."""
    return sorted(_reached(module, exempt).values())


def _reached(module: str, exempt: Collection[str]) -> dict[str, Path]:
    """Dotted name → file."""
    files: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _module_file(name)
        is_exempt = any(name == package or name.startswith(f"{package}.") for package in exempt)
        if name in files or is_exempt or path is None:
            continue
        files[name] = path
        waiting += [*_imports(name, path), name.rpartition(".")[0]]
    return files


def _module_file(name: str) -> Path | None:
    """The module's file, or the __init__ of a user's package; None for a package of `stages` and for names in a module.

    A package of `stages` imports only its own modules, if any.
    """
    path = _root_of(name).joinpath(*name.split("."))
    files = [path.with_suffix(".py"), path / "__init__.py"]
    return next((file for file in files[: 2 if _is_users(name) else 1] if file.exists()), None)


def _is_users(name: str) -> bool:
    return name.startswith(f"{paths.MODULES.name}.")


def _root_of(name: str) -> Path:
    """The folder that holds the package of a module."""
    return paths.MODULES.parent if _is_users(name) else CODE


def _imports(module: str, path: Path) -> list[str]:
    """Dotted names of what a file imports from `stages` and `modules`; of `from a import b` both a and a.b."""
    names = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(module.split(".")[: -node.level]) if node.level else ""
            source = ".".join(filter(None, [package, node.module]))
            names += [source, *(f"{source}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.startswith(("stages.", f"{paths.MODULES.name}."))]


def file_digest(path: Path) -> str:
    """SHA-256 in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digests(folder: Path) -> dict[str, str]:
    """Name → SHA-256 of the files of a folder, but a record."""
    return {file.name: file_digest(file) for file in sorted(folder.iterdir()) if file.name != RECORD}


def write_record(folder: Path, digest: str) -> None:
    """Declare the run in `folder` finished: write its digest and those of its files."""
    paths.write_json(folder / RECORD, {"digest": digest, "files": folder_digests(folder)})


def is_finished(folder: Path, digest: str) -> bool:
    """Whether the folder holds the finished run of this digest, and every file as it was written."""
    return is_whole(folder) and paths.read_json(folder / RECORD)["digest"] == digest


def is_whole(folder: Path) -> bool:
    """Whether the folder holds a finished run, and every file as it was written."""
    try:
        return bool(paths.read_json(folder / RECORD)["files"] == folder_digests(folder))
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):  # no record, or no whole one
        return False


class Store:
    """Finished runs by digest, shared by every clone and experiment that shares DVC's cache.

    It finds a run again when a value is put back, and when `dvc checkout` or `git switch` has taken away what an
    interrupted stage had finished. Files are linked in place of copied where the file system allows. DVC copies what a
    stage leaves, so a run takes its space here and in DVC's cache; `prune` bounds it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, run: Path) -> None:
        """Keep the finished run in the folder `run`."""
        entry = self._entry(paths.read_json(run / RECORD)["digest"])
        if entry.exists():
            return
        entry.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".", dir=entry.parent))
        _link_files(run, partial)
        try:
            partial.rename(entry)
        except OSError:
            shutil.rmtree(partial)
            if not entry.exists():  # else another process has just kept the same run
                raise

    def holds(self, digest: str) -> bool:
        """Whether the finished run of this digest is here, whole."""
        return is_finished(self._entry(digest), digest)

    def take(self, digest: str, target: Path) -> bool:
        """Put the run of this digest into the folder `target`. Returns whether it was there whole."""
        entry = self._entry(digest)
        if not is_finished(entry, digest):
            shutil.rmtree(entry, ignore_errors=True)
            return False
        with paths.scratch_folder("taken") as partial:
            try:
                _link_files(entry, partial)
                os.utime(entry)  # last used now, so that it is pruned late
            except FileNotFoundError:  # pruned by another process meanwhile
                return False
            replace_folder(partial, target)
        return True

    def prune(self, limit_bytes: float) -> tuple[int, int]:
        """Remove the runs used longest ago until `limit_bytes` hold the rest. Returns runs and bytes removed."""
        for partial in self.folder.glob("*/.*"):
            with suppress(FileNotFoundError):  # another process has just finished it
                if partial.stat().st_mtime < time.time() - ABANDONED_SECONDS:
                    shutil.rmtree(partial, ignore_errors=True)
        kept: list[tuple[float, int, Path]] = []  # when it was last used, its bytes, its folder
        for entry in self.entries():
            with suppress(FileNotFoundError):  # another process has just removed it
                size = sum(file.stat().st_size for file in entry.iterdir())
                kept.append((entry.stat().st_mtime, size, entry))
        total, removed, freed = sum(size for _, size, _ in kept), 0, 0
        for _, size, entry in sorted(kept):
            if total - freed <= limit_bytes:
                break
            shutil.rmtree(entry, ignore_errors=True)
            removed, freed = removed + 1, freed + size
        return removed, freed

    def entries(self) -> list[Path]:
        return [entry for entry in self.folder.glob("*/*") if not entry.name.startswith(".")]

    def _entry(self, digest: str) -> Path:
        return self.folder / digest[:2] / digest[2:]


def default_store() -> Store:
    """The store inside DVC's cache folder, which DVC leaves alone. Imports DVC, so ask only when a run is missing."""
    if "RUN_STORE" in os.environ:
        return Store(Path(os.environ["RUN_STORE"]))
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        return Store(Path(Repo(paths.ROOT).cache.local_cache_dir) / "finished_runs")
    except NotDvcRepoError:
        return Store(paths.PARTIAL / "finished_runs")


def unfinished_runs(planned: Iterable[PlannedRun], root: Path) -> list[PlannedRun]:
    """The planned runs that are not whole in their places below `root`."""
    return [run for run in planned if not is_finished(root / run.folder, run.digest)]


def missing_runs(
    planned: Sequence[PlannedRun], root: Path, store: Callable[[], Store] = default_store
) -> list[PlannedRun]:
    """The planned runs that must still be made. What the store holds is put into its place below `root` first.

    A folder with another run than the planned one, or with an incomplete one, is removed.
    """
    unfinished = unfinished_runs(planned, root)
    if not unfinished:
        return []
    finished_runs = store()
    missing = [run for run in unfinished if not finished_runs.take(run.digest, root / run.folder)]
    for run in missing:
        _remove(root / run.folder)
    return missing


def place(run: PlannedRun, folder: Path, root: Path, store: Store) -> None:
    """Move the finished run in `folder` to its place below `root`, and keep it in the store.

    Raises StageError if it is not the run that was asked for, or not whole.
    """
    if not is_finished(folder, run.digest):
        raise StageError(f"variant {run.variant!r}, seed {run.seed}: what came back is not the run that was asked for")
    replace_folder(folder, root / run.folder)
    store.keep(root / run.folder)


def remove_others(planned: Iterable[PlannedRun], root: Path) -> None:
    """Remove every run below `root` that is not planned; the store still has it."""
    wanted = {run.folder for run in planned}
    for folder in root.glob("*/*"):
        if folder.relative_to(root) not in wanted:
            _remove(folder)
    for variant in root.glob("*"):
        if not variant.is_dir() or not any(variant.iterdir()):
            _remove(variant)


def replace_folder(folder: Path, target: Path) -> None:
    """Move a folder to `target` in place of what was there. Linked files that DVC protects are never written to."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove(target)
    os.replace(folder, target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _link_files(source: Path, target: Path) -> None:
    for file in source.iterdir():
        try:
            os.link(file.resolve(), target / file.name)
        except OSError:  # another file system, or one without hard links
            shutil.copyfile(file, target / file.name)

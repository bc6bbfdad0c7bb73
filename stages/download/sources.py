"""Where the files of a published dataset may come from, in order, and how they are collected from those places."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stages.download import debian, http
from stages.download.published import PublishedDataset, PublishedFile, SourceFailed, WrongFile, verify
from stages.shared import paths
from stages.shared.stage_command import StageError

VARIABLE = "DATASET_FOLDER"
RECORD = "sources.json"  # in the folder of downloads: the source of each file


@dataclass(frozen=True)
class Source:
    """fetch(files, folder) puts verified files into the folder, or raises SourceFailed with the reason."""

    name: str
    fetch: Callable[[Sequence[PublishedFile], Path], None]


def obtain(
    title: str, files: Sequence[PublishedFile], folder: Path, sources: Iterable[Source]
) -> tuple[dict[str, Path], str]:
    """{published name: verified file in `folder`}, and the names of the sources that they came from.

    Files of an earlier download are used again. When a source fails, its reason is printed, the files that it did
    give are kept, and the next source is tried.
    Raises StageError, with every reason and what the user can do, if files are missing in the end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    verified = _verified_files(files, folder)
    record = folder / RECORD
    source_of = dict(paths.read_json(record)) if record.exists() else {}
    if verified:
        count = f"{len(verified)} of {len(files)} files"
        print(f"download: {count} of {title} are there from an earlier download and verified", flush=True)
    reasons: list[str] = []
    remaining = iter(sources)
    while missing := [file for file in files if file.name not in verified]:
        source = next(remaining, None)
        if source is None:
            raise StageError(_advice(title, missing, reasons))
        print(f"download: {title}: trying {source.name}", flush=True)
        try:
            source.fetch(missing, folder)
        except SourceFailed as error:
            reasons.append(f"{source.name}: {error}")
            print(f"download: {source.name} does not serve: {error}", flush=True)
        for file in missing:
            if (path := file.find_in(folder)) is not None:
                verified[file.name] = path
                source_of[file.name] = source.name
        paths.write_json(record, source_of)
    source_names = dict.fromkeys(source_of.get(file.name, "an earlier download") for file in files)
    return {file.name: verified[file.name] for file in files}, "; ".join(source_names)


def sources(dataset: PublishedDataset) -> Iterator[Source]:
    """torchvision's mirrors, Debian's package, data/user/.

    A folder that the environment variable DATASET_FOLDER names comes first, since the user chose it.
    """
    chosen_folder = os.environ.get(VARIABLE)
    if chosen_folder:
        fetch = partial(from_folder, Path(chosen_folder).expanduser())
        yield Source(f"the folder {chosen_folder} ({VARIABLE})", fetch)
    for mirror in mirrors(dataset.torchvision):
        yield Source(f"torchvision's mirror {mirror}", partial(from_mirror, mirror))
    if dataset.debian:
        yield Source(f"Debian's package {dataset.debian}", partial(debian.fetch, dataset.debian))
    if not chosen_folder:
        yield Source("the folder data/user/", partial(from_folder, paths.USER))


def mirrors(torchvision_name: str) -> list[str]:
    """Addresses of the folders from which torchvision downloads a dataset."""
    from torchvision import datasets  # seconds to import, so only when a file must be fetched

    dataset = getattr(datasets, torchvision_name)
    if "mirrors" in vars(dataset):
        return list(dataset.mirrors)
    url = dataset.url if hasattr(dataset, "url") else dataset.split_list["train"][0]
    return [url.rsplit("/", 1)[0] + "/"]


def from_mirror(mirror: str, files: Sequence[PublishedFile], folder: Path) -> None:
    """Download the files. Raises SourceFailed."""
    for file in files:
        http.fetch(f"{mirror.rstrip('/')}/{file.name}", file, folder / file.name)


def from_folder(source: Path, files: Sequence[PublishedFile], folder: Path) -> None:
    """Copy the files from a folder of the user's, which is not changed. Raises SourceFailed, naming each fault."""
    if not source.is_dir():
        raise SourceFailed("there is no such folder")
    absent, problems = [], []
    for file in files:
        original = file.find_in(source)
        if original is None:
            absent.append(" or ".join(file.names))
            continue
        try:
            verify(file, original)
        except WrongFile as error:
            problems.append(str(error))
            continue
        with paths.whole_file(folder / original.name) as copy:
            shutil.copyfile(original, copy)
    if absent:
        problems.append(f"it has no {', no '.join(absent)}")
    if problems:
        raise SourceFailed("; ".join(problems))


def _verified_files(files: Sequence[PublishedFile], folder: Path) -> dict[str, Path]:
    """{published name: path} of the files that an earlier run left whole. A wrong file is removed."""
    verified = {}
    for file in files:
        path = file.find_in(folder)
        if path is None:
            continue
        try:
            verify(file, path)
        except WrongFile as error:
            print(f"download: {error}; removing it from {folder} and fetching it again", flush=True)
            path.unlink()
        else:
            verified[file.name] = path
    return verified


def _advice(title: str, missing: Sequence[PublishedFile], reasons: Sequence[str]) -> str:
    """The message for files that no source could give."""
    return "\n".join(
        [
            f"download: no source could give all of {title}; missing: {', '.join(file.name for file in missing)}",
            *(f"  {reason}" for reason in reasons),
            "What you can do:",
            "  1. connect this machine (or set http_proxy and https_proxy) and run the same command again; "
            "what has come is kept",
            "  2. put the missing files into data/user/, or into a folder that you name: "
            f"{VARIABLE}=/path/to/folder dvc repro",
            "  3. choose a dataset that needs no download in params.yaml: data.dataset: digits, "
            "or npz or folder with your own images",
        ]
    )

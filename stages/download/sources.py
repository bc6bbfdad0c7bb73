"""Where a published dataset may come from, in the order in which the sources are tried."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stages.download import debian, http
from stages.download.catalogue import Dataset
from stages.download.verify import PublishedFile, SourceFailed, WrongFile, verify
from stages.shared import paths

VARIABLE = "DATASET_FOLDER"


@dataclass(frozen=True)
class Source:
    """fetch(files, folder) puts verified files into the folder, or raises SourceFailed with the reason."""

    name: str
    fetch: Callable[[Sequence[PublishedFile], Path], None]


def sources(dataset: Dataset) -> Iterator[Source]:
    """torchvision's mirrors, Debian's package, data/user/.

    A folder that the environment variable DATASET_FOLDER names comes first: whoever sets it means it.
    """
    named = os.environ.get(VARIABLE)
    if named:
        yield Source(f"the folder {named} ({VARIABLE})", partial(from_folder, Path(named).expanduser()))
    for mirror in mirrors(dataset.torchvision):
        yield Source(f"torchvision's mirror {mirror}", partial(from_mirror, mirror))
    if dataset.debian:
        yield Source(f"Debian's package {dataset.debian}", partial(debian.fetch, dataset.debian))
    if not named:
        yield Source("the folder data/user/", partial(from_folder, paths.USER))


def mirrors(torchvision_name: str) -> list[str]:
    """Addresses of the folders that torchvision downloads a dataset from."""
    from torchvision import datasets  # seconds to import, so only when a file must be fetched

    dataset = getattr(datasets, torchvision_name)
    return list(dataset.mirrors) if hasattr(dataset, "mirrors") else [dataset.url.rsplit("/", 1)[0] + "/"]


def from_mirror(mirror: str, files: Sequence[PublishedFile], folder: Path) -> None:
    for file in files:
        http.fetch(f"{mirror.rstrip('/')}/{file.name}", file, folder / file.name)


def from_folder(source: Path, files: Sequence[PublishedFile], folder: Path) -> None:
    """Copy the files out of a folder of the user's, which is left as it is."""
    if not source.is_dir():
        raise SourceFailed("there is no such folder")
    absent, problems = [], []
    for file in files:
        found = next((source / name for name in file.names if (source / name).is_file()), None)
        if found is None:
            absent.append(" or ".join(file.names))
            continue
        try:
            verify(file, found)
        except WrongFile as error:
            problems.append(str(error))
            continue
        with paths.whole_file(folder / found.name) as copy:
            shutil.copyfile(found, copy)
    if absent:
        problems.append(f"it has no {', no '.join(absent)}")
    if problems:
        raise SourceFailed("; ".join(problems))

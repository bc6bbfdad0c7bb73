"""Every file of a dataset, verified: from an earlier download, or from the first source that has it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from stages.download.sources import VARIABLE, Source
from stages.download.verify import PublishedFile, SourceFailed, WrongFile, verify
from stages.shared import paths, stage_command

RECORD = "sources.json"  # in the folder of downloads: which source served each file


def obtain(
    title: str, files: Sequence[PublishedFile], folder: Path, sources: Iterable[Source]
) -> tuple[dict[str, Path], str]:
    """{published name: verified file in `folder`}, and the names of the sources that served them.

    A source that fails is named with its reason before the next is tried; what it did serve is kept.
    Raises StageError, with every reason and what the user can do, if files are missing in the end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = _kept(files, folder)
    served = _read_record(folder)
    if found:
        print(
            f"download: {len(found)} of {len(files)} files of {title} are there from an earlier download and verified",
            flush=True,
        )
    reasons: list[str] = []
    remaining = iter(sources)
    while missing := [file for file in files if file.name not in found]:
        source = next(remaining, None)
        if source is None:
            raise stage_command.StageError(_how_to_go_on(title, missing, reasons))
        print(f"download: {title}: trying {source.name}", flush=True)
        try:
            source.fetch(missing, folder)
        except SourceFailed as error:
            reasons.append(f"{source.name}: {error}")
            print(f"download: {source.name} does not serve: {error}", flush=True)
        for file in missing:
            if (path := _lying(file, folder)) is not None:
                found[file.name] = path
                served[file.name] = source.name
        paths.write_json(folder / RECORD, served)
    names = dict.fromkeys(served.get(file.name, "an earlier download") for file in files)
    return {file.name: found[file.name] for file in files}, "; ".join(names)


def _kept(files: Sequence[PublishedFile], folder: Path) -> dict[str, Path]:
    """The files that an earlier run left whole; one that is wrong now is removed."""
    kept = {}
    for file in files:
        if (path := _lying(file, folder)) is None:
            continue
        try:
            verify(file, path)
        except WrongFile as error:
            print(f"download: {error}; removing it from {folder} and fetching it again", flush=True)
            path.unlink()
        else:
            kept[file.name] = path
    return kept


def _lying(file: PublishedFile, folder: Path) -> Path | None:
    return next((folder / name for name in file.names if (folder / name).is_file()), None)


def _read_record(folder: Path) -> dict[str, str]:
    record = folder / RECORD
    return dict(paths.read_json(record)) if record.exists() else {}


def _how_to_go_on(title: str, missing: Sequence[PublishedFile], reasons: Sequence[str]) -> str:
    names = ", ".join(file.name for file in missing)
    return "\n".join(
        [
            f"download: no source could give all of {title}; missing: {names}",
            *(f"  {reason}" for reason in reasons),
            "What you can do:",
            "  1. connect this machine (or set http_proxy and https_proxy) and run the same command again; what has come is kept",
            f"  2. put the missing files into data/user/, or into a folder that you name: {VARIABLE}=/path/to/folder dvc repro",
            "  3. choose a dataset that needs no download in params.yaml: data.dataset: digits, or npz with your own images",
        ]
    )

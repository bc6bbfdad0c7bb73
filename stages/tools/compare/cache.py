"""DVC's cache: the bytes behind each digest of a dvc.lock."""

import json
from dataclasses import dataclass
from pathlib import Path

from stages.shared import paths
from stages.shared.stage_command import StageError


class Absent(Exception):
    """The cache has no such digest."""


@dataclass(frozen=True)
class Cache:
    """folder: where DVC keeps a file with the digest abcd… as ab/cd…"""

    folder: Path

    def file(self, digest: str) -> Path:
        """Raises Absent."""
        path = self.folder / digest[:2] / digest[2:]
        if not path.is_file():
            raise Absent(digest)
        return path

    def listing(self, digest: str) -> dict[str, str]:
        """Name → digest of each file in a folder, whose own digest ends with .dir. Raises Absent."""
        return {entry["relpath"]: entry["md5"] for entry in json.loads(self.file(digest).read_text(encoding="utf-8"))}


def of_project() -> Cache:
    """The one that DVC is set to use. Raises StageError if the project is none of DVC's, or its settings cannot be read."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(paths.ROOT)) as repo:
            return Cache(Path(repo.cache.local.path))
    except DvcException as error:
        raise StageError(f"DVC cannot open {paths.ROOT}: {error}") from None

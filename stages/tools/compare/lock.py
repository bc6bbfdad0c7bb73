"""A revision's dvc.lock: what each stage was given and what it made, by digest."""

import hashlib
from pathlib import Path
from typing import Any

from stages.shared import params, paths
from stages.shared.params.yaml import parsed
from stages.shared.stage_command import StageError
from stages.tools.compare.cache import Absent, Cache
from stages.tools.compare.revisions import Revision

CODE = "stages/"


class Lock:
    """Raises StageError if nothing was run in the revision, or something else than what its params.yaml asks for."""

    def __init__(self, revision: Revision, cache: Cache) -> None:
        self.revision, self._cache = revision, cache
        self._stages = _stages(revision)
        settings = revision.read(paths.PARAMS)
        if (
            settings is None
            or self.dep("plan", paths.PARAMS) != hashlib.md5(settings, usedforsecurity=False).hexdigest()
        ):
            raise StageError(
                f"the results of {revision.name!r} were made with another params.yaml than it has now; {self._make_again()}"
            )
        self.settings = parsed(settings, paths.PARAMS)

    def variants(self) -> list[str]:
        """Those that the protocol runs, in the order of params.yaml. Raises StageError unless each was trained as the settings and the data now are."""
        protocol = self.settings.get("protocol")
        if not isinstance(protocol, dict) or not isinstance(protocol.get("variants"), list):
            raise StageError(
                f"params.yaml of {self.revision.name!r} has no `protocol` with `variants`; this version of the pipeline cannot read it"
            )
        plans = self.files("plan", paths.PLAN)
        active = [key for key in self.settings["variants"] if key in protocol["variants"]]
        for key in active:
            stage, plan = f"train@{key}", paths.plan("train", key)
            given = plans.get(plan.relative_to(paths.PLAN).as_posix())
            if self.dep(stage, plan) != given or self.dep(stage, paths.PREPARED) != self.out("prepare", paths.PREPARED):
                raise StageError(
                    f"variant {key!r} of {self.revision.name!r} was not trained with the settings that are there now; {self._make_again()}"
                )
        return active

    def is_probed(self, key: str) -> bool:
        """Whether the probe of a variant has run on the nets, the data and the settings that are there now."""
        given = {dep["path"]: dep["md5"] for dep in self._stages.get(f"probe@{key}", {}).get("deps", [])}
        plan = paths.plan("probe", key)
        now = {
            paths.RUNS / key: self.out(f"train@{key}", paths.RUNS / key),
            paths.PREPARED: self.out("prepare", paths.PREPARED),
            plan: self.files("plan", paths.PLAN).get(plan.relative_to(paths.PLAN).as_posix()),
        }
        return all(given.get(_relative(path)) == digest for path, digest in now.items())

    def out(self, stage: str, path: Path) -> str:
        """Digest of what a stage made. Raises StageError if it is not there."""
        return self._digest(stage, "outs", path)

    def dep(self, stage: str, path: Path) -> str:
        """Digest of what a stage was given. Raises StageError if it is not there."""
        return self._digest(stage, "deps", path)

    def code(self, stage: str) -> dict[str, str]:
        """Path → digest of the code that a stage ran."""
        return {
            dep["path"]: dep["md5"]
            for dep in self._stages.get(stage, {}).get("deps", [])
            if dep["path"].startswith(CODE)
        }

    def files(self, stage: str, path: Path) -> dict[str, str]:
        """Name → digest of the files in a folder that a stage made. Raises StageError if the cache lacks it."""
        return self._in_cache(stage, path, lambda: self._cache.listing(self.out(stage, path)))

    def file(self, stage: str, path: Path, name: str) -> Path:
        """One of those files, in the cache. Raises StageError if it is not there."""
        listing = self.files(stage, path)
        if name not in listing:
            raise StageError(f"{_relative(path)} of {self.revision.name!r} has no {name}; {self._make_again()}")
        return self._in_cache(stage, path / name, lambda: self._cache.file(listing[name]))

    def _in_cache(self, stage: str, path: Path, find: Any) -> Any:
        try:
            return find()
        except Absent:
            remote = "`dvc fetch --all-commits` brings it from a DVC remote"
            raise StageError(
                f"DVC's cache lacks {_relative(path)} of {self.revision.name!r}; {remote}; without one, {self._make_again(stage)}"
            ) from None

    def _digest(self, stage: str, side: str, path: Path) -> str:
        for entry in self._stages.get(stage, {}).get(side, []):
            if entry["path"] == _relative(path):
                return str(entry["md5"])
        raise StageError(
            f"dvc.lock of {self.revision.name!r} has no {_relative(path)} of stage {stage}: it never finished there; {self._make_again(stage)}"
        )

    def _make_again(self, stage: str = "") -> str:
        return make_again(self.revision, stage)


def make_again(revision: Revision, stage: str = "") -> str:
    """What to run so that a revision has its results."""
    command = f"`dvc repro {stage}`" if stage else "`dvc repro`"
    if revision.commit is None:
        return f"run {command}"
    if revision.is_experiment:
        return f"run `dvc exp apply {revision.name}` and `dvc exp run`"
    return f"run `git checkout {revision.name}` and {command}"


def _stages(revision: Revision) -> dict[str, Any]:
    content = revision.read(paths.DVC_LOCK)
    if content is None:
        kept = "" if revision.commit is None or revision.is_experiment else ", or the file was not committed"
        raise StageError(
            f"{revision.name!r} has no {paths.DVC_LOCK.name}: nothing was run there{kept}; {make_again(revision)}"
        )
    try:
        stages = parsed(content, paths.DVC_LOCK).get("stages", {})
    except params.ParamsError as error:
        raise StageError(f"{revision.name!r}: {error}") from None
    return stages if isinstance(stages, dict) else {}


def _relative(path: Path) -> str:
    return path.relative_to(paths.ROOT).as_posix()

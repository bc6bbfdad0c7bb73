"""What the user names, an experiment, a git revision or the workspace, and any file of it, without a checkout."""

import difflib
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stages.shared import paths
from stages.shared.stage_command import StageError

WORKSPACE = "workspace"
EXPERIMENT = re.compile(
    r"refs/exps/([0-9a-f]{2}/[0-9a-f]{38})/([^/]+) ([0-9a-f]{40})"
)  # where DVC keeps them, by the commit that they started from
SHOWN = 12  # names in a message


@dataclass(frozen=True)
class Revision:
    """name: as the user gave it. commit: its full hash; None for the workspace. about: which commit that is, in words."""

    name: str
    commit: str | None
    about: str
    is_experiment: bool = False

    def read(self, path: Path) -> bytes | None:
        """A file of the project as it is in this revision; None if it has none."""
        if self.commit is None:
            return path.read_bytes() if path.is_file() else None
        shown = _git("show", f"{self.commit}:./{path.relative_to(paths.ROOT).as_posix()}")
        return None if shown.returncode else shown.stdout


def resolve(names: Sequence[str]) -> list[Revision]:
    """The revisions of these names, in their order. Raises StageError outside git, and for a name that nothing has."""
    if _text("rev-parse", "--is-inside-work-tree") != "true":
        raise StageError(
            f"{paths.ROOT} is not a git repository; results are compared by the experiments and commits of one"
        )
    return [_resolve(name) for name in names]


def _resolve(name: str) -> Revision:
    """As DVC does: what git knows by that name, else the experiment, of several the one that started from HEAD."""
    if name == WORKSPACE:
        return Revision(
            name, None, f"the files as they are, on {_text('rev-parse', '--short', 'HEAD') or 'no commit yet'}"
        )
    commit = _text("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if commit:
        return Revision(name, commit, _about(commit))
    experiments = _experiments()
    found = [(start, commit) for start, experiment, commit in experiments if experiment == name]
    if len(found) > 1:
        found = [pair for pair in found if pair[0] == _text("rev-parse", "HEAD")] or found
    if len(found) > 1:
        raise StageError(
            f"{len(found)} experiments are named {name!r}; name one by its commit: {', '.join(commit[:10] for _, commit in found)}"
        )
    if not found:
        raise StageError(_unknown(name, sorted({experiment for _, experiment, _ in experiments})))
    start, commit = found[0]
    return Revision(name, commit, f"{_about(commit)}, experiment on {start[:7]}", is_experiment=True)


def _about(commit: str) -> str:
    """ "3f2c1ab of 2026-11-24"."""
    return _text("show", "--no-patch", "--format=%h of %cs", commit)


def _experiments() -> list[tuple[str, str, str]]:
    """Commit that it started from, name and commit of every experiment."""
    listed = EXPERIMENT.findall(_text("for-each-ref", "--format=%(refname) %(objectname)", "refs/exps"))
    return [(start.replace("/", ""), name, commit) for start, name, commit in listed]


def _unknown(name: str, experiments: Sequence[str]) -> str:
    others = _text("for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags").split()
    close = difflib.get_close_matches(name, [*experiments, *others, WORKSPACE, "HEAD"], n=3)
    have = [
        f"{what}: {', '.join(some[:SHOWN])}{', …' if len(some) > SHOWN else ''}"
        for what, some in (("experiments", experiments), ("git", others))
        if some
    ]
    meant = f" (did you mean {' or '.join(map(repr, close))}?)" if close else ""
    return f"{name!r} is neither an experiment nor a git revision{meant}; there are {'; '.join([*have, WORKSPACE])}"


def _text(*arguments: str) -> str:
    """What git prints; empty where it fails."""
    result = _git(*arguments)
    return "" if result.returncode else result.stdout.decode("utf-8", "replace").strip()


def _git(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(["git", *arguments], cwd=paths.ROOT, capture_output=True, check=False)
    except FileNotFoundError:
        raise StageError(
            "git is not installed, or not on PATH; results are compared by the experiments and commits of a repository"
        ) from None

"""What the user names: an experiment, a git revision or the workspace. DVC resolves the names."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dvc.exceptions import NotDvcRepoError
from dvc.repo import Repo
from dvc.repo.experiments.utils import exp_refs, exp_refs_by_names
from dvc.scm import RevError, SCMError, resolve_rev
from scmrepo.exceptions import SCMError as GitError

from stages.shared import paths
from stages.shared.stage_command import StageError

WORKSPACE = "workspace"
MOST_NAMES = 12  # of each kind in a message


@dataclass(frozen=True)
class Revision:
    """name: as the user gave it. commit: its full hash; None for the workspace. description: commit and date."""

    name: str
    commit: str | None
    description: str
    is_experiment: bool = False

    def how_to_run(self, stage: str = "") -> str:
        """The commands that give the revision its results."""
        command = f"`dvc repro {stage}`" if stage else "`dvc repro`"
        if self.commit is None:
            return f"run {command}"
        if self.is_experiment:
            return f"run `dvc exp apply {self.name}` and `dvc exp run`"
        return f"run `git checkout {self.name}` and {command}"


def resolve(names: Sequence[str]) -> list[Revision]:
    """The revisions of these names, in their order.

    Raises StageError outside git, for a name that nothing has, and for one that several experiments have.
    """
    try:
        with Repo(str(paths.ROOT)) as repo:
            return [_resolve(repo.scm, name) for name in names]
    except (NotDvcRepoError, SCMError):
        raise StageError(
            f"{paths.ROOT} is not a git repository with DVC in it; "
            "results are compared by the experiments and commits of one"
        ) from None


def _resolve(git: Any, name: str) -> Revision:
    """git: DVC's interface to git."""
    if name == WORKSPACE:
        return Revision(name, None, f"the files as they are, on {_head(git)}")
    if ":" in name:  # git's syntax for a file, or for a search in messages
        raise StageError(_unknown(git, name))
    experiments = exp_refs_by_names(git, {name})[name]
    commits = [git.get_ref(str(experiment)) for experiment in experiments]
    try:
        commit = resolve_rev(git, name)
        description = _describe(git, commit)
    except RevError:
        if len(commits) > 1:
            known = ", ".join(sha[:10] for sha in commits)
            raise StageError(
                f"{len(commits)} experiments are named {name!r}; name one by its commit: {known}"
            ) from None
        raise StageError(_unknown(git, name)) from None
    if commit not in commits:
        return Revision(name, commit, description)
    baseline = experiments[commits.index(commit)].baseline_sha
    return Revision(name, commit, f"{description}, experiment on {baseline[:7]}", is_experiment=True)


def _head(git: Any) -> str:
    try:
        return str(git.get_rev()[:7])
    except GitError:
        return "no commit yet"


def _describe(git: Any, commit: str) -> str:
    """ "3f2c1ab of 2026-11-24"."""
    return f"{commit[:7]} of {git.resolve_commit(commit).commit_datetime:%Y-%m-%d}"


def _unknown(git: Any, name: str) -> str:
    experiments = sorted({experiment.name for experiment in exp_refs(git)})
    git_names = [*git.list_branches(), *git.list_tags()]
    close = difflib.get_close_matches(name, [*experiments, *git_names, WORKSPACE, "HEAD"], n=3)
    guess = f" (did you mean {' or '.join(map(repr, close))}?)" if close else ""
    lists = [
        f"{kind}: {', '.join(known[:MOST_NAMES])}{', …' if len(known) > MOST_NAMES else ''}"
        for kind, known in (("experiments", experiments), ("git", git_names))
        if known
    ]
    return f"{name!r} is neither an experiment nor a git revision{guess}; there are {'; '.join([*lists, WORKSPACE])}"

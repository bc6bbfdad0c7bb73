"""Results reach another clone through a DVC remote: the commands of docs/sharing.md, as they stand there."""

import os
import re
import shutil

import pytest
from pipeline_workspace import Workspace, stages_in, trained_in

from stages.shared import paths

pytestmark = pytest.mark.slow

DOCUMENT = (paths.ROOT / "docs" / "sharing.md").read_text(encoding="utf-8")
SETTING_UP = ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL")
SOMEBODY = dict.fromkeys(SETTING_UP, "somebody")


def commands(chapter, **places):
    """The lines of the shell blocks of a chapter, without the line that clones, in one script that stops at a fault."""
    (text,) = re.findall(rf"^## {chapter}$(.*?)(?=^## |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    script = "\n".join(["set -e", *lines])
    for old, new in places.items():
        assert old in script, old
        script = script.replace(old, str(new))
    return script


def shell(workspace, script):
    return workspace.succeed("bash", "-c", script, **SOMEBODY)


@pytest.fixture(scope="module")
def clones(finished_workspace, tmp_path_factory):
    """A clone whose results are pushed, one that pulled them, and what the two printed."""
    folder = tmp_path_factory.mktemp("shared")
    shutil.copytree(finished_workspace.folder, folder / "mine", symlinks=True)
    mine, home = Workspace(folder / "mine"), Workspace(folder)
    mine.git("init", "-q", "--bare", str(folder / "address.git"))
    mine.git("remote", "add", "origin", str(folder / "address.git"))
    push = commands("Push").replace("/path/to/storage", str(folder / "storage"))
    pushed = shell(mine, push)
    pulled = shell(home, commands("Pull", ADDRESS=folder / "address.git"))
    return mine, Workspace(folder / "benchmark"), pushed, pulled


def test_after_a_pull_nothing_is_made_again_and_the_report_is_there(clones):
    mine, other, pushed, pulled = clones
    assert trained_in(pushed) == {}
    assert stages_in(pulled) == set()
    assert "Data and pipelines are up to date." in pulled
    for name in ("data/report/index.html", "data/metrics.json", "data/results/runs.csv", "dvc.lock"):
        assert other.read(name) == mine.read(name), name
    assert other.git("status", "--porcelain") == ""


def test_an_experiment_reaches_the_other_clone_by_its_name(clones):
    mine, other, _, _ = clones
    here, there = re.split(r"(?=^dvc exp pull)", commands("Experiments"), flags=re.MULTILINE)
    shell(mine, here)
    other.pretend_environment()
    printed = shell(other, f"set -e\n{there}")
    assert "my_experiment" in printed
    assert re.search(r"^recipe\.lr +0\.01 +0\.002$", printed, re.MULTILINE), printed
    assert os.path.exists(other.folder / "data" / "compare" / "index.html")

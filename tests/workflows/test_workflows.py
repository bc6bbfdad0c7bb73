"""What GitHub runs: pinned actions, few permissions, targets that the Makefile has; and the comment's script."""

import json
import os
import re
import subprocess

import pytest
from ruamel.yaml import YAML

from stages.shared import paths

FOLDER = paths.ROOT / ".github" / "workflows"
WORKFLOWS = {file.name: YAML(typ="safe", pure=True).load(file.read_text()) for file in sorted(FOLDER.glob("*.y*ml"))}
MAKEFILE = (paths.ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):(?!=)", MAKEFILE, re.MULTILINE))
VARIABLES = set(re.findall(r"\$[({](?:or )?\$?\(?([A-Z]+)\b", MAKEFILE))
WRITES = {"comment.yml": {"pull-requests"}, "pages.yml": {"pages", "id-token"}}  # what a workflow may write


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def permissions(workflow):
    """Scope → "read" or "write", of the workflow and its jobs together."""
    blocks = [workflow["permissions"], *(job.get("permissions", {}) for job in workflow["jobs"].values())]
    return {(scope, access) for block in blocks for scope, access in block.items()}


def test_there_are_the_workflows_that_the_documents_name():
    assert set(WORKFLOWS) == {"ci.yml", "comment.yml", "compare.yml", "pages.yml"}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_pins_its_actions_and_says_what_it_may_do(name):
    workflow = WORKFLOWS[name]
    for step in steps(workflow):
        assert re.fullmatch(r"actions/[a-z-]+@v\d+\.\d+\.\d+", step.get("uses", "actions/none@v0.0.0")), step
    written = {scope for scope, access in permissions(workflow) if access == "write"}
    assert written == WRITES.get(name, set())
    assert ("contents", "read") in permissions(workflow)
    assert all(job["timeout-minutes"] <= 90 for job in workflow["jobs"].values())


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_step_runs_targets_of_the_makefile_and_scripts_that_are_there(name):
    for script in [step["run"] for step in steps(WORKFLOWS[name]) if "run" in step]:
        for arguments in re.findall(r"\bmake ((?:[\w=-]+ ?)+)", script):
            words = [word for word in arguments.split() if not word.startswith("-")]
            assert {word for word in words if "=" not in word} <= TARGETS, script
            assert {word.split("=")[0] for word in words if "=" in word} <= VARIABLES, script
        for file in re.findall(r"\bbash (\S+)", script):
            assert (paths.ROOT / file).is_file(), script


@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_script_holds_what_a_stranger_chooses(name):
    """The name of a branch may be a command; it reaches a script as a variable of the environment."""
    assert not [step["run"] for step in steps(WORKFLOWS[name]) if "${{" in step.get("run", "")]


def test_what_may_write_runs_no_code_of_a_pull_request():
    comment = WORKFLOWS["comment.yml"]
    assert set(comment["on"]) == {"workflow_run"}
    checkouts = [step for step in steps(comment) if "checkout" in step.get("uses", "")]
    assert [set(step["with"]) for step in checkouts] == [{"persist-credentials"}]  # no `ref`: the main branch
    assert comment["on"]["workflow_run"]["workflows"] == [WORKFLOWS["compare.yml"]["name"]]
    assert "pull_request_target" not in "".join(file.read_text() for file in FOLDER.iterdir())


def test_the_page_is_published_from_main_alone():
    pages = WORKFLOWS["pages.yml"]
    assert pages["on"]["push"] == {"branches": ["main"]}
    assert pages["jobs"]["deploy"]["if"] == "github.event_name == 'push'"
    assert pages["concurrency"]


FAKE_GH = """#!/usr/bin/env python3
import json, os, sys
from pathlib import Path
folder, arguments = Path(os.environ["FAKE_GH"]), sys.argv[1:]
state = json.loads((folder / "state.json").read_text())
if arguments[:3] == ["api", "--method", "GET"]:
    print(state["pull"])
elif arguments[:2] == ["api", "--paginate"]:
    print(state["comments"])
else:
    (body,) = [value for value in arguments if value.startswith("body=@")]
    sent = {"call": arguments[1:4], "body": Path(body[6:]).read_text()}
    (folder / "sent.json").write_text(json.dumps(sent))
"""


def comment(folder, pull, comments, text):
    """Returns what the script printed, and what it sent: None if nothing."""
    folder.mkdir()
    (folder / "gh").write_text(FAKE_GH)
    (folder / "gh").chmod(0o755)
    (folder / "state.json").write_text(json.dumps({"pull": pull, "comments": comments}))
    (folder / "comparison.md").write_text(text)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "FAKE_GH": str(folder), "GITHUB_REPOSITORY": "who/what"}
    environment |= {"OWNER": "stranger", "BRANCH": "a$(touch /tmp/x)", "COMMIT": "3f2c1ab"}
    command = ["bash", str(paths.ROOT / ".ci" / "comment"), str(folder / "comparison.md")]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True)
    sent = folder / "sent.json"
    return done.stdout, json.loads(sent.read_text()) if sent.exists() else None


def test_the_comment_is_written_once_and_then_updated(tmp_path):
    printed, first = comment(tmp_path / "first", "7", "", "**Nothing differs.**\n")
    assert first["call"] == ["--method", "POST", "repos/who/what/issues/7/comments"]
    assert first["body"].startswith("<!-- comparison of the quick protocol -->\n")
    assert "**Nothing differs.**" in first["body"]
    assert "3f2c1ab" in first["body"]
    assert printed == "Pull request 7 has a comment now.\n"
    _, second = comment(tmp_path / "second", "7", "12\n34", "**One differs.**\n")
    assert second["call"] == ["--method", "PATCH", "repos/who/what/issues/comments/12"]


def test_a_comparison_of_a_commit_that_was_replaced_is_not_written(tmp_path):
    printed, sent = comment(tmp_path / "none", "", "", "x")
    assert sent is None
    assert "nothing is written" in printed


def test_a_comment_is_never_longer_than_github_takes_and_stays_text(tmp_path):
    _, sent = comment(tmp_path / "long", "7", "", "é" * 100_000)
    assert 60_000 < len(sent["body"].encode()) < 65_536
    assert "�" not in sent["body"]


@pytest.mark.parametrize(
    ("given", "compared"),
    [
        ([], ""),
        (["A=one"], "one"),
        (["B=two"], "HEAD two"),
        (["C=three"], "HEAD three"),
        (["A=one", "B=two", "C=three", "FORMAT=markdown"], "one two three --format markdown"),
    ],
)
def test_make_compare_names_the_results_in_order_and_head_where_none_comes_first(given, compared):
    """`--assume-old` takes the virtual environment for up to date, so that nothing is installed."""
    command = ["make", "--dry-run", "--no-print-directory", "--assume-old=.venv/ready", "compare", *given]
    printed = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[-1].split() == ["python", "-m", "stages.tools.compare", *compared.split()]

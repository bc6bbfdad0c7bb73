"""Machines that lack what others have: names of users, a home, git, places to write to, memory to share."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from pipeline_workspace import clone, stages_in

from stages.shared import paths

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="namespaces and control groups are Linux's"),
]
DOC = (paths.ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
NAMELESS = ("unshare", "--user", "--map-user=12345", "--map-group=12345")  # a user whom the system does not know


def needs(*command):
    """Skip the test where this command is not there or not allowed."""
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8")
    except FileNotFoundError:
        pytest.skip(f"there is no `{command[0]}`")
    if done.returncode:
        pytest.skip(f"`{command[0]}` is not allowed: {done.stderr.strip()}")


def moved_environment(workspace):
    """A .venv whose programs name a folder that is no longer there, as they do once the folder has moved."""
    venv = workspace.folder / ".venv"
    packages = Path(sysconfig.get_path("purelib"))
    inside = venv / packages.relative_to(sys.prefix)
    inside.parent.mkdir(parents=True)
    inside.symlink_to(packages)
    (venv / "bin").mkdir()
    (venv / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    home = Path(sys.executable).resolve().parent
    (venv / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n", encoding="utf-8")
    for program in ("dvc", "papermill"):
        (venv / "bin" / program).write_text("#!/where/it/was/.venv/bin/python\n", encoding="utf-8")
        (venv / "bin" / program).chmod(0o755)
    (venv / "ready").touch()


def edit_of_check(workspace):
    """Change what the stage `check` is made from, so that it runs again, and it alone."""
    file = workspace.folder / "stages" / "check" / "costs.py"
    file.write_text(file.read_text(encoding="utf-8") + "\n# A remark.\n", encoding="utf-8")


def test_make_needs_no_name_or_home_of_the_user_no_shell_of_theirs_and_no_folder_that_stays(workspace):
    needs(*NAMELESS, "true")
    moved_environment(workspace)
    edit_of_check(workspace)
    unset = ("env", "-u", "USER", "-u", "LOGNAME", "-u", "HOME")
    usual = "/usr/local/bin:/usr/bin:/bin"
    output = workspace.succeed(*NAMELESS, *unset, "make", "repro", SHELL="/usr/sbin/nologin", PATH=usual)
    assert stages_in(output) == {"check"}


def test_make_says_what_to_do_where_there_is_no_git(workspace):
    moved_environment(workspace)
    shutil.rmtree(workspace.folder / ".git")
    code, output = workspace.run("make", "repro")
    assert code != 0
    assert "this folder is none: git init && git add -A && git commit" in output
    workspace.git("init", "-q")
    assert "Data and pipelines are up to date" in workspace.succeed("make", "repro")


@pytest.mark.parametrize(
    ("command", "environment", "message", "remedy"),
    [
        ((*NAMELESS, "env", "-u", "HOME", "USER=me"), {}, "could not determine the home directory", {"HOME": "/tmp"}),
        (
            (*NAMELESS, "env", "-u", "USER", "-u", "LOGNAME", "HOME=/tmp"),
            {},
            "getpwuid(): uid not found",
            {"USER": "me"},
        ),
        ((), {"SHELL": "/usr/sbin/nologin"}, "This account is currently not available", {"SHELL": "/bin/sh"}),
    ],
)
def test_what_dvc_says_of_a_user_is_explained_and_what_is_said_helps(command, environment, message, remedy, workspace):
    if command[:1] == NAMELESS[:1]:
        needs(*NAMELESS, "true")
    assert f"`{message}" in DOC
    assert f"`export {'='.join(*remedy.items())}`" in DOC
    edit_of_check(workspace)
    code, output = workspace.run(*command, "dvc", "repro", "check", **environment)
    assert code != 0
    assert message in output
    mended = ("env", *("=".join(pair) for pair in remedy.items()))
    assert stages_in(workspace.succeed(*command, *mended, "dvc", "repro", "check", **environment)) == {"check"}


SHARED_MEMORY = {
    "read-only": ("mount -t tmpfs tmpfs /dev/shm && mount -o remount,ro /dev/shm", "Read-only file system"),
    "full": (
        "mount -t tmpfs -o size=4k tmpfs /dev/shm; head -c 4096 /dev/zero > /dev/shm/full",
        "No space left on device",
    ),
    "missing": (
        "mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9",
        "No such file or directory",
    ),
}


def test_a_fault_of_the_memory_that_processes_share_names_it_and_costs_no_run(workspace):
    needs("unshare", "--mount", "true")
    lock = workspace.read("dvc.lock")
    workspace.forget("kernel_1")
    for how, (mount, message) in SHARED_MEMORY.items():
        code, output = workspace.run("unshare", "--mount", "bash", "-c", f"{mount} && exec python -m stages.train")
        assert code == 1, how
        assert f"/dev/shm: {message}; parallel processes need writable space there" in output, how
        assert "Traceback" not in output, how
    assert workspace.repro() == {"train"}
    assert workspace.read("dvc.lock") == lock


def test_folders_for_temporary_files_that_cannot_be_written_to_do_no_harm_and_dvcs_own_can_be_elsewhere(workspace):
    needs("unshare", "--mount", "true")
    closed = " && ".join(f"mount -t tmpfs -o ro tmpfs {folder}" for folder in ("/var/tmp", "/home"))
    edit_of_check(workspace)
    command = ("unshare", "--mount", "bash", "-c")
    code, output = workspace.run(*command, f"{closed} && dvc repro check", HOME="/home")
    assert code != 0
    assert "Read-only file system: '/var/tmp/dvc'" in output
    assert "`Read-only file system: '/var/tmp/dvc'`" in DOC
    assert "`export DVC_SITE_CACHE_DIR=/tmp/dvc`" in DOC
    elsewhere = {"HOME": "/home", "DVC_SITE_CACHE_DIR": str(workspace.folder.parent / "dvc")}
    assert stages_in(workspace.succeed(*command, f"{closed} && dvc repro check", **elsewhere)) == {"check"}
    workspace.succeed(*command, f"{closed} && exec python -m stages.figures", **elsewhere)


def test_an_experiment_runs_in_a_shallow_clone_without_a_branch(tmp_path):
    shallow = clone(tmp_path / "whole")
    shallow.git("clone", "-q", "--depth", "1", f"file://{tmp_path}/whole", str(tmp_path / "shallow"))
    shallow.folder = tmp_path / "shallow"
    shallow.git("checkout", "-q", "--detach")
    output = shallow.succeed("dvc", "exp", "run", "--set-param", "eda.images=100", "check")
    assert "Experiment results have been applied" in output

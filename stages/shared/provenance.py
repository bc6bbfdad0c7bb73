"""Where a result came from: commit, packages, CPU."""

import importlib.metadata
import platform
import subprocess
from typing import Any

from stages.shared import machine_limits, paths

PACKAGES = (
    "dvc",
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "pandas",
    "matplotlib",
    "papermill",
    "pypandoc_binary",
    "typst",
)


def machine() -> dict[str, Any]:
    return {"cpu": cpu_name(), "cores": machine_limits.available_cores(), "python": platform.python_version()}


def packages() -> dict[str, str]:
    """Installed version of each package that bears on a result; "-" where it is not installed."""
    return {name: _version(name) for name in PACKAGES}


def git_commit() -> dict[str, str]:
    """Short hash and date (YYYY-MM-DD) of the commit checked out; "unknown" outside git."""
    show = _git("show", "--no-patch", "--format=%h %cs", "HEAD").split()
    return {"commit": show[0], "date": show[1]} if len(show) == 2 else {"commit": "unknown", "date": "unknown"}


def cpu_name() -> str:
    try:
        lines = paths.CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "-"


def _git(*arguments: str) -> str:
    try:
        result = subprocess.run(["git", *arguments], cwd=paths.ROOT, capture_output=True, encoding="utf-8", check=False)
    except FileNotFoundError:
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""

"""Which variants DVC would train."""

import re
import subprocess
import sys

from stages import paths
from stages.provenance import StageError


def stale_variants() -> list[str]:
    """Variants of the protocol whose train stage `dvc repro` would run, in the protocol's order.

    A stage whose outputs DVC has in its cache is not among them. Raises StageError if DVC cannot tell.
    """
    said = _dvc("repro", "--dry", "--single-item", "train")
    cached = set(re.findall(r"^Stage 'train@(.+?)' is cached", said, re.MULTILINE))  # the dry run then names it as one to run, too
    return [variant for variant in re.findall(r"^Running stage 'train@(.+?)':", said, re.MULTILINE) if variant not in cached]


def make_inputs() -> None:
    """Reproduce what training reads. Raises StageError if a stage fails; it has said why."""
    if subprocess.run([sys.executable, "-m", "dvc", "repro", "plan", "prepare"], cwd=paths.ROOT).returncode != 0:
        raise StageError("no job was made")


def inputs_are_stale() -> bool:
    return "Running stage" in _dvc("repro", "--dry", "plan", "prepare")


def _dvc(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=paths.ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise StageError(f"`dvc {' '.join(arguments)}` fails:\n{done.stderr.strip() or done.stdout.strip()}")
    return done.stdout

"""What DVC would run."""

import re
import subprocess
import sys

from stages import paths
from stages.provenance import StageError

CACHED = re.compile(r"^Stage '(.+?)' is cached", re.MULTILINE)
RUNNING = re.compile(r"^Running stage '(.+?)':", re.MULTILINE)


def stale_stages(*targets: str) -> list[str]:
    """Stages that `dvc repro` would run, of all or of the targets and what these need; not those whose outputs are in DVC's cache.

    What a stage before them would change is not foreseen. Raises StageError if DVC cannot tell.
    """
    said = _dvc("repro", "--dry", *targets)
    cached = set(CACHED.findall(said))  # the dry run then names it as one to run, too
    return [stage for stage in RUNNING.findall(said) if stage not in cached]


def stale_variants(stage: str) -> list[str]:
    """Variants of the protocol whose train or probe stage DVC would run, in the protocol's order."""
    return [name.removeprefix(f"{stage}@") for name in stale_stages("--single-item", stage)]


def make(*targets: str) -> None:
    """Reproduce these stages and what they need. Raises StageError if one fails; it has said why."""
    if subprocess.run([sys.executable, "-m", "dvc", "repro", *targets], cwd=paths.ROOT).returncode != 0:
        raise StageError(f"`dvc repro {' '.join(targets)}` failed")


def _dvc(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=paths.ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise StageError(f"`dvc {' '.join(arguments)}` fails:\n{done.stderr.strip() or done.stdout.strip()}")
    return done.stdout

"""A workspace of its own for a protocol: the settings with that protocol chosen, and a data/ beside the project's."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stages.shared import paths
from stages.shared.params import LONGER
from stages.shared.params.yaml_files import parse_yaml
from stages.shared.stage_command import StageError

LINKED = ("report", "requirements.lock", "compute.yaml", "modules", "data/user")


def lay_out(root: Path, settings: Path, hypotheses: Path, protocol: str, variants: Iterable[str] | None = None) -> None:
    """Write the settings into `root`, with the protocol chosen; of its variants only these, if they are given."""
    (root / "data").mkdir(parents=True, exist_ok=True)
    text = re.sub(r"^protocol: \w+", f"protocol: {protocol}", settings.read_text(encoding="utf-8"), flags=re.MULTILINE)
    raw = parse_yaml(text.encode(), settings)
    if raw["protocol"] != protocol:  # the line has another form, such as quotes
        text = _as_json(raw | {"protocol": protocol})
    if variants is not None:
        text = _with_variants(text, settings, protocol, list(variants))
    (root / "params.yaml").write_text(text, encoding="utf-8")
    shutil.copyfile(hypotheses, root / "hypotheses.yaml")
    for name in LINKED:
        link = root / name
        link.unlink(missing_ok=True)
        link.symlink_to(paths.ROOT / name)


def _with_variants(text: str, settings: Path, protocol: str, variants: list[str]) -> str:
    raw = parse_yaml(text.encode(), settings)
    chosen = raw["protocols"][protocol]
    chosen["variants"] = [name for name in chosen["variants"] if name in variants]
    if chosen["longer"]:
        longer = [name for name in chosen["longer"]["variants"] if name + LONGER in variants]
        chosen["longer"] = {**chosen["longer"], "variants": longer} if longer else None
    return _as_json(raw)


def _as_json(raw: dict[str, Any]) -> str:
    """Settings as JSON, which is YAML too."""
    return json.dumps(raw, indent=1, ensure_ascii=False) + "\n"


def run(root: Path, stage: str, *arguments: str) -> None:
    """Run a stage in the workspace. Raises StageError if it fails; it has said why."""
    environment = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
    environment |= {"PIPELINE_ROOT": str(root), "RUN_STORE": str(root / "data" / "finished_runs")}
    done = subprocess.run([sys.executable, "-m", f"stages.{stage}", *arguments], cwd=paths.ROOT, env=environment)
    if done.returncode:
        raise StageError(f"stages.{stage} failed in {root}")

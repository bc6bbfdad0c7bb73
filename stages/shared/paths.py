"""Where every file of the pipeline is, and how a file or folder is written whole or not at all."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(os.environ.get("PIPELINE_ROOT", Path(__file__).parents[2]))

PARAMS = ROOT / "params.yaml"
HYPOTHESES = ROOT / "hypotheses.yaml"
REPORT_SOURCES = ROOT / "report"
LOCK = ROOT / "requirements.lock"
DVC_LOCK = ROOT / "dvc.lock"
COMPUTE = ROOT / "compute.yaml"
MODULES = ROOT / "modules"  # the user's own nets

DATA = ROOT / "data"
USER = DATA / "user"
CHECKED = DATA / "checked.json"
DOWNLOADS = DATA / "downloads"
RAW = DATA / "raw"
PREPARED = DATA / "prepared"
EDA = DATA / "eda"
DECLARED = DATA / "declared"  # records that git keeps, one for each protocol
RUNS = DATA / "runs"
PROBES = DATA / "probes"
RESULTS = DATA / "results"
REFERENCE = DATA / "reference"  # published results, kept in git, a folder for each protocol
METRICS = DATA / "metrics.json"  # of DVC, kept in git
FIGURES = DATA / "figures"
REPORT = DATA / "report"
COMPARISON = DATA / "compare" / "index.html"
MODEL = DATA / "model"  # what is deployed; no stage of the pipeline
TIMINGS = DATA / "timings"
TRAINED_ON = DATA / "trained_on.csv"  # of published results: variant, CPU, its newest instructions, Python, torch
PARTIAL = DATA / "partial"

CPU_INFO = Path("/proc/cpuinfo")  # of Linux
CONTAINER = Path(os.environ.get("ML_ROOT", "/opt/ml"))  # in a training job of SageMaker


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `path` when the block ends, and vanishes when it fails."""
    PARTIAL.mkdir(parents=True, exist_ok=True)
    partial = PARTIAL / "-".join(path.relative_to(DATA).parts)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if path.exists():
        shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(partial, path)


@contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """Yield an empty folder that vanishes when the block ends. What a killed process left in it is removed first."""
    folder = PARTIAL / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear_scratch(name: str) -> None:
    """Remove what a killed process left in a scratch folder."""
    shutil.rmtree(PARTIAL / name, ignore_errors=True)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path` that takes its place when the block ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write with sorted keys and a last newline, so that equal content gives equal bytes."""
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with whole_file(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))

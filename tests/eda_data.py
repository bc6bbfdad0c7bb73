"""Small images for the EDA, and its notebook."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import small_data
from made_once import made_once
from safetensors.numpy import save_file

from stages.prepare.write import on_canvas
from stages.shared import paths

REPOSITORY = Path(__file__).parents[1]
SOURCE = REPOSITORY / "stages" / "eda" / "eda.ipynb"


def stack(*pictures):
    """Pictures of one channel as uint8 (N, 1, H, W)."""
    return np.array(pictures, dtype=np.uint8)[:, None]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def cells_of(kind="code"):
    return [cell for cell in nbformat.read(SOURCE, as_version=4).cells if cell.cell_type == kind]


def write_prepared(folder, images, labels, names, margin, pixel_range=(0, 255)):
    """data/prepared/ of images (N, H, W, C): 60 % train, 40 % test."""
    canvas = on_canvas(images, margin)
    folder.mkdir(parents=True)
    for split, rows in zip(("train", "test"), np.split(np.arange(len(labels)), [6 * len(labels) // 10]), strict=True):
        save_file({"images": canvas[rows], "labels": labels[rows]}, folder / f"{split}.safetensors")
    margins = [0 if size == 1 else margin for size in images.shape[1:3]]
    constants = {"title": "Some data", "classes": names, "margin": margins, "shape": list(canvas.shape[1:])}
    paths.write_json(folder / "constants.json", constants | {"layout_seed": 1, "pixel_range": pixel_range})


def lines(n=100, seed=0):
    """Images 9×8 of three classes under noise: a bright row, a bright column, or both; (N, H, W, 1)."""
    rng = np.random.default_rng(seed)
    images, labels = rng.integers(0, 60, (n, 9, 8, 1), dtype=np.uint8), np.arange(n) % 3
    for image, label in zip(images, labels, strict=True):
        if label != 1:
            image[rng.integers(1, 8)] += 150
        if label != 0:
            image[:, rng.integers(1, 7)] |= 128
    return images, labels, ["row", "column", "$both & *more*"]


def contents(folder):
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def differing(one, other):
    """Names of the files that differ between two folders of the same files."""
    one, other = contents(one), contents(other)
    assert one.keys() == other.keys()
    return {name for name in one if one[name] != other[name]}


LINES = lines()


# --- the stage


def make_root(root):
    """What the stage reads."""
    small_data.write_prepared(root / "data" / "prepared")
    shutil.copy(REPOSITORY / "params.yaml", root)
    return root


def run_stage(root, cwd=REPOSITORY, **environment):
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("JUPYTER", "IPYTHON", "MPL"))}
    environment = inherited | {"PIPELINE_ROOT": str(root), "PYTHONPATH": str(REPOSITORY)} | environment
    command = [sys.executable, "-m", "stages.eda"]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def finished_stage(tmp_path_factory):
    """The root under which the stage has run once, which nobody may change, and what it printed: stdout, stderr."""

    def make(root):
        result = run_stage(make_root(root))
        assert result.returncode == 0, result.stderr
        return json.dumps([result.stdout, result.stderr])

    root, printed = made_once(tmp_path_factory, "eda", make)
    return root, *json.loads(printed)

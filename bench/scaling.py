"""Seconds of `dvc repro` as the protocol grows, with so few images that most is overhead: `make bench-scaling`."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML
from tabulate import tabulate

from bench import machine
from bench.data import OUT
from bench.rounds import OTHERS_PYTHON
from stages.shared import params, paths, stage_command

SEEDS = [0, 1]
LEVELS = 10  # of each family, so that the report has more chapters rather than longer ones
CLASSES, SIDE, IMAGES = 3, 8, 120
NET = {"channels": [4], "reduce_at": [1]}
HYPOTHESIS = """
slower_no_better:
  statement: A lower learning rate is as good.
  family: group_0
  contrast: {variant: v_1, reference: v_0}
  metric: accuracy
  direction: alike
  smallest_effect: 0.005
  source: simonyan2015
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=__doc__)
    parser.add_argument(
        "--variants",
        type=int,
        nargs="+",
        default=[10, 25, 50, 100],
        help="numbers of variants, each made from nothing (default: %(default)s)",
    )
    sizes = sorted(set(parser.parse_args().variants))
    if sizes[0] < 2:
        raise stage_command.StageError(f"--variants has {sizes[0]}; give numbers from 2 up")
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="scaling-") as folder:
            rows.append({"variants": size, **_times(Path(folder), size)})
        print(", ".join(f"{name} {value:.4g}" for name, value in rows[-1].items()), flush=True)
    OUT.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(OUT / "scaling.csv", index=False)
    _draw(rows, OUT / "scaling.png")
    slope, fixed = (
        np.polyfit(sizes, [row["seconds"] for row in rows], 1)
        if len(sizes) > 1
        else (rows[0]["seconds"] / sizes[0], 0.0)
    )
    parts = [
        "# Seconds of `dvc repro` as the protocol grows",
        tabulate(
            [[*row.values(), row["seconds"] / row["variants"]] for row in rows],
            [*rows[0], "seconds a variant"],
            tablefmt="github",
            floatfmt=".2f",
        ),
        f"Line of least squares: {fixed:.1f} s, and {slope:.2f} s for each variant of {len(SEEDS)} seeds, "
        f"which is {slope / len(SEEDS):.2f} s a seed.",
        f"Each from nothing, in a copy of the repository: {IMAGES} images of {SIDE}×{SIDE} pixels, one epoch. "
        "`nothing to do`: the same command once more.",
        *machine.description(OTHERS_PYTHON, params.load()),
    ]
    with paths.whole_file(OUT / "scaling.md") as partial:
        partial.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print("\n\n".join(parts))


def _times(folder: Path, size: int) -> dict[str, float]:
    """Seconds of `dvc repro` from nothing, and with nothing to do."""
    _copy(folder)
    _write_settings(folder, size)
    return {"seconds": _run(folder, "dvc", "repro"), "nothing to do": _run(folder, "dvc", "repro")}


def _copy(folder: Path) -> None:
    """What git knows of the repository, as it is in the working tree, as a repository of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=paths.ROOT,
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout
    for name in listed.splitlines():
        if (paths.ROOT / name).is_file() and name != paths.DVC_LOCK.name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(paths.ROOT / name, folder / name)
    who = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "A copy"]):
        subprocess.run(["git", *command], cwd=folder, check=True)


def _write_settings(folder: Path, size: int) -> None:
    yaml = YAML(typ="safe", pure=True)
    settings: dict[str, Any] = yaml.load((folder / "params.yaml").read_text(encoding="utf-8"))
    protocol = {
        "baseline": "v_0", "train_size": 80, "val_size": 20, "epochs": 1, "seeds": SEEDS, "few_seeds": SEEDS,
        "margin": 1, "probe_images": 20, "longer": None, "variants": [f"v_{number}" for number in range(size)],
    }  # fmt: skip
    groups = [f"group_{number}" for number in range(-(-(size - 1) // LEVELS))]
    settings |= {
        "protocols": {"scaling": protocol},
        "protocol": "scaling",
        "variants": _variants(size, groups),
        "families": {},
    }
    for name in groups:
        settings["families"][name] = {
            "title": name,
            "reference": "v_0",
            "question": "Does the rate matter?",
            "held": "All else.",
        }
    settings["data"] |= {"dataset": "npz", "file": "lines.npz"}
    settings["eda"] |= {"images": 60, "max_distance": 4, "samples_per_class": 2}
    settings["architecture"] |= NET
    settings["probe"] |= {
        "images": 20,
        "folds": 2,
        "bins": 5,
        "drawn_images": 2,
        "drawn_channels": 2,
        "drawn_places": 2,
        "hard_images": 4,
    }
    settings["inference"] |= {"min_seeds": 2, "verdict_seeds": 2, "resamples": 20}
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(settings, file)
    (folder / "hypotheses.yaml").write_text(HYPOTHESIS, encoding="utf-8")
    labels = np.arange(IMAGES + 60) % CLASSES
    images = np.random.default_rng(0).integers(0, 120, (len(labels), SIDE, SIDE), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label + 1] += 130
    np.savez(folder / "data" / "user" / "lines.npz", images=images, labels=labels)


def _variants(size: int, groups: list[str]) -> dict[str, Any]:
    """v_0, which is in every group, and others that differ from it by their learning rate alone."""
    others = {
        f"v_{number}": {
            "families": {groups[(number - 1) // LEVELS]: f"rate {number}"},
            "run": {"recipe": {"lr": 0.01 + number / 1e5}},
        }
        for number in range(1, size)
    }
    return {"v_0": {"families": dict.fromkeys(groups, "rate 0"), "run": {"sample": {"seeds": "all"}}}, **others}


def _run(folder: Path, *command: str) -> float:
    """Wall seconds. Raises StageError, with the command's last words, if it fails."""
    environment = {
        key: value for key, value in os.environ.items() if key not in ("PIPELINE_ROOT", "PYTHONPATH", "RUN_STORE")
    }
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "REPORT_RENDERER": "embedded",
        "COMPUTE_BACKEND": "local",
    }
    start = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        raise stage_command.StageError(
            f"{' '.join(command)} failed in a copy of the repository:\n{done.stdout[-2000:]}"
        )
    return time.perf_counter() - start


def _draw(rows: list[dict[str, float]], path: Path) -> None:
    import matplotlib.pyplot as plt

    from stages.shared.drawing.style import use_style

    use_style()
    figure, axes = plt.subplots()
    sizes = [row["variants"] for row in rows]
    for name, label in {"seconds": "from nothing", "nothing to do": "nothing to do"}.items():
        axes.plot(sizes, [row[name] for row in rows], "o-", label=label)
    axes.set(
        xlabel=f"variants, of {len(SEEDS)} seeds each",
        ylabel="seconds",
        xlim=(0, None),
        ylim=(0, None),
        title="dvc repro, mostly overhead",
    )
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160)


if __name__ == "__main__":
    stage_command.run(main)

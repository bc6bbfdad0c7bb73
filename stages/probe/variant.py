"""A variant's folder: what the probes of its seeds left, gathered into few files."""

import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from stages.shared import paths


def gather(variant: str, seeds: tuple[int, ...], probed: Path, out: Path) -> None:
    """Write into `out` what every seed shows, and pictures of the first one.

    probe.json: the scalars of each seed (null where a probe has no meaning), and once why. shift.csv: accuracy by shift.
    consistency.safetensors: by seed and image, `shifted`, the share of shifts under which the prediction is right, and,
    where there are two shifts, `consistency`, that of the pairs on which it agrees. pictures.safetensors: see `measures`.
    Of a run that diverged there is nothing to probe; where all did, probe.json has no run and is alone.
    probed: the folder with one seed_<seed>/ for each of `seeds`, those that finished.
    """
    if not seeds:
        return paths.write_json(out / "probe.json", {"variant": variant, "runs": [], "reasons": {}})
    folders = [probed / f"seed_{seed}" for seed in seeds]
    results = [paths.read_json(folder / "result.json") for folder in folders]
    paths.write_csv(
        out / "shift.csv", ["seed", "dy", "dx", "accuracy"], [row for result in results for row in result["shifts"]]
    )
    reasons = {
        name: text for result in reversed(results) for name, text in result["reasons"].items()
    }  # the first seed's, where it has one
    paths.write_json(
        out / "probe.json", {"variant": variant, "runs": [result["run"] for result in results], "reasons": reasons}
    )
    by_image = [load_file(folder / "by_image.safetensors") for folder in folders]
    save_file(
        {name: np.stack([own[name] for own in by_image]) for name in by_image[0]}, out / "consistency.safetensors"
    )
    shutil.copyfile(folders[0] / "pictures.safetensors", out / "pictures.safetensors")

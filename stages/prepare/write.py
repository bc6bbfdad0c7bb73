"""The prepared folder: three splits on their canvas, the constants, and which image is where."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from stages.prepare.canvas import on_canvas
from stages.prepare.check import check_classes, check_samples, check_variants
from stages.prepare.constants import mean_and_std
from stages.prepare.splits import split
from stages.shared import paths
from stages.shared.architectures import geometry
from stages.shared.params import Params


def prepare(settings: Params, raw: Path, out: Path) -> dict[str, int]:
    """Write everything that data/prepared/ holds; returns the number of images of each split.

    Beside the images, rows.safetensors says which row of the published train set (for test: of the test set, where
    there is one) each image was. Raises StageError if the settings do not fit the images.
    """
    data, margin = settings.data, settings.chosen_protocol.margin
    description = paths.read_json(raw / "dataset.json")
    classes = description["classes"]
    shape = geometry.canvas(description["height"], description["width"], margin)
    check_variants(settings, description["height"], description["width"], *shape)
    print(f"prepare: splitting {description['title']}", flush=True)
    arrays = load_file(raw / "images.safetensors")
    labels = arrays["train_labels"]
    splits = split(labels, arrays.get("test_labels"), settings.chosen_protocol, data.test_fraction, data.seed)
    check_samples(settings, len(splits.train))
    check_classes(np.bincount(labels[splits.train], minlength=len(classes)), classes, settings.protocol)

    rows = {"train": splits.train, "val": splits.val, "test": splits.test}
    save_file(rows, out / "rows.safetensors")
    counts: dict[str, list[int]] = {}
    for name, chosen in rows.items():
        published = "test" if name == "test" and splits.has_test_set else "train"
        print(f"prepare: {len(chosen)} {name} images", flush=True)
        images = on_canvas(arrays[f"{published}_images"][chosen], margin)
        labels = arrays[f"{published}_labels"][chosen]
        save_file({"images": images, "labels": labels}, out / f"{name}.safetensors")
        counts[name] = np.bincount(labels, minlength=len(classes)).tolist()
        if name == "train":
            mean, std = mean_and_std(images)

    constants = {
        "title": description["title"],
        "classes": classes,
        "shape": [description["channels"], *shape],
        "margin": [
            (after - before) // 2
            for after, before in zip(shape, (description["height"], description["width"]), strict=True)
        ],
        "mean": mean,
        "std": std,
        "class_counts": counts,
        "layout_seed": data.seed,
    }
    paths.write_json(out / "constants.json", constants)
    return {name: len(chosen) for name, chosen in rows.items()}

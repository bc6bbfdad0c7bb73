"""The prepared folder: original/ and permuted/ with three splits each, the constants, and which image is where."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from stages import params, paths
from stages.params import Params
from stages.prepare.check import check_classes, check_variants
from stages.prepare.constants import mean_and_std
from stages.prepare.layouts import on_canvas, permuted
from stages.prepare.splits import split
from stages.seeds import stream


def prepare(settings: Params, raw: Path, out: Path) -> dict[str, int]:
    """Write everything that data/prepared/ holds; returns the number of images of each split.

    Beside the images, rows.safetensors says which row of the published train set (for test: of the test set, where
    there is one) each image was. Raises StageError if the settings do not fit the images.
    """
    data = settings.data
    description = paths.read_json(raw / "dataset.json")
    classes = description["classes"]
    shape = params.canvas(description["height"], description["width"], data.margin)
    check_variants(settings, *shape)
    print(f"prepare: splitting {description['title']}", flush=True)
    arrays = load_file(raw / "images.safetensors")
    labels = arrays["train_labels"]
    splits = split(labels, arrays.get("test_labels"), settings.active_protocol, settings.protocol, data.test_fraction, data.seed)
    check_classes(np.bincount(labels[splits.train], minlength=len(classes)), classes, settings.protocol)

    rows = {"train": splits.train, "val": splits.val, "test": splits.test}
    permutation = stream("permutation", data.seed).permutation(shape[0] * shape[1])
    np.save(out / "permutation.npy", permutation)
    save_file(rows, out / "rows.safetensors")
    (out / "original").mkdir()
    (out / "permuted").mkdir()
    counts: dict[str, list[int]] = {}
    for name, chosen in rows.items():
        published = "test" if name == "test" and splits.has_test_set else "train"
        print(f"prepare: {len(chosen)} {name} images, original and permuted", flush=True)
        images = on_canvas(arrays[f"{published}_images"][chosen], data.margin)
        labels = arrays[f"{published}_labels"][chosen]
        save_file({"images": images, "labels": labels}, out / "original" / f"{name}.safetensors")
        save_file({"images": permuted(images, permutation), "labels": labels}, out / "permuted" / f"{name}.safetensors")
        counts[name] = np.bincount(labels, minlength=len(classes)).tolist()
        if name == "train":
            mean, std = mean_and_std(images)

    constants = {
        "title": description["title"],
        "classes": classes,
        "shape": [description["channels"], *shape],
        "margin": [(after - before) // 2 for after, before in zip(shape, (description["height"], description["width"]), strict=True)],
        "mean": mean,
        "std": std,
        "class_counts": counts,
    }
    paths.write_json(out / "constants.json", constants)
    return {name: len(chosen) for name, chosen in rows.items()}

"""Write the prepared folder: the images of each split with their margins, and where each image comes from."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from stages.prepare.splits import check_classes, split
from stages.shared import paths
from stages.shared.architectures import geometry
from stages.shared.params import Params


def prepare(settings: Params, raw: Path, out: Path) -> dict[str, int]:
    """Write all files of data/prepared/; returns the number of images in each split.

    There is a val.safetensors only where the dataset has a val set of its own; else each run draws its val images.
    rows.safetensors holds the row that each image has in the published train set (or, for the val and test split, in
    the published set of that name where there is one). Raises StageError if the settings do not fit the images.
    """
    margin = settings.chosen_protocol.margin
    description = paths.read_json(raw / "dataset.json")
    classes = description["classes"]
    print(f"prepare: splitting {description['title']}", flush=True)
    arrays = load_file(raw / "images.safetensors")
    train_labels = arrays["train_labels"]
    splits = split(train_labels, arrays.get("test_labels"), settings, arrays.get("val_labels"))
    check_classes(settings, train_labels[splits.train], classes, splits.val is not None)

    rows = {"train": splits.train} | ({} if splits.val is None else {"val": splits.val}) | {"test": splits.test}
    save_file(rows, out / "rows.safetensors")
    class_counts: dict[str, list[int]] = {}
    for name, rows_of_split in rows.items():
        published = "train" if name == "test" and not splits.has_test_set else name
        print(f"prepare: {len(rows_of_split)} {name} images", flush=True)
        images = on_canvas(arrays[f"{published}_images"][rows_of_split], margin)
        labels = arrays[f"{published}_labels"][rows_of_split]
        save_file({"images": images, "labels": labels}, out / f"{name}.safetensors")
        class_counts[name] = np.bincount(labels, minlength=len(classes)).tolist()

    height, width = description["height"], description["width"]
    canvas_height, canvas_width = geometry.canvas(height, width, margin)
    constants = {
        "title": description["title"],
        "classes": classes,
        "shape": [description["channels"], canvas_height, canvas_width],
        "margin": [(canvas_height - height) // 2, (canvas_width - width) // 2],
        "class_counts": class_counts,
        "pixel_range": description["pixel_range"],
        "layout_seed": settings.data.seed,
    }
    paths.write_json(out / "constants.json", constants)
    return {name: len(rows_of_split) for name, rows_of_split in rows.items()}


def on_canvas(images: np.ndarray, margin: int) -> np.ndarray:
    """Images (N, H, W, C) as (N, C, H', W'), with `margin` zero pixels on each side.

    An axis of one pixel (a signal) gets no margin.
    """
    n, height, width, channels = images.shape
    canvas_height, canvas_width = geometry.canvas(height, width, margin)
    top, left = (canvas_height - height) // 2, (canvas_width - width) // 2
    canvas = np.zeros((n, channels, canvas_height, canvas_width), dtype=images.dtype)
    canvas[:, :, top : top + height, left : left + width] = images.transpose(0, 3, 1, 2)
    return canvas

"""Prepared data small enough to train on in a moment, in the form that `prepare` writes."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from stages.shared import paths

TRAIN = 121  # images to train and to validate
SIZE = 8  # pixels of the canvas along each axis, one of them margin on each side


def write_prepared(folder: Path, seed: int = 0) -> None:
    """Three classes of 6×6 images: a bright row, a bright column, or a bright diagonal, under noise."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    for split, count in (("train", TRAIN), ("test", 47)):
        labels = np.arange(count) % 3
        images = rng.integers(0, 60, (count, 1, SIZE, SIZE), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            line, every = rng.integers(1, SIZE - 1), np.arange(SIZE)
            rows, columns = ((line, every), (every, line), (every, every))[label]
            image[0, rows, columns] += 150
        images[:, :, [0, -1]] = 0
        images[:, :, :, [0, -1]] = 0
        save_file({"images": images, "labels": labels}, folder / f"{split}.safetensors")
        counts[split] = np.bincount(labels).tolist()
    constants = {
        "shape": [1, SIZE, SIZE],
        "margin": [1, 1],
        "classes": ["row", "column", "diagonal"],
        "title": "Lines",
        "class_counts": counts,
        "layout_seed": 0,
        "pixel_range": [0, 255],
    }
    paths.write_json(folder / "constants.json", constants)

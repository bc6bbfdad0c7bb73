"""How large the classes are, and what their pixels look like on average."""

import numpy as np
import pandas as pd

WHITE = 255


def counts(split_labels: dict[str, np.ndarray], n_classes: int) -> pd.DataFrame:
    """Images of each class (row) in each split (column)."""
    return pd.DataFrame({split: np.bincount(labels, minlength=n_classes) for split, labels in split_labels.items()})


def brightness(images: np.ndarray) -> np.ndarray:
    """Mean pixel of each image, in [0, 1]; (N, C, H, W) → (N,)."""
    return images.mean(axis=(1, 2, 3), dtype=np.float64) / WHITE


def pixel_statistics(images: np.ndarray, labels: np.ndarray, n_classes: int) -> pd.DataFrame:
    """Mean and SD of all pixels of each class, in [0, 1], and the mean and SD of its images' brightness; NaN for a class without image."""
    bright = brightness(images)
    rows = [_statistics(images[labels == label], bright[labels == label]) for label in range(n_classes)]
    return pd.DataFrame(rows, columns=["mean", "sd", "brightness_mean", "brightness_sd"])


def mean_and_sd(images: np.ndarray) -> tuple[float, float]:
    """Of all pixels, in [0, 1]."""
    return float(images.mean(dtype=np.float64)) / WHITE, float(images.std(dtype=np.float64)) / WHITE


def histogram(images: np.ndarray) -> np.ndarray:
    """Share of the pixels that have each value; (256,)."""
    return np.bincount(images.ravel(), minlength=WHITE + 1) / images.size


def mean_images(images: np.ndarray, labels: np.ndarray, n_classes: int) -> list[np.ndarray | None]:
    """Mean image (C, H, W) of each class, in [0, 1]; None for a class without image."""
    own = [images[labels == label] for label in range(n_classes)]
    return [group.mean(axis=0, dtype=np.float64) / WHITE if len(group) else None for group in own]


def samples(labels: np.ndarray, n_classes: int, per_class: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Rows of `per_class` random images of each class; all of a class that has fewer."""
    return [rng.permutation(np.flatnonzero(labels == label))[:per_class] for label in range(n_classes)]


def _statistics(images: np.ndarray, bright: np.ndarray) -> tuple[float, ...]:
    if len(images) == 0:
        return (np.nan,) * 4
    return *mean_and_sd(images), float(bright.mean()), float(bright.std())

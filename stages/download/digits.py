"""scikit-learn's handwritten digits, which are installed with it."""

import hashlib
import importlib.metadata
from importlib import resources

import numpy as np

from stages.download.raw import RawDataset

GREY_LEVELS = 16  # scikit-learn's pixels count from 0 to this


def load() -> tuple[RawDataset, str]:
    """1,797 images of 8 × 8 pixels, stretched from 0…16 to 0…255; there is no test set. Also the source's name."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / GREY_LEVELS)).astype(np.uint8)[..., np.newaxis]
    packed = resources.files("sklearn.datasets.data").joinpath("digits.csv.gz").read_bytes()
    arrays = {"train_images": images, "train_labels": digits.target.astype(np.int64)}
    raw = RawDataset("Digits", list("0123456789"), arrays, {"digits.csv.gz": hashlib.sha256(packed).hexdigest()})
    return raw, f"scikit-learn {importlib.metadata.version('scikit-learn')}"

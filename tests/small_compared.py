"""Invented results of revisions, of a few test images, as `compare` reads them."""

import numpy as np
import pandas as pd

from stages.shared.run_files import VariantResults
from stages.tools.compare.results import Images, Results
from stages.tools.compare.revisions import Revision


def variant(key, correct, consistency=None, diverged=()):
    """correct, consistency: seed → a value for each image."""
    scalars = {"train_accuracy": 0.9, "val_accuracy": 0.8, "test_loss": 0.3}
    metrics = {seed: scalars | {"test_accuracy": float(np.mean(images))} for seed, images in correct.items()}
    probes = {seed: {"shift_consistency": float(np.mean(shares))} for seed, shares in (consistency or {}).items()}
    rows = [(seed, epoch, 1 / epoch, 0.5) for seed in correct for epoch in (1, 2)]
    return VariantResults(
        key=key,
        costs={"parameters": 1234, "macs": 5678},
        metrics=metrics,
        probes=probes,
        curves=pd.DataFrame(rows, columns=["seed", "epoch", "train_loss", "val_accuracy"]),
        shifts=pd.DataFrame(),
        predicted={},
        correct={seed: np.array(images, dtype=np.uint8) for seed, images in correct.items()},
        by_image={"consistency": {seed: np.array(shares) for seed, shares in (consistency or {}).items()}},
        diverged=dict.fromkeys(diverged, 1),
    )


def result(name, correct, shares=None, settings=None, code=None, test=None, margin=(2, 2), diverged=None):
    """correct, shares: variant → seed → a value for each image. Equal answers are the same runs."""
    n_images = max(len(images) for arm in correct.values() for images in arm.values())
    test = test or Images(np.zeros((n_images, 1, 2, 2), np.uint8), np.zeros(n_images, int))
    variants = {
        key: variant(key, arm, (shares or {}).get(key), (diverged or {}).get(key, ())) for key, arm in correct.items()
    }
    digests = {key: {0: {"predictions.safetensors": f"{arm}"}} for key, arm in correct.items()}
    revision = Revision(name, "0" * 40, "0000000 of 2026-01-02")
    settings = settings or {"protocol": "p"}
    return Results(revision, settings, code or {}, "Digits", test, margin, variants, digests)

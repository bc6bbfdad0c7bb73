"""params.yaml as frozen, strictly checked objects, and its only reader.

`load()` refuses a mistake anywhere in the file in one message, before any stage runs.
"""

from stages.shared.params.blocks import (
    LONGER,
    Architecture,
    Block,
    Data,
    Eda,
    Fraction,
    Inference,
    Machine,
    Natural,
    OwnSize,
    Params,
    Positive,
    Probe,
    Protocol,
    Published,
    Quantity,
    Recipe,
    Run,
    Sample,
    Size,
    Variant,
)
from stages.shared.params.hypotheses import Contrast, Hypothesis, PublishedEffect, load_hypotheses
from stages.shared.params.image_sizes import DATASETS, image_shape, raw_shape
from stages.shared.params.load import load
from stages.shared.params.messages import ParamsError

__all__ = [
    "DATASETS",
    "LONGER",
    "Architecture",
    "Block",
    "Contrast",
    "Data",
    "Eda",
    "Fraction",
    "Hypothesis",
    "Inference",
    "Machine",
    "Natural",
    "OwnSize",
    "Params",
    "ParamsError",
    "Positive",
    "Probe",
    "Protocol",
    "Published",
    "PublishedEffect",
    "Quantity",
    "Recipe",
    "Run",
    "Sample",
    "Size",
    "Variant",
    "image_shape",
    "load",
    "load_hypotheses",
    "raw_shape",
]

"""params.yaml as frozen, strictly checked objects, and its only reader.

`load()` refuses a mistake anywhere in the file in one message, before any stage runs.
"""

from stages.shared.params.architecture import Architecture
from stages.shared.params.blocks import Data, Eda, Inference, Machine, Probe, Protocol, Published, Variant
from stages.shared.params.fields import Block, Fraction, Natural, OwnSize, Positive, Quantity, Size
from stages.shared.params.hypotheses import Contrast, Hypothesis, PublishedEffect, load_hypotheses
from stages.shared.params.image_sizes import DATASETS, MAX_CHANNELS, image_shape, raw_shape
from stages.shared.params.load import load
from stages.shared.params.messages import ParamsError
from stages.shared.params.run import Recipe, Run, Sample
from stages.shared.params.settings import LONGER, Params

__all__ = [
    "DATASETS",
    "LONGER",
    "MAX_CHANNELS",
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

"""Does a net know how often it is right? Source: Guo et al. 2017, arXiv:1706.04599."""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Num
from torch import Tensor, nn

from stages.probe.layers import BATCH
from stages.shared.architectures.build import logits_of

Logits = Float[Tensor, "batch class"]
Labels = Int[Tensor, " batch"]
Table = Float[np.ndarray, "bin 3"]


def logits_of_all(model: nn.Module, images: Num[Tensor, "batch channel height width"]) -> Logits:
    with torch.inference_mode():
        return torch.cat([logits_of(model, batch) for batch in images.split(BATCH)])


def expected_calibration_error(reliability: Table) -> float:
    """Mean gap between confidence and accuracy, weighted by the size of each bin. Returns a fraction in [0, 1].

    reliability: the table of the function of that name. Source: Guo et al. 2017, eq. 3.
    """
    count, confidence, accuracy = reliability.T
    return float((count * np.abs(accuracy - confidence)).sum() / count.sum())


def reliability(logits: Logits, labels: Labels, n_bins: int) -> Table:
    """Count, mean confidence and accuracy of the images in each bin of confidence, (n_bins, 3); of an empty bin zeros.

    Bin m of M holds the confidences in ((m − 1)/M, m/M]. The confidence is the largest softmax probability.
    logits: (N, classes). labels: (N,). Raises ValueError if there are no images. Source: Guo et al. 2017, section 2.
    """
    if not len(labels):
        raise ValueError("calibration needs at least one image")
    confidence, predicted = logits.double().softmax(1).max(1)
    bins = (confidence * n_bins).ceil().long() - 1
    sums = torch.zeros(n_bins, 3, dtype=torch.float64)
    sums.index_add_(0, bins, torch.stack([torch.ones_like(confidence), confidence, (predicted == labels).double()], 1))
    table: Table = sums.numpy()
    table[:, 1:] /= np.maximum(table[:, :1], 1)
    return table


def negative_log_likelihood(logits: Logits, labels: Labels) -> float:
    """Mean of −log p(label) in nats."""
    return F.cross_entropy(logits.double(), labels).item()


def class_accuracy(logits: Logits, labels: Labels) -> Float[np.ndarray, " class"]:
    """Share of the images of each class that are predicted right, (classes,); NaN where a class has no image."""
    classes = logits.shape[1]
    right = torch.bincount(labels[logits.argmax(1) == labels], minlength=classes).numpy()
    count = torch.bincount(labels, minlength=classes).numpy()
    share: np.ndarray = np.where(count > 0, right / np.maximum(count, 1), np.nan)
    return share

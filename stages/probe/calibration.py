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
    confidence, predicted = logits.double().softmax(1).max(1)
    return _table(confidence.numpy(), (predicted == labels).numpy(), n_bins)


def error_by_sampling_alone(logits: Logits, n_bins: int, generator: np.random.Generator, draws: int) -> float:
    """The calibration error that a perfectly calibrated net with these confidences has on average, from so few images.

    A net is perfectly calibrated if each prediction is right with the probability that it claims. So the answers are
    drawn anew from the confidences, and the error of each draw is averaged. Source: Bröcker and Smith 2007,
    doi:10.1175/WAF993.1, who draw so for reliability diagrams.
    """
    confidence = logits.double().softmax(1).max(1).values.numpy()
    drawn = [generator.random(len(confidence)) < confidence for _ in range(draws)]
    return float(np.mean([expected_calibration_error(_table(confidence, right, n_bins)) for right in drawn]))


def _table(confidence: np.ndarray, right: np.ndarray, n_bins: int) -> Table:
    """See `reliability`. confidence: (N,), in (0, 1]. right: (N,), boolean."""
    if not len(confidence):
        raise ValueError("calibration needs at least one image")
    bins = np.ceil(confidence * n_bins).astype(int) - 1
    columns = [np.bincount(bins, weights=weights, minlength=n_bins) for weights in (None, confidence, right)]
    table: Table = np.stack(columns, 1).astype(float)
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

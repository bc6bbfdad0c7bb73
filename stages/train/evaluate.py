"""Loss and predictions of a model on every image of a split."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stages.shared.architectures.build import logits_of
from stages.train.data import Split

EVALUATION_BATCH = 100  # fits the cache of one core; only the last bits of the loss depend on it


def evaluate(model: nn.Module, split: Split) -> tuple[float, Tensor]:
    """Mean cross-entropy over all N images, and the predicted class of each, (N,) int64."""
    was_training = model.training
    model.eval()
    batches = zip(split.images.split(EVALUATION_BATCH), split.labels.split(EVALUATION_BATCH), strict=True)
    loss_sum, predicted = 0.0, []
    with torch.inference_mode():
        for images, labels in batches:
            logits = logits_of(model, images)
            loss_sum += F.cross_entropy(logits, labels, reduction="sum").item()
            predicted.append(logits.argmax(1))
    model.train(was_training)
    return loss_sum / len(split.labels), torch.cat(predicted)


def accuracy(predicted: Tensor, labels: Tensor) -> float:
    """Share of (N,) predictions that are right."""
    return (predicted == labels).sum().item() / len(labels)

"""Does a prediction survive a shift of the image? Source: Zhang 2019, arXiv:1904.11486, section 4."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from stages.probe.calibration import logits_of_all
from stages.shared.pixel_order import rearranged


def shifts_within(margin: tuple[int, int]) -> list[tuple[int, int]]:
    """All (dy, dx) that move an image inside its margin (pixels above and beside it), so that nothing is cropped."""
    return [(dy, dx) for dy in range(-margin[0], margin[0] + 1) for dx in range(-margin[1], margin[1] + 1)]


def shifted(images: Tensor, dy: int, dx: int) -> Tensor:
    """(N, C, H, W) moved down by dy and right by dx pixels.

    What leaves on one side enters on the other; with a margin it is empty.
    """
    return torch.roll(images, (dy, dx), dims=(2, 3))


def design(n_images: int, n_shifts: int, of_each: int, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    """Which shifts each image is shown under, (N, k): k of n_shifts at random, all different; all if there are fewer.

    Consistency and accuracy vary far more from image to image than from shift to shift, so that many images under a few
    shifts each say more than a few images under all shifts, for the same work.
    """
    chosen: npt.NDArray[np.int64] = generator.permuted(np.tile(np.arange(n_shifts), (n_images, 1)), axis=1)[:, :of_each]
    return chosen


def predictions_under_shifts(
    model: nn.Module,
    images: Tensor,
    shifts: list[tuple[int, int]],
    shown: npt.NDArray[np.int64],
    order: npt.NDArray[np.int64] | None,
) -> npt.NDArray[np.int64]:
    """Predicted classes, (N, k), of images (N, C, H, W) that are shifted and then rearranged.

    shown: (N, k), see `design`. order: (H·W,), of the pixels; None leaves them where they are.
    """
    predicted = np.empty(shown.shape, dtype=np.int64)
    for number, (dy, dx) in enumerate(shifts):
        image, place = (shown == number).nonzero()
        if len(image):
            moved = shifted(images[torch.from_numpy(image)], dy, dx)
            moved = moved if order is None else torch.from_numpy(rearranged(moved.numpy(), order))
            predicted[image, place] = logits_of_all(model, moved).argmax(1).numpy()
    return predicted


def accuracy_by_shift(correct: npt.NDArray[np.bool_], shown: npt.NDArray[np.int64], n_shifts: int) -> npt.NDArray[Any]:
    """Share of right predictions under each shift, (n_shifts,); NaN where no image was shown under it.

    correct, shown: (N, k).
    """
    times = np.bincount(shown.ravel(), minlength=n_shifts)
    right = np.bincount(shown.ravel(), weights=correct.ravel(), minlength=n_shifts)
    share: npt.NDArray[Any] = np.where(times > 0, right / np.maximum(times, 1), np.nan)
    return share


def agreement(predicted: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Of each image, the share of the pairs of different shifts on which its prediction agrees, (N,).

    Its mean over the images is P[f(T_δ x) = f(T_δ' x)] over pairs of different shifts, the paper's consistency.
    predicted: (N, k). Raises ValueError with fewer than two shifts.
    """
    count = predicted.shape[1]
    if count < 2:
        raise ValueError("shift consistency needs at least two shifts")
    votes = np.stack([(predicted == k).sum(1) for k in np.unique(predicted)])  # class, image
    share: npt.NDArray[np.float64] = (votes * (votes - 1)).sum(0) / (count * (count - 1))
    return share


def agreement_beyond_chance(predicted: npt.NDArray[np.int64]) -> npt.NDArray[np.float64] | None:
    """`agreement` of each image, less what chance gives and divided by what chance leaves, (N,).

    Its mean over the images is Fleiss' kappa, with shifts in the place of raters: 1 where all predictions agree, 0
    where they agree no more often than two predictions for any two images. None where every prediction is the same
    class, so that chance leaves nothing. predicted: (N, k). Source: Fleiss 1971, doi:10.1037/h0031619.
    """
    shares = np.unique(predicted, return_counts=True)[1] / predicted.size
    by_chance = float((shares**2).sum())
    if len(shares) == 1:
        return None
    beyond: npt.NDArray[np.float64] = (agreement(predicted) - by_chance) / (1 - by_chance)
    return beyond

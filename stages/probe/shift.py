"""Does a prediction survive a shift of the image? Source: Zhang 2019, arXiv:1904.11486, section 4."""

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


def predictions_under_shifts(
    model: nn.Module, images: Tensor, shifts: list[tuple[int, int]], order: npt.NDArray[np.int64] | None
) -> npt.NDArray[np.int64]:
    """Predicted classes, (shifts, N), of images (N, C, H, W) uint8 that are shifted and then rearranged.

    order: (H·W,), of the pixels; None leaves them where they are.
    """
    rows = []
    for dy, dx in shifts:
        moved = shifted(images, dy, dx)
        moved = moved if order is None else torch.from_numpy(rearranged(moved.numpy(), order))
        rows.append(logits_of_all(model, moved).argmax(1).numpy())
    return np.stack(rows)


def agreement(predicted: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Of each image, the share of the pairs of different shifts on which its prediction agrees, (N,).

    Its mean over the images is P[f(T_δ x) = f(T_δ' x)] over pairs of different shifts, the paper's consistency.
    predicted: (shifts, N). Raises ValueError with fewer than two shifts.
    """
    count = len(predicted)
    if count < 2:
        raise ValueError("shift consistency needs at least two shifts")
    votes = np.stack([(predicted == k).sum(0) for k in np.unique(predicted)])  # class, image
    share: npt.NDArray[np.float64] = (votes * (votes - 1)).sum(0) / (count * (count - 1))
    return share

"""The train images as one epoch shows them: as they are, or each one shifted and flipped at random."""

from collections.abc import Callable, Iterator
from itertools import repeat

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Int64, Num
from torch import Tensor

from stages.shared.params import Recipe
from stages.shared.random_streams import stream

# Row numbers of the train images, (N,) → their pixels in this epoch, (N, C, H, W), of the same type.
View = Callable[[Tensor], Tensor]


def views(
    recipe: Recipe,
    images: Num[Tensor, "image channel height width"],
    margin: tuple[int, int],
    order: npt.NDArray[np.int64] | None,
    seed: int,
) -> Iterator[View]:
    """Epoch after epoch, the view of the train images that the recipe's augmentation gives.

    images: on the canvas, in the run's layout. margin: rows and columns of zeros on each side of an image; a shift is
    never longer, so that no pixel is lost. An axis without a margin is not shifted. order: of the canvas's pixels,
    (H·W,), where the layout rearranges them: an image is shifted and flipped first, and rearranged then. Each image of
    each epoch gets a shift and a flip of its own, which depend on `seed` alone: with or without the other, in any order
    of the images, they are the same. A flip mirrors the whole canvas.
    """
    if not recipe.augment_shift and not recipe.augment_flip:
        return repeat(lambda rows: images[rows])
    return _augmented(recipe, images, margin, order, seed)


def _augmented(
    recipe: Recipe, images: Tensor, margin: tuple[int, int], order: npt.NDArray[np.int64] | None, seed: int
) -> Iterator[View]:
    count, _, height, width = images.shape
    reach = np.array([min(recipe.augment_shift, pixels) for pixels in margin])
    shift_stream, flip_stream = stream("augment shift", seed), stream("augment flip", seed)
    places = torch.arange(height * width) if order is None else torch.from_numpy(order)
    place_of = torch.empty_like(places)
    place_of[places] = torch.arange(height * width)  # where a pixel of the canvas stands in the run's layout
    rows_seen, columns_seen = (axis.to(images.device) for axis in (places // width, places % width))
    place_of = place_of.to(images.device)
    while True:
        shifts = torch.from_numpy(shift_stream.integers(-reach, reach + 1, (count, 2))).to(images.device)
        is_flipped = torch.zeros(count, dtype=torch.bool, device=images.device)
        if recipe.augment_flip:
            is_flipped = torch.from_numpy(flip_stream.integers(0, 2, count).astype(bool)).to(images.device)

        def view(rows: Tensor, shifts: Tensor = shifts, is_flipped: Tensor = is_flipped) -> Tensor:
            down, right = shifts[rows].unbind(1)
            # Pixels that leave the canvas on one side are zeros of the margin, and zeros come in on the other.
            source_rows = (rows_seen - down[:, None]) % height
            source_columns = (columns_seen - right[:, None]) % width
            source_columns = torch.where(is_flipped[rows, None], width - 1 - source_columns, source_columns)
            return _taken(images[rows], place_of[source_rows * width + source_columns])

        yield view


def _taken(
    images: Num[Tensor, "image channel height width"], sources: Int64[Tensor, "image place"]
) -> Num[Tensor, "image channel height width"]:
    """Each image with, at every place, the pixel of all channels that stood at the place's source."""
    flat = images.flatten(2)
    return flat.gather(2, sources[:, None].expand_as(flat)).view(images.shape)

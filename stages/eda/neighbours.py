"""Nearest neighbours by Euclidean distance of the pixels: exact, since sums of squared whole numbers are."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.metrics.pairwise import euclidean_distances

BLOCK_VALUES = 4_000_000  # distances held at once


@dataclass(frozen=True)
class Nearest:
    """distance, index: of the nearest other image, the first in order among equals. second: distance of the next."""

    distance: np.ndarray
    index: np.ndarray
    second: np.ndarray


def within(images: np.ndarray) -> Nearest:
    """For each of the images (N, …), N ≥ 2, among the others; `second` is infinite if there are only two."""
    squares, index, second = [], [], []
    for start, block in _squares(images, images):
        rows = np.arange(len(block))
        block[rows, start + rows] = np.inf
        nearest = block.argmin(axis=1)
        squares.append(block[rows, nearest])
        index.append(nearest)
        block[rows, nearest] = np.inf
        second.append(block.min(axis=1))
    return Nearest(np.sqrt(np.concatenate(squares)), np.concatenate(index), np.sqrt(np.concatenate(second)))


def of_beginnings(images: np.ndarray, references: np.ndarray, sizes: list[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each size, ascending: distance and index of the nearest of that many first references, for every image."""
    squares, index = np.full(len(images), np.inf), np.zeros(len(images), dtype=int)
    found = []
    for before, size in zip([0, *sizes], sizes, strict=False):
        for start, block in _squares(images, references[before:size]):
            rows = slice(start, start + len(block))
            nearest = block.argmin(axis=1)
            best = block[np.arange(len(block)), nearest]
            closer = best < squares[rows]
            index[rows] = np.where(closer, before + nearest, index[rows])
            squares[rows] = np.where(closer, best, squares[rows])
        found.append((np.sqrt(squares), index.copy()))
    return found


def halvings(n: int, least: int) -> list[int]:
    """n, n/2, n/4, … rounded down, while they are at least `least`; ascending, and never empty."""
    sizes = [n]
    while sizes[-1] // 2 >= max(least, 1):
        sizes.append(sizes[-1] // 2)
    return sizes[::-1]


def pairs_within(images: np.ndarray, nearest: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First image, second image and distance of every pair at most `limit` apart, each pair once."""
    rows = np.flatnonzero(nearest <= limit)  # both of a close pair have a close neighbour
    one, two, distance = pairs_between(images[rows], images[rows], nearest[rows], limit)
    once = one < two
    return rows[one[once]], rows[two[once]], distance[once]


def pairs_between(
    images: np.ndarray, references: np.ndarray, nearest: np.ndarray, limit: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, reference and distance of every pair at most `limit` apart; nearest: distance to each image's nearest reference."""
    rows = np.flatnonzero(nearest <= limit)
    one, two, distance = [], [], []
    for start, block in _squares(images[rows], references) if len(rows) else ():
        distances = np.sqrt(block)
        close = np.nonzero(distances <= limit)
        one.append(rows[start + close[0]])
        two.append(close[1])
        distance.append(distances[close])
    empty = np.array([], dtype=int)
    return (
        np.concatenate([empty, *one]),
        np.concatenate([empty, *two]),
        np.concatenate([empty.astype(float), *distance]),
    )


def _squares(images: np.ndarray, references: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The number of a block's first image, and the squared distances of its images to all references."""
    all_references = references.reshape(len(references), -1).astype(np.float64)
    norms = np.sum(all_references**2, axis=1)[None]
    step = max(1, BLOCK_VALUES // len(references))
    for start in range(0, len(images), step):
        block = images[start : start + step].reshape(-1, all_references.shape[1]).astype(np.float64)
        yield start, euclidean_distances(block, all_references, Y_norm_squared=norms, squared=True)

"""Euclidean distances between images: the nearest neighbours, and all close pairs.

They are exact, since sums of squared whole numbers are.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stages.eda.statistics import blocks

BLOCK_VALUES = 4_000_000  # distances held in memory at once


@dataclass(frozen=True)
class Nearest:
    """distance, index: of the nearest other image, the first one among equals. second: distance of the next one."""

    distance: np.ndarray
    index: np.ndarray
    second: np.ndarray


def within(images: np.ndarray) -> Nearest:
    """The neighbours of each image among the others. images: (N, …), N ≥ 2; with two images, `second` is infinite."""
    squares, index, second = [], [], []
    for start, block in _squared_distances(images, images):
        rows = np.arange(len(block))
        block[rows, start + rows] = np.inf
        nearest = block.argmin(axis=1)
        squares.append(block[rows, nearest])
        index.append(nearest)
        block[rows, nearest] = np.inf
        second.append(block.min(axis=1))
    return Nearest(np.sqrt(np.concatenate(squares)), np.concatenate(index), np.sqrt(np.concatenate(second)))


def to_first(images: np.ndarray, references: np.ndarray, sizes: list[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each size: distance and index of each image's nearest among that many first references.

    sizes: ascending.
    """
    squares, index = np.full(len(images), np.inf), np.zeros(len(images), dtype=int)
    results = []
    for before, size in zip([0, *sizes[:-1]], sizes, strict=True):
        for start, block in _squared_distances(images, references[before:size]):
            rows = slice(start, start + len(block))
            nearest = block.argmin(axis=1)
            smallest = block[np.arange(len(block)), nearest]
            closer = smallest < squares[rows]
            index[rows] = np.where(closer, before + nearest, index[rows])
            squares[rows] = np.where(closer, smallest, squares[rows])
        results.append((np.sqrt(squares), index.copy()))
    return results


def pairs_within(images: np.ndarray, nearest: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First image, second image and distance of every pair at most `limit` apart, each pair once.

    nearest: distance of each image to its nearest other one.
    """
    rows = np.flatnonzero(nearest <= limit)  # both images of a close pair have a close neighbour
    with_neighbour = images[rows]
    first, second, distance = pairs_between(with_neighbour, with_neighbour, nearest[rows], limit)
    once = first < second
    return rows[first[once]], rows[second[once]], distance[once]


def pairs_between(
    images: np.ndarray, references: np.ndarray, nearest: np.ndarray, limit: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, reference and distance of every pair at most `limit` apart.

    nearest: distance of each image to its nearest reference.
    """
    rows = np.flatnonzero(nearest <= limit)
    if not len(rows):
        return np.array([], dtype=int), np.array([], dtype=int), np.array([])
    image_rows, reference_rows, distances = [np.array([], dtype=int)], [np.array([], dtype=int)], [np.array([])]
    for start, block in _squared_distances(images[rows], references):
        block_distances = np.sqrt(block)
        close_images, close_references = np.nonzero(block_distances <= limit)
        image_rows.append(rows[start + close_images])
        reference_rows.append(close_references)
        distances.append(block_distances[close_images, close_references])
    return np.concatenate(image_rows), np.concatenate(reference_rows), np.concatenate(distances)


def _squared_distances(images: np.ndarray, references: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Block after block: the row of its first image, and the squared distances of its images to all references."""
    flat, flat_references = (array.reshape(len(array), -1) for array in (images, references))
    squares, reference_squares = _sums_of_squares(flat), _sums_of_squares(flat_references)
    step = min(len(images), max(1, BLOCK_VALUES // len(references)))
    columns = max(1, 4 * BLOCK_VALUES // max(step, len(references)))
    for start in range(0, len(images), step):
        block = flat[start : start + step]
        products = np.zeros((len(block), len(references)))
        for left in range(0, flat.shape[1], columns):
            some = slice(left, left + columns)
            products += block[:, some].astype(np.float64) @ flat_references[:, some].astype(np.float64).T
        yield start, squares[start : start + step, None] - 2 * products + reference_squares


def _sums_of_squares(flat: np.ndarray) -> np.ndarray:
    """(N, P) → (N,)."""
    return np.concatenate([np.sum(block.astype(np.float64) ** 2, axis=1) for block in blocks(flat, BLOCK_VALUES)])

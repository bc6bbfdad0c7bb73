"""Which image goes to train, val or test: stratified, disjoint, the same for the same seed."""

import heapq
from dataclasses import dataclass

import numpy as np

from stages.shared.params import Protocol
from stages.shared.random_streams import stream
from stages.shared.stage_command import StageError


@dataclass(frozen=True)
class Splits:
    """Row numbers. test counts within the test set where `has_test_set`, else within the one set that all three come from."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    has_test_set: bool


def split(
    labels: np.ndarray, test_labels: np.ndarray | None, protocol: Protocol, test_fraction: float, seed: int
) -> Splits:
    """Rows of each split, in an order of which every beginning is stratified too.

    A published test set is used whole; where there is none, `test_fraction` of the images become one. val does not
    depend on train_size, and a smaller train set is part of every larger one.
    Raises StageError, naming the protocol and the numbers, if there are too few images.
    """
    rest = np.arange(len(labels))
    if test_labels is not None:
        test = stratified_order(test_labels, stream("test", seed))
    else:
        test, rest = _part(rest, labels, round(test_fraction * len(labels)), "test", seed)
    train_size = len(rest) - protocol.val_size if protocol.train_size == "all" else protocol.train_size
    if train_size < 1 or len(test) < 1 or train_size + protocol.val_size > len(rest):
        raise StageError(_too_few(protocol, len(rest), len(test), test_labels is not None))
    val, rest = _part(rest, labels, protocol.val_size, "val", seed)
    train, _ = _part(rest, labels, train_size, "subset", seed)
    return Splits(train, val, test, test_labels is not None)


def stratified_order(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random order of the rows in which the first m hold m·share of each class, to less than one image, for every m.

    Image j (from 1) of a class with `share` of all may stand at the places (j − 1)/share < place < j/share + 1. Giving
    each place to the image whose last allowed place comes first meets every such limit (Baruah et al. 1996, "Proportionate
    progress", for one processor); ties are broken at random.
    """
    n = len(labels)
    shuffled = rng.permutation(n)
    counts = np.bincount(labels)
    by_class = np.argsort(labels[shuffled], kind="stable")
    nth = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)  # 0 for the first image of its class
    count = np.repeat(counts, counts)
    first_places = nth * n // count
    last_places = -(-(nth + 1) * n // count) - 1
    waiting = sorted(zip(first_places.tolist(), last_places.tolist(), by_class.tolist(), strict=True), reverse=True)
    allowed: list[tuple[int, int]] = []
    order = []
    for place in range(n):
        while waiting and waiting[-1][0] <= place:
            _, last, position = waiting.pop()
            heapq.heappush(allowed, (last, position))  # positions are random, so they break ties at random
        order.append(heapq.heappop(allowed)[1])
    return shuffled[np.array(order, dtype=np.int64)]


def _part(rows: np.ndarray, labels: np.ndarray, size: int, name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`size` of the rows, stratified, and the others."""
    order = rows[stratified_order(labels[rows], stream(name, seed))]
    return order[:size], np.sort(order[size:])


def _too_few(protocol: Protocol, available: int, n_test: int, has_test_set: bool) -> str:
    test = f"a test set of {n_test}" if has_test_set else f"{n_test} test images (data.test_fraction)"
    asked = f"train_size {protocol.train_size} + val_size {protocol.val_size}"
    total = "" if protocol.train_size == "all" else f" = {protocol.train_size + protocol.val_size} images"
    return (
        f"protocols.{protocol.name} in params.yaml asks for {asked}{total}, but beside {test} the dataset has {available}; "
        f"lessen protocols.{protocol.name}.train_size or val_size (train_size: all takes what val leaves), or choose another `protocol`"
    )

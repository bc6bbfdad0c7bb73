"""Which image goes to train, val or test: stratified, disjoint, and the same for the same seed."""

import heapq
from dataclasses import dataclass

import numpy as np

from stages.shared.params import Params
from stages.shared.random_streams import stream
from stages.shared.stage_command import StageError


@dataclass(frozen=True)
class Splits:
    """Rows of the images of each split.

    The rows of test are rows of the published test set where `has_test_set`. All others are rows of the train set.
    """

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    has_test_set: bool


def split(labels: np.ndarray, test_labels: np.ndarray | None, settings: Params) -> Splits:
    """Rows of each split, in an order in which the first m rows are stratified too, for every m.

    A published test set is used whole. Without one, data.test_fraction of the images become the test set. val does not
    depend on train_size, and a smaller train set is part of every larger one.
    Raises StageError, naming the protocol and the numbers, if there are too few images.
    """
    protocol, seed = settings.chosen_protocol, settings.data.seed
    rest = np.arange(len(labels))
    if test_labels is not None:
        test = stratified_order(test_labels, stream("test", seed))
    else:
        test, rest = _take(rest, labels, round(settings.data.test_fraction * len(labels)), "test", seed)
    train_size = len(rest) - protocol.val_size if protocol.train_size == "all" else protocol.train_size
    if train_size < 1 or len(test) < 1 or train_size + protocol.val_size > len(rest):
        raise StageError(_too_few(settings, len(rest), len(test), test_labels is not None))
    val, rest = _take(rest, labels, protocol.val_size, "val", seed)
    train, _ = _take(rest, labels, train_size, "subset", seed)
    return Splits(train, val, test, test_labels is not None)


def stratified_order(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random order of the rows whose beginnings are all stratified.

    The first m rows hold m · share images of each class, to less than one image, for every m. To this end the j-th
    image (from 1) of a class with `share` of all images may stand at the places between (j − 1) / share and
    j / share + 1, both excluded, and each place goes to the allowed image whose last allowed place comes first (Baruah
    et al. 1996, "Proportionate progress", for one processor). Ties are broken at random.
    """
    n = len(labels)
    shuffled = rng.permutation(n)
    class_sizes = np.bincount(labels)
    by_class = np.argsort(labels[shuffled], kind="stable")
    index_in_class = np.arange(n) - np.repeat(np.cumsum(class_sizes) - class_sizes, class_sizes)
    class_size = np.repeat(class_sizes, class_sizes)
    first_places = index_in_class * n // class_size
    last_places = -(-(index_in_class + 1) * n // class_size) - 1
    waiting = sorted(zip(first_places.tolist(), last_places.tolist(), by_class.tolist(), strict=True), reverse=True)
    allowed: list[tuple[int, int]] = []
    order = []
    for place in range(n):
        while waiting and waiting[-1][0] <= place:
            _, last_place, position = waiting.pop()
            heapq.heappush(allowed, (last_place, position))  # positions are random, so they break ties at random
        order.append(heapq.heappop(allowed)[1])
    return shuffled[np.array(order, dtype=np.int64)]


def _take(rows: np.ndarray, labels: np.ndarray, size: int, name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`size` of the rows, stratified, and the remaining rows in ascending order. name: of the random stream."""
    order = rows[stratified_order(labels[rows], stream(name, seed))]
    return order[:size], np.sort(order[size:])


def _too_few(settings: Params, available: int, n_test: int, has_test_set: bool) -> str:
    """The message for a dataset that is too small for the protocol."""
    protocol, key = settings.chosen_protocol, f"protocols.{settings.protocol}"
    test = f"a test set of {n_test}" if has_test_set else f"{n_test} test images (data.test_fraction)"
    sizes = f"train_size {protocol.train_size} + val_size {protocol.val_size}"
    total = "" if protocol.train_size == "all" else f" = {protocol.train_size + protocol.val_size} images"
    return (
        f"{key} in params.yaml asks for {sizes}{total}, but beside {test} the dataset has {available}; "
        f"lessen {key}.train_size or val_size (train_size: all takes what val leaves), or choose another `protocol`"
    )

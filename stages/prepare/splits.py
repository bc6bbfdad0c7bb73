"""Which images are for training and which for the test, and whether there are enough of them, and of each class."""

from dataclasses import dataclass

import numpy as np

from stages.shared.params import Params
from stages.shared.random_streams import stream
from stages.shared.splits import stratified_order, train_and_val_rows
from stages.shared.stage_command import StageError


@dataclass(frozen=True)
class Splits:
    """Rows of the images of each split, in stratified order.

    The rows of test are rows of the published test set where `has_test_set`, and those of val of the val set; val is
    None where there is none, and each run draws its val images from `train`. All others are rows of the train set.
    """

    train: np.ndarray
    val: np.ndarray | None
    test: np.ndarray
    has_test_set: bool


def split(
    labels: np.ndarray, test_labels: np.ndarray | None, settings: Params, val_labels: np.ndarray | None = None
) -> Splits:
    """Rows of each split, in an order in which the first m rows are stratified too, for every m.

    A published test set is used whole, and so is a val set. Without a test set, data.test_fraction of the images become
    one. Each run draws its train subset and, without a val set, its validation split from `train`.
    Raises StageError, naming the protocol and the numbers, if there are too few images.
    """
    seed = settings.data.seed
    rows = np.arange(len(labels))
    if test_labels is not None:
        test = stratified_order(test_labels, stream("test", seed))
    else:
        order = stratified_order(labels, stream("test", seed))
        n_test = round(settings.data.test_fraction * len(labels))
        test, rows = order[:n_test], np.sort(order[n_test:])
    protocol = settings.chosen_protocol
    has_val_set = val_labels is not None
    val = None if val_labels is None else stratified_order(val_labels, stream("val set", seed))
    train_size = protocol.images_to_train(len(rows), has_val_set)
    needed = train_size if has_val_set else train_size + protocol.val_size
    if train_size < 1 or len(test) < 1 or needed > len(rows):
        raise StageError(_too_few(settings, len(rows), len(test), test_labels is not None, has_val_set))
    train = rows[stratified_order(labels[rows], stream("pool", seed))]
    return Splits(train, val, test, test_labels is not None)


def _too_few(settings: Params, available: int, n_test: int, has_test_set: bool, has_val_set: bool) -> str:
    """The message for a dataset that is too small for the protocol."""
    protocol, key = settings.chosen_protocol, f"protocols.{settings.protocol}"
    test = f"a test set of {n_test}" if has_test_set else f"{n_test} test images (data.test_fraction)"
    if has_val_set:
        return (
            f"{key} in params.yaml asks for train_size {protocol.train_size}, but beside {test} and your own val set "
            f"the dataset has {available}; reduce {key}.train_size, or choose another `protocol`"
        )
    sizes = f"train_size {protocol.train_size} + val_size {protocol.val_size}"
    total = "" if protocol.train_size == "all" else f" = {protocol.train_size + protocol.val_size} images"
    return (
        f"{key} in params.yaml asks for {sizes}{total}, but beside {test} the dataset has {available}; "
        f"reduce {key}.train_size or val_size (train_size: all takes what val leaves), or choose another `protocol`"
    )


def check_classes(settings: Params, labels: np.ndarray, classes: list[str], has_val_set: bool) -> None:
    """Raises StageError, naming the classes, if a seed draws no train image of a class.

    labels: of all images that there are to train and, without a val set, to validate too.
    """
    protocol = settings.chosen_protocol
    train_size = protocol.images_to_train(len(labels), has_val_set)
    val_size = 0 if has_val_set else protocol.val_size
    for seed in protocol.seeds:
        rows, _ = train_and_val_rows(labels, train_size, val_size, seed)
        counts = np.bincount(labels[rows], minlength=len(classes))
        absent = [name for name, count in zip(classes, counts, strict=True) if count == 0]
        if absent:
            raise StageError(
                f"the {train_size} train images of seed {seed} have none of class {', '.join(absent)}; "
                f"raise protocols.{settings.protocol}.train_size in params.yaml"
            )

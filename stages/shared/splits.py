"""Which train images a run trains and validates on: stratified, disjoint, and drawn from the run's seed."""

import numpy as np

from stages.shared.random_streams import stream


def train_and_val_rows(labels: np.ndarray, train_size: int, val_size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the images that a run trains and validates on, for `labels` (N,) of all images that there are.

    val does not depend on train_size, and a smaller train subset is the beginning of every larger one.
    """
    order = stratified_order(labels, stream("val", seed))
    val, rest = order[:val_size], np.sort(order[val_size:])
    return rest[stratified_order(labels[rest], stream("subset", seed))[:train_size]], val


def stratified_order(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random order of the rows whose beginnings are all stratified.

    The j-th image (from 0) of a class of n images stands at the place that (j + 1/2) / n has among those of all classes
    (Sainte-Laguë's method of apportionment): the first m rows hold each class in its share of m, rounded. Ties are
    broken at random.
    """
    shuffled = rng.permutation(len(labels))
    class_sizes = np.bincount(labels)
    by_class = np.argsort(labels[shuffled], kind="stable")
    index_in_class = np.arange(len(labels)) - np.repeat(np.cumsum(class_sizes) - class_sizes, class_sizes)
    places = np.empty(len(labels))
    places[by_class] = (index_in_class + 0.5) / np.repeat(class_sizes, class_sizes)
    return shuffled[np.argsort(places, kind="stable")]

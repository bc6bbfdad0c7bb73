"""Seeds × test images: the variance of a mean over both, and an interval for new seeds and new images.

Every seed's net answers the same images, so seeds and images are crossed, not nested. With one value per pair,

    D[s, i] = μ + a_s + b_i + c_si,    independent, with variances σ²_a, σ²_b, σ²_c;

c holds the interaction and the noise of a single answer: one value per pair cannot tell them apart.
The mean of all n·N values then has the variance σ²_a/n + σ²_b/N + σ²_c/(nN). The mean squares estimate

    MS_seed  = N Σ_s (D_s. − D..)² / (n − 1)                               →  σ²_c + N σ²_a
    MS_image = n Σ_i (D_.i − D..)² / (N − 1)                               →  σ²_c + n σ²_b
    MS_int   = Σ_si (D_si − D_s. − D_.i + D..)² / ((n − 1)(N − 1))         →  σ²_c

so V = (MS_seed + MS_image − MS_int) / (nN) is unbiased (method of moments). The variance of the seeds' means is
s²_seed = MS_seed/N, that of the images' means s²_item = MS_image/n, and s²_int = MS_int; with these names

    V = s²_seed/n + s²_item/N − s²_int/(nN):

both means carry the interaction, so one share of it is taken off. More seeds shrink the first and the last term only.

- A component below zero counts as zero; then V is the larger of MS_seed/(nN) and MS_image/(nN).
- Degrees of freedom are Satterthwaite's: V² over the sum of (each mean square's part of V)² / its degrees of freedom.
- The total interval is never narrower than the one over seeds alone. Satterthwaite's alone can be: its t quantile is
  smaller, and it covers too little where three seeds vary more than the images. A t with n − 1 degrees covers nearly
  always where the images vary more. A normal quantile covers too little where the seeds vary more
  (tests/shared/test_inference_simulation.py measures all of them).
- One seed or one image has no total interval (NaN).
- Few images on which the arms differ, or none, leave the variance of the images unknown, and so do few answers that
  change with the seed. `guarded` therefore counts two images more, on which the arms differ, one in each direction, as
  Bonett and Price do for one seed. How far they differ there is the root mean square over the images with a difference,
  among which two with the largest possible difference, 1, are counted. MS_seed and MS_int are at least what two of all
  n·N answers make of them. Where more than a hundred images differ, the interval widens by less than 1 %.

Source: Searle, Casella & McCulloch, Variance Components, 1992, ch. 4 (two-way crossed random model);
Satterthwaite, Biometrics Bulletin 2 (1946); Bonett & Price, Journal of Educational and Behavioral Statistics 37 (2012).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from stages.shared.inference.intervals import Estimate, estimate
from stages.shared.inference.standard_error import StandardError, reach


@dataclass(frozen=True)
class MeanSquares:
    """The three mean squares of a table of seeds × images; NaN where there are no degrees of freedom."""

    n_seeds: int
    n_images: int
    seed: float
    image: float
    interaction: float


@dataclass(frozen=True)
class VarianceComponents:
    """σ²_a, σ²_b and σ²_c of the model; none below zero."""

    seed: float
    image: float
    interaction: float


def seed_interval(values: ArrayLike, confidence: float) -> Estimate:
    """Mean over seeds and images, SD and t interval over seeds: what holds for this test set.

    values: (seeds, images); one arm's correctness (0, 1), or the difference of two arms' (−1, 0, 1).
    Raises ValueError if there is no seed or no image.
    """
    table = _table(values)
    return estimate(table.mean(axis=1), confidence, table.shape[1] if table.shape[1] > 1 else None)


def total_interval(values: ArrayLike, confidence: float) -> Estimate:
    """The same mean and SD, with the interval for new seeds and new images of the same kind."""
    over_seeds = seed_interval(values, confidence)
    half = reach(total_errors(guarded(values)), confidence)
    return replace(over_seeds, low=over_seeds.mean - half, high=over_seeds.mean + half)


def mean_squares(values: ArrayLike) -> MeanSquares:
    """values: (seeds, images). Whole numbers are summed without rounding: equal values have mean squares of 0."""
    table = _table(values)
    n, n_images = table.shape
    of_seeds, of_images = table.sum(axis=1), table.sum(axis=0)
    # Each is a sum of squares times the size of the table.
    correction = of_seeds.sum() ** 2
    seeds = n * np.square(of_seeds).sum() - correction
    images = n_images * np.square(of_images).sum() - correction
    rest = table.size * np.square(table).sum() - correction - seeds - images
    sizes = [(seeds, n - 1), (images, n_images - 1), (rest, (n - 1) * (n_images - 1))]
    return MeanSquares(
        n, n_images, *(float(np.maximum(total, 0)) / table.size / dof if dof else math.nan for total, dof in sizes)
    )


def guarded(values: ArrayLike) -> MeanSquares:
    """The mean squares, with the correction for few differing images or answers that is described above.

    One seed or one image gets no correction: there, a value may be any number.
    """
    table, squares = _table(values), mean_squares(values)
    n, n_images = table.shape
    if n == 1 or n_images == 1:
        return squares
    usual = np.median(table)  # of differences 0, of one arm's correctness 1 or 0
    n_unlike = int((table != usual).any(axis=0).sum())
    squared_size = (np.square(table.mean(axis=0) - usual).sum() + 2) / (n_unlike + 2)
    least = 2 / (n * n_images)
    return MeanSquares(
        n,
        n_images,
        seed=max(squares.seed, least),
        image=squares.image + n * 2 * float(squared_size) / (n_images - 1),
        interaction=max(squares.interaction, least),
    )


def variance_components(squares: MeanSquares) -> VarianceComponents:
    """Estimates by the method of moments, in the square of the values' unit."""
    seed = (squares.seed - squares.interaction) / squares.n_images
    image = (squares.image - squares.interaction) / squares.n_seeds
    return VarianceComponents(*(float(np.maximum(value, 0)) for value in (seed, image, squares.interaction)))


def expected_mean_squares(components: VarianceComponents, n_seeds: int, n_images: int) -> MeanSquares:
    """What the mean squares of a table of another size would be on average."""
    seed = components.interaction + n_images * components.seed
    image = components.interaction + n_seeds * components.image
    return MeanSquares(n_seeds, n_images, seed, image, components.interaction)


def seed_errors(squares: MeanSquares) -> Sequence[StandardError]:
    """Of the mean, when seeds are new and the images stay."""
    return (_of_seeds(squares),)


def total_errors(squares: MeanSquares) -> Sequence[StandardError]:
    """Of the mean, when seeds and images are new; the seeds' own beside it, since the wider interval counts."""
    return (_crossed(squares), _of_seeds(squares))


def _of_seeds(squares: MeanSquares) -> StandardError:
    return StandardError(math.sqrt(squares.seed / (squares.n_seeds * squares.n_images)), squares.n_seeds - 1)


def _crossed(squares: MeanSquares) -> StandardError:
    n, n_images = squares.n_seeds, squares.n_images
    if math.isnan(squares.interaction):
        return StandardError(math.nan, math.nan)
    parts = [(squares.seed, n - 1), (squares.image, n_images - 1), (-squares.interaction, (n - 1) * (n_images - 1))]
    if squares.interaction >= min(squares.seed, squares.image):  # a component below zero: the larger mean square stays
        parts = [max(parts[:2])]
    total = sum(part for part, _ in parts)
    if total == 0:
        return StandardError(0.0, n - 1)
    dof = total**2 / sum(part**2 / dof for part, dof in parts)
    return StandardError(math.sqrt(total / (n * n_images)), dof)


def _table(values: ArrayLike) -> np.ndarray:
    table = np.asarray(values, dtype=float)
    if table.ndim != 2 or table.size == 0:
        raise ValueError(f"values have shape {table.shape}; (seeds, images) is needed, with at least one of each")
    return table

"""Two one-sided tests (TOST): is a difference shown to be smaller than the smallest effect of interest?"""

from collections.abc import Sequence
from dataclasses import dataclass

from stages.shared.inference.standard_error import StandardError, reach, tail


@dataclass(frozen=True)
class Equivalence:
    """p_above_lower: of the null hypothesis that the effect is ≤ −margin; p_below_upper: that it is ≥ +margin.

    low, high: the (1 − 2·alpha) interval, which lies inside ±margin exactly where p ≤ alpha (up to p = alpha).
    """

    p_above_lower: float
    p_below_upper: float
    low: float
    high: float

    @property
    def p(self) -> float:
        """Of the null hypothesis that the effect is as large as the margin, on either side."""
        return self.p_below_upper if self.p_above_lower < self.p_below_upper else self.p_above_lower


def two_one_sided_tests(
    mean: float, errors: Sequence[StandardError], smallest_effect: float, alpha: float
) -> Equivalence:
    """Test a paired mean difference against ±smallest_effect, in the difference's unit (fractions for accuracies).

    errors: crossed.seed_errors for this test set, crossed.total_errors for new images too.
    Raises ValueError unless smallest_effect > 0.
    Source: Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15 (1987).
    """
    if not smallest_effect > 0:
        raise ValueError(f"the smallest effect of interest must be above 0, not {smallest_effect}")
    half = reach(errors, 1 - 2 * alpha)
    return Equivalence(
        tail(mean + smallest_effect, errors), tail(smallest_effect - mean, errors), mean - half, mean + half
    )

"""What a protocol of n seeds and N images can detect, from the variances that were measured.

With the standard error se and ν degrees of freedom, the t statistic of a true effect follows the noncentral t
distribution with noncentrality effect/se. The standard errors of a protocol come from crossed:

    total_errors(expected_mean_squares(components, n_seeds, n_images))    new seeds and images
    seed_errors(…)                                                       new seeds, these images

Exact for seed_errors and normal values. For total_errors the degrees of freedom vary from sample to sample: at five
seeds, a stated power of .80 is up to .03 too high (tests/shared/test_inference_simulation.py).
Source: Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988, ch. 2.
"""

from collections.abc import Sequence

from scipy.optimize import brentq
from scipy.special import stdtrit
from scipy.stats import nct

from stages.shared.inference.standard_error import StandardError


def t_power(effect: float, errors: Sequence[StandardError], alpha: float) -> float:
    """Probability that the two-sided (1 − alpha) interval leaves zero out; of several standard errors, the smallest.

    effect: in the unit of the standard errors. For a first step of Holm over m tests, pass alpha/m.
    """
    return min(
        _power(effect / error.value, error.dof, alpha) if error.value else float(effect != 0) for error in errors
    )


def smallest_detectable_effect(errors: Sequence[StandardError], alpha: float, power: float) -> float:
    """The effect that is detected with probability `power`; of several standard errors, the largest such effect.

    Raises ValueError unless alpha < power < 1: an effect of zero is found with probability alpha already.
    """
    if not alpha < power < 1:
        raise ValueError(f"power must lie between alpha ({alpha}) and 1, not at {power}")
    return max(error.value * _noncentrality(error.dof, alpha, power) for error in errors)


def _noncentrality(dof: float, alpha: float, power: float) -> float:
    high = 1.0
    while _power(high, dof, alpha) < power:
        high *= 2
    return float(brentq(lambda value: _power(value, dof, alpha) - power, 0, high))


def _power(noncentrality: float, dof: float, alpha: float) -> float:
    critical = float(stdtrit(dof, 1 - alpha / 2))
    # Both sides by sf: nct.cdf(-critical, …) equals the second, but is NaN for some large noncentralities.
    return float(nct.sf(critical, dof, noncentrality) + nct.sf(critical, dof, -noncentrality))

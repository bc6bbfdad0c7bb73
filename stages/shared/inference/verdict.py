"""Better, worse, equivalent or inconclusive: what a comparison supports against a smallest effect of interest.

Two questions are asked: is it shown that the arms differ, and is it shown that they differ by less than matters?

    differ   p, adjusted by Holm within the family, is ≤ alpha, and the total interval leaves zero out.
             The first guards against lucky seeds without assuming a distribution and counts the family, but speaks of
             these test images alone; the second asks that it should hold for other images too. Both are needed.
    small    the p of the two one-sided tests, with the total standard error, adjusted in the same way, is ≤ alpha.
    bounded  asked of one side alone, where a hypothesis claims no more: the p of one of the two, adjusted, is ≤ alpha.
             not_above: the effect is below + the smallest effect. not_below: it is above − the smallest effect.

    stated?   differ   small   bounded   verdict              because
    no        –        –       –         not stated           fewer than min_seeds seeds, or a number is unknown
    yes       any      yes     any       equivalent           different or not, it is by less than matters
    yes       yes      no      no        better, worse        it differs, and may well matter; the side is its sign
    yes       yes      no      yes       worse, better        the same, if it differs on the side that is not bounded
    yes       any      no      yes       no better, no worse  in any other case: not by what matters on that side
    yes       no       no      no        inconclusive         nothing is shown

Different from zero yet inside ± the smallest effect is equivalent: the verdict answers whether a choice matters, and
with enough seeds and images every two architectures differ. The reason keeps what the verdict leaves out.
Better does not claim that the effect is at least the smallest effect, only that zero is excluded and that negligible
is not shown; where the whole interval lies beyond the smallest effect, the reason says so.
"No better" is what equivalence shows of one side, so it is stated only where a hypothesis asked for that side.
Better is higher: for a measure that should be low (a loss), pass the difference with its sign turned.
Source: Lakens, Scheel & Isager, Advances in Methods and Practices in Psychological Science 1 (2018), fig. 1.
"""

import math
from dataclasses import dataclass

BETTER, WORSE, EQUIVALENT, INCONCLUSIVE, NOT_STATED = "better", "worse", "equivalent", "inconclusive", "not stated"
NO_BETTER, NO_WORSE = "no better", "no worse"
SUPPORTED, CONTRADICTED, UNDECIDED, NOT_RUN = "supported", "contradicted", "undecided", "not run"


@dataclass(frozen=True)
class Words:
    """How a verdict is put into words, and what it makes of a hypothesis.

    clause: between the variant and the reference, for a metric where higher is better. property_clause: for one that is
    neither good nor bad. summary: in a count, "3 are …". outcomes: expected direction → what becomes of the hypothesis.
    """

    clause: str
    property_clause: str
    summary: str
    outcomes: dict[str, str]


def _outcomes(above: str, below: str, alike: str, not_above: str, not_below: str) -> dict[str, str]:
    return {"above": above, "below": below, "alike": alike, "not_above": not_above, "not_below": not_below}


_OF_BETTER = _outcomes(SUPPORTED, CONTRADICTED, CONTRADICTED, CONTRADICTED, SUPPORTED)
_OF_WORSE = _outcomes(CONTRADICTED, SUPPORTED, CONTRADICTED, SUPPORTED, CONTRADICTED)
_OF_EQUIVALENT = _outcomes(CONTRADICTED, CONTRADICTED, SUPPORTED, SUPPORTED, SUPPORTED)
_OF_NO_BETTER = _outcomes(CONTRADICTED, UNDECIDED, UNDECIDED, SUPPORTED, UNDECIDED)
_OF_NO_WORSE = _outcomes(UNDECIDED, CONTRADICTED, UNDECIDED, UNDECIDED, SUPPORTED)
_IS_EQUIVALENT = "is equivalent to"
_IS_NEITHER = "is neither shown to differ from, nor to be equivalent to,"
WORDS = {
    BETTER: Words("is better than", "is above", BETTER, _OF_BETTER),
    WORSE: Words("is worse than", "is below", WORSE, _OF_WORSE),
    EQUIVALENT: Words(_IS_EQUIVALENT, _IS_EQUIVALENT, EQUIVALENT, _OF_EQUIVALENT),
    NO_BETTER: Words("is no better than", "is not above", NO_BETTER, _OF_NO_BETTER),
    NO_WORSE: Words("is no worse than", "is not below", NO_WORSE, _OF_NO_WORSE),
    INCONCLUSIVE: Words(_IS_NEITHER, _IS_NEITHER, INCONCLUSIVE, _outcomes(*[UNDECIDED] * 5)),
    NOT_STATED: Words("differs from", "differs from", "without a verdict", _outcomes(*[NOT_STATED] * 5)),
}
BOUNDED = {"not_above": NO_BETTER, "not_below": NO_WORSE}  # direction of a one-sided claim → the verdict that shows it
MIRRORED = {BETTER: WORSE, WORSE: BETTER, NO_BETTER: NO_WORSE, NO_WORSE: NO_BETTER}  # when the arms change places

BEYOND = "different, and by more than the smallest effect of interest"
OPEN_SIZE = "different, perhaps by less than the smallest effect of interest"
NEGLIGIBLE = "different from zero, but by less than the smallest effect of interest"
ALIKE = "any difference is smaller than the smallest effect of interest"
ONE_SIDE = "any difference on that side is smaller than the smallest effect of interest"
THESE_IMAGES = "different on these test images, but other images could reverse it"
FEW_SEEDS = "the interval leaves zero out, but the sign-flip test within the family does not confirm it"
NEITHER = "neither a difference nor its absence is shown"
UNKNOWN = "a number that the verdict needs is unknown"


@dataclass(frozen=True)
class Verdict:
    """name: one of the seven above; reason: one of the phrases above, or how many seeds are missing."""

    name: str
    reason: str


def verdict(
    low: float,
    high: float,
    p: float,
    equivalence_p: float,
    n_seeds: int,
    *,
    smallest_effect: float,
    alpha: float,
    min_seeds: int,
    bounded_p: float = 1.0,
    direction: str = "",
) -> Verdict:
    """The cell of the table above.

    low, high: the total interval of the difference, around its mean. p: of the sign-flip test. equivalence_p: of the
    two one-sided tests. bounded_p: of the one that a one-sided hypothesis asks for, whose direction is not_above or
    not_below; of any other, it is not read. All p values: adjusted. smallest_effect: in the unit of low and high.
    """
    if n_seeds < min_seeds:
        return Verdict(NOT_STATED, f"{n_seeds} of the {min_seeds} seeds that a verdict needs")
    if any(math.isnan(number) for number in (low, high, p, equivalence_p)):
        return Verdict(NOT_STATED, UNKNOWN)
    significant, excludes_zero = p <= alpha, low > 0 or high < 0
    differs = significant and excludes_zero
    if equivalence_p <= alpha:
        return Verdict(EQUIVALENT, NEGLIGIBLE if differs else ALIKE)
    side = BETTER if low > 0 else WORSE
    if direction in BOUNDED and bounded_p <= alpha and not (differs and WORDS[side].outcomes[direction] == SUPPORTED):
        return Verdict(BOUNDED[direction], ONE_SIDE)
    if differs:
        beyond = low > smallest_effect or high < -smallest_effect
        return Verdict(side, BEYOND if beyond else OPEN_SIZE)
    if significant:
        return Verdict(INCONCLUSIVE, THESE_IMAGES)
    return Verdict(INCONCLUSIVE, FEW_SEEDS if excludes_zero else NEITHER)

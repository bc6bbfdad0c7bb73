"""What a small filter has to use: how alike neighbours are, and how much of an image is coarse."""

from dataclasses import asdict

import numpy as np

from stages.eda.findings.finding import Finding, decimal, interval, joined, share
from stages.eda.locality import DIRECTIONS, Locality
from stages.eda.spectrum import Slope
from stages.eda.verdict import ABOVE, BELOW, UNKNOWN
from stages.shared.drawing import numbers

SUFFIXES = {"original": "", "permuted": "_permuted"}


def locality(found: Locality, max_distance: int, confidence: float) -> Finding:
    """Bears on locality: whether neighbours are alike, and whether the permutation takes that away; and on the kernel's size."""
    at = {
        f"correlation_{way}{suffix}": found.at(layout, way, 1)
        for way in DIRECTIONS
        for layout, suffix in SUFFIXES.items()
    }
    known = [way for way in DIRECTIONS if not np.isnan(at[f"correlation_{way}"])]
    mean, low, high = found.neighbours
    difference = f"{decimal(mean, 3)} {interval(low, high, 3)}"
    halves = {way: found.falls_below_half(way) for way in known}
    places = [
        f"at a distance of {numbers.plural(distance, 'pixel')} {way}"
        if (distance := halves[way])
        else f"nowhere within {numbers.plural(len(found.curve('original', way)), 'pixel')} {way}"
        for way in known
    ]
    facts = {name: decimal(value) for name, value in at.items()} | {
        "locality_difference": difference,
        "locality_sentence": _locality(found.verdict, at, known, difference),
        "reach_sentence": f"The correlation of the original's pixels falls below one half {joined(places)}: the scale on which a kernel's size can matter."
        if places
        else "There is no distance over which a correlation could fall.",
    }
    values = at | {f"below_half_{way}": halves.get(way) for way in DIRECTIONS}
    return Finding(
        facts,
        values | {"difference": mean, "low": low, "high": high, "max_distance": max_distance, "confidence": confidence},
    )


def spectrum(original: Slope, permuted: Slope, coarse: float, size: tuple[int, int]) -> Finding:
    """Bears on locality, and on what downsampling by two can keep. coarse: share of the variance that half the resolution holds."""
    along = "" if min(size) > 1 else " along the one axis that the images have"
    exponents = f"as frequency to the power {decimal(original.value)} {interval(original.low, original.high)}"
    once_permuted = (
        f"; permuted, the exponent is {decimal(permuted.value)} {interval(permuted.low, permuted.high)}"
        if not np.isnan(permuted.value)
        else ""
    )
    if np.isnan(original.value):
        sentence = "The images have too few frequencies for a slope of their power."
    elif original.high < 0:
        sentence = f"Power{along} falls, {exponents}{once_permuted}: coarse structure outweighs fine, so that neighbours tend to be alike."
    elif original.low > 0:
        sentence = f"Power{along} rises, {exponents}{once_permuted}: fine structure outweighs coarse, so that neighbours tend to differ."
    else:
        sentence = f"Power{along} neither falls nor rises distinguishably, {exponents}{once_permuted}: coarse and fine structure weigh alike, as in noise."
    facts = {
        "spectrum_slope": decimal(original.value),
        "spectrum_slope_interval": interval(original.low, original.high),
        "spectrum_slope_permuted": decimal(permuted.value),
        "coarse_share": share(coarse),
        "spectrum_sentence": sentence,
        "coarse_sentence": "No image varies within itself, so that a lower resolution loses nothing."
        if np.isnan(coarse)
        else f"Half the resolution can hold {share(coarse)} of the variance within an image; the rest is lost in downsampling by two, unless channels keep it.",
    }
    return Finding(facts, {"original": asdict(original), "permuted": asdict(permuted), "coarse_share": coarse})


def _locality(verdict: str, at: dict[str, float], known: list[str], difference: str) -> str:
    if not known:
        return "There are no neighbouring pixels that vary, so that locality cannot be measured."
    original, permuted = (
        joined([f"{decimal(at[f'correlation_{way}{suffix}'])} {way}" for way in known]) for suffix in SUFFIXES.values()
    )
    lead = f"Neighbouring pixels correlate by {original}, and by {permuted} once permuted"
    if len(known) < len(DIRECTIONS):
        lead += " (there is no other direction)"
    if verdict == UNKNOWN:
        return f"{lead}; the two cannot be compared."
    if verdict == ABOVE:
        return f"{lead}. The original is above the permuted, by {difference}: a small filter has local structure to use, and the permutation takes it away."
    if verdict == BELOW:
        return (
            f"{lead}. The original is below the permuted, by {difference}: neighbours are less alike than pixels at random, "
            "which is local structure too, and the permutation takes it away."
        )
    return (
        f"{lead}. The original is not distinguishable from the permuted, with a difference of {difference}: "
        "no local structure is shown that a small filter could use, or the permutation take away."
    )

"""The report's first paragraph, computed: what convolution buys, what the permutation takes, who withstands a shift."""

from stages.drawing import numbers
from stages.drawing.tables import escape
from stages.figures import sentences
from stages.figures.results import Results
from stages.inference import intervals

GAP, PERMUTED = "gap_original", "gap_permuted"  # contrasts of params.yaml


def answer(results: Results) -> str:
    """Sentences about what did run; one about a variant that did not is left out."""
    parts = [gap(results) or best(results), local(results), permutation(results), shift(results), sentences.no_direction(results)]
    return " ".join(part for part in parts if part)


def gap(results: Results) -> str:
    """What the contrast CNN − MLP says on the original pixels; empty if params.yaml has no such contrast."""
    if GAP not in results.settings.contrasts:
        return ""
    variant, reference = _arms(results, GAP)
    one, other = _nets(results, variant, reference)
    made = _contrast(results, GAP)
    reached = f"{sentences.mean(results, variant)} against {sentences.mean(results, reference)}"
    return f"On {_title(results)}, {sentences.verdict(results, one, other, made)} ({reached})."


def local(results: Results) -> str:
    """Where the locally connected net stands to the two nets of the gap; empty if it, or the gap, is missing."""
    found = [key for key, variant in results.settings.active_variants.items() if _is_local(results, key) and variant.run.sample.layout == "original"]
    if not found or GAP not in results.settings.contrasts:
        return ""
    variant, reference = _arms(results, GAP)
    if found[0] in (variant, reference):
        return ""
    one, other = _nets(results, variant, reference)
    first, second = (results.estimate(results.differences(found[0], key)) for key in (variant, reference))
    ways = [results.direction(made) for made in (first, second)]
    subject = "The locally connected net, which keeps locality but shares no weights,"
    if intervals.NOT_STATED in ways:
        return f"{subject} is at {sentences.points(first)} from {one} and at {sentences.points(second)} from {other}."
    link = "lies between the two: it is" if set(ways) == {intervals.ABOVE, intervals.BELOW} else "is"
    return f"{subject} {link} {ways[0]} {one}, {sentences.points(first)}, and {ways[1]} {other}, {sentences.points(second)}."


def permutation(results: Results) -> str:
    """The gap on permuted pixels, and what the permutation takes from it; empty if the contrast is missing."""
    if PERMUTED not in results.settings.contrasts:
        return ""
    variant, reference = _arms(results, PERMUTED)
    one, other = _nets(results, variant, reference)
    sentence = f"With the pixels permuted, {sentences.verdict(results, one, other, _contrast(results, PERMUTED))}"
    if GAP not in results.settings.contrasts:
        return f"{sentence}."
    return f"{sentence}; {permutation_effect(results)}."


def permutation_effect(results: Results) -> str:
    """How the gap changes from original to permuted pixels, paired by seed. A clause."""
    before, after = (results.differences(*_arms(results, key)) for key in (GAP, PERMUTED))
    taken = results.estimate(intervals.paired_differences(before, after))
    added = intervals.Estimate(taken.n, -taken.mean, taken.sd, -taken.high, -taken.low)
    clauses = {
        intervals.ABOVE: f"the permutation takes {_unsigned(taken)} from the gap",
        intervals.BELOW: f"the permutation adds {_unsigned(added)} to the gap",
        intervals.ALIKE: f"the gap's change, {sentences.points(added)}, is not distinguishable from zero",
    }
    return clauses.get(results.direction(taken), f"the permutation changes the gap by {sentences.points(added)}")


def shift(results: Results) -> str:
    """The most and the least shift-consistent variant; empty without a probe or with one variant."""
    means = results.variants["shift_consistency_mean"]
    if not results.shifts_were_probed or len(means) < 2:
        return ""
    if means.max() == means.min():
        return f"All variants have the same mean shift consistency, {numbers.percent_sign(means.max())}."
    (most, high), (least, low) = (sentences.extreme(results, "shift_consistency", highest) for highest in (True, False))
    return f"Over shifts of the image, predictions agree most often for {most} ({high} of the pairs of shifts) and least often for {least} ({low})."


def best(results: Results) -> str:
    """The highest mean accuracy and whose it is."""
    accuracies, on = results.variants["accuracy_mean"], f"On {_title(results)},"
    names, reached = sentences.extreme(results, "accuracy")
    if len(accuracies) == 1:
        return f"{on} {names} reaches {reached} test accuracy."
    if accuracies.max() == accuracies.min():
        return f"{on} all {len(accuracies)} variants have the same mean test accuracy, {reached}."
    return f"{on} the highest mean test accuracy of {len(accuracies)} variants is that of {names}: {reached}."


def _nets(results: Results, variant: str, reference: str) -> tuple[str, str]:
    """ "the CNN" and "the MLP"; their labels, where both are the same kind of net."""
    kinds = [results.names.net(key) for key in (variant, reference)]
    if kinds[0] == kinds[1]:
        return sentences.named(results, variant), sentences.named(results, reference)
    return f"the {kinds[0]}", f"the {kinds[1]}"


def _arms(results: Results, contrast: str) -> tuple[str, str]:
    about = results.settings.contrasts[contrast]
    return about.variant, about.reference


def _contrast(results: Results, contrast: str) -> intervals.Estimate:
    return results.estimate(results.differences(*_arms(results, contrast)))


def _is_local(results: Results, key: str) -> bool:
    return results.settings.variants[key].run.architecture.connectivity == "locally_connected"


def _title(results: Results) -> str:
    return escape(results.dataset["title"])


def _unsigned(made: intervals.Estimate) -> str:
    return sentences.points(made).lstrip("+")

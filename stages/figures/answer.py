"""The report's first words, computed: what locality and sharing buy, what the permutation takes, who withstands a shift."""

from stages.figures import sentences
from stages.figures.results import Results
from stages.shared.drawing import numbers
from stages.shared.drawing.tables import escape
from stages.shared.inference import verdict as verdicts

# Keys of hypotheses.yaml; a sentence about one that is not declared, or did not run, is left out.
GAP, PERMUTED, TAKES = "gap_original", "gap_permuted", "permutation_takes_the_lead"
LOCALITY, SHARING, MORE = "locality", "sharing", "locality_over_sharing"


def answer(results: Results) -> str:
    """A list in markdown, of what did run."""
    points = [gap(results) or best(results), ladder(results), permutation(results), shift(results)]
    last = " ".join(part for part in (sentences.tally(results), sentences.no_verdict(results)) if part)
    tally = f"{last} See @sec-hypotheses."
    return "\n".join(f"- {point}" for point in (*points, tally) if point) + "\n"


def gap(results: Results) -> str:
    """What convolution is worth on the original pixels."""
    if not results.has_run(GAP):
        return ""
    variant, reference = _arms(results, GAP)
    one, other = _nets(results, variant, reference)
    reached = f"{sentences.mean(results, variant)} against {sentences.mean(results, reference)}"
    return f"**Convolution.** On {_title(results)}, {sentences.verdict(results, GAP, one, other)} ({reached})."


def ladder(results: Results) -> str:
    """What of the gap is locality's and what is sharing's."""
    parts = []
    for key, what in ((LOCALITY, "Locality"), (SHARING, "Sharing")):
        if results.has_run(key):
            one, other = _nets(results, *_arms(results, key))
            parts.append(f"**{what}.** {_capital(sentences.verdict(results, key, one, other))}.")
    if len(parts) == 2 and results.has_run(MORE):
        row = results.hypotheses.loc[MORE]
        more = f"Locality's part minus sharing's is {sentences.evidence(row)}"
        parts.append(
            f"{more}{_judged(str(row['verdict']), 'locality buys more', 'sharing buys more', 'both buy as much')}."
        )
    return " ".join(parts)


def permutation(results: Results) -> str:
    """The gap on permuted pixels, and what the permutation takes from it."""
    parts = []
    if results.has_run(PERMUTED):
        one, other = _nets(results, *_arms(results, PERMUTED))
        parts.append(f"With the pixels permuted, {sentences.verdict(results, PERMUTED, one, other)}.")
    if results.has_run(TAKES):
        row = results.hypotheses.loc[TAKES]
        less = f"The lead on original pixels minus the lead on permuted ones is {sentences.evidence(row)}"
        judged = _judged(
            str(row["verdict"]),
            "the permutation takes from it",
            "the permutation adds to it",
            "the permutation leaves it as it is",
        )
        parts.append(f"{less}{judged}.")
    return f"**Order of the pixels.** {' '.join(parts)}" if parts else ""


def shift(results: Results) -> str:
    """The most and the least shift-consistent net; empty without a probe or with one variant."""
    means = results.variants.loc[results.nets, "shift_consistency_mean"]
    if not results.shifts_were_probed or len(means) < 2:
        return ""
    if means.max() == means.min():
        return f"**Shifts.** All nets have the same mean shift consistency, {numbers.percent_sign(means.max())}."
    (most, high), (least, low) = (sentences.extreme(results, "shift_consistency", highest) for highest in (True, False))
    return f"**Shifts.** Over shifts of the image, predictions agree most often for {most} ({high} of the pairs of shifts) and least often for {least} ({low})."


def best(results: Results) -> str:
    """The highest mean accuracy of a net and whose it is."""
    accuracies, on = results.variants.loc[results.nets, "accuracy_mean"], f"On {_title(results)},"
    names, reached = sentences.extreme(results, "accuracy")
    if len(accuracies) == 1:
        return f"{on} {names} reaches {reached} test accuracy."
    if accuracies.max() == accuracies.min():
        return f"{on} all {len(accuracies)} nets have the same mean test accuracy, {reached}."
    return f"{on} the highest mean test accuracy of {len(accuracies)} nets is that of {names}: {reached}."


def _judged(verdict: str, better: str, worse: str, equivalent: str) -> str:
    """A clause that follows the numbers; empty where no verdict is stated."""
    clauses = {
        verdicts.BETTER: better,
        verdicts.WORSE: worse,
        verdicts.EQUIVALENT: equivalent,
        verdicts.INCONCLUSIVE: "which decides nothing",
    }
    return f": {clauses[verdict]}" if verdict in clauses else ""


def _nets(results: Results, variant: str, reference: str) -> tuple[str, str]:
    """ "the CNN" and "the MLP"; their labels, where both are the same kind of net."""
    kinds = [results.names.net(key) for key in (variant, reference)]
    if kinds[0] == kinds[1]:
        return sentences.named(results, variant), sentences.named(results, reference)
    return f"the {kinds[0]}", f"the {kinds[1]}"


def _arms(results: Results, key: str) -> tuple[str, str]:
    contrast = results.declared[key].contrast
    return contrast.variant, contrast.reference


def _title(results: Results) -> str:
    return escape(results.dataset["title"])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

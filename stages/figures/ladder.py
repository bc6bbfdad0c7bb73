"""The way from the MLP to the CNN: the gap, what each step buys minus its control, and what the permutation takes."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from stages.figures import accuracy, wording
from stages.figures.results import Results
from stages.shared.drawing import axis, numbers, rows, style
from stages.shared.inference import verdict as verdicts
from stages.shared.inference.headline import GAP, LOCALITY, MORE, PERMUTED, SHARING, TAKES
from stages.shared.inference.intervals import difference_of_pairs, on_shared_seeds
from stages.shared.params import Contrast

ASSUMPTIONS = ("fully_connected", "locally_connected", "conv")  # each net assumes more than the one before
MARGINS = 0.85  # inches of the roadmap that its rows do not take


def figures(results: Results) -> Iterator[tuple[str, Figure | str]]:
    yield "roadmap", roadmap(results)


def facts(results: Results) -> dict[str, str]:
    return {
        "gap": gap(results) or "The gap between the CNN and the MLP was not measured.",
        "ladder": ladder(results) or "The rungs between the MLP and the CNN were not compared.",
        "permutation": permutation(results) or "The gap on permuted pixels was not measured.",
    }


def gap(results: Results) -> str:
    """What convolution buys on the original pixels."""
    if not results.has_run(GAP):
        return ""
    contrast = results.declared[GAP].contrast
    reached = f"{wording.mean(results, contrast.variant)} against {wording.mean(results, contrast.reference)}"
    return f"On {wording.dataset_title(results)}, {_judged(results, GAP)} ({reached})."


def ladder(results: Results) -> str:
    """What locality buys and what sharing buys, each minus what the same step buys where the pixels are permuted."""
    ran = [key for key in (LOCALITY, SHARING) if results.has_run(key)]
    parts = [_step_sentence(results, key) for key in ran]
    if len(parts) == 2 and results.has_run(MORE):
        row = results.hypotheses.loc[MORE]
        clause = _clause(row["verdict"], "locality buys more", "sharing buys more", "both buy as much")
        parts.append(f"Locality's part minus sharing's is {wording.evidence(row)}{clause}.")
    return " ".join(parts)


def _step_sentence(results: Results, key: str) -> str:
    """A step between two nets, the same step on permuted pixels, and what the assumption buys: their difference."""
    row, contrast = results.hypotheses.loc[key], results.declared[key].contrast
    if contrast.minus is None:
        return f"{wording.capitalised(_judged(results, key))}."
    step, control = (wording.effect(row["metric"], row[name]) for name in ("mean", "reference_mean"))
    if controls_are_permuted_twins(results, contrast):
        where = f"on permuted pixels, where {key} cannot help"
    else:
        twins = contrast.minus.variant, contrast.minus.reference
        labels = [wording.italic_label(results, twin) for twin in twins]
        where = f"from {labels[1]} to {labels[0]}, which it is compared with"
    nets = f"the {results.names.net(contrast.variant)} minus the {results.names.net(contrast.reference)}"
    words = [f"{key} buys accuracy", f"{key} costs accuracy", f"{key} buys nothing that matters"]
    clause = _clause(row["verdict"], *words)
    return (
        f"In accuracy, {nets} is {step}, and {control} {where}. "
        f"The difference of the two is {wording.evidence(row)}{clause}."
    )


def controls_are_permuted_twins(results: Results, contrast: Contrast) -> bool:
    """Whether the pair that a contrast takes off has the same two nets on permuted pixels."""
    if contrast.minus is None:
        return False
    pairs = [(contrast.variant, contrast.minus.variant), (contrast.reference, contrast.minus.reference)]
    return all(results.permuted_twin(original) == twin for original, twin in pairs)


def permutation(results: Results) -> str:
    """The gap on permuted pixels, and what the permutation takes from it."""
    parts = []
    if results.has_run(PERMUTED):
        parts.append(f"With the pixels permuted, {_judged(results, PERMUTED)}.")
    if results.has_run(TAKES):
        row = results.hypotheses.loc[TAKES]
        words = [f"the permutation {words}" for words in ("takes from it", "adds to it", "leaves it as it is")]
        clause = _clause(row["verdict"], *words)
        lead = "The lead on original pixels minus the lead on permuted ones"
        parts.append(f"{lead} is {wording.evidence(row)}{clause}.")
    return " ".join(parts)


def roadmap(results: Results) -> Figure | str:
    """Test accuracy of each of `steps`; at the right the paired difference from the net that the step changes."""
    if len(results.variants) == 1:
        return "Only the baseline ran: there is no road to it."
    drawn, path = [], []
    for place, (variant, changed) in enumerate(steps(results)):
        change = "start"
        if changed is not None:
            difference = results.mean_difference(variant, changed)
            change = numbers.points_interval(difference.mean, difference.low, difference.high)
            change += minus_control(results, variant, changed)
        drawn.append(accuracy.row(results, variant, results.names.label(variant), text=change))
        if changed != results.baseline:
            path.append((drawn[-1].mean, place))
    figure, (axes,) = rows.figure(len(drawn), rest=MARGINS)
    rows.draw(axes, drawn, rest=MARGINS)
    x, y = np.array(path).T
    axes.plot(x, y, color=style.GREY, linewidth=1.0, drawstyle="steps-pre", zorder=1)
    if len(drawn) > len(path):
        axes.axhline(len(path) - 0.5, color=style.PALE, linewidth=0.7)
        below = 1 - len(path) / len(drawn)
        axes.axvline(x[-1], ymax=below, color=style.GREY, linewidth=0.7, linestyle=style.DASHED, zorder=1)
    arrows = axis.cut(axes, drawn, centre=x[-1], whole=len(path))
    axes.set_xlabel(f"test accuracy, %{axis.ARROW if arrows else ''}")
    return figure


def minus_control(results: Results, variant: str, changed: str) -> str:
    """Return " (+1.30 [0.90, 1.70])": a step minus the same step on permuted pixels, if that was made."""
    twins = [results.permuted_twin(key) for key in (variant, changed)]
    names = [key for key in (variant, changed, *twins) if key is not None]
    tables = on_shared_seeds(*map(results.per_seed, names))
    if len(tables) < 4 or not len(tables[0]):
        return ""
    worth = results.estimate(difference_of_pairs(tables).ravel())
    return f" ({numbers.points_interval(worth.mean, worth.low, worth.high)})"


def steps(results: Results) -> list[tuple[str, str | None]]:
    """(variant, the variant that it changes) for each row: the path to the baseline, then changes of the baseline.

    The path has one net of each weaker assumption. Each further step is the best level of a family by mean validation
    accuracy, so that the test images do not choose what they score.
    """
    path = path_to_baseline(results)
    before = [None, *path[:-1]]
    return [*zip(path, before, strict=True), *((variant, results.baseline) for variant in _further(results, path))]


def path_to_baseline(results: Results) -> list[str]:
    connectivity = results.connectivity(results.baseline)
    if connectivity not in ASSUMPTIONS:
        return [results.baseline]
    weaker = ASSUMPTIONS[: ASSUMPTIONS.index(connectivity)]
    for levels in _levels_against_baseline(results):
        first = {results.connectivity(variant): variant for variant in reversed(levels)}
        path = [first[kind] for kind in weaker if kind in first]
        if path:
            return [*path, results.baseline]
    return [results.baseline]


def _further(results: Results, path: list[str]) -> list[str]:
    best: dict[str, None] = {}
    for levels in _levels_against_baseline(results):
        others = [variant for variant in levels if variant != results.baseline]
        if set(path) & set(others):
            continue
        alike = [key for key in others if results.connectivity(key) == results.connectivity(results.baseline)]
        if alike:
            best[max(alike, key=lambda variant: results.mean(variant, "val_accuracy").mean)] = None
    return sorted(best, key=lambda variant: -results.mean(variant).mean)


def _levels_against_baseline(results: Results) -> list[list[str]]:
    """The levels that are nets, for each family that compares with the baseline."""
    return [
        [variant for variant in results.names.levels(family) if variant in results.nets]
        for family in results.families
        if results.settings.families[family].reference == results.baseline
    ]


def _judged(results: Results, key: str) -> str:
    """The comparison with its verdict, between "the CNN" and "the MLP"; labels where both are the same kind of net."""
    contrast = results.declared[key].contrast
    arms = (contrast.variant, contrast.reference)
    nets = [f"the {results.names.net(variant)}" for variant in arms]
    if nets[0] == nets[1]:
        nets = [wording.italic_label(results, variant) for variant in arms]
    return wording.judged(results, key, *nets)


def _clause(verdict: str, better: str, worse: str, equivalent: str) -> str:
    """What follows the numbers; empty where no verdict is stated."""
    clauses = {verdicts.BETTER: better, verdicts.WORSE: worse, verdicts.EQUIVALENT: equivalent}
    clauses[verdicts.INCONCLUSIVE] = "the data do not decide"
    return f": {clauses[verdict]}" if verdict in clauses else ""

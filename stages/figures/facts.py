"""Ready-made strings for the report's prose; every name exists whatever ran, so that no sentence breaks."""

import json
import math
import re
from statistics import NormalDist

import numpy as np

from stages.figures import answer, confusion, convergence, diverged, dots, probe_facts, rates, sentences, sizes
from stages.figures.results import Results
from stages.shared.drawing import numbers
from stages.shared.drawing.tables import escape
from stages.shared.inference import intervals


def facts(results: Results) -> dict[str, str]:
    return (
        _data(results)
        | _protocol(results)
        | _accuracy(results)
        | _comparisons(results)
        | _trust(results)
        | _probes(results)
        | probe_facts.facts(results)
    )


def as_yaml(found: dict[str, str]) -> str:
    """The mapping under `facts`; a JSON string is a YAML string."""
    return "facts:\n" + "".join(
        f"  {name}: {json.dumps(text, ensure_ascii=False)}\n" for name, text in sorted(found.items())
    )


def _data(results: Results) -> dict[str, str]:
    dataset, constants = results.dataset, results.constants
    sizes = {f"{split}_size": f"{sum(counts):,}" for split, counts in constants["class_counts"].items()}
    return sizes | {
        "dataset": escape(dataset["title"]),
        "n_classes": str(len(dataset["classes"])),
        "image_size": f"{dataset['height']}×{dataset['width']}",
        "channels": {1: "greyscale", 3: "colour"}.get(dataset["channels"], f"{dataset['channels']}-channel"),
        "canvas_size": f"{constants['shape'][1]}×{constants['shape'][2]}",
        "margin": numbers.plural(max(constants["margin"]), "pixel"),
    }


def _protocol(results: Results) -> dict[str, str]:
    protocol, inference = results.settings.chosen_protocol, results.settings.inference
    return {
        "protocol": escape(results.settings.protocol),
        "epochs": numbers.plural(protocol.epochs, "epoch"),
        "n_seeds": str(len(protocol.seeds)),
        "verdict_seeds": str(inference.verdict_seeds),
        "alpha": f"{inference.alpha:g}",
        "power": f"{100 * inference.power:g}{numbers.NBSP}%",
        "smallest_effect": f"{numbers.points(inference.smallest_effect).lstrip('+')} points",
        "match_tolerance": f"{100 * inference.match_tolerance:g}{numbers.NBSP}%",
        "seeds": sentences.seeds(results),
        "variants": numbers.plural(len(results.variants) + len(diverged.lost(results)), "variant"),
        "runs": numbers.plural(len(results.runs) + len(results.diverged), "run"),
        "diverged": diverged.sentence(results),
        "families": f"{len(results.families)} {'family' if len(results.families) == 1 else 'families'}",
        "confidence": sentences.confidence(results),
        "min_seeds": str(inference.min_seeds),
        "probe_images": f"{_probe_images(results):,}",
        # A whole sentence either way.
        "directions": sentences.no_direction(results)
        or f"With {sentences.seeds(results)} a direction is stated where the {sentences.confidence(results)} interval of a paired difference excludes zero.",
    }


def _accuracy(results: Results) -> dict[str, str]:
    accuracies, baseline = results.variants.loc[results.nets, "accuracy_mean"], results.settings.baseline
    best = baseline if accuracies[baseline] == accuracies.max() else accuracies.idxmax()
    worst = accuracies.idxmin()
    return {
        "best_sentence": answer.best(results),
        "best_variant": sentences.label(results, best),
        "best_accuracy": sentences.mean(results, best),
        "best_against_baseline": _against_baseline(results, best),
        "worst_variant": sentences.label(results, worst),
        "worst_accuracy": sentences.mean(results, worst),
        "baseline": sentences.label(results, baseline),
        "baseline_accuracy": sentences.mean(results, baseline),
        "directions_count": _directions_count(results),
        "confused": _confused(results),
    }


def _comparisons(results: Results) -> dict[str, str]:
    """A sentence for each question that the prose asks; one that was not measured says so."""
    return {
        "gap": _bare(answer.gap(results)) or "The gap between the CNN and the MLP was not measured.",
        "ladder": _bare(answer.ladder(results)) or "The rungs between the MLP and the CNN were not compared.",
        "permutation": _bare(answer.permutation(results)) or "The gap on permuted pixels was not measured.",
        "sizes": sizes.sentence(results)
        or "For the baseline's network and another, the number of train images was not varied.",
        "hypotheses_tally": sentences.tally(results),
        "verdicts": sentences.no_verdict(results)
        or f"A verdict needs {results.settings.inference.verdict_seeds} seeds: a comparison with fewer has an interval and a direction alone.",
        "forest_shown": _forest_shown(results),
    }


def _trust(results: Results) -> dict[str, str]:
    """Sentences about what the numbers can bear."""
    return {
        "noise": _noise(results),
        "detectable": _detectable(results),
        "aa": _aa(results),
        "recipe": rates.sentence(results)
        or "The learning rate was not varied, so that the order of the nets is known for one rate alone.",
        "converged": convergence.sentence(results),
    }


def _noise(results: Results) -> str:
    """How far a single run of the baseline says something else than another."""
    made = results.mean(results.settings.baseline)
    if made.n < 2:
        return "With one seed, how far chance moves a result is unknown."
    apart = math.sqrt(2) * made.sd * NormalDist().inv_cdf((1 + results.settings.inference.confidence) / 2)
    return (
        f"Under another seed the baseline's accuracy moves with a standard deviation of {numbers.percent(made.sd)} points, so that two single runs of "
        f"one and the same net differ by up to {numbers.percent(apart)} points in {sentences.confidence(results)} of the cases."
    )


def _detectable(results: Results) -> str:
    """What the protocol's seeds and test images can show, over the declared comparisons of two accuracies."""
    simple = [
        key for key, about in results.declared.items() if about.metric == "accuracy" and about.contrast.minus is None
    ]
    rows = results.hypotheses.loc[simple].dropna(subset="detectable")
    if rows.empty:
        return "How small a difference this run could detect is not known."
    least, most = (numbers.percent(value) for value in (rows["detectable"].min(), rows["detectable"].max()))
    counts, images = sorted({int(n) for n in rows["n_seeds"]}), int(rows["n_images"].iloc[0])
    seeds = numbers.plural(counts[0], "seed") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    up = (
        f"from {least} points up"
        if least == most
        else f"from {least} points up in the least noisy comparison, and from {most} in the noisiest,"
    )
    return (
        f"With {seeds} and {numbers.plural(images, 'test image')}, differences {up} are detected with "
        f"{100 * results.settings.inference.power:g}{numbers.NBSP}% power, before the adjustment for the number of comparisons."
    )


def _aa(results: Results) -> str:
    if results.aa.empty:
        return "No variant repeats the baseline under other seeds, so there is no A/A comparison."
    row = results.aa.iloc[0]
    rate = {
        name: numbers.percent_sign(row[f"{name}_rate"], 1)
        for name in ("sign_flip", "interval", "total", "verdict")
        if not math.isnan(row[f"{name}_rate"])
    }
    verdict = f", and a verdict of better or worse was stated in {rate['verdict']}" if "verdict" in rate else ""
    return (
        f"Groups of runs of one and the same net were compared {int(row['resamples'])} times as if they were two: the sign-flip test found a difference "
        f"in {rate['sign_flip']}, the interval over seeds in {rate['interval']}, the interval for new images too in {rate['total']} of the "
        f"comparisons{verdict}. By chance {100 * results.settings.inference.alpha:g}{numbers.NBSP}% are expected of the first two."
    )


def _forest_shown(results: Results) -> str:
    """Which variants the forest leaves out."""
    shown, others = len(dots.compared(results)), len(results.variants) - 1
    if shown == others:
        return "Every variant is shown."
    return f"Shown are the {shown} variants that ran under every seed; the other {others - shown} stand in the figures of their families."


def _bare(text: str) -> str:
    """Without the bold words that head a point of the answer's list."""
    return re.sub(r"\*\*[^*]+\*\* ", "", text)


def _probes(results: Results) -> dict[str, str]:
    filters = (
        "The first-layer filters are those of the first seed."
        if results.pictures
        else "No variant's filters were probed."
    )
    reach, images = (
        numbers.plural(max(results.constants["margin"]), "pixel"),
        numbers.plural(_probe_images(results), "test image"),
    )
    shifts = f"Shifts of up to {reach} were probed on {images}."
    if not results.shifts_were_probed:
        shifts = "The margin is zero, so that no image could be shifted: the shift probe was not run."
    return {
        "filters": filters,
        "shift_probe": shifts,
        "shift_sentence": _bare(answer.shift(results)) or "There is no shift consistency to compare.",
    }


def _probe_images(results: Results) -> int:
    """How many test images were shifted: as many as asked for, if there are so many."""
    return min(results.settings.chosen_protocol.probe_images, sum(results.constants["class_counts"]["test"]))


def _against_baseline(results: Results, best: str) -> str:
    baseline = results.settings.baseline
    if best == baseline:
        return "The baseline itself has the highest mean test accuracy."
    made = results.estimate(results.differences(best, baseline))
    return f"{sentences.standing(results, sentences.named(results, best), 'the baseline', made)}."


def _directions_count(results: Results) -> str:
    """ "Of 16 variants, 3 are above …": a summary of the forest figure."""
    others = results.variants.loc[dots.compared(results)]
    if others.empty:
        return "Only the baseline ran."
    said = others["direction"].value_counts()
    parts = [
        f"{said[word]} {'is' if said[word] == 1 else 'are'} {word}"
        for word in (intervals.ABOVE, intervals.BELOW, intervals.ALIKE)
        if word in said
    ]
    if not parts:
        return sentences.no_direction(results)
    if len(others) == 1:
        return f"The one variant that is compared with it is {said.index[0]} the baseline in test accuracy."
    return f"Of the {len(others)} variants that are compared with it, {sentences.joined(parts)} the baseline in test accuracy."


def _confused(results: Results) -> str:
    """The baseline's commonest mistake."""
    classes = [escape(name) for name in results.constants["classes"]]
    shares = confusion.row_shares(confusion.counts(results, results.settings.baseline))
    np.fill_diagonal(shares, 0)
    if shares.max() == 0:
        return "The baseline makes no mistake on the test set."
    true, predicted = np.unravel_index(shares.argmax(), shares.shape)
    share = numbers.percent_sign(shares.max(), 1)
    return f"The baseline's commonest mistake: of the test images of *{classes[true]}*, it takes {share} for *{classes[predicted]}*."

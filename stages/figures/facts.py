"""Ready-made strings for the report's prose; every name exists whatever ran, so that no sentence breaks."""

import json

import numpy as np

from stages.drawing import numbers
from stages.drawing.tables import escape
from stages.figures import answer, confusion, sentences
from stages.figures.results import Results
from stages.inference import intervals


def facts(results: Results) -> dict[str, str]:
    return _data(results) | _protocol(results) | _accuracy(results) | _contrasts(results) | _probes(results)


def as_yaml(found: dict[str, str]) -> str:
    """The mapping under `facts`; a JSON string is a YAML string."""
    return "facts:\n" + "".join(f"  {name}: {json.dumps(text, ensure_ascii=False)}\n" for name, text in sorted(found.items()))


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
    protocol, inference = results.settings.active_protocol, results.settings.inference
    return {
        "protocol": escape(results.settings.protocol),
        "epochs": numbers.plural(protocol.epochs, "epoch"),
        "n_seeds": str(len(protocol.seeds)),
        "seeds": sentences.seeds(results),
        "variants": numbers.plural(len(results.variants), "variant"),
        "runs": numbers.plural(len(results.runs), "run"),
        "families": f"{len(results.families)} {'family' if len(results.families) == 1 else 'families'}",
        "confidence": sentences.confidence(results),
        "min_seeds": str(inference.min_seeds),
        "probe_images": f"{_probe_images(results):,}",
        # A whole sentence either way.
        "directions": sentences.no_direction(results)
        or f"With {sentences.seeds(results)} a direction is stated where the {sentences.confidence(results)} interval of a paired difference excludes zero.",
    }


def _accuracy(results: Results) -> dict[str, str]:
    accuracies, baseline = results.variants["accuracy_mean"], results.settings.baseline
    best = baseline if accuracies[baseline] == accuracies.max() else accuracies.idxmax()
    worst = accuracies.idxmin()
    return {
        "answer": answer.answer(results),
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


def _contrasts(results: Results) -> dict[str, str]:
    """A sentence for each question that the prose asks; one that was not measured says so."""
    both = answer.GAP in results.settings.contrasts and answer.PERMUTED in results.settings.contrasts
    effect = answer.permutation_effect(results) if both else ""
    return {
        "gap_original": answer.gap(results) or "The gap between the CNN and the MLP was not measured.",
        "gap_permuted": answer.permutation(results) or "The gap on permuted pixels was not measured.",
        "permutation_effect": f"{effect[0].upper()}{effect[1:]}." if effect else "What the permutation changes was not measured.",
        "locally_connected": answer.local(results) or "The locally connected net was not compared.",
    }


def _probes(results: Results) -> dict[str, str]:
    filters = "The first-layer filters are those of the first seed." if results.filters else "No variant has convolutional filters."
    reach, images = numbers.plural(max(results.constants["margin"]), "pixel"), numbers.plural(_probe_images(results), "test image")
    shifts = f"Shifts of up to {reach} were probed on {images}."
    if not results.shifts_were_probed:
        shifts = "The margin is zero, so that no image could be shifted: the shift probe was not run."
    return {"filters": filters, "shift_probe": shifts, "shift_sentence": answer.shift(results) or "There is no shift consistency to compare."}


def _probe_images(results: Results) -> int:
    """How many test images were shifted: as many as asked for, if there are so many."""
    return min(results.settings.active_protocol.probe_images, sum(results.constants["class_counts"]["test"]))


def _against_baseline(results: Results, best: str) -> str:
    baseline = results.settings.baseline
    if best == baseline:
        return "The baseline itself has the highest mean test accuracy."
    made = results.estimate(results.differences(best, baseline))
    return f"{sentences.verdict(results, sentences.named(results, best), 'the baseline', made)}."


def _directions_count(results: Results) -> str:
    """ "Of the 16 other variants, 3 are above …": a summary of the forest figure."""
    others = results.variants.drop(index=results.settings.baseline)
    if others.empty:
        return "Only the baseline ran."
    said = others["direction"].value_counts()
    parts = [f"{said[word]} {'is' if said[word] == 1 else 'are'} {word}" for word in (intervals.ABOVE, intervals.BELOW, intervals.ALIKE) if word in said]
    if not parts:
        return sentences.no_direction(results)
    if len(others) == 1:
        return f"The one other variant is {said.index[0]} the baseline in test accuracy."
    return f"Of the {len(others)} other variants, {sentences.joined(parts)} the baseline in test accuracy."


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

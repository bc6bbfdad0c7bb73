"""What was run, and how far its numbers can be trusted: data, protocol, diverged runs, power and the A/A comparison."""

import math

import pandas as pd

from stages.figures import learning_rates, training_data, wording
from stages.figures.results import Results
from stages.shared.drawing import numbers
from stages.shared.drawing.tables import cell, csv, pipe_tables
from stages.shared.inference import verdict as verdicts
from stages.shared.params import Recipe


def texts(results: Results) -> dict[str, str]:
    files = {"tables/diverged.md": diverged_table(results)}
    if not results.diverged.empty:
        rows = results.diverged.copy()
        rows.insert(1, "label", [results.names.label(variant) for variant in rows["variant"]])
        files["tables/diverged.csv"] = csv(rows)
    return files


def facts(results: Results) -> dict[str, str]:
    trust = {
        "detectable": _detectable(results),
        "pairing": _pairing(results),
        "aa": _baseline_again(results),
        "aa_rates": _aa_rates(results),
        "not_tried": not_tried(results),
    }
    return _data(results) | _settings(results) | {"train_images": train_images(results)} | trust


def not_tried(results: Results) -> str:
    """What the report has a section for, where a protocol varies it, and this run did not vary."""
    varied = {
        "the number of train images": bool(training_data.nets_by_train_size(results)),
        "the learning rate": bool(learning_rates.nets_by_rate(results)),
        "the length of training": not results.longer.empty,
    }
    missing = [name for name, was_varied in varied.items() if not was_varied]
    if not missing:
        return ""
    return f"This run does not vary {' or '.join(filter(None, [', '.join(missing[:-1]), missing[-1]]))}."


def without_finished_run(results: Results) -> list[str]:
    return [key for key in dict.fromkeys(results.diverged["variant"]) if key not in results.variants.index]


def diverged_sentence(results: Results) -> str:
    """How many runs have no accuracy, and which variants are therefore in no other table or figure."""
    if results.diverged.empty:
        length = " of the usual length" if results.settings.chosen_protocol.longer else ""
        return f"Every run{length} finished."
    diverged, variants = len(results.diverged), results.diverged["variant"].nunique()
    runs, have = numbers.plural(diverged + len(results.runs), "run"), "has" if diverged == 1 else "have"
    sentence = (
        f"Of {runs}, {diverged}, of {numbers.plural(variants, 'variant')}, diverged and {have} no accuracy "
        f"(@tbl-diverged)."
    )
    lost = without_finished_run(results)
    if not lost:
        return sentence
    names = wording.joined([wording.italic_label(results, variant) for variant in lost])
    are = "is" if len(lost) == 1 else "are"
    return f"{sentence} Without a run that finished, {names} {are} in no other table or figure."


def diverged_table(results: Results) -> str:
    """A row for each variant of which a run diverged; empty where none did."""
    if results.diverged.empty:
        return ""
    variants = {str(variant): runs for variant, runs in results.diverged.groupby("variant", sort=False)}
    epochs = [
        ", ".join(f"{seed} ({epoch})" for seed, epoch in zip(runs["seed"], runs["epoch"], strict=True))
        for runs in variants.values()
    ]
    columns = {
        "Variant": [cell(results.names.label(variant)) for variant in variants],
        "Diverged": [f"{len(runs)} of {len(results.settings.seeds(key))} seeds" for key, runs in variants.items()],
        "Seed (epoch)": epochs,
    }
    caption = "Runs whose loss was no longer finite: their seeds, and the epoch in which each diverged."
    return pipe_tables(pd.DataFrame(columns), "tbl-diverged", caption)


def _data(results: Results) -> dict[str, str]:
    dataset, constants = results.dataset, results.constants
    protocol = results.settings.chosen_protocol
    counts = {split: sum(of_classes) for split, of_classes in constants["class_counts"].items()}
    train_size = protocol.images_to_train(counts["train"], "val" in counts)
    of_each = f"Of {counts['train']:,} images, each seed draws {train_size:,} to train on"
    val = f" and {protocol.val_size:,} to validate on, stratified by class. They do not overlap, and they are"
    if "val" in counts:
        val = (
            f", stratified by class, and validates on the {counts['val']:,} images of the val set that came with the "
            "data. The train images are"
        )
    return {
        "split_sentence": f"{of_each}{val} the same for every variant of that seed, so that differences stay paired.",
        "train_size": f"{train_size:,}",
        "test_size": f"{counts['test']:,}",
        "dataset": wording.dataset_title(results),
        "n_classes": str(len(dataset["classes"])),
        "image_size": f"{dataset['height']}×{dataset['width']}",
        "channels": {1: "greyscale", 3: "colour"}.get(dataset["channels"], f"{dataset['channels']}-channel"),
        "normalised": _normalised(results),
        "canvas_size": f"{constants['shape'][1]}×{constants['shape'][2]}",
    }


def _normalised(results: Results) -> str:
    """What the nets make of the pixels first."""
    are_unit = [variant.run.sample.pixels == "unit" for variant in results.settings.active_variants.values()]
    if all(are_unit):
        return "The nets take its pixels as they are, in [0, 1]."
    others = "; variants with pixels in [0, 1] take them as they are (@tbl-variants)" if any(are_unit) else ""
    return f"It is normalised by the mean and standard deviation of the run's own training images{others}."


def _settings(results: Results) -> dict[str, str]:
    protocol, inference = results.settings.chosen_protocol, results.settings.inference
    variants = [*results.variants.index, *without_finished_run(results)]
    n_controls = sum(map(results.is_control, variants))
    and_controls = f" and {numbers.plural(n_controls, 'control')}" if n_controls else ""
    return {
        "epochs": numbers.plural(protocol.epochs, "epoch"),
        "seeds": wording.seeds(results),
        "variants": numbers.plural(len(variants) - n_controls, "variant") + and_controls,
        "runs": numbers.plural(len(results.runs) + len(results.diverged), "run"),
        "diverged": diverged_sentence(results),
        "devices": devices(results),
        "alpha": f"{inference.alpha:g}",
        "smallest_effect": wording.smallest_effect(results),
        "confidence": wording.confidence(results),
        "min_seeds": str(inference.min_seeds),
        "directions": wording.why_no_direction(results)
        or f"With {wording.seeds(results)} a direction is stated where the {wording.confidence(results)} interval of a "
        f"paired difference excludes zero.",
    }


def devices(results: Results) -> str:
    """What trained the nets. Where there were two kinds, how many runs of which variants each has."""
    words = {"cpu": "a CPU", "cuda": "a GPU (CUDA)"}
    kinds = results.runs.groupby("device")["variant"]
    if len(kinds) == 1:
        return f"All nets were trained on {words[results.runs['device'].iloc[0]]}."
    parts = [
        f"{numbers.plural(len(runs), 'run')} of {numbers.plural(runs.nunique(), 'variant')} on {words[str(device)]}"
        for device, runs in kinds
    ]
    return f"Two kinds of device trained the nets, and they round differently: {wording.joined(parts)}."


def train_images(results: Results) -> str:
    """What the base recipe does to train images, labels and weights, and of which images a train accuracy is."""
    shift, flip, smoothing, decay = _extras(results.settings.recipe)
    moves = [f"shifted at random by up to {numbers.plural(shift, 'pixel')} along each axis"] if shift else []
    moves += ["mirrored at random (left and right)"] if flip else []
    sentences = ["No training image is shifted or mirrored.", "No label is smoothed."]
    sentences += ["The weights are those of the last step."]
    if moves:
        sentences[0] = f"In each epoch, each training image is {wording.joined(moves)} anew."
    if smoothing:
        sentences[1] = f"Label smoothing spreads {smoothing:g} evenly over all classes."
    if decay:
        sentences[2] = f"A moving average of the weights is scored and probed, with a decay of {decay:g}."
    if any(any(_extras(variant.run.recipe)) for variant in results.settings.active_variants.values()):
        sentences.append(
            "The accuracy on the training images is of the images as they are, and the training loss of the learning "
            "curves is what each step minimises."
        )
    return " ".join(sentences)


def _extras(recipe: Recipe) -> tuple[int, bool, float, float]:
    """What a plain training does without; each is 0 or false there."""
    return recipe.augment_shift, recipe.augment_flip, recipe.label_smoothing, recipe.ema_decay


def _simple(results: Results) -> list[str]:
    """The hypotheses that compare the accuracy of two variants."""
    return [
        key
        for key, hypothesis in results.declared.items()
        if hypothesis.metric == "accuracy" and hypothesis.contrast.minus is None
    ]


def _detectable(results: Results) -> str:
    """Which differences in accuracy the seeds and test images can show, over the declared simple comparisons."""
    rows = results.hypotheses.loc[_simple(results)].dropna(subset="detectable")
    if rows.empty:
        return "How small a difference this run could detect is not known."
    least, most = (numbers.percent(value) for value in (rows["detectable"].min(), rows["detectable"].max()))
    counts = sorted({int(n) for n in rows["n_seeds"]})
    seeds = f"{counts[0]} to {counts[-1]} seeds" if len(counts) > 1 else numbers.plural(counts[0], "seed")
    images = numbers.plural(int(rows["n_images"].iloc[0]), "test image")
    size = f"from {least} points up"
    if least != most:
        size += f" in the least noisy comparison, and from {most} in the noisiest,"
    return (
        f"With {seeds} and {images}, differences {size} are detected with {wording.power(results)} power, "
        f"before the adjustment for the number of comparisons."
    )


def _pairing(results: Results) -> str:
    """In how many comparisons the paired differences vary less over the seeds than the accuracies themselves."""
    rows = results.hypotheses.loc[_simple(results)].dropna(subset="difference_sd")
    if rows.empty:
        return "How much that is cannot be said of one seed, or without a comparison."
    less = int((rows["difference_sd"] < rows[["sd", "reference_sd"]].min(axis=1)).sum())
    return (
        f"In {less} of {numbers.plural(len(rows), 'comparison')} of two variants, the difference varies less over the "
        f"seeds than either accuracy."
    )


def _baseline_again(results: Results) -> str:
    """The baseline against the baseline under seeds of its own."""
    if results.aa.empty:
        return "No variant repeats the baseline under other seeds, so there is no A/A comparison."
    again = results.aa["variant"].iloc[0]
    effects = results.effects
    rows = effects[(effects["variant"] == again) & (effects["reference"] == results.baseline)]
    start = "The baseline was trained again with seeds of its own"
    if rows.empty:
        return f"{start}, and no family compares the two."
    row = rows.iloc[0]
    sentence = f"{start}. Its accuracy minus the baseline's is {wording.evidence(row, 'accuracy')}"
    if row["verdict"] == verdicts.NOT_STATED:
        return f"{sentence}, without a verdict: {row['reason']}."
    p, small_p = (numbers.p_value(row[f"{name}_adjusted"]) for name in ("p", "equivalence_p"))
    p_values = (
        f"adjusted p: {p} of the sign-flip test of a difference, {small_p} of the two one-sided tests of equivalence"
    )
    return f"{sentence}; {p_values}. The verdict is {row['verdict']}."


def _aa_rates(results: Results) -> str:
    """How often two groups, into which the runs of one net are dealt at random, seem to differ."""
    if results.aa.empty:
        return "Without such a variant, the tests were not tried on groups of equal runs."
    row, inference = results.aa.iloc[0], results.settings.inference
    sign_flip, interval, total = (
        numbers.percent_sign(row[f"{test}_rate"], 1) for test in ("sign_flip", "interval", "total")
    )
    verdict = ""
    if not math.isnan(row["verdict_rate"]):
        stated = numbers.percent_sign(row["verdict_rate"], 1)
        verdict = f", and a verdict of better or worse was stated in {stated}"
    return (
        f"These runs and those of the baseline were also dealt at random into two groups, "
        f"{numbers.plural(int(row['resamples']), 'time')}. The sign-flip test found a difference in {sign_flip}, the "
        f"interval over seeds in {interval}, the interval for new images too in {total} of the comparisons{verdict}. "
        f"By chance, at most {100 * inference.alpha:g}{numbers.NBSP}% are expected of the first and "
        f"{100 * (1 - inference.confidence):g}{numbers.NBSP}% of the second."
    )

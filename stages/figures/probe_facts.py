"""Ready-made sentences about what the networks have learnt; every name exists whatever ran."""

import math

import numpy as np
from scipy.stats import spearmanr

from stages.figures import confusion, confusion_differences, feature_maps, fields, probed, sentences
from stages.figures.results import Results
from stages.shared.drawing import numbers
from stages.shared.drawing.tables import escape
from stages.shared.inference import intervals

FEWEST = 4  # nets between which a rank correlation says anything


def facts(results: Results) -> dict[str, str]:
    test = sum(results.constants["class_counts"]["test"])
    settings = results.settings.probe
    scored = test if settings.calibration_images == "all" else min(settings.calibration_images, test)
    return {
        "probed_images": f"{min(settings.images, test):,}",
        "calibration_images": f"{scored:,}",
        "field_share": numbers.percent_sign(settings.field_share, 0),
        "maps_sentence": _maps(results),
        "field_sentence": _field(results),
        "field_growth_sentence": _field_growth(results),
        "equivariance_sentence": _equivariance(results),
        "position_sentence": _position(results),
        "position_agreement_sentence": _agreement(results),
        "calibration_sentence": _calibration(results),
        "hard_sentence": _hard(results),
        "confusion_difference_sentence": _confusion_difference(results),
    }


def _maps(results: Results) -> str:
    if not feature_maps.shown(results.pictures.get(results.settings.baseline, {})):
        return "The baseline has no feature map to draw."
    return f"The maps are those of {sentences.label(results, results.settings.baseline)} under its first seed."


def _field(results: Results) -> str:
    """The baseline's field: how much of what it could look at it uses."""
    baseline = results.settings.baseline
    height, width, edge = fields.theoretical(results, baseline)
    made = probed.estimate(results, baseline, "effective_field")
    if math.isnan(edge) or math.isnan(made.mean):
        return "The baseline has no receptive field to measure."
    share = numbers.percent_sign(results.settings.probe.field_share, 0)
    said = f"A unit at the centre of the last map of {sentences.label(results, baseline)} can see {numbers.size(height, width)} pixels"
    return f"{said}; {share} of what moves it comes from as few pixels as a square with an edge of {_plain(made, 1)} pixels has."


def _field_growth(results: Results) -> str:
    """Whether nets that can see further do: the smallest and the largest theoretical field."""
    nets = {key: fields.theoretical(results, key)[2] for key in fields.sizes(results)}
    if len(set(nets.values())) < 2:
        return "All nets could see equally far, so that there is no growth to show."
    least, most = (pick(nets, key=nets.__getitem__) for pick in (min, max))
    small, large = (probed.estimate(results, key, "effective_field").mean for key in (least, most))
    ratio = nets[most] / nets[least]
    grown = (
        f"{large / small:.1f} times as wide an effective one" if small else f"an effective one of {large:.1f} pixels"
    )
    arms = f"From {sentences.named(results, least)} to {sentences.named(results, most)}"
    return f"{arms} the theoretical field grows to {ratio:.1f} times its edge, and what is used to {grown}."


def _equivariance(results: Results) -> str:
    """The baseline against the locally connected net."""
    baseline, local = results.settings.baseline, probed.of_kind(results, "locally_connected")
    made = {key: probed.estimate(results, key, "equivariance_error_last") for key in (baseline, local) if key}
    made = {key: one for key, one in made.items() if not math.isnan(one.mean)}
    if baseline not in made:
        return "The baseline has no feature map that could follow a shift."
    said = f"Away from the border, the last map of {sentences.label(results, baseline)} misses the shifted one by {_percent(made[baseline])} of its size"
    if local is None or local not in made or local == baseline:
        return f"{said}."
    return f"{said}, that of {sentences.named(results, local)} by {_percent(made[local])}."


def _position(results: Results) -> str:
    """The nets from whose last map position can be read best and worst."""
    made = probed.measured(results, results.nets, "position_r2_shuffled")
    if len(made) < 2:
        return "There are no two nets with a feature map to compare."
    least, most = (pick(made, key=lambda key: made[key].mean) for pick in (min, max))
    return (
        f"On images without any position of their own, a linear read-out explains most of the position for {sentences.named(results, most)} "
        f"(R² {_plain(made[most])}) and least for {sentences.named(results, least)} (R² {_plain(made[least])})."
    )


def _agreement(results: Results) -> str:
    """Whether the two probes of position rank the nets alike, and where they part most."""
    linear, share = (
        probed.measured(results, results.nets, column) for column in ("position_r2_shuffled", "position_share")
    )
    keys = [key for key in linear if key in share]
    one, other = ([found[key].mean for key in keys] for found in (linear, share))
    if len(keys) < FEWEST or len(set(one)) < 2 or len(set(other)) < 2:
        return "There are too few nets to compare the two probes of position."
    rho = float(spearmanr(one, other).statistic)
    ranks = (np.argsort(np.argsort(values)) for values in (one, other))
    gap = np.subtract(*ranks)
    apart = sentences.named(results, keys[int(np.abs(gap).argmax())])
    said = f"The two probes of position rank the {len(keys)} nets with a correlation of {_signed(rho)} (Spearman's ρ)"
    return f"{said}; they part most on {apart}." if np.abs(gap).max() > 0 else f"{said}."


def _calibration(results: Results) -> str:
    """The baseline's calibration error, and those of the other kinds against it."""
    baseline = results.settings.baseline
    made = probed.measured(results, probed.kinds(results), "ece")
    if baseline not in made:
        return "The baseline's calibration was not measured."
    said = f"Confidence and accuracy of {sentences.label(results, baseline)} are {_percent(made[baseline], 2)} apart on average"
    others = [key for key in made if key != baseline]
    if not others:
        return f"{said}."
    parts = [_against(results, key, baseline) for key in others]
    return f"{said}. Against this error, {sentences.joined(parts)}."


def _against(results: Results, key: str, baseline: str) -> str:
    gap = probed.difference(results, key, baseline, "ece")
    direction = results.direction(gap)
    said = f"that of {sentences.named(results, key)}"
    if direction == intervals.NOT_STATED:
        return f"{said} differs by {sentences.points(gap)}"
    words = {intervals.ABOVE: "is larger", intervals.BELOW: "is smaller", intervals.ALIKE: "is not distinguishable"}
    return f"{said} {words[direction]} ({sentences.points(gap)})"


def _hard(results: Results) -> str:
    """The hardest image, and how many of those in the gallery no run gets right."""
    hard = results.hard_images[results.hard_images["failures"] > 0]
    if hard.empty:
        return "Every run gets every test image right."
    classes = [escape(name) for name in results.constants["classes"]]
    first = hard.iloc[0]
    never = int((hard["failures"] == hard["runs"]).sum())
    runs = numbers.plural(int(first["runs"]), "run")
    said = (
        f"The hardest test image is labelled *{classes[int(first['label'])]}*; {numbers.percent_sign(first['failures'] / first['runs'], 0)} of {runs} "
        f"get it wrong, most often as *{classes[int(first['predicted'])]}*."
    )
    if never == 0:
        return f"{said} No image defeats all of them."
    many = f"At least {never}" if never == len(hard) else f"{never}"
    return f"{said} {many} of the test images {'defeats' if never == 1 else 'defeat'} every run."


def _confusion_difference(results: Results) -> str:
    """On which class the two arms of each pair differ most."""
    parts = [_most(results, *pair) for pair in confusion_differences.pairs(results)]
    return " ".join(parts) or "There are no two variants whose mistakes could be compared."


def _most(results: Results, variant: str, reference: str) -> str:
    classes = [escape(name) for name in results.constants["classes"]]
    one, other = (np.diag(confusion.row_shares(confusion.counts(results, key))) for key in (variant, reference))
    gap = one - other
    place = int(np.abs(gap).argmax())
    if gap[place] == 0:
        return f"{sentences.named(results, variant)} and {sentences.named(results, reference)} are right on every class equally often."
    more = "more" if gap[place] > 0 else "less"
    points = numbers.points(abs(gap[place]), 1).lstrip("+")
    return (
        f"The class on which {sentences.named(results, variant)} and {sentences.named(results, reference)} differ most is *{classes[place]}*, "
        f"which the former gets right {points}{numbers.NBSP}points {more} often."
    )


def _percent(made: intervals.Estimate, digits: int = 1) -> str:
    return numbers.percent_sign(made.mean, digits) + (
        f" {numbers.interval(made.low, made.high, digits)}" if made.low < made.high else ""
    )


def _plain(made: intervals.Estimate, digits: int = 2) -> str:
    """ "0.35 [0.31, 0.39]"; one seed, or seeds that all agree, have no interval."""
    return _signed(made.mean, digits) + (
        f" {numbers.plain_interval(made.low, made.high, digits)}" if made.low < made.high else ""
    )


def _signed(value: float, digits: int = 2) -> str:
    """With a true minus sign, and none before zero or above it."""
    return numbers.plain(value, digits).lstrip("+")

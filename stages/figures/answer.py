"""The first page: the answer in at most five plain sentences, and one picture.

A sentence here has rounded numbers without intervals: those are in the picture, and in the chapters that follow.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import matplotlib.patheffects
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.figures import accuracy, hypotheses, ladder, training_data, training_length, wording
from stages.figures.results import Results
from stages.shared.drawing import numbers, rows, style
from stages.shared.inference import verdict as verdicts
from stages.shared.inference.headline import GAP, LOCALITY, PERMUTED, SHARING
from stages.shared.metrics import METRICS

# Kind of net → what the first page calls it, and what it assumes, in lines of the picture's axis.
PLAIN_NETS = {
    "fully_connected": "fully connected net",
    "locally_connected": "locally connected net",
    "conv": "convolutional net",
}
ASSUMES = {
    "fully_connected": "assumes nothing\nabout images",
    "locally_connected": "looks at\nneighbours together",
    "conv": "… with the same\nweights everywhere",
}
WORTH = {"locality": "Looking at neighbouring pixels together", "sharing": "using the same weights at every place"}
ORIGINAL, SHUFFLED = "images as they are", "the same images,\npixels shuffled"
COLOURS = {ORIGINAL: style.BLUE, SHUFFLED: style.VERMILION}
HEIGHT = 3.3  # inches
SIZE = 9.5  # points: readable on a phone, where a figure is about half as wide as on paper
SHOWN_ALONE = 12  # variants in the picture of a run without a ladder


def figures(results: Results) -> Iterator[tuple[str, Figure | str]]:
    yield "answer", picture(results)


def texts(results: Results) -> dict[str, str]:
    figure = f'![{caption(results)}](figures/answer.svg){{#fig-answer fig-alt="{alternative_text(results)}"}}'
    return {"answer.md": f"{' '.join(sentences(results))}\n\n{figure}\n"}


def sentences(results: Results) -> list[str]:
    """What the variants that ran can tell, in at most five sentences without brackets."""
    candidates = [
        gap(results) or best(results),
        *assumptions(results),
        longer(results) or shifted(results),
        expectations(results),
    ]
    return [sentence for sentence in candidates if sentence]


def gap(results: Results) -> str:
    """What convolution buys on images as they are."""
    if not results.has_run(GAP):
        return ""
    row, contrast = results.hypotheses.loc[GAP], results.declared[GAP].contrast
    first, second = (numbers.percent_sign(results.mean(arm).mean, 1) for arm in (contrast.variant, contrast.reference))
    nets = [_net(results, arm) for arm in (contrast.variant, contrast.reference)]
    clauses = {
        verdicts.BETTER: f"convolution buys {_points(row)}",
        verdicts.WORSE: f"convolution costs {_points(row)}",
        verdicts.EQUIVALENT: "the difference is too small to matter",
        verdicts.NO_BETTER: "convolution buys nothing that matters",
        verdicts.NO_WORSE: "convolution costs nothing that matters",
        verdicts.INCONCLUSIVE: "the difference may be chance",
    }
    clause = clauses.get(row["verdict"], f"a difference of {_signed(row)}, from too few seeds for a verdict")
    images = _train_images(results, contrast.variant)
    return (
        f"Trained on {images} of {wording.dataset_title(results)}, the {nets[0]} labels {first} of the test images "
        f"correctly and the {nets[1]} {second}: {clause}."
    )


def best(results: Results) -> str:
    """The net with the highest mean, where there is no gap to tell of."""
    counted = [variant for variant in results.nets if variant in results.without_controls]
    means = results.variants.loc[counted, "accuracy_mean"]
    chosen = results.baseline if means[results.baseline] == means.max() else str(means.idxmax())
    correct = f"{numbers.percent_sign(float(means.max()), 1)} of the test images of {wording.dataset_title(results)}"
    name = f"the {_net(results, chosen)}" if chosen == results.baseline else wording.italic_label(results, chosen)
    if len(means) == 1:
        return f"The one net that ran, {name}, labels {correct} correctly."
    return f"Of {len(means)} nets, {name} is right most often: on {correct}."


def assumptions(results: Results) -> list[str]:
    """What each step to the CNN brings, on images as they are and on shuffled ones, and what that says of it."""
    ran = [key for key in (LOCALITY, SHARING) if results.has_run(key)]
    contrasts = [results.declared[key].contrast for key in ran]
    if len(ran) < 2 or not all(ladder.controls_are_permuted_twins(results, contrast) for contrast in contrasts):
        return [parts(results), shuffled(results)]
    rows_of_steps = [results.hypotheses.loc[key] for key in ran]
    locality, sharing = (numbers.points(row["mean"], 1) for row in rows_of_steps)
    controls = [numbers.points(row["reference_mean"], 1) for row in rows_of_steps]
    steps = (
        f"{WORTH[LOCALITY]} brings {locality}{numbers.NBSP}points and {WORTH[SHARING]} {sharing}; "
        f"where the pixels are shuffled, so that neither should help, the same steps bring {controls[0]} and "
        f"{controls[1]}{_lead_left(results)}."
    )
    worth = " and ".join(f"{key} {_worth(row)}" for key, row in zip(ran, rows_of_steps, strict=True))
    return [steps, f"With the shuffled step subtracted, {worth}."]


def _lead_left(results: Results) -> str:
    """What is left of the CNN's lead where the pixels are shuffled, as the end of a sentence."""
    led = results.has_run(GAP) and results.hypotheses.loc[GAP, "verdict"] == verdicts.BETTER
    if not led or not results.has_run(PERMUTED):
        return ""
    row = results.hypotheses.loc[PERMUTED]
    clauses = {
        verdicts.BETTER: f", and a lead of {_points(row)} is left",
        verdicts.WORSE: ", and the lead is gone",
        verdicts.EQUIVALENT: ", and the lead is gone",
        verdicts.NO_BETTER: ", and no lead that matters is left",
        verdicts.INCONCLUSIVE: ", and it is open whether a lead is left",
    }
    return clauses.get(row["verdict"], "")


def parts(results: Results) -> str:
    """What locality and sharing are worth, each minus its control."""
    ran = [key for key in (LOCALITY, SHARING) if results.has_run(key)]
    if not ran:
        return ""
    text = " and ".join(f"{WORTH[key]} {_worth(results.hypotheses.loc[key])}" for key in ran)
    return f"{wording.capitalised(text)}, {'both ' if len(ran) == 2 else ''}{_beyond(results, ran)}."


def shuffled(results: Results) -> str:
    """What is left of the lead where the pixels are shuffled."""
    if not results.has_run(PERMUTED):
        return ""
    row = results.hypotheses.loc[PERMUTED]
    led = results.has_run(GAP) and results.hypotheses.loc[GAP, "verdict"] == verdicts.BETTER
    gone = "the lead is gone: " if led and row["verdict"] in (verdicts.WORSE, verdicts.EQUIVALENT) else ""
    clause = _who_leads(results, PERMUTED, row, "still leads, by" if led else "leads, by")
    return f"Where the pixels of all images are shuffled in the same way, {gone}{clause}."


def longer(results: Results) -> str:
    """Whether the gap is there with nets that were trained longer."""
    table = results.longer_hypotheses
    if GAP not in table.index or pd.isna(table.loc[GAP, "n_seeds"]):
        return ""
    return f"Trained {training_length.times(results)}, {_who_leads(results, GAP, table.loc[GAP], 'leads by')}."


def _who_leads(results: Results, key: str, row: pd.Series, leads: str) -> str:
    """A clause on the two nets of a hypothesis. row: its result. leads: the words before how large a lead is."""
    contrast = results.declared[key].contrast
    net, other = _net(results, contrast.variant), _net(results, contrast.reference)
    clauses = {
        verdicts.BETTER: f"the {net} {leads} {_points(row)}",
        verdicts.WORSE: f"the {net} is {_points(row)} below the {other}",
        verdicts.EQUIVALENT: "the two nets are as good as each other",
        verdicts.NO_BETTER: f"the {net} has no lead that matters",
        verdicts.NO_WORSE: f"the {net} is as good as the {other}, or better",
        verdicts.INCONCLUSIVE: f"it is open whether the {net} leads",
    }
    return clauses.get(row["verdict"], f"the {net} minus the {other} is {_signed(row)}")


def shifted(results: Results) -> str:
    """How often two shifted copies of an image get one answer, of the two nets of the gap."""
    if not results.has_run(GAP) or not results.shifts_were_probed:
        return ""
    contrast = results.declared[GAP].contrast
    arms = contrast.variant, contrast.reference
    means = [results.mean(arm, METRICS["shift_consistency"].column).mean for arm in arms]
    first, second = (
        f"the {_net(results, arm)} in {numbers.percent_sign(mean, 0)}" for arm, mean in zip(arms, means, strict=True)
    )
    return (
        f"Two copies of an image, each shifted by up to {wording.largest_margin(results)}, get the same answer from "
        f"{first} of the cases and from {second}."
    )


def expectations(results: Results) -> str:
    """How many of the measured hypotheses came true."""
    measured = [key for key in results.declared if results.has_run(key)]
    if not measured:
        return hypotheses.tally(results)
    outcomes = Counter(results.hypotheses.loc[measured, "outcome"])
    words = {
        verdicts.SUPPORTED: "came true",
        verdicts.CONTRADICTED: "did not" if outcomes[verdicts.SUPPORTED] else "failed",
        verdicts.UNDECIDED: "remained open",
        verdicts.NOT_STATED: "had too few seeds for a verdict",
    }
    parts = [f"{outcomes[outcome]} {text}" for outcome, text in words.items() if outcomes[outcome]]
    if len(parts) > 1:
        return f"Of the {len(measured)} expectations, {wording.joined(parts)}."
    whole = "The one expectation" if len(measured) == 1 else f"All of the {len(measured)} expectations"
    return f"{whole} {words[next(iter(outcomes))]}."


def picture(results: Results) -> Figure | str:
    """The ladder on images as they are and, where it ran, with shuffled pixels; without a ladder, the variants."""
    path = ladder.path_to_baseline(results)
    if len(path) < 2:
        return _variants_alone(results)
    lines = {ORIGINAL: dict(enumerate(path))}
    twins = {place: results.permuted_twin(variant) for place, variant in enumerate(path)}
    lines[SHUFFLED] = {place: twin for place, twin in twins.items() if twin is not None}
    figure, axes = style.plt.subplots(figsize=(style.WIDTH, HEIGHT))
    means = {name: _draw_line(results, axes, name, line) for name, line in lines.items() if line}
    _label_steps(axes, means)
    _label_ends(axes, means)
    axes.set_xlim(-0.35, len(path) - 1 + 0.95)
    axes.set_xticks(range(len(path)), [""] * len(path))
    axes.tick_params(axis="x", length=0)
    axes.tick_params(axis="y", labelsize=SIZE - 1)
    axes.set_ylabel("test accuracy, %", fontsize=SIZE)
    axes.spines["bottom"].set_visible(False)
    for place, variant in enumerate(path):
        below = axes.get_xaxis_transform()
        axes.text(
            place, -0.04, ASSUMES[results.connectivity(variant)], transform=below, ha="center", va="top", fontsize=SIZE
        )
        axes.text(
            place,
            -0.22,
            _net(results, variant),
            transform=below,
            ha="center",
            va="top",
            fontsize=SIZE - 1,
            color=style.GREY,
        )
    return figure


def caption(results: Results) -> str:
    if len(ladder.path_to_baseline(results)) < 2:
        return f"Test accuracy of the variants. {_dots(results)}"
    return (
        f"From the net that assumes the least to the convolutional net. A number beside a line is the step between two "
        f"nets, in percentage points. {_dots(results)}"
    )


def alternative_text(results: Results) -> str:
    """What the picture shows, with its numbers, for readers who do not see it."""
    path = ladder.path_to_baseline(results)
    if len(path) < 2:
        return "Dot plot: a row for each variant with the test accuracy of its seeds, their mean and its interval."
    reached = [f"{_net(results, variant)} {numbers.percent(results.mean(variant).mean, 1)}" for variant in path]
    text = f"Line chart of test accuracy in percent. Images as they are: {', '.join(reached)}."
    twins = [(_net(results, variant), results.permuted_twin(variant)) for variant in path]
    reached = [f"{net} {numbers.percent(results.mean(twin).mean, 1)}" for net, twin in twins if twin is not None]
    return text + (f" Pixels shuffled: {', '.join(reached)}." if reached else "")


def _variants_alone(results: Results) -> Figure:
    means = results.variants["accuracy_mean"]
    order = sorted(results.without_controls, key=lambda variant: -means[variant])[:SHOWN_ALONE]
    figure, (axes,) = rows.figure(len(order), rest=accuracy.ACCURACY_MARGINS)
    texts_of_rows = [numbers.percent(results.mean(variant).mean, 1) for variant in order]
    drawn = [
        accuracy.row(results, variant, results.names.label(variant), text=text)
        for variant, text in zip(order, texts_of_rows, strict=True)
    ]
    rows.draw(axes, drawn, rest=accuracy.ACCURACY_MARGINS)
    axes.set_xlabel("test accuracy, %")
    return figure


def _draw_line(results: Results, axes: Axes, name: str, line: dict[int, str]) -> dict[int, float]:
    """Seeds, means and intervals of one line; return its means in percent by place."""
    colour, means = COLOURS[name], {}
    for place, variant in line.items():
        values = np.array(list(results.per_seed(variant).values()))
        estimate = results.mean(variant)
        spread = np.linspace(-0.045, 0.045, len(values)) if len(values) > 1 else np.zeros(1)
        axes.scatter(place + spread, 100 * values, s=9, color=colour, alpha=0.5, linewidths=0, zorder=3)
        if estimate.n > 1:
            ends = [100 * estimate.low, 100 * estimate.high]
            axes.plot([place, place], ends, color=colour, alpha=0.25, linewidth=9, solid_capstyle="round", zorder=1)
        means[place] = 100 * estimate.mean
    axes.plot(list(means), list(means.values()), color=colour, linewidth=2.2, marker="o", markersize=7.5, zorder=4)
    return means


def _label_steps(axes: Axes, means: dict[str, dict[int, float]]) -> None:
    """Write each step's difference beside its line, on the side where the other line is not."""
    low, high = axes.get_ylim()
    halo = [matplotlib.patheffects.withStroke(linewidth=2.5, foreground="white")]
    for name, line in means.items():
        for (place, mean), (next_place, next_mean) in pairwise(line.items()):
            middle, height = (place + next_place) / 2, (mean + next_mean) / 2
            others = [
                np.interp(middle, list(other), list(other.values())) for key, other in means.items() if key != name
            ]
            above = all(height >= other for other in others) if others else True
            offset = (0.035 if above else -0.035) * (high - low) * (1 + abs(next_mean - mean) / (high - low))
            axes.text(
                middle,
                height + offset,
                numbers.points((next_mean - mean) / 100, 1),
                ha="right" if above == (next_mean > mean) else "left",
                va="bottom" if above else "top",
                color=style.readable(COLOURS[name]),
                fontsize=SIZE,
                path_effects=halo,
                zorder=6,
            )


def _label_ends(axes: Axes, means: dict[str, dict[int, float]]) -> None:
    """Name each line at its right end; two names that would touch are moved apart."""
    low, high = axes.get_ylim()
    apart = 0.17 * (high - low)
    ends = sorted((list(line.values())[-1], name, list(line)[-1]) for name, line in means.items())
    heights = [height for height, _, _ in ends]
    if len(heights) == 2 and heights[1] - heights[0] < apart:
        middle = sum(heights) / 2
        heights = [middle - apart / 2, middle + apart / 2]
    for height, (_, name, place) in zip(heights, ends, strict=True):
        look: dict[str, Any] = {
            "color": style.readable(COLOURS[name]),
            "weight": "bold",
            "va": "center",
            "fontsize": SIZE,
        }
        axes.annotate(name, (place, height), xytext=(11, 0), textcoords="offset points", **look)


def _net(results: Results, variant: str) -> str:
    return PLAIN_NETS.get(results.connectivity(variant), results.names.net(variant))


def _train_images(results: Results, variant: str) -> str:
    """Return "1,500 images", the number that each seed of the variant trains on."""
    return numbers.plural(training_data.n_images(results, variant), "image")


def _points(row: pd.Series) -> str:
    """Return "2.4 points": how large a difference is, without its sign."""
    return f"{numbers.percent(abs(row['difference']), 1)}{numbers.NBSP}points"


def _signed(row: pd.Series) -> str:
    return f"{numbers.points(row['difference'], 1)}{numbers.NBSP}points"


def _worth(row: pd.Series) -> str:
    clauses = {
        verdicts.BETTER: f"is worth {_points(row)}",
        verdicts.WORSE: f"costs {_points(row)}",
        verdicts.EQUIVALENT: "is worth nothing that matters",
        verdicts.INCONCLUSIVE: "may be worth nothing",
    }
    return clauses.get(row["verdict"], f"makes a difference of {_signed(row)}")


def _beyond(results: Results, keys: list[str]) -> str:
    """What the worth of the assumptions is measured against."""
    contrasts = [results.declared[key].contrast for key in keys]
    if all(contrast.minus is None for contrast in contrasts):
        return "as the step between two nets"
    if all(ladder.controls_are_permuted_twins(results, contrast) for contrast in contrasts):
        return "beyond what the same step brings with shuffled pixels"
    return "minus its control" if len(keys) == 1 else "minus their controls"


def _dots(results: Results) -> str:
    if len(results.settings.chosen_protocol.seeds) == 1:
        return "One seed each, so no interval is known."
    return f"Small dots are seeds, large dots their mean, bars its {wording.confidence(results)} interval."
